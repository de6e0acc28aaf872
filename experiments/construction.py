"""A portfolio from recorded curves, with what tells whether it is any good: the regret on tasks that it was not chosen for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.candidates import Candidates
from lcbench.errors import UserError
from optimizers.greedy import Normaliser, by_size, greedy, leave_one_out, random_by_size, regrets_of

Floats = NDArray[np.float64]
DIGITS = 6
"""Decimals of a regret that are written down."""
TOO_SMALL = 1e-12
"""A fall of the mean regret below this is rounding."""


@dataclass(frozen=True)
class Construction:
    """A portfolio of k members for M tasks."""

    members: list[int]
    """Candidates in the order in which they were chosen."""
    chosen: Floats  # (k, M)
    """Regret on every task of the first member, of the first two, …, of all: what greed made small."""
    left_out: Floats | None  # (k, M)
    """The same of portfolios that were chosen without the table on which they are measured; None where there is only one."""
    random: Floats  # (k, M)
    """The mean of the same over all portfolios of the candidates."""
    winners: list[int]
    """Place in the portfolio, from 0, of the best member on every task."""

    @property
    def enough(self) -> int:
        """Size from which on no candidate lowers the mean regret, so that their order decides."""
        means = self.chosen.mean(axis=1)
        return int(np.flatnonzero(means <= means[-1] + TOO_SMALL)[0]) + 1


def construct(candidates: Candidates, size: int, normaliser: Normaliser = "range") -> Construction:
    """Choose up to `size` candidates and judge them.

    Raises:
        UserError: if the size is no size, or the scores of a task cannot be normalised.
    """
    if size < 1:
        raise UserError(f"`--size` is {size}, but must be 1 or larger")
    try:
        regrets = regrets_of(candidates.scores, normaliser, candidates.among)
    except ValueError as error:
        raise UserError(f"the scores cannot be compared after {candidates.epoch} epochs: {error} ({', '.join(candidates.tasks)})") from None
    members = greedy(regrets, size)
    left_out = None
    if len(set(candidates.tables)) > 1:
        without = leave_one_out(regrets, size, candidates.tables)
        left_out = np.column_stack([by_size(regrets[:, [t]], chosen) for t, chosen in enumerate(without)])
    winners = np.argmin(regrets[members], axis=0).tolist()
    return Construction(members, by_size(regrets, members), left_out, random_by_size(regrets, size), winners)


def diagnostics(candidates: Candidates, made: Construction) -> dict[str, Any]:
    """The numbers that `print_diagnostics` shows, in JSON types."""
    curves = {"chosen": made.chosen, "random": made.random} | ({} if made.left_out is None else {"left_out": made.left_out})
    return {
        "mean_regret_by_size": {name: _rounded(regrets.mean(axis=1)) for name, regrets in curves.items()},
        "tasks": {
            task: {"winner": made.winners[t], **{name: _rounded(regrets[-1])[t] for name, regrets in curves.items()}}
            for t, task in enumerate(candidates.tasks)
        },
        "candidates": len(candidates.configurations),
        "measured": _rounded(np.isfinite(candidates.scores).mean()),
    }


def _rounded(values: Any) -> Any:
    return np.round(values, DIGITS).tolist()


def print_diagnostics(candidates: Candidates, made: Construction, console: Console) -> None:
    """Two tables and a few lines: mean regret by size, and which member wins on which task."""
    sizes = _table("mean regret over tasks by size of the portfolio", "size", "chosen for them", "task left out", "random, in the mean")
    for k in range(len(made.members)):
        left_out = "–" if made.left_out is None else f"{made.left_out[k].mean():.4f}"
        sizes.add_row(str(k + 1), f"{made.chosen[k].mean():.4f}", left_out, f"{made.random[k].mean():.4f}")
    console.print(sizes)
    n = len(made.members)
    tasks = _table(f"the {n} members task by task", "task", "best member", "its regret", "task left out", f"{n} random ones", "measured")
    for t, task in enumerate(candidates.tasks):
        left_out = "–" if made.left_out is None else f"{made.left_out[-1, t]:.4f}"
        measured = f"{np.isfinite(candidates.scores[:, t]).sum()}"
        tasks.add_row(task, str(made.winners[t]), f"{made.chosen[-1, t]:.4f}", left_out, f"{made.random[-1, t]:.4f}", measured)
    console.print(tasks)
    for line in remarks(candidates, made):
        console.print(Text(line), soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    return table


def remarks(candidates: Candidates, made: Construction) -> list[str]:
    """What a reader of the numbers should know, a sentence each."""
    said = []
    measured = np.isfinite(candidates.scores)
    if not measured.all():
        n = int(measured.all(axis=1).sum())
        said.append(f"{n} of {len(measured)} candidates were measured on every task; where one was not, it counts as the worst of the task")
    if candidates.n_apart:
        said.append(
            f"{candidates.n_apart} configurations are no candidates, because they were not trained on every task, as others were: --tasks "
            "leaves out tasks with fewer; regrets are to the best of all"
        )
    if candidates.not_shared:
        names = ", ".join(candidates.not_shared)
        said.append(f"tables do not agree on {names}: candidates that differ in nothing else count as one, and members do not have them")
    if made.left_out is None:
        said.append("there is only one table, so that none can be left out: nothing is known of how the portfolio does elsewhere")
    if made.enough < len(made.members):
        said.append(
            f"from size {made.enough} on no candidate lowers the mean regret on these tasks, so that the order of the record decides on "
            f"what stands behind: --size {made.enough} leaves it out"
        )
    return said
