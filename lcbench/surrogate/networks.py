"""Ensembles of small networks in NumPy: many networks of one shape trained at once, one matrix product for all.

Notation: E networks, n rows, d inputs, h hidden units, K outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.surrogate.basis import Floats

Parameters = tuple[NDArray[np.float32], ...]
N_WARM_UP = 50
NAMES = ("W1", "b1", "W2", "b2", "W3", "b3")


def _silu(Z: Floats) -> tuple[Floats, Floats]:
    """z·sigmoid(z) and its slope; the input is cut where the exponential of a float32 would overflow."""
    gate = 1 / (1 + np.exp(-np.clip(Z, -60, 60)))
    H = Z * gate
    return H, gate + H * (1 - gate)


def _gated(Z: Floats) -> Floats:
    """z·sigmoid(z), without the slope."""
    return Z / (1 + np.exp(-np.maximum(Z, np.float32(-60))))


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """The mean of E networks with two hidden layers."""

    W1: NDArray[np.float16]  # (E, d, h)
    b1: NDArray[np.float16]  # (E, 1, h)
    W2: NDArray[np.float16]  # (E, h, h)
    b2: NDArray[np.float16]  # (E, 1, h)
    W3: NDArray[np.float16]  # (E, h, K)
    b3: NDArray[np.float16]  # (E, 1, K)

    @cached_property
    def _wide(self) -> Parameters:
        """Parameters for computing, the first and the last layers of all networks side by side, the mean over networks included.

        Half precision is for files; in single precision NumPy has a fast matrix product.
        """
        W1, b1, W2, b2, W3, b3 = (getattr(self, name).astype(np.float32) for name in NAMES)
        n_networks, d_in, width = W1.shape
        first = np.ascontiguousarray(W1.transpose(1, 0, 2).reshape(d_in, n_networks * width))
        return first, b1.reshape(-1), W2, b2, W3.reshape(n_networks * width, -1) / np.float32(n_networks), b3.mean(axis=(0, 1))

    def predict(self, X: Floats) -> Floats:  # (n, d) -> (n, K)
        """Outputs for many rows."""
        W1, b1, W2, b2, W3, b3 = self._wide
        H = _gated((X.astype(np.float32) * 4 - 2) @ W1 + b1)  # (n, E h)
        H = H.reshape(len(X), *W2.shape[:2]).transpose(1, 0, 2) @ W2  # (E, n, h)
        H = _gated(H + b2).transpose(1, 0, 2).reshape(len(X), len(W3))  # (n, E h)
        return H @ W3 + b3

    def predict_one(self, x: Floats) -> Floats:  # (d,) -> (K,)
        """Outputs for one row."""
        W1, b1, W2, b2, W3, b3 = self._wide
        H = _gated((x.astype(np.float32) * 4 - 2) @ W1 + b1)
        H = _gated(H.reshape(len(W2), 1, -1) @ W2 + b2)
        return H.reshape(-1) @ W3 + b3

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, for a file."""
        return {name: getattr(self, name) for name in NAMES}


def fit_networks(
    X: Floats, Y: Floats, rng: np.random.Generator, *, n_networks: int, width: int, n_steps: int, batch: int, decay: float
) -> NetworkModel:  # (n, d), (n, K)
    """Train with Adam, decoupled weight decay, a cosine schedule and a Huber loss; every network sees its own batches."""
    X, Y = (X * 4 - 2).astype(np.float32), Y.astype(np.float32)
    parameters = _initial(rng, n_networks, (X.shape[1], width, width, Y.shape[1]))
    first, second = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    for step in range(n_steps):
        rows = rng.integers(len(X), size=(n_networks, min(batch, len(X))))
        rate = 5e-3 * min(1, (step + 1) / N_WARM_UP) * 0.5 * (1 + np.cos(np.pi * step / n_steps))
        for p, g, m, v in zip(parameters, _gradients(parameters, X[rows], Y[rows]), first, second, strict=True):
            m += 0.1 * (g - m)
            v += 0.01 * (g * g - v)
            if p.shape[1] > 1:  # a matrix, no bias
                p *= np.float32(1 - rate * decay)
            corrected = np.sqrt(v / (1 - 0.99 ** (step + 1))) + np.float32(1e-8)
            p -= np.float32(rate / (1 - 0.9 ** (step + 1))) * m / corrected
    return NetworkModel(*(p.astype(np.float16) for p in parameters))


def _initial(rng: np.random.Generator, n_networks: int, widths: tuple[int, ...]) -> Parameters:
    parameters: list[NDArray[np.float32]] = []
    for d_in, d_out in pairwise(widths):
        last = d_out == widths[-1] and len(parameters) == 4
        scale = float(np.sqrt(2 / d_in)) * (0.3 if last else 1.0)
        parameters.append((rng.standard_normal((n_networks, d_in, d_out)) * scale).astype(np.float32))
        parameters.append(rng.uniform(-0.5, 0.5, (n_networks, 1, d_out)).astype(np.float32) * np.float32(not last))
    return tuple(parameters)


def _gradients(parameters: Parameters, X: Floats, Y: Floats) -> Parameters:  # (E, b, d), (E, b, K)
    W1, b1, W2, b2, W3, b3 = parameters
    H1, slope1 = _silu(X @ W1 + b1)
    H2, slope2 = _silu(H1 @ W2 + b2)
    d3 = np.clip(H2 @ W3 + b3 - Y, -1, 1) / np.float32(X.shape[1])
    d2 = (d3 @ W3.transpose(0, 2, 1)) * slope2
    d1 = (d2 @ W2.transpose(0, 2, 1)) * slope1
    found: list[Any] = []
    for H, delta in ((X, d1), (H1, d2), (H2, d3)):
        found.append(H.transpose(0, 2, 1) @ delta)
        found.append(delta.sum(axis=1, keepdims=True))
    return tuple(found)
