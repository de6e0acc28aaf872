"""Curve ⇄ few numbers: the transform that makes curves easy to learn, and the basis in which they are learned.

A model never sees values. It sees *scores* U, on which squared error means something for every metric, and of these
only K coefficients C per curve. Two codecs do this, with one interface:

================ ============================================ ===================================================
codec            score of an entry                            coefficients of a curve
================ ============================================ ===================================================
`LevelCodec`     its rank among all recorded entries, 0 to 1  principal components of the scores
`TimeCodec`      its logarithm                                log of the total, components of the log increments
================ ============================================ ===================================================

Notation: n configurations, T entries of a curve, K coefficients, Q knots.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Bounds = tuple[float, float]

N_COMPONENTS = 4
N_KNOTS = 128
N_LINK_KNOTS = 48
DIVERGED = 10.0
"""A loss this many times the typical one counts as diverged; a larger one says nothing more about the configuration."""


class Codec(Protocol):
    """What a surrogate needs to know about curves of one metric."""

    def scores(self, Y: Floats) -> Floats:  # (n, T) -> (n, T)
        """Values to scores."""

    def coefficients(self, U: Floats) -> Floats:  # (n, T) -> (n, K)
        """Scores to coefficients."""

    def expand(self, C: Floats) -> Floats:  # (..., K) -> (..., T)
        """Coefficients to scores."""

    def values(self, U: Floats) -> Floats:  # (..., T) -> (..., T)
        """Possible scores, e.g. those of a noisy curve, to values: the inverse of `scores`."""

    def means(self, U: Floats) -> Floats:  # (..., T) -> (..., T)
        """Predicted scores to expected values, by the link of `linked`."""

    def linked(self, U: Floats, Y: Floats) -> Codec:
        """The same codec with a link from predicted scores U to the mean of the values Y that came true."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, for a file."""


def worst(Y: Floats, bounds: Bounds, *, maximise: bool) -> float:  # (n, T)
    """The value that stands for a diverged training.

    It is the bound on the bad side, if that is finite. Else it lies `DIVERGED` times as far from the other bound as the typical value
    (the larger of the medians of the first entries and of all). Without any bound it is the worst that was recorded.
    """
    (bound, limit), sign = bounds[::-1] if maximise else bounds, -1.0 if maximise else 1.0
    Y = _believed(Y)
    finite = np.isfinite(Y)
    if math.isfinite(limit):
        return limit
    if not math.isfinite(bound):
        return sign * float(np.max(sign * Y[finite])) if finite.any() else 0.0
    if not finite.any():
        return bound + sign
    first = Y[:, 0][finite[:, 0]]
    typical = max((np.median(np.abs(part - bound)) for part in (first, Y[finite]) if len(part)), default=1.0)
    return bound + sign * DIVERGED * float(typical or 1.0)


def _believed(Y: Floats) -> Floats:
    """What float32 cannot hold is no measurement, and sums of it would overflow: it counts as infinite does."""
    return np.where(np.abs(Y) < np.finfo(np.float32).max, Y, np.nan)


def fill(Y: Floats, bounds: Bounds, *, maximise: bool) -> Floats:  # (n, T) -> (n, T)
    """Clip to the bounds and to `worst`; what is NaN, infinite or after the end of a training becomes `worst`."""
    Y, bad = _believed(Y), worst(Y, bounds, maximise=maximise)
    low, high = (bad, bounds[1]) if maximise else (bounds[0], bad)
    return np.clip(np.where(np.isfinite(Y), Y, bad), low, high)


def fill_seconds(Y: Floats) -> Floats:  # (n, T) -> (n, T)
    """Continue a training that ended early at the pace of the others, relative to its own; the rest stays as it is.

    Raises:
        ValueError: if a configuration has no finite entry at all.
    """
    steps = np.diff(Y, axis=1, prepend=0.0)  # (n, T)
    known = np.isfinite(steps)
    if not known.any(axis=1).all():
        raise ValueError(f"rows {np.flatnonzero(~known.any(axis=1)).tolist()} have no seconds at all; drop them before the fit")
    steps = np.where(known, np.maximum(np.where(known, steps, 0.0), 0.0), 0.0)
    own = np.maximum(steps.sum(axis=1, keepdims=True) / known.sum(axis=1, keepdims=True), 1e-12)  # (n, 1)
    typical = np.maximum(_column_medians(steps / own, known), 1e-12)  # (T,) of what is left when fast and slow are made equal
    pace = steps.sum(axis=1) / np.where(known, typical, 0.0).sum(axis=1)  # (n,)
    return np.cumsum(np.where(known, steps, pace[:, None] * typical), axis=1)


