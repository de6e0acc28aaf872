"""DEHB: Hyperband whose rungs are populations of differential evolution."""

from __future__ import annotations

from collections import deque
from dataclasses import KW_ONLY, dataclass, field, replace

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.cube import cube
from lcbench.query import Origin, Query, Result
from lcbench.space import decode, encode, is_legal, sample
from optimizers.candidates import Floats
from optimizers.rungs import Bracket, Ladder, Table, hyperband_bracket

TRIES = 20
"""Mutants that may be forbidden before a random draw takes their place."""


@dataclass
class _Member:
    """An individual and what it scored."""

    genes: Floats  # (d,)
    loss: float
    trial: int


@dataclass
class _Population:
    """The individuals of one epoch."""

    size: int
    members: list[_Member] = field(default_factory=list)
    pointer: int = 0
    """The member that the next child competes with."""

    def best(self, n: int) -> list[_Member]:
        return sorted(self.members, key=lambda member: (member.loss, member.trial))[:n]


@dataclass
class _Running:
    """A bracket that is not finished."""

    number: int
    plan: Bracket
    promotes: bool
    """True in the first round, whose higher rungs continue the best of the lower ones."""
    rung: int = 0
    n_asked: int = 0
    n_told: int = 0
    waiting: deque[Query] = field(default_factory=deque)
    """Trials that are continued on this rung."""
    told: list[Result] = field(default_factory=list)


