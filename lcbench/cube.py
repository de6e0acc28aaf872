"""The unit cube of a search space: how uniform numbers become legal positions, for many points at once.

Notation: n points, d hyperparameters. A *point* lies in [0, 1]^d; a *vector* is what ConfigSpace holds, category numbers included.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters.hp_components import ROUND_PLACES
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Cube:
    """What has to be known of a space to place many configurations in its unit cube."""

    def __init__(self, space: ConfigurationSpace) -> None:
        """Read the hyperparameters of `space`, which must not be changed afterwards."""
        hyperparameters = list(space.values())
        self.cardinalities = np.array([_n_choices(hp) for hp in hyperparameters], np.int64)  # (d,)
        """Number of choices of every unordered hyperparameter, 0 for numbers and ordinals."""
        ordinals = np.array([len(hp.sequence) if isinstance(hp, OrdinalHyperparameter) else 0 for hp in hyperparameters], np.int64)
        self.levels = np.maximum(self.cardinalities, ordinals)  # (d,)
        """Like `cardinalities`, with ordinals counted too."""
        self.first = np.array([isinstance(hp, Constant) for hp in hyperparameters], np.float64)  # (d,)
        """Index of the first level in a vector: indices count from 0, but the only level of a constant is 1."""
        self.discrete = self.levels > 0
        self._any_level = bool(self.discrete.any())
        self.simple = not space.conditions and not space.forbidden_clauses
        """True if every point is a legal configuration with everything active."""
        self.uniform = all(_is_uniform(hp) for hp in hyperparameters)
        """True if uniform points are draws from the space's own distributions."""
        numbers = [hp for hp in hyperparameters if isinstance(hp, UniformFloatHyperparameter | UniformIntegerHyperparameter)]
        self._any_number = bool(numbers)
        self._is_number = np.array([hp in numbers for hp in hyperparameters])
        self._whole = np.array([isinstance(hp, UniformIntegerHyperparameter) for hp in numbers], bool)
        self._log = np.array([hp.log for hp in numbers], bool)
        self._lower, self._upper = (np.array([float(getattr(hp, end)) for hp in numbers]) for end in ("lower", "upper"))
        self._low = self._scaled(self._lower)
        self._range = self._scaled(self._upper) - self._low
        half = np.where(self._whole, 0.5, 0.0)
        self._below = self._position(self._lower - half)
        self._stretch = self._position(self._upper + half) - self._below

    def vectors(self, points: Floats) -> Floats:  # (n, d) -> (n, d)
        """The nearest legal vectors: those of the values that ConfigSpace reads from them, up to the last bit of large numbers.

        Whole numbers are rounded, others have as many decimals as ConfigSpace keeps, a category is the cell that the point lies in.
        """
        vectors = np.array(points, np.float64)
        if self._any_level:
            levels, first = self.levels[self.discrete], self.first[self.discrete]
            vectors[:, self.discrete] = np.minimum(np.floor(vectors[:, self.discrete] * levels), levels - 1) + first
        if self._any_number:
            scaled = vectors[:, self._is_number] * self._range + self._low
            numbers = np.where(self._log, np.exp(np.where(self._log, scaled, 0.0)), scaled)
            numbers = np.where(self._whole, np.rint(numbers), np.round(numbers, ROUND_PLACES))
            vectors[:, self._is_number] = self._position(np.minimum(np.maximum(numbers, self._lower), self._upper))
        return vectors

    def points(self, vectors: Floats) -> Floats:  # (n, d) -> (n, d)
        """Vectors in the cube: a category k of c sits at (k + 1/2) / c."""
        points = np.array(vectors, np.float64)
        if self._any_level:
            points[:, self.discrete] = (points[:, self.discrete] - self.first[self.discrete] + 0.5) / self.levels[self.discrete]
        return points

    def fair(self, uniform: Floats) -> Floats:  # (n, d) -> (n, d)
        """Stretch uniform numbers so that the smallest and the largest whole number get as large a cell as the others.

        Rounding alone would give each of them half a cell, because it lies on the border of the cube.
        """
        points = np.array(uniform, np.float64)
        if self._any_number:
            stretched = self._below + points[:, self._is_number] * self._stretch
            points[:, self._is_number] = np.minimum(np.maximum(stretched, 0.0), 1.0)
        return points

    def _position(self, number: Floats) -> Floats:
        return (self._scaled(number) - self._low) / self._range

    def _scaled(self, number: Floats) -> Floats:
        return np.where(self._log, np.log(np.where(self._log, number, 1.0)), number)


def cube(space: ConfigurationSpace) -> Cube:
    """The cube of a space, made once."""
    name = id(space)
    known = _CUBES.get(name)
    if known is None or known[0]() is not space:
        known = weakref.ref(space, lambda _: _CUBES.pop(name, None)), Cube(space)
        _CUBES[name] = known
    return known[1]


_CUBES: dict[int, tuple[weakref.ref[ConfigurationSpace], Cube]] = {}
"""By the `id` of a space, because a ConfigurationSpace has no hash."""


def _n_choices(hyperparameter: Any) -> int:
    if isinstance(hyperparameter, CategoricalHyperparameter):
        return len(hyperparameter.choices)
    return 1 if isinstance(hyperparameter, Constant) else 0


def _is_uniform(hyperparameter: Any) -> bool:
    if isinstance(hyperparameter, CategoricalHyperparameter):
        return bool(np.ptp(hyperparameter.probabilities) < 1e-9)
    return isinstance(hyperparameter, UniformFloatHyperparameter | UniformIntegerHyperparameter | OrdinalHyperparameter | Constant)