def _column_medians(A: Floats, known: NDArray[np.bool_]) -> Floats:  # (n, T), (n, T) -> (T,)
    overall = float(np.median(A[known]))
    return np.array([np.median(a[k]) if k.any() else overall for a, k in zip(A.T, known.T, strict=True)])


def _principal(U: Floats, n_components: int) -> tuple[Floats, Floats]:  # (n, T) -> (T,), (K, T)
    """Mean and principal components, scaled so that the first coefficient has variance 1.

    One scale for all: a squared error of coefficients is one of scores, so that no learner works for components that hardly matter.
    """
    mean = U.mean(axis=0)
    _, spread, axes = np.linalg.svd(U - mean, full_matrices=False)
    spread = spread[:n_components] / math.sqrt(len(U))
    kept = spread > 1e-9 * max(float(np.abs(mean).max()), 1e-9)
    kept[:1] = True
    components = axes[: len(spread)][kept] * max(float(spread[0]), 1e-12)
    return _round(mean), _round(components)


def _project(U: Floats, components: Floats) -> Floats:  # (n, T), (K, T) -> (n, K)
    return U @ components.T / np.maximum((components**2).sum(axis=1), 1e-24)


def _round(A: Floats) -> Floats:
    """To what a file keeps, so that a stored codec is the codec itself."""
    return A.astype(np.float32).astype(np.float64)


def _ranks_at(values: Floats, n_knots: int) -> tuple[Floats, Floats]:  # (N,) -> (Q,), (Q,)
    """Knots of the empirical distribution: values, strictly increasing, and their mid-ranks in [0, 1]."""
    ordered = np.sort(values)
    knots = np.unique(_round(np.quantile(ordered, np.linspace(0, 1, n_knots))))
    below, upto = np.searchsorted(ordered, knots, side="left"), np.searchsorted(ordered, knots, side="right")
    return knots, _round((below + upto) / (2 * len(ordered)))


