"""``query``: recorded values at the prompt, as a table for people or as CSV for programs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lcbench.commands.words import duration, short, spark
from lcbench.database import SHIPPED
from lcbench.errors import UserError
from lcbench.tabular import TabularBenchmark
from lcbench.view import VIEWS

HELP = "look recorded values up: the best configurations of a task, or one curve"
DESCRIPTION = """Look recorded values up. Without --row or --config: the best configurations of a task by a metric."""
EPILOG = """examples:
  python -m lcbench query vehicle
  python -m lcbench query vehicle --metric val_cross_entropy --epoch 12 --best 10
  python -m lcbench query vehicle --row 17
  python -m lcbench query vehicle --row 17 --csv > curve.csv
  python -m lcbench query adult --database data_2k.h5 --row 3 --epoch 50"""


def add(parser: ArgumentParser) -> None:
    """Define the options."""
    parser.add_argument("task", metavar="TASK", help="name of a task in the database")
    parser.add_argument("--database", type=Path, default=SHIPPED, metavar="DB", help="a .h5 file (default: the one of the code)")
    parser.add_argument("--space", metavar="NAME", help="needed only where a task was recorded with several search spaces")
    parser.add_argument("--metric", metavar="NAME", help="a recorded column, e.g. val_accuracy, or seconds (default: the objective)")
    parser.add_argument("--epoch", type=int, metavar="E", help="number of epochs trained (default: the last, or the whole curve of a row)")
    parser.add_argument("--row", type=int, metavar="I", help="one training")
    parser.add_argument("--config", nargs="+", metavar="NAME=VALUE", help="one training, by all its hyperparameters")
    parser.add_argument("--best", type=int, default=5, metavar="K", help="how many configurations to list (default 5)")
    parser.add_argument("--view", choices=list(VIEWS), default="trained", help="which epochs count (default trained: from 1 on)")
    parser.add_argument("--seed", type=int, help="seed of the trainings (default: that of the most trainings)")
    parser.add_argument("--horizon", type=int, help="annealing horizon of the trainings (default: the largest recorded)")
    parser.add_argument("--csv", action="store_true", help="plain CSV with every digit")


def run(options: Namespace, console: Console) -> int:
    """Answer, with the view that the answer depends on."""
    benchmark = TabularBenchmark.load(
        options.task, options.database, space=options.space, view=options.view, seed=options.seed, horizon=options.horizon
    )
    column = options.metric or benchmark.objective
    benchmark.column(column)
    row = benchmark.row(_configuration(options.config)) if options.config else options.row
    try:
        if row is None:
            _print_best(benchmark, column, options, console)
        elif options.epoch is not None:
            value = benchmark.column(column).at(row, options.epoch)
            console.print(
                f"{value!r}" if options.csv else f"{column} of row {row} after {options.epoch} epochs: {value:.6g}", highlight=False
            )
        else:
            _print_curve(benchmark, row, column, options, console)
    except IndexError as error:
        raise UserError(str(error)) from None
    if not options.csv:
        console.print(Text(f"{benchmark!r}", style="dim"), soft_wrap=True)
    return 0


def _configuration(words: list[str]) -> dict[str, Any]:
    pairs = [word.partition("=") for word in words]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise UserError(f"`--config` has {wrong[0]!r}, but must be NAME=VALUE pairs, e.g. batch_size=64 momentum=0.9")
    return {name: _value(value) for name, _, value in pairs}


def _value(text: str) -> bool | int | float | str:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _print_best(benchmark: TabularBenchmark, column: str, options: Namespace, console: Console) -> None:
    """One column per configuration, because seven hyperparameters side by side fit no terminal."""
    epoch = benchmark.epochs if options.epoch is None else options.epoch
    values_there = benchmark.column(column).column(epoch)
    best = [int(row) for row in benchmark.ranking(column, epoch) if np.isfinite(values_there[row])][: max(options.best, 0)]
    if not best:
        raise UserError(f"no training on {benchmark.task.name!r} has a finite {column} after {epoch} epochs")
    if options.csv:
        frame = benchmark.to_frame().xs(epoch, level="epoch").loc[best]
        frame.to_csv(sys.stdout)
        return
    shown = Table(title=f"best of {benchmark.task.name} by {column} after {epoch} epochs", title_justify="left", box=None)
    shown.add_column("row", style="cyan")
    for row in best:
        shown.add_column(str(row), justify="right")
    names = dict.fromkeys(
        [column, *(name for name in ("val_accuracy", "test_accuracy", "seconds") if name in (*benchmark.table.metrics, "seconds"))]
    )
    for name in names:
        values = (benchmark.column(name).at(row, epoch) for row in best)
        shown.add_row(name, *(duration(value) if name == "seconds" else f"{value:.4f}" for value in values))
    shown.add_row("curve", *(spark(benchmark.column(column).curve(row), width=10) for row in best), end_section=True)
    configurations = [benchmark.configuration(row) for row in best]
    for name in benchmark.space:
        shown.add_row(name, *(short(configuration.get(name, "–")) for configuration in configurations))
    console.print(shown)


def _print_curve(benchmark: TabularBenchmark, row: int, column: str, options: Namespace, console: Console) -> None:
    values, seconds = benchmark.column(column).curve(row), benchmark.column("seconds").curve(row)
    epochs = np.arange(benchmark.first, benchmark.epochs + 1)
    if options.csv:
        print(f"epoch,seconds,{column}")
        for epoch, second, value in zip(epochs, seconds, values, strict=True):
            print(f"{epoch},{float(second)!r},{float(value)!r}" if not np.isnan(second) else f"{epoch},,")
        return
    shown = Table(title=f"{column} of row {row} on {benchmark.task.name}", title_justify="left", box=None)
    for name in ("epoch", "seconds", column):
        shown.add_column(name, justify="right")
    for i in np.unique(np.linspace(0, len(epochs) - 1, min(11, len(epochs))).round().astype(int)):
        shown.add_row(str(epochs[i]), f"{seconds[i]:.3f}", f"{values[i]:.4f}")
    console.print(shown)
    console.print(Text(spark(values, width=len(values))))
    console.print(", ".join(f"{name}={short(value)}" for name, value in benchmark.configuration(row).items()), highlight=False)
