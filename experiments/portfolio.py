"""Portfolios on the command line: ``python -m experiments.portfolio build | convert | show``.

Exit codes: 0 all is well, 2 it could not be done (one sentence on stderr says why).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.candidates import candidates_of, read_tables
from experiments.construction import construct, diagnostics, print_diagnostics
from lcbench.commands.words import short
from lcbench.database import SHIPPED
from lcbench.errors import UserError, exit_code
from lcbench.files import replacing
from lcbench.store import names_of
from lcbench.table import CurveTable
from optimizers.portfolio_file import PortfolioFile, portfolio_text, read_portfolio

SOURCE = (
    "every member is chosen greedily from recorded curves (python -m experiments.portfolio build) as in Zimmer et al., TPAMI 2021, 3.3; "
    "none is of a published portfolio"
)
"""What the header of a portfolio says of its members."""
SIZE = 16
"""Members of the paper's portfolio."""
GAP = 2
"""Characters between two columns of the table of `show`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit code."""
    options = _parser().parse_args(arguments)
    return exit_code(partial(options.run, options, Console(highlight=False, markup=False)), "interrupted; nothing was written")


def build(options: argparse.Namespace, console: Console) -> None:
    """Construct a portfolio from recorded curves, print how good it is, and write it if `--to` says where.

    Raises:
        UserError: if a source or an option is not what it must be.
    """
    candidates = candidates_of(_of_tasks(read_tables(options.sources or [SHIPPED]), options.tasks), options.metric, options.epoch)
    made = construct(candidates, options.size, options.normaliser)
    print_diagnostics(candidates, made, console)
    if not options.to:
        return
    sources = [path.as_posix() for path in options.sources] or [f"{SHIPPED.name}, the database of the code"]
    header = {
        "name": options.to.stem,
        "source": SOURCE,
        "licence": ", ".join(candidates.licences),
        "space": ", ".join(candidates.spaces),
        "sources": sources,
        "tasks": candidates.tasks,
        "size": len(made.members),
        "metric": options.metric,
        "epoch": candidates.epoch,
        "normaliser": options.normaliser,
        "not_shared": candidates.not_shared,
    }
    members = [candidates.configurations[member] for member in made.members]
    _write(options.to, header, members, console, {"diagnostics": diagnostics(candidates, made)})


def _of_tasks(tables: list[CurveTable], wanted: Sequence[str] | None) -> list[CurveTable]:
    """The tables of some tasks, or all of them."""
    known = list(dict.fromkeys(names_of(table)[0] for table in tables))
    if strange := [task for task in wanted or () if task not in known]:
        raise UserError(f"`--tasks` names {', '.join(strange)}, but there are {', '.join(known)}")
    return [table for table in tables if wanted is None or names_of(table)[0] in wanted]


def convert(options: argparse.Namespace, console: Console) -> None:
    """Write a portfolio of any format in our own.

    Raises:
        UserError: if it is none.
    """
    file = read_portfolio(options.file)
    header = file.header or {"name": options.to.stem, "source": options.file.name, "licence": "not stated"}
    for note in file.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    _write(options.to, header | ({"notes": file.notes} if file.notes else {}), file.members, console)


def show(options: argparse.Namespace, console: Console) -> None:
    """Print the header and the members of a portfolio of any format.

    Raises:
        UserError: if it is none.
    """
    file = read_portfolio(options.file)
    for name, value in file.header.items():
        if isinstance(value, str | int | float):
            console.print(Text.assemble((f"{name}  ", "cyan"), str(value)), soft_wrap=True)
    names = list(dict.fromkeys(name for member in file.members for name in member))
    cell = max((len(short(value)) for member in file.members for value in member.values()), default=0) + GAP
    room = max((console.width - max(map(len, names), default=0) - GAP) // cell, 1)
    for start in range(0, len(file.members), room):
        console.print(_shown(file, names, range(start, min(start + room, len(file.members)))))
    for note in file.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)


def _shown(file: PortfolioFile, names: Sequence[str], numbers: Sequence[int]) -> Table:
    """One column per member, because its hyperparameters side by side fit no terminal."""
    table = Table(
        title=f"members {numbers[0]}..{numbers[-1]} of {len(file.members)}", title_justify="left", box=None, padding=(0, GAP, 0, 0)
    )
    table.add_column("", style="cyan", no_wrap=True)
    for number in numbers:
        table.add_column(str(number), justify="right")
    for name in names:
        values = [file.members[number].get(name, "") for number in numbers]
        if any(value != "" for value in values):
            table.add_row(name, *map(short, values))
    return table


def _write(
    path: Path,
    header: Mapping[str, Any],
    members: Sequence[Mapping[str, Any]],
    console: Console,
    behind: Mapping[str, Any] | None = None,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(portfolio_text(header, members, behind), encoding="utf-8")
    space = f" space={header['space']}" if "," not in header.get("space", ",") else ""
    use = f"python run.py portfolio=file portfolio.path={path}{space}"
    console.print(Text(f"{path}: {len(members)} members; to use them: {use}"), soft_wrap=True)


# ------------------------------------------------------------------------------------------------------ the command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.portfolio",
        description="Portfolios: configurations that did well on other tasks and are tried first (python run.py portfolio=…).",
        epilog="exit codes: 0 all is well, 2 it could not be done",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_build(commands)
    add = commands.add_parser(
        "convert",
        help="write a published portfolio, or a bare list of members, in the format of this project",
        description="Write a portfolio of Auto-PyTorch (either generation) or a bare JSON list of members in the format of this project: "
        "names are translated, constants that the pipeline has anyway are left out, and contradictions are said.",
    )
    add.add_argument("file", type=Path, metavar="FILE", help="a JSON file")
    add.add_argument("--to", type=Path, required=True, metavar="OUT", help="the JSON file to write")
    add.set_defaults(run=convert)
    add = commands.add_parser("show", help="print a portfolio as a table", description="Print a portfolio of any format as a table.")
    add.add_argument("file", type=Path, metavar="FILE", help="a JSON file")
    add.set_defaults(run=show)
    return parser


def _add_build(commands: Any) -> None:
    parser = commands.add_parser(
        "build",
        help="choose a portfolio from recorded curves",
        description="Choose configurations from recorded curves greedily, each the one that lowers the mean regret over tasks most, and "
        "print how good they are, also on tasks that were left out of the choice.",
    )
    add = parser.add_argument
    add("sources", type=Path, nargs="*", metavar="SOURCE", help="databases (.h5) and run directories (default: the database of the code)")
    add("--tasks", type=lambda text: text.split(","), metavar="NAMES", help="choose for these alone, by commas (default: for every task)")
    add("--to", type=Path, metavar="OUT", help="the JSON file to write (default: only print)")
    add("--size", type=int, default=SIZE, help=f"number of members (default {SIZE})")
    add("--metric", default="val_accuracy", metavar="NAME", help="a recorded column (default val_accuracy)")
    add("--epoch", type=int, metavar="E", help="number of epochs trained (default: the last that every table has)")
    add(
        "--normaliser",
        choices=["range", "best"],
        default="range",
        help="what a regret is a share of: the range of the scores of a task (default) or its best score",
    )
    parser.set_defaults(run=build)


if __name__ == "__main__":
    sys.exit(main())
