"""From a study to tables, figures and a page: ``python -m analysis runs/studies/NAME``.

Exit codes: 0 all is made, 2 it could not be (one sentence on stderr says why).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.table import Table

from analysis import quality, report
from analysis.options import AXES, STATISTICS, Options
from analysis.render import footer, save
from analysis.study import Study
from experiments.overrides import split
from lcbench.errors import UserError, exit_code
from lcbench.files import replacing

FIGURES = Path(__file__).parent / "figures"
READING_ORDER = ("regret", "ranks", "speedup", "wins", "critical_difference", "small_multiples", "pareto", "overhead")
"""Of the page; figures that are not named here follow in alphabetical order."""
WIDTH = 160
"""Characters of a line; a narrower terminal wraps it by itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what the command line asks for and return the exit code."""
    words = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True, markup=False, width=WIDTH)
    return exit_code(partial(make, words, console))


def make(words: argparse.Namespace, console: Console) -> None:
    """Read the study; write the quality table, the figures and the page; say where they are.

    Raises:
        UserError: if the study, a figure or an option is not what it must be.
    """
    options = Options(axis=words.axis, statistic=words.statistic, share=words.share, n_boot=words.resamples, seed=words.seed)
    wanted = [figure(name) for name in (_listed(words.figures, "figures") or known())]
    study = Study.read(
        words.study, optimizers=_listed(words.optimizers, "optimizers"), tasks=_listed(words.tasks, "tasks"), seeds=_seeds(words.seeds)
    )
    folder = Path(words.to) if words.to else Path(words.study) / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    _write_quality(study, options, folder, console)
    drawn = []
    for module in wanted:
        try:
            path = save(module, study, options, folder)
        except UserError as error:
            if words.figures:  # asked for by name
                raise
            console.print(f"no {_name(module)}: {error}")
            continue
        drawn.append((module.TITLE, module.CAPTION, path.name))
        console.print(f"{path}")
    console.print(str(report.write(study, options, drawn, folder)))


def known() -> list[str]:
    """Names of all figures, as they stand on the page: the files of the folder `figures`."""
    names = sorted(path.stem for path in FIGURES.glob("*.py") if path.stem != "__init__")
    return sorted(names, key=lambda name: READING_ORDER.index(name) if name in READING_ORDER else len(READING_ORDER))


def figure(name: str) -> ModuleType:
    """The module of a figure.

    Raises:
        UserError: if there is none of this name.
    """
    if name not in known():
        raise UserError(f"`figures` names {name!r}, but there are {', '.join(known())}")
    return import_module(f"analysis.figures.{name}")


def _name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def _write_quality(study: Study, options: Options, folder: Path, console: Console) -> None:
    numbers = quality.table(study, options)
    wide = quality.wide(numbers, options)
    shown = Table(
        title=f"average ranks by share of the budget in {AXES[options.axis]}", title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    for column in wide.columns:
        shown.add_column(column)
    for row in wide.itertuples(index=False):
        shown.add_row(*row)
    console.print(shown)
    console.print(" · ".join(footer(study, options)), style="dim")
    with replacing(folder / "quality.csv") as temporary:
        numbers.to_csv(temporary, index=False)
    with replacing(folder / "quality.md") as temporary:
        temporary.write_text(report.markdown_table(wide) + "\n", encoding="utf-8")


def _listed(text: str | None, noun: str) -> list[str] | None:
    names = None if text is None else [name.strip() for name in split(text, ",") if name.strip()]
    if names == []:
        raise UserError(f"`{noun}` names nothing, but must be names with commas between them")
    return names


def _seeds(text: str | None) -> list[int] | None:
    """Seeds as `experiments.compare` writes them: 0..29 or 0,1,7."""
    if text is None:
        return None
    seeds: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", part)
        if not ends:
            raise UserError(f"`seeds` has {part!r}, but must be numbers or from..to: 0..29 or 0,1,7")
        seeds += range(int(ends[1]), int(ends[2] or ends[1]) + 1)
    return seeds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Draw a study of optimizers that python -m experiments.compare has made: a quality table, figures as PNG with their "
        "numbers as CSV, and a page (report.html, report.md) that shows them with words on how to read them.",
        epilog="exit codes: 0 all is made, 2 it could not be made",
    )
    default = Options()
    add = parser.add_argument
    add("study", metavar="STUDY", help="folder of the study: runs/studies/NAME")
    add("--figures", metavar="A,B", help=f"only these: {', '.join(known())}")
    add("--axis", default=default.axis, help=f"what the budget is counted in: {', '.join(AXES)} (default {default.axis})")
    add("--statistic", default=default.statistic, help=f"how runs are summed up: {', '.join(STATISTICS)} (default {default.statistic})")
    add("--share", type=float, default=default.share, help="share of the budget at which wins and critical differences look (default 1)")
    add("--optimizers", metavar="A,B", help="only these, ranked among themselves")
    add("--tasks", metavar="A,B", help="only these")
    add("--seeds", metavar="0..9", help="only these")
    add("--resamples", type=int, default=default.n_boot, help=f"bootstrap resamples behind a band (default {default.n_boot})")
    add("--seed", type=int, default=default.seed, help="seed of the resamples (default 0)")
    add("--to", metavar="DIR", help="where to write (default STUDY/figures)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
