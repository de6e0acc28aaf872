"""``import``: bring curves from anywhere into one database."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from lcbench.commands.progress import progress_bar
from lcbench.commands.sources import KINDS, SUFFIXES, Reading, read_source
from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.files import turns
from lcbench.merge import choose_metrics, merge
from lcbench.schema import STATUSES, UNFINISHED
from lcbench.store import FittedModel, group_name, names_of, write_curves
from lcbench.table import CurveTable

HELP = "bring recorded curves from anywhere into one database"
DESCRIPTION = f"""Bring curves into one database. A source can be any of: {KINDS}.
Tables of one task and space are merged; an existing database is extended, unless --replace. The options that choose or
describe are about the sources, not about what DB holds already. Surrogates come along, but for those of tables that are
put together from several or cut down: they know nothing of that, so fit them again."""


def add(parser: ArgumentParser) -> None:
    """Define the options."""
    parser.add_argument("sources", type=Path, nargs="+", metavar="SOURCE", help="what to read, any number of sources of any kind")
    parser.add_argument("--to", type=Path, required=True, metavar="DB", help="the database to make or extend, a .h5 file")
    parser.add_argument("--metrics", metavar="NAMES", help="only these metrics, e.g. 'val_*,test_*' (the objective always stays)")
    parser.add_argument(
        "--precision", choices=["float32", "float64"], default="float32", help="of values from published LCBench files (default float32)"
    )
    parser.add_argument(
        "--ignore", action="append", metavar="NAME", help="leave this tag or key of a published LCBench file out (repeatable)"
    )
    parser.add_argument(
        "--layout", choices=["serving", "compressed"], default="serving", help="serving: memory-mapped (default); compressed: small"
    )
    parser.add_argument("--finished", action="store_true", help="leave out trainings that have not ended (a run that goes on)")
    parser.add_argument(
        "--common",
        action="store_true",
        help="only trainings whose number every task has: makes a rectangle of a collection that was stopped",
    )
    parser.add_argument("--licence", metavar="NAME", help="under which curves may be used that do not say so themselves, e.g. CC-BY-4.0")
    parser.add_argument("--note", metavar="TEXT", help="what a reader of the data card should know, kept with every table")
    parser.add_argument("--replace", action="store_true", help="forget what DB holds now")


def run(options: Namespace, console: Console) -> int:
    """Import, and say what the database holds then."""
    target: Path = options.to
    if target.suffix not in SUFFIXES:
        raise UserError(f"`--to` is {target}, but a database is a .h5 file")
    target.parent.mkdir(parents=True, exist_ok=True)
    with turns(target):  # two imports at once would each write what they have read, and the first be lost
        said, notes = _import(target, options, console)
    for line in notes:
        console.print(Text(f"note: {line}"), soft_wrap=True)
    for line in said:
        console.print(Text(line), soft_wrap=True)
    console.print(Text(f"{target}: {len(said)} tables; `python -m lcbench info {target}` shows them"), soft_wrap=True)
    return 0


def _import(target: Path, options: Namespace, console: Console) -> tuple[list[str], list[str]]:
    """Read, merge and write; return a line on each table, and notes."""
    said: list[str] = []
    with progress_bar(console) as progress:
        scratch = target.with_name(f"{target.name}.importing")
        reading = Reading(scratch, progress, options.precision, tuple(options.ignore or ()))
        old = list(read_source(target, reading)) if target.exists() and not options.replace else []
        known = {id(table) for table in old}
        new = [table for path in options.sources for table in read_source(path, reading)]
        named = _by_name([*old, *(_with_common_trials(new, options) if options.common else new)])
        cut = options.metrics or options.finished or options.common
        sources = [*([target] if old else []), *([] if cut else options.sources)]
        models = [model for source in sources for model in _still_valid(source, named)]
        del old, new
        write_curves(target, _merged(named, known, options, (said, reading.notes)), layout=options.layout, models=models)
        shutil.rmtree(scratch, ignore_errors=True)
    return said, reading.notes


def _merged(named: list[list[CurveTable]], old: set[int], options: Namespace, told: tuple[list[str], list[str]]) -> Iterator[CurveTable]:
    """Merge tables of one name, one name at a time; `told` gets a line on each of them, and notes on what is left out."""
    said, notes = told
    while named:  # what is written is let go, so that a large database never stands in memory whole
        tables = named.pop(0)
        table = merge([table if id(table) in old else _wanted(table, options) for table in tables])
        if not len(table):
            notes.append(f"{table.task.name}: nothing is recorded of it, left out")
            continue
        n = len(set(table.columns["key"]))
        said.append(f"{names_of(table)[0]}: {len(table)} trainings of {n} configurations, {len(table.metrics)} metrics")
        yield table
    if not said:  # while the file is written, which then stays as it was
        raise UserError(f"no training is left of the sources ({'; '.join(notes)}), so {options.to} was not written: check the options")


def _wanted(table: CurveTable, options: Namespace) -> CurveTable:
    """What the options leave of the table of a source, and what they say about it."""
    if options.metrics and table.metrics:
        table = choose_metrics(table, [name.strip() for name in options.metrics.split(",")])
    if options.finished:
        table = table.take(_rows(table, options))
    origin = {**table.provenance, **({"note": options.note} if options.note else {})}
    if options.licence and origin.get("licence") in (None, "not stated"):
        origin["licence"] = options.licence
    return replace(table, provenance=origin)


def _rows(table: CurveTable, options: Namespace) -> NDArray[np.int64]:
    """The trainings that the options leave."""
    ended = table.columns["status"] != STATUSES.index(UNFINISHED)
    return np.flatnonzero(ended) if options.finished else np.arange(len(table))


def _with_common_trials(tables: list[CurveTable], options: Namespace) -> list[CurveTable]:
    """What all tables of a space have; several of one task count as one."""
    found: dict[str, dict[str, set[tuple[int, int, int]]]] = {}
    for table in tables:
        of_rows = _trainings(table)
        trainings = [of_rows[row] for row in _rows(table, options)]
        if trainings:  # a task that was only planned has nothing in common with others
            found.setdefault(str(table.space.name), {}).setdefault(group_name(table), set()).update(trainings)
    common = {space: set.intersection(*of_tasks.values()) for space, of_tasks in found.items()}
    return [
        table.take(np.array([row for row, one in enumerate(_trainings(table)) if one in common.get(str(table.space.name), ())], np.int64))
        for table in tables
    ]


def _trainings(table: CurveTable) -> list[tuple[int, int, int]]:
    """Trial, seed and horizon of every row."""
    return list(zip(*(table.columns[name].tolist() for name in ("trial", "seed", "horizon")), strict=True))


def _still_valid(source: Path, named: list[list[CurveTable]]) -> list[FittedModel]:
    """Models of those tables of a database that come from it alone."""
    if source.is_dir() or source.suffix not in SUFFIXES:
        return []
    database, untouched = Database(source), {names_of(tables[0]) for tables in named if len(tables) == 1}
    return [model for name in database.models if name in untouched for model in database.fitted(*name)]


def _by_name(tables: list[CurveTable]) -> list[list[CurveTable]]:
    found: dict[str, list[CurveTable]] = {}
    for table in tables:
        found.setdefault(group_name(table), []).append(table)
    return list(found.values())
