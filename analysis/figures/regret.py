"""Anytime regret: how far from the best of the table an optimizer is after any share of the budget."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import style
from analysis.aggregate import summary
from analysis.options import Options
from analysis.study import Study

TITLE = "Anytime regret"
CAPTION = (
    "Normalised regret of the incumbent over all tasks and seeds, by the share of the budget that is spent; lower is better. 1 is "
    "what one random configuration is worth on its task, 0 the best of the table, and the constants are listed on this page. A curve "
    "begins where every run of the optimizer has an incumbent. The band holds what other seeds would have given on the same tasks: "
    "where two bands do not touch, the difference is more than chance; where they overlap a little, it may still be. Methods of ours that "
    "begin at random draw the same configurations for equal seeds, so that their lines lie on each other until they have learnt something."
)


def table(study: Study, options: Options) -> pd.DataFrame:
    """One row for every optimizer and share of the budget: the statistic of the normalised regrets of all runs, and its band.

    Columns: axis, statistic, optimizer, share, value, low, high.
    """
    shares = study.shares(options.n_points)
    rng = np.random.default_rng(options.seed)
    value, low, high = summary(
        study.normalised(options.axis, shares), options.statistic, n_boot=options.n_boot, level=options.level, rng=rng
    )
    return pd.DataFrame(
        {
            "axis": options.axis,
            "statistic": options.statistic,
            "optimizer": np.repeat(study.optimizers, len(shares)),
            "share": np.tile(shares, len(study.optimizers)),
            "value": value.ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
        }
    )


def draw(table: pd.DataFrame, figure: Figure) -> None:
    """Draw the lines of a table on logarithmic axes."""
    n_optimizers = table["optimizer"].nunique()
    figure.set_size_inches(6.4, max(3.8, 0.155 * n_optimizers + 1.2))
    axes = figure.add_subplot()
    style.budget_axis(axes, table["axis"].iloc[0], table["share"].min())
    style.positive_log(axes, table)
    axes.set_ylabel(f"normalised regret, {table['statistic'].iloc[0]} of all runs")
    style.curves(axes, table)
