"""Legal points of the cube to choose the best from, and how models see them.

Notation: m candidates, n observations, d hyperparameters, e entries of an embedded point.
"""

from __future__ import annotations

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from lcbench.cube import cube
from lcbench.space import encode, legal, sample

Floats = NDArray[np.float64]

FEW = 10
"""A space with conditions or forbidden clauses gets so many times fewer candidates: with all of them freeze-thaw search ended with a larger
regret on all three tables of the joint space where it was tried (10 seeds each).
"""
CHANGED = 0.4
"""Share of the hyperparameters that a neighbour has other values of."""
MIDDLE = 0.5
"""What a model without missing values reads where a hyperparameter is inactive."""


def uniform(n: int, space: ConfigurationSpace, rng: np.random.Generator) -> Floats:  # (at most n, d)
    """Uniform draws; at least one, however little of the space is legal."""
    n = n if cube(space).simple else -(-n // FEW)
    points = legal(cube(space).fair(rng.random((n, len(space)))), space)
    return points if len(points) else encode([sample(space, rng)], space)


def neighbours(n: int, centres: Floats, step: float, space: ConfigurationSpace, rng: np.random.Generator) -> Floats:  # (at most n, d)
    """Draws around random rows of `centres` (k, d): some entries take a normal step, a category another choice."""
    n = n if cube(space).simple else -(-n // FEW)
    points = centres[rng.integers(len(centres), size=n)]
    fresh = cube(space).fair(rng.random(points.shape))
    inactive = np.isnan(points)
    moved = np.clip(points + step * rng.normal(size=points.shape), 0, 1)
    moved = np.where(cube(space).levels > 0, fresh, moved)
    changed = rng.random(points.shape) < CHANGED
    changed[np.arange(n), rng.integers(points.shape[1], size=n)] = True  # at least one
    points = np.where(changed, moved, points)
    return legal(np.where(inactive, np.where(np.isnan(points), fresh, points), points), space)


class Embedding:
    """Turns points of the cube into complete vectors of numbers: categories one-hot, inactive entries in the middle."""

    def __init__(self, space: ConfigurationSpace) -> None:
        self._choices = np.where(cube(space).cardinalities > 1, cube(space).cardinalities, 0)
        self.groups = np.repeat(np.arange(len(space)), np.maximum(self._choices, 1))  # (e,)
        """Number of the hyperparameter behind every entry."""

    def __call__(self, points: Floats) -> Floats:  # (m, d) -> (m, e)
        """Two choices are as far apart as the two ends of a number."""
        blocks = []
        for column, c in zip(points.T, self._choices, strict=True):
            if c:
                number = np.where(np.isnan(column), -1, np.minimum(column * c, c - 1)).astype(int)  # inactive: no choice
                blocks.append((number[:, None] == np.arange(c)) / np.sqrt(2))
            else:
                blocks.append(np.where(np.isnan(column), MIDDLE, column)[:, None])
        return np.hstack(blocks).astype(np.float64)
