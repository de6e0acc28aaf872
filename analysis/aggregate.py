"""Many runs in few numbers: mean, median and interquartile mean with bootstrap bands, average ranks, and what a study could have found.

Notation: n values, B resamples, S seeds, T tasks, P points (any number of curves times their grid points). All three statistics are
sums of the ordered values with fixed weights (L-estimators), so one function makes their bands: `cumulative` holds the weight of the k
smallest. Bands are percentiles over resamples of the seeds, each drawn with its runs on all tasks: runs of one seed begin with the same
configurations everywhere, so that they may be lucky together, and the stratified bootstrap of Agarwal et al. (NeurIPS 2021), which draws
anew within each task, would take them for independent. They say what other seeds would have given on the same tasks, and nothing about
other tasks. With tasks in the place of seeds they say what other tasks of this kind would have given; for a dozen they are about a
seventh too narrow.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

TRIMMED = 0.25
"""Share that the interquartile mean leaves out at either end."""


def cumulative(statistic: str, n: int) -> np.ndarray:
    """Weight of the k smallest of n values in a statistic, (n + 1,) from 0 to 1.

    The interquartile mean leaves floor(n / 4) values out at either end, as `scipy.stats.trim_mean` does.
    """
    k = np.arange(n + 1)
    left_out = {"mean": 0, "median": (n - 1) // 2, "iqm": int(TRIMMED * n)}[statistic]
    return np.clip((k - left_out) / (n - 2 * left_out), 0.0, 1.0)


def aggregate(values: np.ndarray, statistic: str) -> np.ndarray:
    """A statistic over the last axis, (..., n) → (...); NaN where a value is."""
    weights = np.diff(cumulative(statistic, values.shape[-1]))
    return np.sort(values, axis=-1) @ weights  # NaN times any weight, 0 too, is NaN


def resample_counts(n_tasks: int, n_seeds: int, n_boot: int, rng: np.random.Generator) -> np.ndarray:
    """How often every run is drawn when S seeds are drawn anew, the same ones on every task, (B, T · S)."""
    return np.tile(rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=n_boot), n_tasks)


def resampled(values: np.ndarray, statistic: str, counts: np.ndarray) -> np.ndarray:
    """A statistic of every resample, (B, P), of values (P, n) drawn counts (B, n) times; NaN for a point where a value is.

    The mean is one matrix product. The others need the order of the values, which every resample shares: with x in rising order and F
    the weight of the k smallest, the statistic is x_n − Σ_i F(draws among the i smallest) · (x_{i+1} − x_i). O(B · n · P).
    """
    n = values.shape[1]
    if statistic == "mean":
        return counts @ values.T / n
    weight, by_run = cumulative(statistic, n), np.ascontiguousarray(counts.T)
    result = np.empty((len(counts), len(values)))
    for p, x in enumerate(values):
        order = np.argsort(x)
        drawn = by_run[order[:-1]].cumsum(axis=0)  # (n - 1, B)
        result[:, p] = x[order[-1]] - np.diff(x[order]) @ weight[drawn]
    return result


def band(resamples: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of the percentile band over the first axis; NaN where a resample is."""
    tail = (1 - level) / 2
    low, high = np.quantile(resamples, [tail, 1 - tail], axis=0)
    return low, high


def summary(
    values: np.ndarray, statistic: str, *, n_boot: int, level: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A statistic over all runs with its band: three arrays (O, G) from values (O, T, S, G)."""
    points, (n_tasks, n_seeds) = by_point(values), values.shape[1:3]
    low, high = band(resampled(points, statistic, resample_counts(n_tasks, n_seeds, n_boot, rng)), level)
    shape = (values.shape[0], values.shape[3])
    return aggregate(points, statistic).reshape(shape), low.reshape(shape), high.reshape(shape)


def by_point(values: np.ndarray) -> np.ndarray:
    """Runs last, points first: (O · G, T · S) from (O, T, S, G)."""
    n_optimizers, n_tasks, n_seeds, n_points = values.shape
    return np.moveaxis(values, 3, 1).reshape(n_optimizers * n_points, n_tasks * n_seeds)


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank of every optimizer among those with the same task, seed and moment, (O, …) → (O, …).

    1 is the smallest value; equal values share the mean of their ranks, and no value (NaN) shares the last ones.
    """
    ranked: np.ndarray = stats.rankdata(np.where(np.isnan(values), np.inf, values), axis=0)
    return ranked


def detectable_difference(values: np.ndarray, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest difference between the means of two optimizers that a study of this size finds, from values (O, T, S).

    With seeds as the only chance, the mean over tasks and seeds of one optimizer has variance σ² / S, and the difference of two is found
    with probability `power` in a two-sided test at `level` if it exceeds (z + z_power) · √2 standard errors. σ² is the variance over the
    seeds of a seed's mean over the tasks, on average over the optimizers. NaN with one seed, or where a value is missing.
    """
    n_seeds = values.shape[2]
    if n_seeds < 2:
        return float("nan")
    variance = values.mean(axis=1).var(axis=1, ddof=1).mean() / n_seeds
    return float((stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(power)) * np.sqrt(2 * variance))
