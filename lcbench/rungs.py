"""How well trainings that were cut short rank configurations: the assumption that every multi-fidelity method lives from.

Two questions that are easily taken for one: how a *prefix* of the long trainings ranks, whose learning rate has not come down yet, and how
*shorter trainings* rank, whose learning rate was annealed over fewer epochs (the Auto-PyTorch Tabular paper, section 5, asks the second).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lcbench.store import names_of
from lcbench.surrogate.quality import spearman
from lcbench.table import CurveTable

RUNGS = (1, 3, 6, 12, 25)
"""Epochs that are looked at, where trainings are longer."""


def ranked(tables: Iterable[CurveTable]) -> dict[str, dict[str, float]]:
    """`correlations` of every table that has any, by its task, and its space where a task has several."""
    found = {names_of(table): named for table in tables if (named := correlations(table))}
    tasks = [task for task, _ in found]
    return {task if tasks.count(task) == 1 else f"{task}, {space}": named for (task, space), named in found.items()}


def correlations(table: CurveTable) -> dict[str, float]:
    """Both of the objective, by name: ``@12`` at epoch 12 of the long trainings, ``12 of 50`` of trainings of 12 epochs."""
    longest = _longest(table, _plane(table, None))
    prefixes = {f"@{epoch}": value for epoch, value in prefix_correlations(table).items()}
    return prefixes | {f"{horizon} of {longest}": value for horizon, value in horizon_correlations(table).items()}


def prefix_correlations(table: CurveTable, column: str | None = None) -> dict[int, float]:
    """Spearman's correlation of a column at every rung with itself at the end of the longest trainings, over all that have both.

    Args:
        table: n trainings; those that stopped or diverged on the way are left out.
        column: a plane, the objective unless given.

    Returns:
        By epoch, rungs in order; empty if fewer than two trainings came to the end.
    """
    values = _plane(table, column)
    values = values[table.columns["horizon"] == _longest(table, values)]
    rungs = [epoch for epoch in RUNGS if epoch < values.shape[1] - 1]
    values = values[np.isfinite(values[:, 1:]).all(axis=1)]
    return {epoch: spearman(values[:, epoch], values[:, -1]) for epoch in rungs} if len(values) > 1 else {}


def horizon_correlations(table: CurveTable, column: str | None = None) -> dict[int, float]:
    """The same for trainings of a shorter horizon, each at its own end, over the configurations and seeds that have both.

    Returns:
        By horizon, in order; empty where all trainings have the same.
    """
    finals = _finals(table, _plane(table, column))
    *shorter, longest = sorted(finals) or [0]
    found = {}
    for horizon in shorter:
        both = sorted(finals[horizon].keys() & finals[longest].keys())
        if len(both) > 1:
            pairs = np.array([(finals[horizon][name], finals[longest][name]) for name in both])
            found[horizon] = spearman(pairs[:, 0], pairs[:, 1])
    return found


def _plane(table: CurveTable, column: str | None) -> NDArray[np.float64]:  # (n, T)
    name = column or table.objective
    return np.asarray(table.curves[table.plane(name)], np.float64) if name in table.metrics else np.empty((len(table), 0))


def _longest(table: CurveTable, values: NDArray[np.float64]) -> int:  # (n, T)
    """The longest horizon at which any training came to its end."""
    return max(_finals(table, values), default=0)


def _finals(table: CurveTable, values: NDArray[np.float64]) -> dict[int, dict[tuple[str, int], float]]:
    """By horizon, then by configuration and seed, the value of the last epoch, where there is one."""
    finals: dict[int, dict[tuple[str, int], float]] = {}
    keys, seeds, horizons = (table.columns[name].tolist() for name in ("key", "seed", "horizon"))
    for row, (key, seed, horizon) in enumerate(zip(keys, seeds, horizons, strict=True)):
        if horizon < values.shape[1] and np.isfinite(values[row, horizon]):
            finals.setdefault(horizon, {})[key, seed] = float(values[row, horizon])
    return finals
