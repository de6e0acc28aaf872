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
from lcbench.training import CurveTable

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
    page = Table(title=str(path), title_justify="left", caption=_origin(tables), caption_justify="left")
    for column in ("task", "space", "objective"):
        page.add_column(column)
    for column in ("trainings", "configurations", "seeds", "horizons", "epochs", "metrics"):
        page.add_column(column, justify="right")
    page.add_column("status")
    for table in tables:
        page.add_row(*(Text(cell) for cell in _row(table)))
    console.print(page)
    return 0


def _row(table: CurveTable) -> tuple[str, ...]:
    rows = table.trainings
    ends = Counter(row.status for row in rows)
    return (
        table.task.name,
        table.space.name,
        table.objective,
        str(len(rows)),
        str(len({row.key for row in rows})),
        str(len({row.seed for row in rows})),
        ", ".join(str(horizon) for horizon in sorted({row.horizon for row in rows})),
        f"0..{table.n_entries - 1}" if table.n_entries else "none",
        str(len(table.metrics)),
        ", ".join(f"{n} {status}" for status, n in ends.most_common()),
    )


def _origin(tables: Sequence[CurveTable]) -> str:
    created = sorted(str(table.provenance["created"]) for table in tables if "created" in table.provenance)
    licences = sorted({str(table.provenance["licence"]) for table in tables if "licence" in table.provenance})
    return ", ".join((f"recorded {created[0]} to {created[-1]}" if created else "date unknown", *(licences or ["licence unknown"])))


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
