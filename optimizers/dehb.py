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


FEWEST = 4
"""Members of a population at least: a target and three parents."""


@dataclass
class _Member:
    """An individual and what it scored."""

    genes: Floats  # (d,)
    loss: float
    trial: int


@dataclass(frozen=True)
class _Child:
    """What an ask proposed: its genes, and the member of its population that it competes with."""

    genes: Floats  # (d,)
    place: int


@dataclass
class _Population:
    """The individuals of one epoch."""

    size: int
    members: list[_Member] = field(default_factory=list)
    pointer: int = 0
    """The member that the next child is crossed and competes with."""

    def best(self, n: int) -> list[_Member]:
        return sorted(self.members, key=lambda member: (member.loss, member.trial))[:n]


@dataclass
class _Running:
    """A bracket that is not finished."""

    number: int
    plan: Bracket
    promotes: bool
    """True in the first round, in which every rung above a bracket's first continues the best of the one below."""
    rung: int = 0
    n_asked: int = 0
    n_told: int = 0
    waiting: deque[Query] = field(default_factory=deque)
    """Trials that are continued on this rung."""
    told: list[Result] = field(default_factory=list)


@dataclass(eq=False)
class DEHB:
    """Awad, Mallik and Hutter (IJCAI 2021, Alg. 1): a population per epoch, mutation rand/1, binomial crossover.

    The first bracket is Hyperband's with random draws. In the rest of the first round the first rung of a bracket holds children, and the
    rungs above continue the best of those below; from then on every slot of every rung is a child: its parents are the best of the next
    lower epoch's population, filled up from all populations, its mutant is a + F (b - c), it is crossed with the member that the round-
    robin pointer shows, and takes its place if it is not worse. Genes are uniform numbers that stay as they were drawn, also where a
    whole number is rounded or a hyperparameter is inactive; genes outside of the cube are drawn anew, and so is that of a category within
    the cell of its choice, because small populations would soon know one choice only. A population has at least four members.

    In the authors' implementation the first rung of a bracket has its parents from its own population, as many parents as the bracket's
    rung has slots, and the others come at random from all populations. An ask takes O(d + members).

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
        self._populations = {epoch: _Population(max(size, FEWEST)) for epoch, size in sizes.items()}
        self._genes: dict[int, Floats] = {}  # trial -> what was drawn for it
        self._rivals: dict[tuple[int, int], int] = {}  # (trial, epoch) of a child -> the place that it competes for
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
        child = None if bracket.promotes and (bracket.number == 0 or bracket.rung > 0) else self._child(epoch)
        if child is None:
            return Query(sample(self.space, self.rng), epoch, trial, self.trial_seed, Origin.INITIAL, bracket.number, bracket.rung)
        self._genes[trial], self._rivals[trial, epoch] = child.genes, child.place
        return Query(decode(child.genes, self.space)[0], epoch, trial, self.trial_seed, Origin.MODEL, bracket.number, bracket.rung)

    # --------------------------------------------------------------------------------------------------------- evolution

    def _child(self, epoch: int) -> _Child | None:
        """A legal child for the population of `epoch`; None if there are not enough parents."""
        population = self._populations[epoch]
        parents = self._parents(epoch)
        if len(parents) < 3 or not population.members:
            return None
        place = population.pointer % len(population.members)
        target = population.members[place].genes
        for _ in range(TRIES):
            a, b, c = (parents[i].genes for i in self.rng.choice(len(parents), 3, replace=False))
            mutant = a + self.mutation * (b - c)
            outside = (mutant < 0) | (mutant > 1)
            mutant[outside] = self.rng.random(int(outside.sum()))
            taken = self.rng.random(len(mutant)) < self.crossover
            taken[self.rng.integers(len(mutant))] = True
            child = np.where(taken, mutant, target)
            if cube(self.space).simple or is_legal(child, self.space):
                population.pointer = place + 1
                return _Child(child, place)
        return None

    def _parents(self, epoch: int) -> list[_Member]:
        """The best of the next lower epoch, as many as this population holds, filled up from all; of the lowest, its own members."""
        rung = self.ladder.epochs.index(epoch)
        below = self._populations[self.ladder.epochs[max(rung - 1, 0)]]
        parents = below.best(self._populations[epoch].size)
        if len(parents) < 3:
            parents += [member for population in self._populations.values() if population is not below for member in population.members]
        return parents

    def _select(self, result: Result) -> None:
        """A new member while there is room, else in the place of its rival, or of the next in turn, if it is not worse."""
        query = result.query
        member = _Member(self._genes_of(query), result.loss, query.trial)
        population = self._populations[query.epoch]
        place = self._rivals.pop((query.trial, query.epoch), None)
        if len(population.members) < population.size:
            population.members.append(member)
            return
        if place is None:  # a random draw or a promotion
            place = population.pointer % population.size
            population.pointer = place + 1
        if result.loss <= population.members[place].loss:
            population.members[place] = member

    def _genes_of(self, query: Query) -> Floats:  # (d,)
        """The genes that were drawn for a trial, as far as its configuration is theirs; that of a category is drawn anew in its cell."""
        levels, drawn = cube(self.space).levels, self._genes.get(query.trial)
        point = encode([query.configuration], self.space)[0]
        genes, cells, inactive = point.copy(), levels > 0, np.isnan(point)
        loose = cells | inactive
        genes[loose] = self.rng.random(int(loose.sum()))
        within = cells & ~inactive
        genes[within] = (np.floor(point[within] * levels[within]) + genes[within]) / levels[within]
        if drawn is not None:
            told = encode(decode(drawn, self.space), self.space)[0]
            genes = np.where(inactive | (~cells & (told == point)), drawn, genes)
        self._genes[query.trial] = genes
        return genes
