"""What is worth training first on a new task: ``python -m analysis.warmstarts DATABASE [RUN…]``.

``DATABASE`` holds the same random configurations of many tasks (``python -m experiments.collect space=apt2021 …``), the runs hold the
members of a portfolio on all of these tasks (``make joint`` has the words). Drawn is the mean over tasks of the regret after 1, 2, …
trainings, with bands over tasks, of the greedy portfolio of the other tasks, of that portfolio, of random search and of Hyperband, which
spends the epochs of a training on several networks, promotions continued. A regret is a share of the range of a task's scores.

Source: section 3.3 of Zimmer, Lindauer, Hutter, Auto-PyTorch Tabular, TPAMI 2021.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from analysis import style
from analysis.aggregate import band, resample_counts, resampled
from analysis.render import finished
from experiments.candidates import read_tables
from experiments.warmstarts import GREEDY, TRIED, WarmStarts, warm_starts
from lcbench.errors import UserError, exit_code
from lcbench.files import replacing

TITLE = "What is worth training first on a new task"
AT = (1, 4, 16)
"""Trainings after which the tables say the regret."""
LEVEL, RESAMPLES = 0.95, 5000


def frame(found: WarmStarts) -> pd.DataFrame:
    """Mean regrets with bands over tasks: columns ``optimizer``, ``trainings``, ``value``, ``low``, ``high``, ``tasks``."""
    counts = resample_counts(1, len(found.tasks), RESAMPLES, np.random.default_rng(0))
    parts = []
    for name, regrets in found.regrets.items():
        low, high = band(resampled(regrets, "mean", counts), LEVEL)
        about = {"optimizer": name, "trainings": np.arange(1, len(regrets) + 1), "value": regrets.mean(axis=1)}
        parts.append(pd.DataFrame(about | {"low": low, "high": high, "tasks": len(found.tasks)}))
    return pd.concat(parts, ignore_index=True)


def by_task(found: WarmStarts) -> pd.DataFrame:
    """Regret on every task: columns ``optimizer``, ``task``, ``trainings``, ``value``."""
    parts = []
    for name, regrets in found.regrets.items():
        for task, values in zip(found.tasks, regrets.T, strict=True):
            about = {"optimizer": name, "task": task, "trainings": np.arange(1, len(values) + 1), "value": values}
            parts.append(pd.DataFrame(about))
    return pd.concat(parts, ignore_index=True)


def differences(found: WarmStarts) -> pd.DataFrame:
    """How much more regret the others have than the greedy portfolio, task by task: means with bands over tasks, one row per method."""
    counts = resample_counts(1, len(found.tasks), RESAMPLES, np.random.default_rng(0))
    ours, rows = found.regrets[GREEDY], {}
    for name in found.regrets:
        if name != GREEDY:
            more = found.regrets[name] - ours
            low, high = band(resampled(more, "mean", counts), LEVEL)
            rows[f"{name} - {GREEDY}"] = {k: _said(more.mean(axis=1)[k - 1], low[k - 1], high[k - 1], "+") for k in AT if k <= len(more)}
    return pd.DataFrame.from_dict(rows, orient="index")


def _said(value: float, low: float, high: float, sign: str = "") -> str:
    return f"{value:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"


def draw(table: pd.DataFrame, figure: Figure) -> None:
    """One line per method."""
    figure.set_size_inches(5.4, 3.2)
    axes = figure.subplots()
    axes.set_xscale("log", base=2)
    style.curves(axes, table.rename(columns={"trainings": "share"}), label=False)
    axes.set_xlim(1, max(table["trainings"].max(), 2))
    axes.xaxis.set_major_locator(FixedLocator([1, 2, 4, 8, 16]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("trainings")
    style.positive_log(axes, table)
    axes.set_ylabel("mean normalised regret")
    style.name_lines(axes)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean regret and band after some trainings, in words: one row per method."""
    rows = table[table["trainings"].isin(AT)]
    said = [_said(*numbers) for numbers in zip(rows["value"], rows["low"], rows["high"], strict=True)]
    return rows.assign(said=said).pivot(index="optimizer", columns="trainings", values="said").reindex(dict.fromkeys(rows["optimizer"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw ``warmstarts.png``, write its numbers, also task by task, and return the exit code: 0 all is well, 2 it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m analysis.warmstarts", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sources", type=Path, nargs="+", help="databases (.h5) and run directories")
    parser.add_argument("--to", type=Path, default=Path(), help="folder for the figure, by default this one")
    parser.add_argument("--size", type=int, default=16, help="trainings (default 16)")
    parser.add_argument("--tasks", metavar="NAMES", help="judge on these tasks alone, by commas; what is chosen is chosen from all others")
    parser.add_argument("--metric", default="val_accuracy", help="a recorded column (default val_accuracy)")
    parser.add_argument("--portfolio", default=TRIED, metavar="NAME", help="what the portfolio that was trained is called")
    options = parser.parse_args(arguments)
    return exit_code(partial(make, options))


def make(options: argparse.Namespace) -> None:
    """Draw, write and print."""
    if options.size < 1:
        raise UserError(f"`--size` is {options.size}, but must be at least 1 training")
    tasks = [name.strip() for name in options.tasks.split(",")] if options.tasks else None
    found = warm_starts(read_tables(options.sources), options.size, options.metric, tasks=tasks)
    found = replace(found, regrets={options.portfolio if name == TRIED else name: v for name, v in found.regrets.items()})
    options.to.mkdir(parents=True, exist_ok=True)
    table = frame(found)
    trained = f"{found.n_candidates} random configurations, {found.epoch} epochs each"
    about = (f"{len(found.tasks)} tasks", trained, options.metric, f"{LEVEL:.0%} bootstrap bands over tasks")
    figure = finished(sys.modules[__name__], table, about)
    for name, numbers in (("warmstarts.csv", table), ("warmstarts_tasks.csv", by_task(found))):
        with replacing(options.to / name) as temporary:
            numbers.to_csv(temporary, index=False)
    with replacing(options.to / "warmstarts.png") as temporary, style.styled():
        figure.savefig(temporary, format="png", metadata={"Software": None})
    print(summary(table).to_string())
    print(differences(found).to_string())
    print(options.to / "warmstarts.png")


if __name__ == "__main__":
    sys.exit(main())
