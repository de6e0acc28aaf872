"""The command line of the curve database: ``python -m lcbench info | verify | repair``.

Exit codes: 0 all is well, 1 the data has problems, 2 the command could not be carried out (one sentence on stderr says why).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lcbench.errors import UserError
from lcbench.rundir import read_run, repair, verify
from lcbench.store import read_curves
from lcbench.table import CurveTable

_TARGET = "a database (curves.h5) or the directory of a run"


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options.path, Console())
    except UserError as error:
        print(error, file=sys.stderr)
    except OSError as error:  # no permission, no space: the file is the user's, so is the sentence
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lcbench",
        description="Look at, check and repair recorded learning curves.",
        epilog="exit codes: 0 all is well, 1 the data has problems, 2 the command could not be carried out",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, command, operand, about in (
        ("info", _info, "PATH", f"show what {_TARGET} holds, also while the run goes on"),
        ("verify", _verify, "PATH", f"read {_TARGET} to the last byte and name every problem"),
        ("repair", _repair, "DIR", "rescue every undamaged record of a run that is not running; originals are kept as *.damaged"),
    ):
        subparser = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        subparser.add_argument("path", type=Path, metavar=operand, help=_TARGET if operand == "PATH" else "the directory of a run")
        subparser.set_defaults(command=command)
    return parser


def _info(path: Path, console: Console) -> int:
    tables = [read_run(path)] if path.is_dir() else read_curves(path)
    console.print(Text(str(path), style="bold"), soft_wrap=True)
    console.print(_page(tables[0]) if len(tables) == 1 else _overview(tables))
    return 0


def _page(table: CurveTable) -> Table:
    """Everything about one table, a line each."""
    page = Table("", "", show_header=False, box=None)
    page.columns[0].style = "cyan"
    for name, value in _facts(table).items():
        page.add_row(name, Text(value))
    return page


def _overview(tables: Sequence[CurveTable]) -> Table:
    """The numbers of many tables, a line each."""
    page = Table(box=None)
    columns = ("task", "space", "trainings", "configurations", "epochs", "metrics", "status")
    for name in columns:
        page.add_column(name, justify="left" if name in ("task", "space", "status") else "right")
    for table in tables:
        facts = _facts(table)
        page.add_row(*(Text(facts[name]) for name in columns))
    return page


def _facts(table: CurveTable) -> dict[str, str]:
    rows = table.trainings
    task = table.task
    ends = Counter(row.status for row in rows)
    return {
        "task": task.name,
        "kind": f"{task.kind}, {task.n_features} columns, {task.n_train} + {task.n_val} + {task.n_test} rows (train, validation, test)",
        "space": str(table.space.name),
        "objective": table.objective,
        "trainings": str(len(rows)),
        "status": ", ".join(f"{n} {status}" for status, n in ends.most_common()) or "none",
        "configurations": str(len({row.key for row in rows})),
        "seeds": _listed({row.seed for row in rows}),
        "horizons": _listed({row.horizon for row in rows}),
        "epochs": f"0..{table.n_entries - 1}" if table.n_entries else "none",
        "metrics": str(len(table.metrics)),
        "recorded": str(table.provenance.get("created", "unknown")),
        "licence": str(table.provenance.get("licence", "unknown")),
    }


def _listed(numbers: set[int]) -> str:
    shown = [str(number) for number in sorted(numbers)]
    return ", ".join(shown) if len(shown) <= 8 else f"{shown[0]}, {shown[1]}, … {shown[-1]} ({len(shown)})"


def _verify(path: Path, console: Console) -> int:
    problems = verify(path)
    for problem in problems:
        console.print(Text(problem), soft_wrap=True)
    console.print(Text(f"{path}: {len(problems) or 'no'} problem{'s' * (len(problems) != 1)} found"), soft_wrap=True)
    return 1 if problems else 0


def _repair(path: Path, console: Console) -> int:
    for action in repair(path):
        console.print(Text(action), soft_wrap=True)
    return _verify(path, console)


if __name__ == "__main__":
    sys.exit(main())
