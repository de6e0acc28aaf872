"""``export``: hand a database on, as another layout or in a format that others read."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lcbench.database import SHIPPED, Database
from lcbench.errors import UserError
from lcbench.merge import choose_metrics
from lcbench.store import write_curves
from lcbench.table import CurveTable

HELP = "hand a database on: compressed, as CSV, Parquet, LCBench's JSON, or described by a data card"
DESCRIPTION = """Write a database in another form, by the ending of OUT: .h5 (another layout, or a part), .csv, .csv.gz or .parquet (a
line per epoch), .json (the layout of LCBench's published files), .md (a data card), .jsonld (a Croissant description)."""


def add(parser: ArgumentParser) -> None:
    """Define the options."""
    parser.add_argument("database", type=Path, metavar="DB", help="what to export; `shipped` is the one that comes with the code")
    parser.add_argument("out", type=Path, metavar="OUT", help="where to; its ending says as what")
    parser.add_argument("--tasks", metavar="NAMES", help="only these tasks, e.g. vehicle,car")
    parser.add_argument("--metrics", metavar="NAMES", help="only these metrics, e.g. 'val_*,test_*' (the objective always stays)")
    parser.add_argument(
        "--layout",
        choices=["serving", "compressed"],
        default="compressed",
        help="of a .h5: compressed (default) or serving",
    )


def run(options: Namespace, console: Console) -> int:
    """Export, and say how large the result is."""
    database = Database(SHIPPED if str(options.database) == "shipped" else options.database)
    out: Path = options.out
    if out.resolve() == database.path.resolve():
        raise UserError(f"`OUT` is {out}, the database itself: choose another name")
    kind = "".join(out.suffixes[-2:]) if out.suffix == ".gz" else out.suffix
    if kind not in _WRITERS:
        raise UserError(f"`OUT` is {out}, but must end in one of {', '.join(_WRITERS)}")
    for note in _WRITERS[kind](database, out, options):
        console.print(Text(note), soft_wrap=True)
    console.print(Text(f"{out}: {out.stat().st_size / 2**20:.1f} MB"), soft_wrap=True)
    return 0


def _tables(database: Database, options: Namespace) -> Iterator[CurveTable]:
    wanted = _wanted(database, options)
    for task, space in database.names:
        if task in wanted:
            table = database.checked(task, space)
            yield choose_metrics(table, [name.strip() for name in options.metrics.split(",")]) if options.metrics else table


def _wanted(database: Database, options: Namespace) -> set[str]:
    names = {name.strip() for name in options.tasks.split(",")} if options.tasks else set(database.tasks)
    for name in names - set(database.tasks):
        database.table(name)  # refuses, with the nearest names
    return names


def _hdf5(database: Database, out: Path, options: Namespace) -> list[str]:
    wanted = _wanted(database, options)
    columns = {name: {*database.table(*name).metrics, "seconds"} for name in database.names}
    if options.metrics:
        patterns = [pattern.strip() for pattern in options.metrics.split(",")]
        columns = {
            name: {*choose_metrics(database.table(*name), patterns).metrics, "seconds"} for name in database.names if name[0] in wanted
        }
    models = (m for name in database.models if name[0] in wanted for m in database.fitted(*name) if m.column in columns[name])
    write_curves(out, _tables(database, options), layout=options.layout, models=models)
    return []


def _frame(database: Database, out: Path, options: Namespace) -> list[str]:
    from lcbench.formats.frame import export_frame

    export_frame(_tables(database, options), out)
    return []


def _lcbench(database: Database, out: Path, options: Namespace) -> list[str]:
    from lcbench.formats.lcbench_json import export_lcbench

    return list(export_lcbench(_tables(database, options), out))


def _card(database: Database, out: Path, options: Namespace) -> list[str]:
    from lcbench.formats.croissant import card

    _refuse_a_part(options)
    out.write_text(card(database), encoding="utf-8")
    return []


def _datasheet(database: Database, out: Path, options: Namespace) -> list[str]:
    from lcbench.formats.croissant import write_datasheet

    _refuse_a_part(options)
    write_datasheet(database.path, out)
    return []


def _refuse_a_part(options: Namespace) -> None:
    if options.tasks or options.metrics:
        raise UserError("`--tasks` and `--metrics` choose a part, but a card describes a whole database: export the part as .h5 first")


_WRITERS = {
    ".h5": _hdf5,
    ".csv": _frame,
    ".csv.gz": _frame,
    ".parquet": _frame,
    ".json": _lcbench,
    ".md": _card,
    ".jsonld": _datasheet,
}
