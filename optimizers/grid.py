"""Grid search, visited in random order, so that it can be stopped at any time."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from lcbench.cube import cube
from lcbench.query import Origin, Query, Result
from lcbench.space import decode, is_legal, key, sample
from optimizers.full_training import FullTrainings
from optimizers.rungs import Ladder

Floats = NDArray[np.float64]

REFINEMENTS = 8
"""Finer grids in a row that hold nothing new; then the space itself is used up, and is begun again."""


@dataclass(eq=False)
class GridSearch:
    """All choices times `points_per_number` values of every number, the middles of equal cells on its scale; trained in full.

    The grid has points_per_number^d members and more, so it is not listed: its members are visited in the order of a random permutation
    of which only the part that was drawn is kept. When all were visited, the next grid has a point more per number. Members that are
    forbidden are passed over, and so are those that differ only in hyperparameters that are inactive. An ask takes O(d), more where
    members are passed over.

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
        self._begin()

    def ask(self) -> Query:
        """A member of the grid that was not asked yet."""
        while self._tried or self._stale <= REFINEMENTS:
            member = self._visits.next()
            if member is None:
                self._refine()
                continue
            point = self._point(member)
            if not is_legal(point, self.space):
                continue
            configuration = decode(point, self.space)[0]
            name = key(configuration)
            if name not in self._tried:
                self._tried.add(name)
                return self._trials.query(configuration, Origin.RANDOM)
        return self._trials.query(sample(self.space, self.rng), Origin.RANDOM)  # no grid so far has a legal member

    def tell(self, result: Result) -> None:
        """Learn nothing; raise KeyError if the result answers no open ask."""
        self._trials.close(result)

    def _point(self, member: int) -> Floats:  # (d,)
        """The member with this number: its digits are places on the axes."""
        point = np.empty(len(self._axes))
        for j, axis in enumerate(self._axes):
            member, place = divmod(member, len(axis))
            point[j] = axis[place]
        return point

    def _begin(self) -> None:
        """Nothing was tried; the first grid."""
        self._tried: set[str] = set()
        self._stale = 0
        self._lay(self.points_per_number)

    def _refine(self) -> None:
        """A grid was visited: the next finer one, or the first again where the finer ones hold nothing new."""
        self._stale = self._stale + 1 if len(self._tried) == self._n_before else 0
        if self._stale > REFINEMENTS and self._tried:
            self._begin()
        else:
            self._lay(self._n_points + 1)

    def _lay(self, n_points: int) -> None:
        self._n_points, self._n_before = n_points, len(self._tried)
        self._axes = _axes(n_points, self.space)
        self._visits = Permutation(math.prod(map(len, self._axes)), self.rng)


def _axes(n_points: int, space: ConfigurationSpace) -> list[Floats]:  # d times (points of this hyperparameter,)
    """The middles of `n_points` cells of every number, whole numbers rounded, and every choice of the others."""
    places = cube(space)
    middles = np.tile((np.arange(n_points) + 0.5)[:, None] / n_points, len(space))
    snapped = places.points(places.vectors(middles))
    return [
        (np.arange(levels) + 0.5) / levels if levels else column[np.unique(np.round(column, 12), return_index=True)[1]]
        for levels, column in zip(places.levels, snapped.T, strict=True)
    ]


class Permutation:
    """The numbers below n in random order, however large n is: Fisher and Yates' shuffle, of which only what has moved is kept."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self._n, self._rng = n, rng
        self._i = 0
        self._moved: dict[int, int] = {}

    def next(self) -> int | None:
        """The next number, or None after the last."""
        if self._i == self._n:
            return None
        i = self._i
        j = i + _below(self._n - i, self._rng)
        self._i += 1
        drawn = self._moved.get(j, j)
        at_i = self._moved.pop(i, i)
        if j > i:
            self._moved[j] = at_i
        return drawn


def _below(n: int, rng: np.random.Generator) -> int:
    """A number below n, which may be larger than 64 bits hold."""
    while (number := int.from_bytes(rng.bytes(-(-n.bit_length() // 8))) >> -n.bit_length() % 8) >= n:
        pass
    return number
