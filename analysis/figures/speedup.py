"""Speed-up over random search: how many times less of the budget an optimizer needs to get as far."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import style
from analysis.aggregate import aggregate, band, by_point, resample_counts, resampled
from analysis.options import AXES, Options
from analysis.study import REFERENCE, Study
from lcbench.errors import UserError

TITLE = "Speed-up over random search"
CAPTION = (
    "For every regret that random search reaches, by how much less of the budget an optimizer reached it: 10 means a tenth of what "
    "random search took. From left to right the targets become harder: each is the regret that random search had reached at that "
    "share of its budget. Below 1 an optimizer is slower than random search; where a line ends, it did not reach the target at all. "
    "Shares below 1/256 are not told apart."
)
N_SHARES = 513
"""Fine enough for 1 % of a share: neighbours are a factor of 2 ** (8 / 512) apart."""
FIRST = 1 / 256
"""The smallest share that can be told; speed-ups are at most 256."""


def table(study: Study, options: Options) -> pd.DataFrame:
    """One row for every optimizer but random search, and target: the speed-up and its band.

    A target is a regret (the statistic of the normalised regrets of all runs) that random search reaches, at most `n_points` of them. The
    speed-up is the share of the budget at which random search reaches it first, divided by that of the optimizer; NaN where it never
    does. In a resample, both curves are those of the drawn runs, and an optimizer that does not get there has speed-up 0.

    Columns: axis, statistic, optimizer, share, target, value, low, high.

    Raises:
        UserError: if the study has no random search, or nothing but it.
    """
    if REFERENCE not in study.optimizers or len(study.optimizers) < 2:
        raise UserError(
            f"speed-ups need {REFERENCE!r} and another optimizer, and here are {', '.join(study.optimizers)}: leave this figure out"
        )
    grid = study.shares(N_SHARES, FIRST)
    values = study.normalised(options.axis, grid)
    counts = resample_counts(*study.shape[1:], options.n_boot, np.random.default_rng(options.seed))
    curves = {name: by_point(values[o : o + 1]) for o, name in enumerate(study.optimizers)}  # (G, T · S) each
    drawn = resampled(curves[REFERENCE], options.statistic, counts)  # (B, G)
    reference = aggregate(curves[REFERENCE], options.statistic)
    at = targets(reference, options.n_points)
    if not len(at):
        raise UserError(f"{REFERENCE!r} has runs without an incumbent, so that there is nothing to reach: leave the figure `speedup` out")
    rows = []
    for name in study.optimizers:
        if name == REFERENCE:
            continue
        value = speedup(aggregate(curves[name], options.statistic), reference, grid, at)
        samples = resampled(curves[name], options.statistic, counts)
        many = [speedup(mine, theirs, grid, at) for mine, theirs in zip(samples, drawn, strict=True)]
        low, high = band(np.nan_to_num(np.array(many), nan=0.0), options.level)
        reached = ~np.isnan(value)
        columns = {"share": grid[at], "target": reference[at], "value": value, "low": np.where(reached, low, np.nan)}
        rows.append(pd.DataFrame({"optimizer": name, **columns, "high": np.where(reached, high, np.nan)}))
    result = pd.concat(rows, ignore_index=True)
    result.insert(0, "statistic", options.statistic)
    result.insert(0, "axis", options.axis)
    return result


def speedup(curve: np.ndarray, reference: np.ndarray, shares: np.ndarray, at: np.ndarray) -> np.ndarray:
    """What the reference had spent at the places `at`, divided by what the curve had spent when it first was as good; NaN if never.

    Args:
        curve: (G,) regret of the optimizer, NaN before its first.
        reference: (G,) regret of the reference.
        shares: (G,) rising.
        at: places in G whose smallest regret of the reference so far is a target.
    """
    best, target = _best(curve), _best(reference)[at]
    first = np.searchsorted(-best, -target, side="left")  # the first place where best <= target
    spent = shares[np.searchsorted(-_best(reference), -target, side="left")]
    return np.where(first < len(shares), spent / shares[np.minimum(first, len(shares) - 1)], np.nan)


def targets(reference: np.ndarray, n_points: int) -> np.ndarray:
    """Places where a curve (G,) reaches a new smallest value, at most `n_points` of them, the first and the last included."""
    best = _best(reference)
    new = np.flatnonzero(best < np.append(np.inf, best[:-1]))
    return new[np.unique(np.linspace(0, len(new) - 1, n_points).astype(int))] if len(new) else new


def _best(curve: np.ndarray) -> np.ndarray:
    """The smallest value so far, infinite before the first."""
    best: np.ndarray = np.minimum.accumulate(np.where(np.isnan(curve), np.inf, curve))
    return best


def draw(table: pd.DataFrame, figure: Figure) -> None:
    """Draw the lines of a table over the share that random search took."""
    n_optimizers = table["optimizer"].nunique()
    figure.set_size_inches(6.4, max(3.8, 0.155 * n_optimizers + 1.2))
    axes = figure.add_subplot()
    axis, statistic = table["axis"].iloc[0], table["statistic"].iloc[0]
    style.budget_axis(axes, axis, table["share"].min())
    axes.set_xlabel(f"target: {statistic} regret of random search\nat this share of the budget in {AXES[axis]}")
    style.positive_log(axes, table)
    style.plain_log(axes.yaxis, unit="×")
    axes.set_ylabel("speed-up")
    axes.axhline(1, color=style.GREY, linewidth=1, label="_")
    style.curves(axes, table)
