"""Boosted symmetric trees in NumPy: every level of a tree asks one question of all configurations, so that a tree is a small table.

Notation: n configurations, d inputs, K coefficients, M trees, D questions per tree, 2^D leaves.

A tree adds, in every leaf, a part of the mean residual there, shrunk towards 0 where few configurations fall. Questions are
chosen greedily among `N_BINS` - 1 thresholds per input, on a random part of the configurations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.surrogate.basis import Floats

N_TREES = 64
DEPTH = 5
N_BINS = 32
RATE = 0.12
SHRINKAGE = 2.0
ROWS_PER_TREE = 0.7


@dataclass(frozen=True, eq=False)
class TreeModel:
    """A sum of M symmetric trees."""

    features: NDArray[np.uint8]  # (M, D)
    thresholds: NDArray[np.float32]  # (M, D)
    leaves: NDArray[np.float16]  # (M, 2^D, K)
    start: NDArray[np.float32]  # (K,)

    @cached_property
    def _table(self) -> NDArray[np.float32]:  # (M · 2^D, K)
        return self.leaves.astype(np.float32).reshape(-1, self.leaves.shape[-1])

    @cached_property
    def _questions(self) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
        n_trees, depth = self.features.shape
        powers = 2 ** np.arange(depth, dtype=np.int32)
        return self.features.ravel().astype(np.intp), self.thresholds.ravel(), powers, np.arange(n_trees, dtype=np.int32) * 2**depth

    def predict(self, X: Floats) -> Floats:  # (n, d) -> (n, K)
        """Coefficients of many configurations."""
        features, thresholds, powers, first = self._questions
        answers = X.astype(np.float32)[:, features] > thresholds
        leaf = answers.reshape(len(X), *self.features.shape) @ powers + first  # (n, M)
        found = np.tile(self.start, (len(X), 1))
        for tree in leaf.T:
            found += self._table[tree]
        return found

    def predict_one(self, x: Floats) -> Floats:  # (d,) -> (K,)
        """Coefficients of one configuration."""
        features, thresholds, powers, first = self._questions
        answers = x.astype(np.float32)[features] > thresholds
        return self._table[answers.reshape(self.features.shape) @ powers + first].sum(axis=0) + self.start

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, for a file."""
        return {"features": self.features, "thresholds": self.thresholds, "leaves": self.leaves, "start": self.start}


def fit_trees(X: Floats, C: Floats, rng: np.random.Generator) -> TreeModel:  # (n, d), (n, K)
    """Boost by least squares on all coefficients at once."""
    X = X.astype(np.float32)
    cuts = np.quantile(X, np.linspace(0, 1, N_BINS + 1)[1:-1], axis=0).T.astype(np.float32)  # (d, N_BINS - 1)
    binned = np.stack([np.searchsorted(cut, x, side="left") for cut, x in zip(cuts, X.T, strict=True)], axis=1)
    start = C.mean(axis=0)
    residuals = C - start
    features, thresholds, leaves = [], [], []
    for _ in range(N_TREES):
        rows = rng.random(len(X)) < ROWS_PER_TREE
        questions = _questions(binned[rows], residuals[rows])
        leaf = np.zeros(len(X), np.intp)
        for level, (feature, cut) in enumerate(questions):
            leaf += (binned[:, feature] > cut) << level
        sums = _sums(leaf[rows], residuals[rows], 2**DEPTH)
        table = (RATE * sums[:, :-1] / (sums[:, -1:] + SHRINKAGE)).astype(np.float16)
        residuals = residuals - table[leaf].astype(np.float64)
        features.append([feature for feature, _ in questions])
        thresholds.append([cuts[feature, cut] for feature, cut in questions])
        leaves.append(table)
    return TreeModel(np.array(features, np.uint8), np.array(thresholds, np.float32), np.array(leaves), start.astype(np.float32))


def _sums(cells: NDArray[np.intp], residuals: Floats, n_cells: int) -> Floats:  # (n,), (n, K) -> (n_cells, K + 1)
    """Sums of the residuals in every cell, and in the last column how many there are."""
    columns = [np.bincount(cells, residual, n_cells) for residual in residuals.T]
    return np.stack([*columns, np.bincount(cells, minlength=n_cells)], axis=1)


def _questions(binned: NDArray[np.intp], residuals: Floats) -> list[tuple[int, int]]:
    """Grow one tree: at every level the (input, bin) that explains most, asked in all leaves alike."""
    leaf, found = np.zeros(len(binned), np.intp), []
    for level in range(DEPTH):
        gains = np.array([_gains(leaf, column, residuals, 2**level) for column in binned.T])  # (d, N_BINS - 1)
        feature, cut = (int(i) for i in np.unravel_index(gains.argmax(), gains.shape))
        found.append((feature, cut))
        leaf += (binned[:, feature] > cut) << level
    return found


def _gains(leaf: NDArray[np.intp], column: NDArray[np.intp], residuals: Floats, n_leaves: int) -> Floats:  # -> (N_BINS - 1,)
    cells = _sums(leaf * N_BINS + column, residuals, n_leaves * N_BINS).reshape(n_leaves, N_BINS, -1)
    left = np.cumsum(cells, axis=1)
    right = left[:, -1:] - left
    return sum((((side[..., :-1] ** 2).sum(axis=-1)) / (side[..., -1] + SHRINKAGE)).sum(axis=0) for side in (left, right))[:-1]
