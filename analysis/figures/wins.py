"""Wins, ties and losses of every pair of optimizers over the tasks, with a test over the seeds of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from analysis import style
from analysis.options import Options
from analysis.significance import seed_tests
from analysis.study import Study
from lcbench.errors import UserError

TITLE = "Wins / ties / losses over tasks"
CAPTION = (
    "On how many tasks the optimizer of the row was better than that of the column, not separable from it, and worse, at the end of "
    "the budget (or the chosen share of it). Better and worse are a two-sided Mann–Whitney test over seeds, with Holm's correction "
    "over all pairs and tasks of this matrix; few seeds mean many ties. Colour is wins minus losses; the best optimizers stand at the "
    "top and left."
)
BLUE_TO_RED = LinearSegmentedColormap.from_list("losses to wins", ["#B9522B", "#F0C3A8", "#F7F7F7", "#A9CDE6", "#1F6FA8"])
DARK = 0.55
"""Beyond this part of all tasks, text on a cell is white."""


def table(study: Study, options: Options) -> pd.DataFrame:
    """One row for every ordered pair: on how many tasks the optimizer won, tied and lost against the opponent.

    Optimizers are in the order of wins minus losses over all opponents. Columns: axis, share, optimizer, opponent, wins, ties, losses,
    better (the probability that a run of the optimizer is better than one of the opponent, mean over tasks; ties count half).

    Raises:
        UserError: if there is one optimizer alone.
    """
    if len(study.optimizers) < 2:
        raise UserError(f"wins need at least 2 optimizers, and here is {study.optimizers[0]}: leave this figure out")
    p, better = seed_tests(study.at(options.axis, [options.share])[..., 0])
    separable = p < 1 - options.level
    wins = (separable & (better > 0.5)).sum(axis=2)
    losses = wins.T
    order = np.lexsort((-better.mean(axis=(1, 2)), (losses - wins).sum(axis=1)))
    first, second = (side.ravel() for side in np.meshgrid(order, order, indexing="ij"))
    off = first != second
    first, second = first[off], second[off]
    names = np.array(study.optimizers, dtype=object)
    return pd.DataFrame(
        {
            "axis": options.axis,
            "share": options.share,
            "optimizer": names[first],
            "opponent": names[second],
            "wins": wins[first, second],
            "ties": study.shape[1] - (wins + losses)[first, second],
            "losses": losses[first, second],
            "better": better.mean(axis=2)[first, second],
        }
    )


def draw(table: pd.DataFrame, figure: Figure) -> None:
    """Draw a table as a matrix."""
    names = list(dict.fromkeys(table["optimizer"]))
    n = len(names)
    figure.set_size_inches(1.4 + max(0.42 * n, 2.6), 1.2 + max(0.3 * n, 1.4))
    axes = figure.add_subplot()
    matrix = np.full((n, n), np.nan)
    n_tasks = int(table[["wins", "ties", "losses"]].iloc[0].sum())
    for row in table.itertuples():
        i, j = names.index(row.optimizer), names.index(row.opponent)
        matrix[i, j] = (row.wins - row.losses) / n_tasks
        color = "white" if abs(matrix[i, j]) > DARK else style.INK
        axes.text(j, i, f"{row.wins}/{row.ties}/{row.losses}", ha="center", va="center", fontsize=6 if n_tasks < 10 else 5, color=color)
    axes.imshow(matrix, cmap=BLUE_TO_RED, vmin=-1, vmax=1, aspect="auto")
    axes.set_xticks(range(n), names, rotation=45, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(n), names)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(n - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(n - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
