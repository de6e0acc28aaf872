"""What a run would search, before anything runs: the search space of a task as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ConfigSpace import ConfigurationSpace
from ConfigSpace.hyperparameters import Hyperparameter
from rich.console import Console
from rich.table import Table

from lcbench.errors import UserError


def show_information(wish: str, space: ConfigurationSpace, task: str, console: Console, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Print what `info=` asks for, and run nothing.

    Args:
        wish: the value of `info`.
        space: what is searched.
        task: where.
        console: where to print.
        fixed: settings that are not searched.

    Raises:
        UserError: if there is no such information.
    """
    if wish != "space":
        raise UserError(f"`info` is {wish!r}, but must be space: what is searched on this task")
    console.print(_table(space, f"space {space.name}: {len(space)} hyperparameters on {task}"))
    known = ", ".join(f"{name} = {value}" for name, value in fixed.items() if value is not None)
    if known:
        console.print(f"fixed: {known}", highlight=False, soft_wrap=True)
    return {"hyperparameters": list(space)}


def _table(space: ConfigurationSpace, title: str) -> Table:
    """One line per hyperparameter: what it can be, its scale, its default, and when it is there at all."""
    table = Table(title=title, title_justify="left")
    for column in ("hyperparameter", "values", "scale", "default", "only if"):
        table.add_column(column, overflow="fold")
    for name in sorted(space):
        conditions = " and ".join(str(condition).partition(" | ")[2] for condition in space.parent_conditions_of[name])
        table.add_row(name, *_domain(space[name]), conditions)
    if space.forbidden_clauses:
        clauses = (str(clause).replace("Forbidden: ", "").replace("&&", "and") for clause in space.forbidden_clauses)
        table.caption = f"never: {', '.join(clauses)}"
        table.caption_justify = "left"
    return table


def _domain(hyperparameter: Hyperparameter) -> tuple[str, str, str]:
    """Values, scale and default in words."""
    choices = getattr(hyperparameter, "choices", None) or getattr(hyperparameter, "sequence", None)
    if choices:
        return ", ".join(map(str, choices)), "", str(hyperparameter.default_value)
    if not hasattr(hyperparameter, "lower"):
        return str(hyperparameter.default_value), "", ""
    values = f"{hyperparameter.lower:g} … {hyperparameter.upper:g}"
    whole = " whole" if isinstance(hyperparameter.default_value, int) else ""
    return values, ("log" if hyperparameter.log else "linear") + whole, f"{hyperparameter.default_value:.3g}"