@dataclass(eq=False)
class DEHB:
    """Awad, Mallik and Hutter (IJCAI 2021, Alg. 1): a population per epoch, mutation rand/1, binomial crossover.

    The first round of brackets is Hyperband's, which fills the populations. From then on every slot of every rung is a child: its
    parents are the best of the next lower epoch's population, filled up from all populations, its mutant is a + F (b - c), and it
    takes the place of the member that the round-robin pointer shows, if it is not worse. Genes are uniform numbers, so an inactive
    hyperparameter keeps one; genes outside of the cube are drawn anew. An ask takes O(d + members).

    Raises:
        ValueError: if a hyperparameter of the method lies outside its range.
    """

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Epochs of the rungs, and eta."""
    rng: np.random.Generator
    """The only source of randomness."""
    _: KW_ONLY
    table: Table = "hpbandster"
    """Sizes of the first rungs, see `rungs.first_rung_size`."""
    mutation: float = 0.5
    """F: how far a mutant goes along the difference of two parents."""
    crossover: float = 0.5
    """Cr: probability that a gene comes from the mutant."""
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        for name, value, high in (("mutation", self.mutation, 2), ("crossover", self.crossover, 1)):
            if not 0 < value <= high:
                raise ValueError(f"`{name}` is {value}, but must be above 0 and at most {high}")
        m = len(self.ladder.epochs)
        brackets = [hyperband_bracket(i, self.ladder, self.table) for i in range(m)]
        sizes = {epoch: max(b.sizes[b.epochs.index(epoch)] for b in brackets if epoch in b.epochs) for epoch in self.ladder.epochs}
        self._populations = {epoch: _Population(size) for epoch, size in sizes.items()}
        self._running: list[_Running] = []
        self._open: dict[tuple[int, int], _Running] = {}
        self._n_brackets = 0
        self._n_trials = 0

    def ask(self) -> Query:
        """A promotion or a random draw in the first round, later a child."""
        bracket = next((b for b in self._running if b.n_asked < b.plan.sizes[b.rung]), None) or self._start()
        query = self._continued(bracket) if bracket.waiting else self._new(bracket)
        bracket.n_asked += 1
        self._open[query.trial, query.epoch] = bracket
        return query

    def tell(self, result: Result) -> None:
        """Note a result in its bracket and population; raise KeyError if it answers no open ask."""
        asked = (result.query.trial, result.query.epoch)
        if asked not in self._open:
            raise KeyError(f"trial {asked[0]} was told at epoch {asked[1]}, but this ask is not open: tell every ask once")
        bracket = self._open.pop(asked)
        self._select(result)
        bracket.n_told += 1
        bracket.told.append(result)
        if bracket.n_told == bracket.plan.sizes[bracket.rung]:
            self._close_rung(bracket)

    # ---------------------------------------------------------------------------------------------------------- brackets

    def _start(self) -> _Running:
        plan = hyperband_bracket(self._n_brackets, self.ladder, self.table)
        self._running.append(_Running(self._n_brackets, plan, self._n_brackets < len(self.ladder.epochs)))
        self._n_brackets += 1
        return self._running[-1]

    def _close_rung(self, bracket: _Running) -> None:
        best = sorted((result for result in bracket.told if result.ok), key=lambda result: (result.loss, result.query.trial))
        bracket.rung, bracket.n_asked, bracket.n_told, bracket.told = bracket.rung + 1, 0, 0, []
        if bracket.rung == len(bracket.plan.sizes):
            self._running.remove(bracket)
        elif bracket.promotes:
            bracket.waiting.extend(result.query for result in best[: bracket.plan.sizes[bracket.rung]])

    def _continued(self, bracket: _Running) -> Query:
        query = bracket.waiting.popleft()
        return replace(query, epoch=bracket.plan.epochs[bracket.rung], rung=bracket.rung, origin=Origin.PROMOTION)

    def _new(self, bracket: _Running) -> Query:
        epoch, trial = bracket.plan.epochs[bracket.rung], self._n_trials
        self._n_trials += 1
        child = None if bracket.promotes else self._child(epoch)
        if child is None:
            return Query(sample(self.space, self.rng), epoch, trial, self.trial_seed, Origin.INITIAL, bracket.number, bracket.rung)
        return Query(decode(child, self.space)[0], epoch, trial, self.trial_seed, Origin.MODEL, bracket.number, bracket.rung)

    # --------------------------------------------------------------------------------------------------------- evolution

    def _child(self, epoch: int) -> Floats | None:  # (d,)
        """A legal child for the population of `epoch`; None if there are not enough parents."""
        population = self._populations[epoch]
        parents = self._parents(epoch)
        if len(parents) < 3 or not population.members:
            return None
        target = population.members[population.pointer % len(population.members)].genes
        for _ in range(TRIES):
            a, b, c = (parents[i].genes for i in self.rng.choice(len(parents), 3, replace=False))
            mutant = a + self.mutation * (b - c)
            outside = (mutant < 0) | (mutant > 1)
            mutant[outside] = self.rng.random(int(outside.sum()))
            taken = self.rng.random(len(mutant)) < self.crossover
            taken[self.rng.integers(len(mutant))] = True
            child = np.where(taken, mutant, target)
            if cube(self.space).simple or is_legal(child, self.space):
                return child
        return None

    def _parents(self, epoch: int) -> list[_Member]:
        """The best of the next lower epoch, as many as this population holds, filled up from all; of the lowest, its own members."""
        rung = self.ladder.epochs.index(epoch)
        below = self._populations[self.ladder.epochs[max(rung - 1, 0)]]
        parents = below.best(max(self._populations[epoch].size, 3))
        if len(parents) < 3:
            parents = parents + [member for population in self._populations.values() for member in population.members]
        return parents

    def _select(self, result: Result) -> None:
        """A new member while there is room, else in the place that the pointer shows if it is not worse."""
        genes = encode([result.query.configuration], self.space)[0]
        inactive = np.isnan(genes)
        genes[inactive] = self.rng.random(int(inactive.sum()))
        member = _Member(genes, result.loss, result.query.trial)
        population = self._populations[result.query.epoch]
        if len(population.members) < population.size:
            population.members.append(member)
            return
        place = population.pointer % population.size
        population.pointer = place + 1
        if result.loss <= population.members[place].loss:
            population.members[place] = member
