"""Average rank over the budget: who leads when, whatever the size of the lead."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis import style
from analysis.aggregate import band, by_point, ranks, resample_counts, resampled
from analysis.options import Options
from analysis.study import Study

TITLE = "Average ranks"
CAPTION = (
    "Rank among the optimizers with the same task, seed and share of the budget, averaged over tasks and seeds; 1 is best, equal "
    "regrets share a rank, and a run without an incumbent shares the last. Ranks say who leads and not by how much: read them beside "
    "the regret. The band holds what other seeds would have given on the same tasks."
)


def table(study: Study, options: Options, shares: np.ndarray | None = None) -> pd.DataFrame:
    """One row for every optimizer and share of the budget: its average rank and the band of it.

    Args:
        study: what to rank.
        options: the axis, and how bands are made.
        shares: where to look; by default along the whole budget.

    Columns: axis, optimizer, share, value, low, high.
    """
    shares = study.shares(options.n_points) if shares is None else np.asarray(shares, float)
    n_optimizers, n_tasks, n_seeds = study.shape
    ranked = by_point(ranks(study.at(options.axis, shares)))  # (O · G, T · S)
    counts = resample_counts(n_tasks, n_seeds, options.n_boot, np.random.default_rng(options.seed))
    low, high = band(resampled(ranked, "mean", counts), options.level)
    return pd.DataFrame(
        {
            "axis": options.axis,
            "optimizer": np.repeat(study.optimizers, len(shares)),
            "share": np.tile(shares, n_optimizers),
            "value": ranked.mean(axis=1),
            "low": low,
            "high": high,
        }
    )


def draw(table: pd.DataFrame, figure: Figure) -> None:
    """Draw the lines of a table, the best at the top."""
    n_optimizers = table["optimizer"].nunique()
    figure.set_size_inches(6.4, max(3.8, 0.155 * n_optimizers + 1.2))
    axes = figure.add_subplot()
    style.budget_axis(axes, table["axis"].iloc[0], table["share"].min())
    axes.set_ylim(table["high"].max() + 0.2, max(table["low"].min() - 0.2, 0.8))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("average rank (1 is best)")
    style.curves(axes, table)
