"""Product-kernel densities on the unit cube, vectorised: the model of BOHB.

Notation:
    n, m, d     rows of data, points at which a density is read, hyperparameters
    x_i         row i of the data, complete (see `impute`)                                      (d,)
    c_j         number of choices of hyperparameter j, 0 for a number or an ordinal             cardinalities (d,)
    h_j         bandwidth of hyperparameter j                                                   bandwidths (d,)
    K_j(x, x')  kernel. Number: exp(-(x - x')^2 / 2 h_j^2) / (h_j sqrt(2 pi)). Category (Aitchison and Aitken, 1976):
                1 - h_j where x = x', else h_j / (c_j - 1). Constant (c_j = 1): 1
    f(x)        density, 1/n sum_i prod_j K_j(x_j, x_ij); it integrates to 1 over numbers and sums to 1 over categories
Category k of c sits at (k + 1/2) / c in the cube (lcbench/space.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import ndtr, ndtri

FLOOR = 1e-32
"""Densities are never read lower than this (HpBandSter, bohb.py), so that a ratio of two exists everywhere."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KDE:
    """A density around complete rows of data, with legal bandwidths only."""

    data: Floats  # (n, d)
    """Complete rows of the unit cube."""
    cardinalities: NDArray[np.int64]  # (d,)
    """Number of choices, 0 for numbers."""
    bandwidths: Floats  # (d,)
    """Width of each kernel."""

    @classmethod
    def fit(cls, data: Floats, cardinalities: NDArray[np.int64], min_bandwidth: float = 1e-3) -> Self:
        """Choose bandwidths by the normal reference rule, not below `min_bandwidth`, not above (c - 1) / c for a category.

        At (c - 1) / c the kernel of a category is uniform; above, a neighbour would count for more than the point
        itself. HpBandSter does not stop there, see `StatsmodelsKDE`.
        """
        spread = np.where(cardinalities > 1, _categorical_spread(data, cardinalities), data.std(axis=0))
        highest = np.where(cardinalities > 1, 1 - 1 / np.maximum(cardinalities, 2), np.inf)
        return cls(data, cardinalities, np.clip(normal_reference(spread, *data.shape), min_bandwidth, highest))

    def log_density(self, points: Floats) -> Floats:  # (m, d) -> (m,)
        """The logarithm of f at complete points, not floored."""
        asked = self._embed(points)
        exponents = asked @ self._embedded.T  # (m, n), -|a - b|^2 / 2 by its three terms, in place: here an ask spends its time
        exponents -= 0.5 * (asked**2).sum(axis=1)[:, None]
        exponents -= 0.5 * (self._embedded**2).sum(axis=1)
        top = exponents.max(axis=1)
        exponents -= top[:, None]
        np.exp(exponents, out=exponents)
        return np.log(exponents.sum(axis=1)) + top + self._log_peak - math.log(len(self.data))

    def sample(self, n_points: int, rng: np.random.Generator, widen: float = 1.0) -> Floats:  # (n_points, d)
        """Draw around random rows: numbers truncated to [0, 1] with `widen` times the bandwidth, categories as they are.

        A category is kept with probability 1 - h and else drawn from all its choices (HpBandSter, bohb.py).
        """
        centres = self.data[rng.integers(len(self.data), size=n_points)]
        quantiles, fresh = rng.random(centres.shape), rng.random(centres.shape)
        width = widen * self.bandwidths
        below, above = ndtr(-centres / width), ndtr((1 - centres) / width)
        numbers = np.clip(centres + width * ndtri(below + quantiles * (above - below)), 0, 1)
        c = np.maximum(self.cardinalities, 1)
        categories = np.where(quantiles < 1 - self.bandwidths, centres, (np.floor(fresh * c) + 0.5) / c)
        return np.where(self.cardinalities == 0, numbers, categories)

    @cached_property
    def _embedded(self) -> Floats:
        return self._embed(self.data)

    @cached_property
    def _log_peak(self) -> float:
        """The logarithm of prod_j K_j(x, x), the height of every kernel."""
        number, category = self.cardinalities == 0, self.cardinalities > 1
        widths = self.bandwidths[number] * math.sqrt(2 * math.pi)
        return float(np.log1p(-self.bandwidths[category]).sum() - np.log(widths).sum())

    def _embed(self, points: Floats) -> Floats:  # (m, d) -> (m, more)
        """Place points so that prod_j K_j(x, x') = peak * exp(-|e(x) - e(x')|^2 / 2).

        A number is divided by its bandwidth. A category becomes a one-hot vector times sqrt(log of kept : changed), so
        that its two kernel values are those of a Gaussian too; a constant vanishes.
        """
        number = self.cardinalities == 0
        blocks = [points[:, number] / self.bandwidths[number]]
        for j in np.flatnonzero(self.cardinalities > 1):
            c, h = self.cardinalities[j], self.bandwidths[j]
            log_odds = max(math.log((1 - h) * (c - 1) / h), 0.0)  # 0 at h = (c - 1) / c, up to rounding
            blocks.append(math.sqrt(log_odds) * np.eye(c)[choice(points[:, j], c)])
        return np.hstack(blocks)


