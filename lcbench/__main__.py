"""The command line of the curve database: ``python -m lcbench COMMAND``, one file per command in `lcbench/commands`.

Exit codes: 0 all is well, 1 the data has problems, 2 the command could not be carried out (one sentence on stderr says why).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from rich.console import Console

from lcbench.commands import care, downloading, exporting, fitting, importing, info, querying
from lcbench.errors import exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit code."""
    options = _parser().parse_args(arguments)
    return exit_code(partial(options.run, options, Console()), "interrupted; the same command goes on from what is finished")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lcbench",
        description="Look at, ask, extend, hand on and look after recorded learning curves. A database is one .h5 file; "
        "without a path, the one that comes with the code is used.",
        epilog="exit codes: 0 all is well, 1 the data has problems, 2 the command could not be carried out",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, verb, run, about, description in (
        ("info", info.add, info.run, info.HELP, info.DESCRIPTION),
        ("query", querying.add, querying.run, querying.HELP, querying.DESCRIPTION),
        ("import", importing.add, importing.run, importing.HELP, importing.DESCRIPTION),
        ("export", exporting.add, exporting.run, exporting.HELP, exporting.DESCRIPTION),
        ("verify", care.add, care.run_verify, care.HELP_VERIFY, care.DESCRIPTION_VERIFY),
        ("repair", care.add, care.run_repair, care.HELP_REPAIR, care.DESCRIPTION_REPAIR),
        ("download", downloading.add, downloading.run, downloading.HELP, downloading.DESCRIPTION),
        ("fit-surrogate", fitting.add, fitting.run, fitting.HELP, fitting.DESCRIPTION),
    ):
        epilog = querying.EPILOG if name == "query" else None
        subparser = commands.add_parser(
            name, help=about, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        verb(subparser)
        subparser.set_defaults(run=run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
