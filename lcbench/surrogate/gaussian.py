"""Fitting Gaussian processes: length scales by marginal likelihood with exact gradients, noise of every coefficient on its own.

Notation: n configurations, d inputs, K coefficients, L log length scales (d,), W = ∂(negative log likelihood)/∂(kernel matrix).

All coefficients share the length scales; the amplitude of each is profiled out. With k the kernel matrix and s the noise,

    likelihood(L, s) = Σ_K [ ½ log|k + sI| + n/2 log(cᵀ (k + sI)⁻¹ c / n) ] + priors.

Length scales are learned on a subset of the configurations: their number decides the cost (cubic) and hardly the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lcbench.surrogate.basis import Floats
from lcbench.surrogate.kernels import KernelModel, kernel_matrix, on_grid, stored_points

N_FOR_LENGTHS = 500
N_LEADING = 1
"""Coefficients that the length scales are fitted to: the first tells good from bad, the later ones are mostly noise."""
N_POINTS = 1000
"""Configurations that a model may remember: with more, it remembers a subset and is fitted to all."""
MAX_STEPS = 40
PRIOR_LENGTH = {"matern": 0.0, "laplace": 1.0}
"""Where the search for log length scales starts; the prior is wide."""
PRIOR_NOISE = -3.0
NOISE_GRID = np.exp(np.linspace(-9, 3, 25))
LENGTH_BOUNDS = (-3.5, 4.0)
NOISE_BOUNDS = (-9.0, 1.5)

Slopes = Callable[[Floats], Floats]
"""From W to the gradient with respect to the log length scales."""


def fit_kernel(kind: str, X: Floats, C: Floats, rng: np.random.Generator) -> KernelModel:  # (n, d), (n, K)
    """Fit one Gaussian process with K outputs."""
    X = on_grid(X)
    chosen = rng.permutation(len(X))
    some = np.sort(chosen[:N_FOR_LENGTHS])
    inverse_lengths = np.exp(-log_lengths(kind, X[some], C[some, :N_LEADING])).astype(np.float32)
    points = X[np.sort(chosen[:N_POINTS])]
    weights = _weights(kind, X, C, points, inverse_lengths.astype(np.float64))
    return KernelModel(kind, stored_points(points), inverse_lengths, weights.astype(np.float32))


def log_lengths(kind: str, X: Floats, C: Floats) -> Floats:  # (n, d), (n, K) -> (d,)
    """Maximise the marginal likelihood by L-BFGS."""
    from scipy import optimize

    minimize: Any = optimize.minimize  # its stubs know no function that returns its gradient as well
    start = np.r_[PRIOR_NOISE, np.full(X.shape[1], PRIOR_LENGTH[kind])]
    bounds = [NOISE_BOUNDS] + [LENGTH_BOUNDS] * X.shape[1]
    options = {"maxiter": MAX_STEPS}
    found = minimize(likelihood, start, args=(kind, X, C), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x[1:])


def likelihood(theta: Floats, kind: str, X: Floats, C: Floats) -> tuple[float, Floats]:  # (1 + d,), (n, d), (n, K)
    """Negative log likelihood of (log noise, log length scales) with its gradient."""
    from scipy.linalg import cho_solve, lapack

    n, n_outputs = C.shape
    noise = float(np.exp(theta[0]))
    k, slopes = _KERNELS[kind](X, np.exp(-theta[1:]))
    k[np.diag_indices(n)] += noise
    factor, failed = lapack.dpotrf(k, lower=1)
    if failed:
        return 1e10, np.zeros_like(theta)
    solved = cho_solve((factor, True), C)  # (n, K)
    energy = np.maximum((C * solved).sum(axis=0), 1e-12)  # (K,)
    inverse, _ = lapack.dpotri(factor, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    W = 0.5 * (n_outputs * inverse - (solved * (n / energy)) @ solved.T)
    value = n_outputs * np.log(np.diag(factor)).sum() + 0.5 * n * np.log(energy / n).sum()
    off = np.r_[(theta[0] - PRIOR_NOISE) / 3.0, (theta[1:] - PRIOR_LENGTH[kind]) / 1.5]
    slope = np.r_[np.trace(W) * noise, slopes(W)] + off / np.r_[3.0, np.full(len(theta) - 1, 1.5)]
    return float(value + 0.5 * off @ off), slope


def _matern(X: Floats, inverse_lengths: Floats) -> tuple[Floats, Slopes]:
    Z = X * inverse_lengths
    squares = (Z * Z).sum(axis=1)
    r = np.sqrt(3 * np.maximum(squares[:, None] + squares - 2 * Z @ Z.T, 0))
    decay = np.exp(-r)

    def slopes(W: Floats) -> Floats:
        G = 1.5 * W * decay  # -∂/∂(squared distance)
        return 4 * ((G.sum(axis=1)[:, None] * Z * Z).sum(axis=0) - (Z * (G @ Z)).sum(axis=0))

    return (1 + r) * decay, slopes


def _laplace(X: Floats, inverse_lengths: Floats) -> tuple[Floats, Slopes]:
    gaps = np.abs(X.T[:, :, None] - X.T[:, None, :])  # (d, n, n)
    k = np.exp(-np.tensordot(inverse_lengths, gaps, 1))
    untouched = k.copy()  # the caller adds noise to the diagonal of k

    def slopes(W: Floats) -> Floats:
        return inverse_lengths * (gaps.reshape(len(gaps), -1) @ (W * untouched).ravel())

    return k, slopes


_KERNELS = {"matern": _matern, "laplace": _laplace}


def _weights(kind: str, X: Floats, C: Floats, points: Floats, inverse_lengths: Floats) -> Floats:  # -> (m, K)
    """Weights of the points: exact where all configurations are remembered, else by subset of regressors."""
    among = kernel_matrix(kind, points, points, inverse_lengths)
    spectrum, axes = np.linalg.eigh(among)
    spectrum = np.maximum(spectrum, 1e-8)
    if len(points) == len(X):
        turned = axes.T @ C  # (n, K)
        return axes @ (turned / (spectrum[:, None] + _best_noise(spectrum, turned)))
    # B = k(X, points); solves (BᵀB + s·k(points, points)) w = Bᵀ C in the basis where both matrices are diagonal.
    across = kernel_matrix(kind, X, points, inverse_lengths)
    root = axes / np.sqrt(spectrum)  # among⁻¹ = root rootᵀ
    strength, turn = np.linalg.eigh((across @ root).T @ (across @ root))
    turned = turn.T @ ((across @ root).T @ C)
    noise = _best_noise_of_regressors(np.maximum(strength, 0), turned, (C**2).sum(axis=0), len(X))
    return root @ (turn @ (turned / (np.maximum(strength, 0)[:, None] + noise)))


def _best_noise(spectrum: Floats, turned: Floats) -> Floats:  # (n,), (n, K) -> (K,)
    shifted = spectrum[:, None] + NOISE_GRID  # (n, G)
    energy = np.maximum((turned**2).T @ (1 / shifted), 1e-12)  # (K, G)
    values = 0.5 * np.log(shifted).sum(axis=0) + 0.5 * len(spectrum) * np.log(energy / len(spectrum))
    return NOISE_GRID[values.argmin(axis=1)]


def _best_noise_of_regressors(strength: Floats, turned: Floats, total: Floats, n: int) -> Floats:  # (m,), (m, K), (K,)
    """The same likelihood for a kernel of rank m: n - m directions hold nothing but noise (matrix inversion lemma)."""
    shifted = strength[:, None] + NOISE_GRID
    energy = np.maximum((total[:, None] - (turned**2).T @ (1 / shifted)) / NOISE_GRID, 1e-12)
    logdet = np.log(shifted).sum(axis=0) + (n - len(strength)) * np.log(NOISE_GRID)
    return NOISE_GRID[(0.5 * logdet + 0.5 * n * np.log(energy / n)).argmin(axis=1)]
