"""A figure made and finished: its table, its drawing and the footer that says what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis import style
from analysis.options import AXES, Options
from analysis.study import Study
from lcbench.files import replacing

UNITS = {"epochs_continued": "epochs", "epochs_from_scratch": "epochs", "seconds": "s"}


def footer(study: Study, options: Options) -> tuple[str, ...]:
    """What every figure of a study rests on, fact by fact."""
    about, (n_optimizers, n_tasks, n_seeds) = study.about, study.shape
    return (
        f"{about['benchmark']} benchmark, view {about['view']}, {about['metric']['name']}",
        f"{_count(n_optimizers, 'optimizer')}, {_count(n_tasks, 'task')}, {_count(n_seeds, 'seed')}",
        *_density(study),
        f"incumbent: {about['incumbent']}",
        f"axis: {AXES[options.axis]}, budget {_budget(study, options.axis)}",
        "promoted trials continue" if about["continue_trials"] else "promoted trials are retrained",
        _count(about["workers"], "worker"),
        "overhead counted" if about["counts_overhead"] else "overhead not counted",
        f"{options.level:.0%} bands and tests",
    )


def _density(study: Study) -> tuple[str, ...]:
    """How many configurations the tables hold: the fewer, the likelier a draw is the best of them."""
    n = study.n_configurations.to_numpy()
    if not len(n):
        return ()
    each = f"{_number(n.min())}" if n.min() == n.max() else f"{_number(n.min())} to {_number(n.max())}"
    return (f"{each} configurations per task",)


def _budget(study: Study, axis: str) -> str:
    budgets, unit = study.budgets(axis), UNITS[axis]
    smallest, largest = _number(budgets.min()), _number(budgets.max())
    spent = f"{smallest} {unit}" if smallest == largest else f"{smallest} to {largest} {unit} by task"
    return spent if study.set_budget(axis) is not None else f"{spent} (smallest end of any run)"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def render(module: ModuleType, study: Study, options: Options) -> tuple[pd.DataFrame, Figure]:
    """The table of a figure module and the finished figure of it."""
    table = module.table(study, options)
    return table, finished(module, table, footer(study, options))


def finished(module: ModuleType, table: pd.DataFrame, facts: Sequence[str]) -> Figure:
    """A table drawn, with `facts` at its foot; needs no study, so also from a table that was read back."""
    with style.styled():
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        module.draw(table, figure)
        figure.suptitle(module.TITLE, x=0.01, ha="left", fontsize=10, fontweight="bold")
        style.footer(figure, facts)
    return figure


def save(module: ModuleType, study: Study, options: Options, folder: Path) -> Path:
    """Write a figure as PNG and its table as CSV beside it, named as the module; returns the path of the PNG."""
    name = module.__name__.rpartition(".")[2]
    table, figure = render(module, study, options)
    with replacing(folder / f"{name}.csv") as temporary:
        table.to_csv(temporary, index=False)
    with replacing(folder / f"{name}.png") as temporary, style.styled():
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return folder / f"{name}.png"
