"""Regularized evolution: the best of a few members has a child, and the oldest member dies."""

from __future__ import annotations

from collections import deque
from dataclasses import KW_ONLY, dataclass

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace

from lcbench.cube import cube
from lcbench.query import Origin, Query, Result
from lcbench.space import decode, encode, is_legal, sample
from optimizers.full_training import FullTrainings
from optimizers.rungs import Ladder

TRIES = 100
"""Mutations that may turn out forbidden or without effect before a random draw takes their place."""


@dataclass(eq=False)
class RegularizedEvolution:
    """Aging evolution (Real et al., AAAI 2019, Alg. 1), every trial trained in full.

    The population is the last `population` results, so that even the best dies of age and a lucky result is not trusted for ever. The
    paper's 100 members are more than most budgets hold; here 10 are drawn at random and the 11th is the first child. An ask takes
    O(sample + d).

    Raises:
        ValueError: if a hyperparameter of the method lies outside its range.
    """

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Only its last epoch is used."""
    rng: np.random.Generator
    """The only source of randomness."""
    _: KW_ONLY
    population: int = 10
    """Members; P in the paper."""
    sample: int = 4
    """Members of which the best has a child; S in the paper."""
    step: float = 0.2
    """Standard deviation of the mutation of a number, as a share of its range."""
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        if not 1 <= self.sample <= self.population:
            raise ValueError(f"`sample` is {self.sample}, but must lie in 1..{self.population} (`population`)")
        if not self.step > 0:
            raise ValueError(f"`step` is {self.step}, but must be above 0")
        self._trials = FullTrainings(self.ladder, self.trial_seed)
        self._members: deque[Result] = deque(maxlen=self.population)

    def ask(self) -> Query:
        """A random draw until the population was asked for, then a child."""
        if self._trials.n < self.population or not self._members:
            return self._trials.query(sample(self.space, self.rng), Origin.INITIAL)
        chosen = [self._members[i] for i in self.rng.integers(len(self._members), size=self.sample)]
        parent = min(chosen, key=lambda member: (member.loss, member.query.trial))
        return self._trials.query(*self._child(parent.query.configuration))

    def tell(self, result: Result) -> None:
        """A result becomes the youngest member, a failure the worst one; raise KeyError if it answers no open ask."""
        self._trials.close(result)
        self._members.append(result)

    def _child(self, parent: Configuration) -> tuple[Configuration, Origin]:
        """The parent with one active hyperparameter changed; what becomes active by that is drawn at random."""
        origin = encode([parent], self.space)[0]
        levels = cube(self.space).levels
        free = np.flatnonzero(~np.isnan(origin) & (levels != 1))
        for _ in range(TRIES if len(free) else 0):
            j, inactive = self.rng.choice(free), np.isnan(origin)
            point = (
                np.where(inactive, cube(self.space).fair(self.rng.random((1, len(origin))))[0], origin) if inactive.any() else origin.copy()
            )
            if levels[j]:
                others = int(origin[j] * levels[j]) + self.rng.integers(1, levels[j])  # any choice but its own
                point[j] = (others % levels[j] + 0.5) / levels[j]
            else:
                point[j] = np.clip(point[j] + self.step * self.rng.normal(), 0, 1)
            if not cube(self.space).simple and not is_legal(point, self.space):
                continue
            child = decode(point, self.space)[0]
            if not np.array_equal(encode([child], self.space)[0], origin, equal_nan=True):
                return child, Origin.MODEL
        return sample(self.space, self.rng), Origin.RANDOM
