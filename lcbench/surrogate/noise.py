"""What the mean curve leaves out: the distribution of true curves around a prediction, learned on held-out configurations.

Two parts, so that neither has to be Gaussian in the values:

* how far off: quantiles of (true score - predicted score), which depend on the predicted score. A prediction in the
  middle of the scale is often a coin toss between two outcomes; one at its end is safe.
* how it hangs together: along a curve, the *levels* of these quantiles (as normal deviates) are one Gaussian vector,
  with few factors and a remainder at every entry.

Notation: T entries, B bins of predicted scores, L levels, F factors.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.surrogate.basis import Floats

N_BINS = 12
N_FACTORS = 6
CURVES_PER_BIN = 30
"""Entries of one curve err together, so that curves are counted: with fewer per bin the outer quantiles come out too narrow."""
DEVIATES = np.linspace(-3, 3, 25)
"""Normal deviates of the levels at which quantiles are kept."""


def _levels() -> Floats:  # (L,)
    normal = NormalDist()
    return np.array([normal.cdf(z) for z in DEVIATES])


@dataclass(frozen=True, eq=False)
class Noise:
    """The conditional distribution of true scores given predicted ones."""

    centres: Floats  # (B,) predicted scores
    quantiles: Floats  # (B, L) of the residuals
    shift: Floats  # (T,) mean deviate of every entry
    factors: Floats  # (F, T)
    rest: Floats  # (T,) standard deviation of the remainder

    @classmethod
    def fit(cls, predicted: Floats, true: Floats) -> Noise:  # (n, T), (n, T): scores
        """Learn from predictions for held-out configurations."""
        u, residuals = predicted.ravel(), (true - predicted).ravel()
        n_bins = max(1, min(N_BINS, len(predicted) // CURVES_PER_BIN))
        bins = np.array_split(np.argsort(u, kind="stable"), n_bins)
        centres = np.array([np.median(u[b]) for b in bins])
        quantiles = np.array([np.quantile(residuals[b], _levels()) for b in bins])
        centres, kept = np.unique(_short(centres), return_index=True)
        plain = cls(centres, _short(quantiles[kept]), np.zeros(0), np.zeros((0, 0)), np.zeros(0))
        deviates = plain.deviates(predicted, true)  # (n, T)
        shift = deviates.mean(axis=0)
        covariance = np.cov(deviates, rowvar=False).reshape(len(shift), len(shift))
        strength, axes = np.linalg.eigh(covariance)
        top = np.argsort(-strength)[:N_FACTORS]
        factors = (axes[:, top] * np.sqrt(np.maximum(strength[top], 0))).T
        rest = np.sqrt(np.maximum(np.diag(covariance) - (factors**2).sum(axis=0), 1e-6))
        return dataclasses.replace(plain, shift=_short(shift), factors=_short(factors), rest=_short(rest))

    @property
    def spread(self) -> Floats:  # (T,)
        """Standard deviation of the deviates of every entry; 1 where the bins alone describe the noise."""
        return np.sqrt((self.factors**2).sum(axis=0) + self.rest**2)

    def deviates(self, predicted: Floats, true: Floats) -> Floats:  # (n, T), (n, T) -> (n, T)
        """How unusual the true scores are, as normal deviates; the middle one where several would do."""
        residuals = true - predicted
        low, high = np.full(residuals.shape, DEVIATES[0]), np.full(residuals.shape, DEVIATES[0])
        bins = self._bins(predicted)
        before = self._table(bins, 0)
        for level in range(1, len(DEVIATES)):
            after = self._table(bins, level)
            step = DEVIATES[level] - DEVIATES[level - 1]
            inside = np.clip((residuals - before) / np.maximum(after - before, 1e-12), 0, 1)
            low += step * np.where(residuals > before, inside, 0)
            high += step * np.where(residuals >= after, 1, inside)
            before = after
        return (low + high) / 2

    def _bins(self, predicted: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        place = np.interp(predicted, self.centres, np.arange(len(self.centres), dtype=float))
        left = place.astype(np.intp)
        return left, np.minimum(left + 1, len(self.centres) - 1), place - left

    def _table(self, bins: tuple[NDArray[np.intp], NDArray[np.intp], Floats], level: int | NDArray[np.intp]) -> Floats:
        left, right, part = bins
        return self.quantiles[left, level] * (1 - part) + self.quantiles[right, level] * part

    def at(self, predicted: Floats, deviates: Floats) -> Floats:  # (n, T), (n, T) -> (n, T)
        """The true scores that lie at these deviates."""
        step = DEVIATES[1] - DEVIATES[0]
        place = np.clip((deviates - DEVIATES[0]) / step, 0, len(DEVIATES) - 1)
        level = np.minimum(place.astype(np.intp), len(DEVIATES) - 2)
        bins, part = self._bins(predicted), place - level
        return predicted + self._table(bins, level) * (1 - part) + self._table(bins, level + 1) * part

    def sample(self, predicted: Floats, rng: np.random.Generator) -> Floats:  # (n, T) -> (n, T)
        """One draw of true scores for every predicted curve."""
        common = rng.standard_normal((len(predicted), len(self.factors))) @ self.factors
        own = rng.standard_normal(predicted.shape) * self.rest
        return self.at(predicted, common + own + self.shift)

    def interval(self, predicted: Floats, level: float) -> tuple[Floats, Floats]:  # (n, T) -> (n, T), (n, T)
        """Central intervals that hold a true score with probability `level`."""
        reach = NormalDist().inv_cdf(0.5 + level / 2) * self.spread
        return self.at(predicted, self.shift - reach), self.at(predicted, self.shift + reach)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, for a file."""
        return {field.name: getattr(self, field.name).astype(np.float32) for field in dataclasses.fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Noise:
        """Rebuild from `arrays`."""
        return cls(**{name: array.astype(np.float64) for name, array in arrays.items()})


def _short(A: Floats) -> Floats:
    return A.astype(np.float32).astype(np.float64)
