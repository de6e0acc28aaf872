"""Anytime regret on every task by itself, as it was measured."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import style
from analysis.aggregate import summary
from analysis.options import Options
from analysis.study import Study

TITLE = "Anytime regret by task"
CAPTION = (
    "Regret of the incumbent on the validation rows of each task, over seeds, in units of the metric's loss and not normalised; lower "
    "is better. A regret of 0 is the best of the table and lies below the foot of a logarithmic axis. The band holds what other seeds "
    "would have given."
)
COLUMNS = 3
"""Panels beside each other, at most."""


def table(study: Study, options: Options) -> pd.DataFrame:
    """One row for every task, optimizer and share of the budget: the statistic of the regrets over seeds, and its band.

    Columns: axis, statistic, task, optimizer, share, value, low, high.
    """
    shares = study.shares(options.n_points)
    values = study.at(options.axis, shares)
    rng = np.random.default_rng(options.seed)
    frames = []
    for t, task in enumerate(study.tasks):
        value, low, high = summary(values[:, [t]], options.statistic, n_boot=options.n_boot, level=options.level, rng=rng)
        numbers = {"value": value.ravel(), "low": low.ravel(), "high": high.ravel()}
        optimizers, at = np.repeat(study.optimizers, len(shares)), np.tile(shares, len(study.optimizers))
        frames.append(pd.DataFrame({"task": task, "optimizer": optimizers, "share": at, **numbers}))
    result = pd.concat(frames, ignore_index=True)
    result.insert(0, "statistic", options.statistic)
    result.insert(0, "axis", options.axis)
    return result


def draw(table: pd.DataFrame, figure: Figure) -> None:
    """Draw one panel for every task, with one legend."""
    tasks, n_optimizers = list(dict.fromkeys(table["task"])), table["optimizer"].nunique()
    columns = min(COLUMNS, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    figure.set_size_inches(2.1 * columns + 1.1, max(1.7 * rows + 0.7, 0.155 * n_optimizers + 0.9))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, task in zip(panels, tasks, strict=False):
        part = table[table["task"] == task]
        style.budget_axis(axes, part["axis"].iloc[0], part["share"].min())
        axes.set_xlabel("")
        style.positive_log(axes, part)
        style.curves(axes, part, label=False)
        axes.set_title(task, fontsize=8)
    for axes in panels[len(tasks) :]:
        axes.set_axis_off()
    figure.supylabel(f"regret, {table['statistic'].iloc[0]} over seeds", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=7, handlelength=2.2)
