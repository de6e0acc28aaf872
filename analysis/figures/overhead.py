"""What an optimizer itself costs: real milliseconds for every result, inside ask and tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import style
from analysis.options import Options
from analysis.study import Study

TITLE = "Overhead of the optimizers"
CAPTION = (
    "Real milliseconds that an optimizer takes inside ask and tell, for every result that it is told; a dot is the median run, the "
    "bar holds the middle half of the runs, the line all of them. These are seconds of the machine that ran the study, and no part of "
    "a simulated budget unless the footer says that overhead is counted."
)


def table(study: Study, options: Options) -> pd.DataFrame:
    """One row for every optimizer, the cheapest first; runs are whole, whatever the budget of their task.

    Columns: optimizer, median, quartile_1, quartile_3, smallest, largest (milliseconds a result, over all runs), results (median number).
    """
    results = study.final("n_results")
    cost = 1000 * study.final("overhead") / np.maximum(results, 1)  # (O, T, S)
    cost = cost.reshape(len(study.optimizers), -1)
    smallest, quartile_1, median, quartile_3, largest = np.quantile(cost, [0, 0.25, 0.5, 0.75, 1], axis=1)
    frame = pd.DataFrame(
        {
            "optimizer": study.optimizers,
            "median": median,
            "quartile_1": quartile_1,
            "quartile_3": quartile_3,
            "smallest": smallest,
            "largest": largest,
            "results": np.median(results.reshape(len(study.optimizers), -1), axis=1),
        }
    )
    return frame.sort_values("median", kind="stable", ignore_index=True)


def draw(table: pd.DataFrame, figure: Figure) -> None:
    """Draw dots, bars and lines on a logarithmic axis, the cheapest at the top."""
    n = len(table)
    figure.set_size_inches(6.4, 1.3 + 0.19 * n)
    axes = figure.add_subplot()
    look = style.looks(table["optimizer"])
    for i, row in enumerate(table.itertuples()):
        color = look[row.optimizer].color
        axes.plot([row.smallest, row.largest], [i, i], color=color, linewidth=0.8)
        axes.plot([row.quartile_1, row.quartile_3], [i, i], color=color, linewidth=3.5, alpha=0.45, solid_capstyle="butt")
        axes.plot(row.median, i, "o", color=color, markersize=4.5)
        axes.annotate(f"{row.median:.2g} ms", (1.01, i), xycoords=axes.get_yaxis_transform(), va="center", fontsize=6.5, color=color)
    axes.set_xscale("log")
    axes.set_xlim(table["smallest"].min() / 1.5, table["largest"].max() * 1.5)
    style.plain_log(axes.xaxis)
    axes.set_yticks(range(n), table["optimizer"])
    axes.set_ylim(n - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("milliseconds a result")
