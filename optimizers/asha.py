"""ASHA: successive halving without waiting: a trial is promoted as soon as it is among the best of those that came as far as it did."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.query import Origin, Query, Result
from lcbench.space import sample
from optimizers.rungs import Ladder

Standing = tuple[float, int]
"""Loss of a trial on a rung, and its number, by which equals are sorted."""


class _Rung:
    """What was told at one epoch; O(log n) comparisons per operation."""

    def __init__(self) -> None:
        self.standings: list[Standing] = []  # sorted; failures stand at +inf
        self.waiting: list[Standing] = []  # sorted; those that were not promoted

    def add(self, standing: Standing, *, waits: bool) -> None:
        insort(self.standings, standing)
        if waits:
            insort(self.waiting, standing)

    def place(self, standing: Standing) -> int:
        """How many stand better."""
        return bisect_left(self.standings, standing)


@dataclass(eq=False)
class ASHA:
    """Asynchronous successive halving (Li et al., MLSys 2020, Alg. 2), one bracket with all rungs of the ladder.

    Whenever a worker is free, the best trial that stands among the n // eta best of the n told on its rung and was not promoted yet
    goes on, from the highest rung downwards; where there is none, a new trial begins. Failures count in n and are never promoted.
    An ask and a tell take O(rungs · log n).
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
        self._rungs = [_Rung() for _ in self.ladder.epochs]
        self._open: dict[tuple[int, int], int] = {}  # (trial, epoch) -> its rung
        self._last: dict[int, Query] = {}  # what was told of every trial that waits
        self._n_trials = 0

    def ask(self) -> Query:
        """A promotion if one is due, else a new trial on the lowest rung."""
        query = self._promotion() or _new(self)
        self._open[query.trial, query.epoch] = query.rung
        return query

    def tell(self, result: Result) -> None:
        """Note a result; raise KeyError if it answers no open ask."""
        rung = _close(self._open, result)
        waits = result.ok and rung + 1 < len(self._rungs)
        self._rungs[rung].add((result.loss, result.query.trial), waits=waits)
        if waits:
            self._last[result.query.trial] = result.query

    def _promotion(self) -> Query | None:
        for number in reversed(range(len(self._rungs) - 1)):
            rung = self._rungs[number]
            if rung.waiting and rung.place(rung.waiting[0]) < len(rung.standings) // self.ladder.eta:
                _, trial = rung.waiting.pop(0)
                return _continued(self._last.pop(trial), self.ladder, number + 1)
        return None


@dataclass(eq=False)
class StoppingASHA:
    """The stopping variant: a trial goes on at once if it is good enough when it reaches a rung, and is never taken up again.

    Good enough is a loss not above the 1 / eta quantile of the n told on its rung so far, itself included; so the best so far always goes
    on (Syne Tune's rule; Salinas et al., AutoML 2022). It needs no checkpoints of waiting trials, and promotes more of the early ones
    than the other variant. An ask takes O(1), a tell O(log n) comparisons.
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
        self._rungs = [_Rung() for _ in self.ladder.epochs]
        self._open: dict[tuple[int, int], int] = {}
        self._going_on: deque[Query] = deque()
        self._n_trials = 0

    def ask(self) -> Query:
        """The oldest trial that goes on, else a new one on the lowest rung."""
        query = self._going_on.popleft() if self._going_on else _new(self)
        self._open[query.trial, query.epoch] = query.rung
        return query

    def tell(self, result: Result) -> None:
        """Note a result and decide whether its trial goes on; raise KeyError if it answers no open ask."""
        number = _close(self._open, result)
        rung = self._rungs[number]
        rung.add((result.loss, result.query.trial), waits=False)
        if not result.ok or number + 1 == len(self._rungs):
            return
        n_better = rung.place((result.loss, -1))  # those of an equal loss are not better, whenever they came
        if n_better * self.ladder.eta <= len(rung.standings) - 1:
            self._going_on.append(_continued(result.query, self.ladder, number + 1))


def _new(method: ASHA | StoppingASHA) -> Query:
    trial, method._n_trials = method._n_trials, method._n_trials + 1
    return Query(sample(method.space, method.rng), method.ladder.epochs[0], trial, method.trial_seed, Origin.RANDOM)


def _continued(query: Query, ladder: Ladder, rung: int) -> Query:
    return replace(query, epoch=ladder.epochs[rung], rung=rung, origin=Origin.PROMOTION)


def _close(asked: dict[tuple[int, int], int], result: Result) -> int:
    name = (result.query.trial, result.query.epoch)
    if name not in asked:
        raise KeyError(f"trial {name[0]} was told at epoch {name[1]}, but this ask is not open: tell every ask once")
    return asked.pop(name)
