"""``verify`` and ``repair``: find what is damaged, and rescue the rest."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lcbench.rundir import repair, verify

HELP_VERIFY = "read a database or a run directory to the last byte and name every problem"
HELP_REPAIR = "rescue every undamaged record; originals are kept as *.damaged"
DESCRIPTION_VERIFY = "Read a database (.h5) or the directory of a run to the last byte and name every problem; exit code 1 if there is one."
DESCRIPTION_REPAIR = """Rescue every undamaged training of a database (.h5), or every undamaged record of a run that is not running.
Damaged originals are kept beside their successors as *.damaged."""


def add(parser: ArgumentParser) -> None:
    """Define the options."""
    parser.add_argument("path", type=Path, metavar="PATH", help="a database (.h5) or the directory of a run")


def run_verify(options: Namespace, console: Console) -> int:
    """Name every problem."""
    return _verify(options.path, console)


def run_repair(options: Namespace, console: Console) -> int:
    """Rescue, say what was done, and verify the result."""
    for action in repair(options.path):
        console.print(Text(action), soft_wrap=True)
    return _verify(options.path, console)


def _verify(path: Path, console: Console) -> int:
    problems = verify(path)
    for problem in problems:
        console.print(Text(problem), soft_wrap=True)
    console.print(Text(f"{path}: {len(problems) or 'no'} problem{'s' * (len(problems) != 1)} found"), soft_wrap=True)
    return 1 if problems else 0