@dataclass(frozen=True, eq=False)
class LevelCodec:
    """Curves of a quality: an entry's score is its rank among all entries of all recorded curves.

    Ranks are what an optimizer acts on, and they are finite: a loss of 1e18 is merely the last. Their mean is not the rank of
    the mean, so the way back goes through a link, fitted on predictions for held-out configurations.
    """

    knots: Floats  # (Q,) values
    ranks: Floats  # (Q,) their scores
    mean: Floats  # (T,) of the scores
    components: Floats  # (K, T)
    link_scores: Floats  # (L,) predicted scores
    link_values: Floats  # (L,) what came true on average; strictly increasing, so that no two predictions become one

    @classmethod
    def fit(cls, Y: Floats, n_components: int = N_COMPONENTS) -> LevelCodec:  # (n, T), filled
        """Learn the transform and the basis."""
        knots, ranks = _ranks_at(Y.ravel(), N_KNOTS)
        return cls(knots, ranks, *_principal(np.interp(Y, knots, ranks), n_components), link_scores=ranks, link_values=knots)

    def scores(self, Y: Floats) -> Floats:  # noqa: D102
        return np.interp(Y, self.knots, self.ranks)

    def coefficients(self, U: Floats) -> Floats:  # noqa: D102
        return _project(U - self.mean, self.components)

    def expand(self, C: Floats) -> Floats:  # noqa: D102
        return C @ self.components + self.mean

    def values(self, U: Floats) -> Floats:  # noqa: D102
        return np.interp(U, self.ranks, self.knots)

    def means(self, U: Floats) -> Floats:  # noqa: D102
        return np.interp(U, self.link_scores, self.link_values)

    def linked(self, U: Floats, Y: Floats) -> LevelCodec:
        """Fit the link: means of Y in bins of U of equal size, made monotone."""
        order = np.argsort(U, axis=None, kind="stable")
        bins = np.array_split(order, min(N_LINK_KNOTS, max(1, len(order) // 20)))
        sizes = np.array([len(b) for b in bins], float)
        u = np.array([U.ravel()[b].mean() for b in bins])
        y = _increasing(np.array([Y.ravel()[b].mean() for b in bins]), sizes)
        # Bins that were made equal become one knot: a plateau would give all of its predictions the same value.
        pool = np.unique(y, return_inverse=True)[1]
        weight = np.bincount(pool, sizes)
        u, y = np.bincount(pool, u * sizes) / weight, np.bincount(pool, y * sizes) / weight
        spread = max(float(u[-1] - u[0]), 1e-3)
        # Beyond the outermost bins the link goes on to the extreme values, else all extreme predictions would tie.
        u = np.r_[u[0] - spread, u, u[-1] + spread]
        y = np.r_[min(y[0], Y.min()), y, max(y[-1], Y.max())]
        y = y + 1e-4 * max(float(y[-1] - y[0]), 1e-12) * (u - u[0]) / spread  # ties of the means must not become ties of predictions
        u, kept = np.unique(_round(u), return_index=True)
        return dataclasses.replace(self, link_scores=u, link_values=_round(y[kept]))

    def arrays(self) -> dict[str, NDArray[Any]]:  # noqa: D102
        return {field.name: getattr(self, field.name).astype(np.float32) for field in dataclasses.fields(self)}


def _increasing(y: Floats, weights: Floats) -> Floats:  # (L,), (L,) -> (L,)
    """The nearest non-decreasing sequence in weighted least squares (pool adjacent violators)."""
    pools: list[list[float]] = []  # [mean, weight, length]
    for value, weight in zip(y.tolist(), weights.tolist(), strict=True):
        pools.append([value, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, weight_, length = pools.pop()
            last = pools[-1]
            last[0] = (last[0] * last[1] + mean * weight_) / (last[1] + weight_)
            last[1] += weight_
            last[2] += length
    return np.repeat([p[0] for p in pools], [int(p[2]) for p in pools])


@dataclass(frozen=True, eq=False)
class TimeCodec:
    """Curves of cumulative seconds: total times a profile of positive shares, so that time never runs backwards."""

    mean: Floats  # (T,) of the centred log increments
    components: Floats  # (K - 1, T)
    centre: Floats  # (2,) mean and spread of the log total
    link: Floats  # (1,) log of (true seconds / predicted seconds), over all held-out predictions

    @classmethod
    def fit(cls, Y: Floats, n_components: int = N_COMPONENTS) -> TimeCodec:  # (n, T), filled
        """Learn the spread of totals and the basis of profiles."""
        total = np.log(_positive(Y)[:, -1])
        mean, components = _principal(_log_steps(Y), n_components - 1)
        return cls(mean, components, _round(np.array([total.mean(), max(float(total.std()), 1e-9)])), np.zeros(1))

    def scores(self, Y: Floats) -> Floats:  # noqa: D102
        return np.log(_positive(Y))

    def coefficients(self, U: Floats) -> Floats:  # noqa: D102
        level = (U[:, -1:] - self.centre[0]) / self.centre[1]
        return np.concatenate([level, _project(_log_steps(np.exp(U)) - self.mean, self.components)], axis=1)

    def expand(self, C: Floats) -> Floats:  # noqa: D102
        steps = C[..., 1:] @ self.components + self.mean
        grown = np.cumsum(np.exp(steps - steps.max(axis=-1, keepdims=True)), axis=-1)
        # Sums of positive numbers cannot decrease, nor can their logarithms; a share of 0 after rounding is kept finite.
        shares = np.log(np.maximum(grown / grown[..., -1:], 1e-12))
        return shares + (np.asarray(C[..., :1], np.float64) * self.centre[1] + self.centre[0])

    def values(self, U: Floats) -> Floats:  # noqa: D102
        # Accumulated after the exponential: its rounding may break what the scores promise.
        return np.maximum.accumulate(np.exp(np.minimum(U, 600.0)), axis=-1)

    def means(self, U: Floats) -> Floats:  # noqa: D102
        return self.values(U + self.link)

    def linked(self, U: Floats, Y: Floats) -> TimeCodec:
        """Fit the link, one factor: the mean of a time is larger than the exponential of the mean of its logarithm."""
        ratio = float(Y[:, -1].sum() / np.exp(U[:, -1]).sum())
        return dataclasses.replace(self, link=_round(np.log([min(max(ratio, 0.5), 2.0)])))

    def arrays(self) -> dict[str, NDArray[Any]]:  # noqa: D102
        return {field.name: getattr(self, field.name).astype(np.float32) for field in dataclasses.fields(self)}


def _positive(Y: Floats) -> Floats:
    return np.maximum(Y, 1e-9)


def _log_steps(Y: Floats) -> Floats:  # (n, T) -> (n, T)
    """Log increments, centred within each curve: the profile without the level."""
    steps = np.diff(Y, axis=1, prepend=0.0)
    floor = np.maximum(1e-4 * Y[:, -1:] / Y.shape[1], 1e-12)  # clocks stand still at times; a logarithm must not
    logs = np.log(np.maximum(steps, floor))
    return logs - logs.mean(axis=1, keepdims=True)


CODECS: dict[str, type[LevelCodec] | type[TimeCodec]] = {"level": LevelCodec, "time": TimeCodec}


def codec_from_arrays(kind: str, arrays: dict[str, NDArray[Any]]) -> LevelCodec | TimeCodec:
    """Rebuild a codec from its `arrays`."""
    return CODECS[kind](**{name: array.astype(np.float64) for name, array in arrays.items()})