class StatsmodelsKDE(KDE):
    """What HpBandSter's use of statsmodels computes, illegal bandwidths included; for differential tests only.

    The rule of thumb reads category *numbers* and may exceed 1, so that a "density" is negative (-2.45 at a data point
    for c = 10, n = 8), and c is the number of choices seen in this data. Where only one was seen, statsmodels divides by
    zero for the others; here their kernel is 1 / `FLOOR`.
    """

    @classmethod
    def fit(cls, data: Floats, cardinalities: NDArray[np.int64], min_bandwidth: float = 1e-3) -> Self:
        """Choose bandwidths by the normal reference rule, not below `min_bandwidth`."""
        spread = (data * np.where(cardinalities > 1, cardinalities, 1)).std(axis=0)
        return cls(data, cardinalities, np.maximum(normal_reference(spread, *data.shape), min_bandwidth))

    def density(self, points: Floats) -> Floats:  # (m, d) -> (m,)
        """The mean of the kernels at complete points; may be negative."""
        number = self.cardinalities == 0
        h = self.bandwidths
        kernels = np.exp(-0.5 * cdist(points[:, number] / h[number], self.data[:, number] / h[number], "sqeuclidean"))  # (m, n)
        kernels /= np.prod(h[number] * math.sqrt(2 * math.pi))
        for j in np.flatnonzero(self.cardinalities > 1):
            seen, asked = choice(self.data[:, j], self.cardinalities[j]), choice(points[:, j], self.cardinalities[j])
            n_others = len(np.unique(seen)) - 1
            changed = h[j] / n_others if n_others else 1 / FLOOR
            kernels *= np.where(asked[:, None] == seen, 1 - h[j], changed)
        return kernels.mean(axis=1)

    def log_density(self, points: Floats) -> Floats:  # (m, d) -> (m,)
        """The logarithm of the density, or of `FLOOR` where that is larger: here a model loses its information."""
        return np.log(np.maximum(self.density(points), FLOOR))


def normal_reference(spread: Floats, n: int, d: int) -> Floats:  # (d,) -> (d,)
    """Bandwidths by Scott's rule of thumb, 1.06 * spread * n^(-1 / (4 + d)), as statsmodels computes it."""
    return 1.06 * spread * n ** (-1 / (4 + d))


def choice(entries: Floats, c: int) -> NDArray[np.int64]:
    """The category numbers 0, …, c - 1 of entries of the cube."""
    return np.minimum(entries * c, c - 1).astype(np.int64)


def impute(data: Floats, cardinalities: NDArray[np.int64], rng: np.random.Generator) -> Floats:  # (n, d) -> (n, d)
    """Fill inactive (NaN) entries from other rows, as HpBandSter does (bohb.py, `impute_conditional_data`).

    For the first missing entry of a row, a random row that has it gives *all* entries that are missing, as far as it
    has them, and so on until none is left. Where no row has it, it is a random value. HpBandSter leaves a row alone
    that misses nothing but its entry 0; here it is filled too.
    """
    filled = data.copy()
    for j in np.flatnonzero(np.isnan(data).any(axis=0)):  # once entry j is filled, later entries are first
        rows = np.flatnonzero(np.isnan(filled[:, j]))
        donors = np.flatnonzero(~np.isnan(data[:, j]))
        if len(donors):
            given = data[rng.choice(donors, size=len(rows))]
            filled[rows] = np.where(np.isnan(filled[rows]), given, filled[rows])
        else:
            c, uniform = cardinalities[j], rng.random(len(rows))
            filled[rows, j] = (np.floor(uniform * c) + 0.5) / c if c else uniform
    return filled


def _categorical_spread(data: Floats, cardinalities: NDArray[np.int64]) -> Floats:  # (n, d) -> (d,)
    """Standard deviation of each category's one-hot vector over sqrt(2), 0 for the others.

    That is sqrt((1 - sum_k p_k^2) / 2) with shares p_k: for two choices the standard deviation of 0 and 1, and for more
    it does not change when the choices are renamed, as that of their numbers would.
    """
    spread = np.zeros(data.shape[1])
    for j in np.flatnonzero(cardinalities > 1):
        shares = np.bincount(choice(data[:, j], cardinalities[j])) / len(data)
        spread[j] = math.sqrt((1 - (shares**2).sum()) / 2)
    return spread
