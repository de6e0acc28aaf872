"""Critical-difference diagram: average ranks over tasks, with bars over optimizers that the tasks cannot separate."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import style
from analysis.options import Options
from analysis.significance import Friedman
from analysis.study import Study
from lcbench.errors import UserError

TITLE = "Critical differences over tasks"
CAPTION = (
    "Average rank of the mean regret on each task, at the end of the budget (or the chosen share of it); the best is at the left. "
    "Friedman's test asks whether the ranks differ at all. A bar joins optimizers whose ranks differ by less than Nemenyi's critical "
    "difference: these tasks cannot separate them. Tasks are the sample here, so few tasks mean a large critical difference."
)
ROW = 0.2
"""Inches between two names."""


def table(study: Study, options: Options) -> pd.DataFrame:
    """One row for every optimizer, the best first.

    Columns: axis, share, optimizer, rank (average over tasks of the rank of its mean regret), tied_to (the worst optimizer that cannot be
    separated from it, if the two are the ends of a largest such group, else empty), critical_difference, friedman, p, n_tasks.

    Raises:
        UserError: if there are fewer than 3 optimizers or 2 tasks.
    """
    n_optimizers, n_tasks, _ = study.shape
    if n_optimizers < 3 or n_tasks < 2:
        raise UserError(
            f"critical differences need at least 3 optimizers and 2 tasks, and here are {n_optimizers} and {n_tasks}: leave this figure out"
        )
    test = Friedman.of(study.at(options.axis, [options.share])[..., 0].mean(axis=2), options.level)
    order = np.argsort(test.ranks, kind="stable")
    names = np.array(study.optimizers, dtype=object)[order]
    tied = np.full(n_optimizers, "", dtype=object)
    for first, last in test.groups():
        tied[first] = names[last]
    return pd.DataFrame(
        {
            "axis": options.axis,
            "share": options.share,
            "optimizer": names,
            "rank": test.ranks[order],
            "tied_to": tied,
            "critical_difference": test.critical_difference,
            "friedman": test.statistic,
            "p": test.p,
            "n_tasks": n_tasks,
        }
    )


def draw(table: pd.DataFrame, figure: Figure) -> None:
    """Draw the scale of ranks, the names at both sides, and the bars."""
    names, places = list(table["optimizer"]), table["rank"].to_numpy(float)
    n, half = len(names), (len(names) + 1) // 2
    bars = [(name, other) for name, other in zip(names, table["tied_to"].fillna(""), strict=True) if other]
    depth = 0.25 + 0.11 * len(bars)  # inches from the scale to the first name
    figure.set_size_inches(6.4, 1.75 + depth + ROW * half)
    axes = figure.add_subplot()
    axes.set_axis_off()
    margin = 0.30 * (n - 1)
    axes.set_xlim(1 - margin, n + margin)
    axes.set_ylim(-(depth + ROW * half), 0.82)
    _scale(axes, n)
    look = style.looks(names)
    for i, (name, rank) in enumerate(zip(names, places, strict=True)):
        left = i < half
        y = -(depth + ROW * ((i if left else n - 1 - i) + 0.5))
        x = 1 - 0.05 * margin if left else n + 0.05 * margin
        axes.plot([rank, rank, x], [0, y, y], color=look[name].color, linewidth=0.9, solid_joinstyle="miter")
        axes.plot(rank, 0, "o", color=look[name].color, markersize=3.5, clip_on=False)
        axes.text(
            x,
            y,
            f"{name} {rank:.2f} " if left else f" {rank:.2f} {name}",
            ha="right" if left else "left",
            va="center",
            color=look[name].color,
        )
    for k, (name, other) in enumerate(bars):
        ends = [places[names.index(name)] - 0.02 * n / 6, places[names.index(other)] + 0.02 * n / 6]
        axes.plot(ends, [-(0.12 + 0.11 * k)] * 2, color=style.INK, linewidth=2.6, solid_capstyle="butt")
    difference, row = float(table["critical_difference"].iloc[0]), table.iloc[0]
    axes.plot([1, 1 + difference], [0.42, 0.42], color=style.INK, linewidth=1.2, marker="|", markersize=6)
    axes.text(1, 0.5, f"critical difference {difference:.2f}", fontsize=7, va="bottom")
    said = f"Friedman χ² = {row['friedman']:.3g}, p {_p(row['p'])}, {row['n_tasks']} tasks, {_moment(row['share'])}"
    axes.text(n + margin, 0.7, said, fontsize=7, va="bottom", ha="right")


def _scale(axes: style.Axes, n: int) -> None:
    """Ranks 1 to n, upward ticks."""
    axes.plot([1, n], [0, 0], color=style.GREY, linewidth=0.8)
    for rank in range(1, n + 1):
        axes.plot([rank, rank], [0, 0.06], color=style.GREY, linewidth=0.8)
        axes.text(rank, 0.09, str(rank), ha="center", va="bottom", fontsize=7)


def _moment(share: float) -> str:
    return "at the end of the budget" if share == 1 else f"at {share:.3g} of the budget"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
