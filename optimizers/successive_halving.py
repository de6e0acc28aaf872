"""Successive halving, and the machine that runs its brackets: Hyperband and BOHB are this machine with other parts.

A bracket is a list of rungs. A rung closes when all its trials have finished; then the lowest losses go on to the next.
Parts of the machine are given to it: which bracket comes next, how a new configuration is proposed, what makes a result better.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace

from lcbench.query import Origin, Query, Result
from lcbench.space import sample
from optimizers.rungs import Bracket, Ladder, hyperband_bracket

Proposal = tuple[Configuration, Origin]
"""A new configuration, and where it comes from."""


Ranking = Callable[[list[Result]], list[Result]]
"""Successful results of a rung, the best first."""


def rank_by_loss(results: list[Result]) -> list[Result]:
    """Lowest loss first, of equals the earlier trial."""
    return sorted((result for result in results if result.ok), key=lambda result: (result.loss, result.query.trial))


@dataclass(eq=False)
class _Running:
    """A bracket that is not finished."""

    number: int
    """Place of the bracket in the run, from 0."""
    plan: Bracket
    """Sizes and epochs of its rungs."""
    rung: int = 0
    """The rung that is filled now."""
    n_asked: int = 0
    """Trials handed out on this rung."""
    finished: list[Result] = field(default_factory=list)
    """What was told on this rung, failures included."""
    promoted: deque[Query] = field(default_factory=deque)
    """Last queries of the trials that are to be continued on this rung, by trial."""

    @property
    def has_job(self) -> bool:
        """True if this rung has a slot that nobody was asked to fill."""
        return self.n_asked < self.plan.sizes[self.rung]

    def tell(self, result: Result, rank: Ranking) -> bool:
        """Note a result and close the rung with its last one; True if this finishes the bracket."""
        self.finished.append(result)
        if len(self.finished) < self.plan.sizes[self.rung]:
            return False
        self.rung, self.n_asked = self.rung + 1, 0
        if self.rung == len(self.plan.sizes):
            return True
        best = [r.query for r in rank(self.finished)[: self.plan.sizes[self.rung]]]
        self.promoted = deque(sorted(best, key=lambda query: query.trial))
        self.finished = []
        return False


class Brackets:
    """Hands out the jobs of one bracket after the other, for any number of open asks.

    The oldest unfinished bracket goes first, and a new one starts only when none can hand out a job. Failures are never
    promoted: a slot that they leave empty goes to a new trial, which starts directly at the epoch of that rung
    (HpBandSter, core/base_iteration.py). Ties go to the earlier trial.
    """

    def __init__(
        self, plan: Callable[[int], Bracket], propose: Callable[[], Proposal], trial_seed: int, rank: Ranking | None = None
    ) -> None:
        self._plan = plan  # number of a bracket -> its rungs
        self._propose = propose
        self._rank = rank or rank_by_loss
        self._trial_seed = trial_seed
        self._running: list[_Running] = []
        self._asked: dict[tuple[int, int], _Running] = {}  # (trial, epoch) -> the bracket that waits for it
        self._n_brackets = 0
        self._n_trials = 0

    def ask(self) -> Query:
        """The next job: a promotion if one waits, else a new trial."""
        bracket = next((b for b in self._running if b.has_job), None) or self._start()
        query = self._promotion(bracket) if bracket.promoted else self._new_trial(bracket)
        bracket.n_asked += 1
        self._asked[query.trial, query.epoch] = bracket
        return query

    def tell(self, result: Result) -> None:
        """Note a result in its bracket; raise KeyError if it answers no open ask."""
        asked = (result.query.trial, result.query.epoch)
        if asked not in self._asked:
            raise KeyError(f"trial {asked[0]} was told at epoch {asked[1]}, but this ask is not open: tell every ask once")
        bracket = self._asked.pop(asked)
        if bracket.tell(result, self._rank):
            self._running.remove(bracket)

    def _start(self) -> _Running:
        self._running.append(_Running(self._n_brackets, self._plan(self._n_brackets)))
        self._n_brackets += 1
        return self._running[-1]

    def _promotion(self, bracket: _Running) -> Query:
        query = bracket.promoted.popleft()
        return replace(query, epoch=bracket.plan.epochs[bracket.rung], rung=bracket.rung, origin=Origin.PROMOTION)

    def _new_trial(self, bracket: _Running) -> Query:
        configuration, origin = self._propose()
        epoch, trial = bracket.plan.epochs[bracket.rung], self._n_trials
        self._n_trials += 1
        return Query(configuration, epoch, trial, self._trial_seed, origin, bracket.number, bracket.rung)


def uniform(space: ConfigurationSpace, rng: np.random.Generator) -> Proposal:
    """Propose a uniform draw."""
    return sample(space, rng), Origin.RANDOM


@dataclass(eq=False)
class SuccessiveHalving:
    """The bracket with all rungs of the ladder, again and again (Jamieson and Talwalkar, AISTATS 2016).

    With M rungs it starts eta^(M-1) trials and trains one of them in full.
    """

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Epochs of the rungs, and eta."""
    rng: np.random.Generator
    """The only source of randomness."""
    _: KW_ONLY
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        self._brackets = Brackets(partial(_whole_ladder, self.ladder), partial(uniform, self.space, self.rng), self.trial_seed)

    def ask(self) -> Query:
        """The next job, a promotion or a new trial."""
        return self._brackets.ask()

    def tell(self, result: Result) -> None:
        """Note a result; raise KeyError if it answers no open ask."""
        self._brackets.tell(result)


def _whole_ladder(ladder: Ladder, number: int) -> Bracket:
    return hyperband_bracket(0, ladder)
