"""Gaussian-process means, as they are served: weighted sums of kernels around known configurations.

Notation: m points, d inputs, K coefficients, r distance after every input was divided by its own length scale.

* Matérn 3/2: (1 + √3 r) exp(-√3 r) with Euclidean r, for what is smooth across hyperparameters;
* Laplace: exp(-r) with the sum of absolute differences r, for what breaks along single hyperparameters, as trees see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.surrogate.basis import Floats

KINDS = ("matern", "laplace")
ROWS_AT_ONCE = 128
"""Configurations per block of a kernel matrix: blocks that fit the cache are twice as fast as one large matrix."""
LEVELS = 65535
"""Points are kept as 16-bit fractions of the unit cube; they are rounded before the fit, so that nothing is lost by storing."""


def on_grid(X: Floats) -> Floats:  # (m, d) -> (m, d)
    """Round to the fractions that `KernelModel` can store."""
    return np.rint(np.clip(X, 0, 1) * LEVELS) / LEVELS


def kernel_matrix(kind: str, A: Floats, B: Floats, inverse_lengths: Floats) -> Floats:  # (a, d), (b, d) -> (a, b)
    """The kernel between all pairs; in the precision of its arguments."""
    if kind == "matern":
        A, B = A * inverse_lengths, B * inverse_lengths
        squares = (A * A).sum(axis=1)[:, None] + (B * B).sum(axis=1) - 2 * (A @ B.T)
        r = np.sqrt(3 * np.maximum(squares, 0))
        return (1 + r) * np.exp(-r)
    distance = np.zeros((len(A), len(B)), A.dtype)
    for j, scale in enumerate(inverse_lengths):
        distance += np.abs((A[:, j] * scale)[:, None] - B[:, j] * scale)
    return np.exp(-distance)


@dataclass(frozen=True, eq=False)
class KernelModel:
    """The mean of one Gaussian process with K outputs."""

    kind: str
    """One of `KINDS`."""
    points: NDArray[np.uint16]  # (m, d)
    """The configurations that it remembers, in fractions of `LEVELS`."""
    inverse_lengths: NDArray[np.float32]  # (d,)
    weights: NDArray[np.float32]  # (m, K)

    @cached_property
    def _cube(self) -> NDArray[np.float32]:  # (m, d)
        return (self.points.astype(np.float64) / LEVELS).astype(np.float32)

    @cached_property
    def _scaled(self) -> NDArray[np.float32]:  # (d, m), contiguous along the points
        return np.ascontiguousarray((self._cube * self.inverse_lengths).T)

    @cached_property
    def _squares(self) -> NDArray[np.float32]:  # (m,)
        return 3 * (self._scaled**2).sum(axis=0)

    def predict(self, X: Floats) -> Floats:  # (n, d) -> (n, K)
        """Coefficients of many configurations."""
        X = X.astype(np.float32)
        blocks = [X[i : i + ROWS_AT_ONCE] for i in range(0, len(X), ROWS_AT_ONCE)]
        parts = [kernel_matrix(self.kind, block, self._cube, self.inverse_lengths) @ self.weights for block in blocks]
        return np.concatenate(parts) if parts else np.empty((0, self.weights.shape[1]), np.float32)

    def predict_one(self, x: Floats) -> Floats:  # (d,) -> (K,)
        """Coefficients of one configuration; the same numbers in a tenth of the time of `predict`."""
        z = x.astype(np.float32) * self.inverse_lengths
        if self.kind == "matern":
            r = self._squares - (6 * z) @ self._scaled
            r += np.float32(3 * float(z @ z))
            np.maximum(r, 0, out=r)
            np.sqrt(r, out=r)
            k = np.exp(-r)
            r += 1
            k *= r
        else:
            gaps = self._scaled - z[:, None]
            k = np.exp(-np.abs(gaps, out=gaps).sum(axis=0))
        return k @ self.weights

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, for a file."""
        return {"points": self.points, "inverse_lengths": self.inverse_lengths, "weights": self.weights}


def stored_points(X: Floats) -> NDArray[np.uint16]:  # (m, d), on the grid
    """Points as `KernelModel` keeps them."""
    return np.rint(X * LEVELS).astype(np.uint16)
