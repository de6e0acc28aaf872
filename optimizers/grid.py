"""Grid search, visited in random order, so that it can be stopped at any time."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from itertools import count

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.cube import cube
from lcbench.query import Origin, Query, Result
from lcbench.space import decode, is_legal, key
from optimizers.full_training import FullTrainings
from optimizers.rungs import Ladder

MISSES = 300
"""Draws in a row that hit only what was tried; then the grid counts as exhausted and a finer one begins."""
REFINEMENTS = 8
"""Finer grids in a row that hold nothing new; then the space itself is used up, and is begun again."""


@dataclass(eq=False)
class GridSearch:
    """All choices times `points_per_number` values of every number, the middles of equal cells on its scale; trained in full.

    The whole grid has points_per_number^d members and more, so it is drawn from without repetition instead of listed; when it is
    exhausted, the next one has a point more per number. Where a hyperparameter is inactive, its points are one. An ask takes O(d), more
    where few members are left.

    Raises:
        ValueError: if `points_per_number` is below 1.
    """

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Only its last epoch is used."""
    rng: np.random.Generator
    """The only source of randomness: the order of the visits."""
    _: KW_ONLY
    points_per_number: int = 3
    """Values of every number: the middles of as many cells."""
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        if self.points_per_number < 1:
            raise ValueError(f"`points_per_number` is {self.points_per_number}, but must be at least 1")
        self._trials = FullTrainings(self.ladder, self.trial_seed)
        self._n_points = self.points_per_number
        self._tried: set[str] = set()

    def ask(self) -> Query:
        """A member of the grid that was not asked yet."""
        for refinement in count():
            for _ in range(MISSES):
                point = self._draw()
                if not is_legal(point, self.space):
                    continue
                configuration = decode(point, self.space)[0]
                name = key(configuration)
                if name not in self._tried:
                    self._tried.add(name)
                    return self._trials.query(configuration, Origin.RANDOM)
            self._n_points += 1
            if refinement == REFINEMENTS:
                self._tried.clear()
        raise AssertionError("this is a bug: the loop above has no end")

    def tell(self, result: Result) -> None:
        """Learn nothing; raise KeyError if the result answers no open ask."""
        self._trials.close(result)

    def _draw(self) -> np.ndarray:  # (d,)
        levels = cube(self.space).levels
        numbers = (self.rng.integers(self._n_points, size=len(levels)) + 0.5) / self._n_points
        choices = (self.rng.integers(np.maximum(levels, 1)) + 0.5) / np.maximum(levels, 1)
        return np.where(levels > 0, choices, numbers)
