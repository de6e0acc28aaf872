"""``info``: a page about a database or a run that a person wants to read."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from lcbench.commands.words import duration, listed, spark
from lcbench.database import SHIPPED, Database
from lcbench.errors import UserError
from lcbench.metric import SCALES, metric_recorded
from lcbench.rundir import HEADER, read_run
from lcbench.rungs import correlations, ranked
from lcbench.schema import STATUSES
from lcbench.store import FittedModel, names_of
from lcbench.surrogate.report import headline
from lcbench.surrogate_benchmark import MIN_SPEARMAN
from lcbench.table import CurveTable

GOOD_SPEARMAN = 0.95
"""From here on a surrogate ranks as well as one could wish."""

HELP = "show what a database or a run holds, also while the run goes on"
DESCRIPTION = """Show what a database (.h5) or the directory of a run holds: tasks, configurations, epochs, the best values, and how good
its surrogates are. Without PATH: the database that comes with the code."""


def add(parser: ArgumentParser) -> None:
    """Define the options."""
    parser.add_argument("path", type=Path, nargs="?", default=SHIPPED, metavar="PATH", help="a database (.h5) or the directory of a run")
    parser.add_argument("--task", metavar="NAME", help="everything about one task")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: Namespace, console: Console) -> int:
    """Print the page."""
    path: Path = options.path
    database = None if path.is_dir() else Database(path)
    if database is None and not (path / HEADER).exists() and (path / "events.journal").exists():
        raise UserError(f"{path} is a simulated run, which records no curves of its own: {path / 'summary.json'} says how it ended")
    tables = [read_run(path)] if database is None else list(database)
    if not tables:
        raise UserError(f"{path} holds no table: nothing was recorded or imported")
    if options.task:
        there = ", ".join(dict.fromkeys(names_of(table)[0] for table in tables))
        tables = [table for table in tables if names_of(table)[0] == options.task]
        if not tables:
            raise UserError(f"`--task` is {options.task!r}, but {path} has {there}")
    models = [model for name in database.models for model in database.fitted(*name)] if database else []
    models = [model for model in models if (model.task, model.space) in {names_of(table) for table in tables}]
    if options.json:
        known = [facts(table) | {"rank correlations": correlations(table)} for table in tables]
        console.print_json(json.dumps({"tables": known, "models": [_quality(model) for model in models]}))
        return 0
    console.print(Text(str(path), style="bold"), _file_facts(path, tables), soft_wrap=True)
    if len(tables) == 1:
        console.print(page(tables[0]))
    else:
        console.print(overview(tables, console.width))
        for line in shared_facts(tables):
            console.print(Text(line, style="dim"))
    if found := ranked(tables):
        console.print()
        console.print(fidelities(found))
    if models:
        console.print()
        console.print(quality_page(models, console.width) if len(tables) == 1 else quality_overview(models))
    return 0


def _file_facts(path: Path, tables: Sequence[CurveTable]) -> Text:
    if path.is_dir():
        return Text("the journals of a run", style="dim")
    n = sum(map(len, tables))
    values = sum(table.curves.size for table in tables)
    said = f"{path.stat().st_size / 2**20:.1f} MB, {len(tables)} table{'s' * (len(tables) != 1)}, {n:,} trainings, {values:,} values"
    return Text(said, style="dim")


# -------------------------------------------------------------------------------------------------------------- one table


def page(table: CurveTable) -> Table:
    """Everything about one table, a line each."""
    shown = Table("", "", show_header=False, box=None)
    shown.columns[0].style = "cyan"
    for name, value in facts(table).items():
        shown.add_row(name, Text(str(value)))
    shown.add_row("curve", Text(spark(_median_curve(table))) + Text(f"  median {table.objective} by epoch", style="dim"))
    return shown


def facts(table: CurveTable) -> dict[str, Any]:
    """What is known of a table, by name, in words and numbers."""
    task, origin = table.task, table.provenance
    ends = Counter(STATUSES[status] for status in table.columns["status"].tolist())
    best, median = _best_and_median(table)
    host = origin.get("host", {})
    return {
        "task": task.name,
        "kind": f"{task.kind}, {task.n_features} columns, {task.n_train} + {task.n_val} + {task.n_test} rows (train, validation, test)",
        "classes": task.n_classes or "–",
        "openml task": task.openml_task_id or "–",
        "split": task.split,
        "space": str(table.space.name),
        "hyperparameters": ", ".join(table.space),
        "trainings": len(table),
        "configurations": len(set(table.columns["key"].tolist())),
        "seeds": listed(table.columns["seed"]),
        "horizons": listed(table.columns["horizon"]),
        "epochs": f"0..{table.n_entries - 1}" if table.n_entries else "none",
        "status": ", ".join(f"{n} {status}" for status, n in ends.most_common()) or "none",
        "objective": table.objective,
        "best": "–" if best is None else f"{best:.4f}",
        "median": "–" if median is None else f"{median:.4f}",
        "training time": duration(_seconds(table)),
        "metrics": ", ".join(_grouped(table.metrics)) or "none",
        "recorded": str(origin.get("created", "unknown")),
        "host": ", ".join(f"{name} {value}" for name, value in host.items()) if isinstance(host, dict) else str(host),
        "licence": str(origin.get("licence", "unknown")),
    }


def _grouped(metrics: Sequence[str]) -> list[str]:
    """Names of the metrics, the many gradients of layers as one."""
    layers = [name for name in metrics if "_layer_" in name]
    return [name for name in metrics if "_layer_" not in name] + ([f"{len(layers)} gradients of layers"] if layers else [])


def _objective(table: CurveTable) -> NDArray[np.float64]:  # (n, T), in the unit of the metric
    if table.objective not in table.metrics:
        return np.empty((0, 0))
    m = table.plane(table.objective)
    return np.asarray(table.curves[m], np.float64) * SCALES.get(table.units[m], 1.0)


def _best_and_median(table: CurveTable) -> tuple[float | None, float | None]:
    """Best value of the objective at any epoch, and the median at the last epoch of the trainings that got there."""
    values = _objective(table)[:, 1:]
    if not np.isfinite(values).any():
        return None, None
    finite = values[np.isfinite(values)]
    last = values[np.isfinite(values[:, -1]), -1]
    maximised = metric_recorded(table.objective.partition("_")[2]).direction == "maximize"
    best = finite.max() if maximised else finite.min()
    return float(best), float(np.median(last)) if len(last) else None


def _median_curve(table: CurveTable) -> NDArray[np.float64]:
    values = _objective(table)
    if not values.size:
        return np.empty(0)
    values = np.where(np.isfinite(values), values, np.nan)  # a diverged training says nothing about the shape of the others
    return np.nanmedian(values[:, np.isfinite(values).any(axis=0)], axis=0)


def _seconds(table: CurveTable) -> float:
    return float(np.nansum(np.nanmax(table.seconds, axis=1, initial=0.0))) if table.seconds.size else 0.0


# ------------------------------------------------------------------------------------------------------------ many tables


_SHARED = ("space", "configurations", "seeds", "horizons", "epochs", "objective", "metrics", "hyperparameters", "host", "licence")
"""Facts that stand below the table where all tables share them."""
_ALWAYS = ("classes", "trainings", "best", "median")
"""Facts that have a column in any case."""


def shared_facts(tables: Sequence[CurveTable]) -> list[str]:
    """What all tables have in common, a line each."""
    return [f"{name}: {value}" for name, value in _common([facts(table) for table in tables]).items()]


def _common(known: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {name: str(known[0][name]) for name in _SHARED if len({str(fact[name]) for fact in known}) == 1}


def overview(tables: Sequence[CurveTable], width: int) -> Table:
    """The numbers of many tables, a line each; what they share is left to `shared_facts`, and a narrow page has fewer columns."""
    known = [facts(table) for table in tables]
    common = _common(known)
    own = [*_ALWAYS[:2], *(name for name in _SHARED[:6] if name not in common), *_ALWAYS[2:]]
    if all(fact["configurations"] == fact["trainings"] for fact in known) and "configurations" in own:
        own.remove("configurations")
    rows: list[dict[str, object]] = []
    for table, fact in zip(tables, known, strict=True):
        task, failed = table.task, int((table.columns["status"] != 0).sum())
        row: dict[str, object] = {"task": names_of(table)[0], "rows": task.n_train + task.n_val + task.n_test, "columns": task.n_features}
        row |= {name: fact[name] for name in own}
        rows.append(row | {"median curve": spark(_median_curve(table), width=12), "time": fact["training time"], "failed": failed or "–"})
    shown = Table(box=None, header_style="bold")
    names = _fitting(rows, width)
    for name in names:
        if name == "task":  # a long name breaks into lines before a number is cut off
            shown.add_column(name, overflow="fold", style="cyan")
            continue
        least = max(len(str(row[name])) for row in rows)
        shown.add_column(name, justify="left" if name == "median curve" else "right", no_wrap=True, min_width=least)
    for row in rows:
        shown.add_row(*(Text(str(row[name])) for name in names))
    return shown


_LEAST_WANTED = ("columns", "classes", "failed", "time", "median curve", "rows", "configurations")
"""What a narrow page does without, first to last."""


def _fitting(rows: Sequence[dict[str, object]], width: int) -> list[str]:
    """Names of the columns that fit side by side, each whole: a number that is cut off is worse than none."""
    needed = {name: max(len(name), *(len(str(row[name])) for row in rows)) + 2 for name in rows[0]}
    for name in _LEAST_WANTED:
        if sum(needed.values()) > width:
            needed.pop(name, None)
    return list(needed)


# --------------------------------------------------------------------------------------------------------------- fidelities


def fidelities(by_task: Mapping[str, Mapping[str, float]]) -> Group:
    """How well short trainings rank, a task each line."""
    names = list(dict.fromkeys(name for found in by_task.values() for name in found))
    shorter = ", or of shorter trainings at their own end" if any("of" in name for name in names) else ""
    shown = Table(box=None, header_style="bold")
    shown.add_column("task", style="cyan", no_wrap=True)
    for name in names:
        shown.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for task, found in by_task.items():
        shown.add_row(task, *(_two_digits(found.get(name)) for name in names))
    if len(by_task) > 1:
        means = [float(np.mean([found[name] for found in by_task.values() if name in found])) for name in names]
        shown.add_row("mean", *map(_two_digits, means), style="bold")
    caption = f"Spearman correlation of the objective at the last epoch with that of the same training at epoch e (@e){shorter}."
    return Group(Text("how well short trainings rank", style="italic"), shown, Text(caption, style="dim"))


# --------------------------------------------------------------------------------------------------------------- surrogates


def quality_overview(models: Sequence[FittedModel]) -> Table:
    """How well the surrogates rank configurations that they had not seen, a task each line, a column each."""
    spaces = {task: {model.space for model in models if model.task == task} for task in {model.task for model in models}}
    names = [model.task if len(spaces[model.task]) == 1 else f"{model.task} ({model.space})" for model in models]
    found = {(name, model.column): _quality(model)["scores"] for name, model in zip(names, models, strict=True)}
    caption = (
        "Spearman correlation of predicted and recorded values at the last epoch, by cross-validation over configurations; "
        f"red: below {MIN_SPEARMAN}, refused unless forced.\n{_against_baselines(models)}\n"
        "`info --task NAME` shows errors, rungs and intervals."
    )
    shown = Table(box=None, header_style="bold", title="surrogates", title_justify="left", caption=caption, caption_justify="left")
    shown.caption_style = "dim"
    shown.add_column("task", style="cyan", no_wrap=True)
    columns = list(dict.fromkeys(column for _, column in found))
    for column in columns:
        shown.add_column(column.replace("_", "\n"), justify="right", no_wrap=True)
    for task in dict.fromkeys(task for task, _ in found):
        shown.add_row(task, *(_coloured(found.get((task, column), {}).get("Spearman")) for column in columns))
    return shown


WIDE = 110
"""Characters of a line that has room for everything."""
_NARROW = {"Spearman": "Spear-\nman", "best baseline": "best\nbase-\nline"}
"""Headings that would be wider than their numbers."""


def _two_digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def _coloured(spearman: float | None) -> Text:
    if spearman is None:
        return Text("–")
    return Text(f"{spearman:.2f}", style="red" if spearman < MIN_SPEARMAN else "green" if spearman >= GOOD_SPEARMAN else "")


def _against_baselines(models: Sequence[FittedModel]) -> str:
    qualities = [_quality(model) for model in models]
    ours = float(np.mean([quality["scores"]["Spearman"] for quality in qualities]))
    means = {name: float(np.mean([quality["baselines"][name] for quality in qualities])) for name in qualities[0]["baselines"]}
    return f"mean {ours:.3f}; " + ", ".join(f"{name} {value:.3f}" for name, value in means.items()) + " on the same folds."


def quality_page(models: Sequence[FittedModel], width: int) -> Table:
    """Everything that a line can say of each surrogate of one task; on a narrow page nothing of its rungs."""
    caption = f"on configurations held out by cross-validation; {_against_baselines(models)}"
    shown = Table(box=None, header_style="bold", title="surrogates", title_justify="left", caption=caption, caption_justify="left")
    shown.caption_style, shown.padding = "dim", (0, 1, 0, 0)
    shown.add_column("column", style="cyan", no_wrap=True)
    names = list(dict.fromkeys(name for model in models for name in _quality(model)["scores"]))
    names = [name for name in names if width >= WIDE or not name.startswith("@")]
    for name in names:
        shown.add_column(_NARROW.get(name, name.replace(" ", "\n")), justify="right", no_wrap=True)
    shown.add_column("model")
    for model in models:
        quality = _quality(model)
        cells = (quality["scores"].get(name) for name in names)
        shown.add_row(model.column, *map(_two_digits, cells), quality["model"].replace(" + ", "+"))
    return shown


def _quality(model: FittedModel) -> dict[str, Any]:
    """The part of a quality report that fits a line."""
    return {"task": model.task, "column": model.column, **headline(model.about["report"])}
