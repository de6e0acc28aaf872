"""Candidates for a portfolio: every configuration that was recorded anywhere, and how it scored on every task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.merge import check_same_rows
from lcbench.metric import METRICS, SCALES
from lcbench.query import Origin
from lcbench.rundir import read_run
from lcbench.space import key
from lcbench.store import names_of
from lcbench.table import CurveTable


@dataclass(frozen=True)
class Candidates:
    """n configurations and their scores on M tasks."""

    configurations: list[dict[str, Any]]
    """n configurations in the order in which they are met: two are the same if they are in the hyperparameters that all tables share. Those
    that only some tables have come along where these tables agree on them."""
    tasks: list[str]
    """M names, those of a fold other than 0 with ``@fold``."""
    scores: NDArray[np.float64]  # (n, M)
    """The metric after `epoch` epochs, larger is better (a metric that is minimised has its sign turned); NaN where it is not known."""
    among: NDArray[np.float64]  # (m, M)
    """The same of every configuration that was trained on any task, candidate or not: a regret is to the best of these."""
    epoch: int
    """Number of epochs trained."""
    spaces: list[str]
    """Names of the spaces that the configurations come from."""
    licences: list[str]
    """Under which the curves may be used, as their tables say."""
    not_shared: list[str]
    """Hyperparameters that only some tables have and do not agree on: they are left out, and candidates that differ in nothing else are
    one, with the mean of their scores."""
    everywhere: bool
    """Whether every candidate was trained on every task."""
    n_apart: int
    """Configurations that are no candidates because they were trained on some of the tasks only, where others were trained on all."""

    @property
    def tables(self) -> list[str]:
        """Of what table every task is a fold: folds of one are not unseen for each other."""
        return [task.partition("@fold")[0] for task in self.tasks]


def read_tables(sources: Sequence[Path]) -> list[CurveTable]:
    """Every table of databases (.h5) and run directories.

    Raises:
        UserError: if a source is neither, or damaged.
    """
    return [table for source in sources for table in _tables(source)]


def _tables(source: Path) -> Iterator[CurveTable]:
    if source.is_dir():
        yield read_run(source)
    elif source.suffix in (".h5", ".hdf5"):
        yield from Database(source)
    else:
        raise UserError(f"`SOURCE` is {source}, but must be a database (.h5) or the directory of a run (runs/live/…)")


def candidates_of(tables: Sequence[CurveTable], metric: str = "val_accuracy", epoch: int | None = None) -> Candidates:
    """What the tables hold as one matrix.

    Trainings of the largest annealing horizon of their table count. Of several trainings of a configuration on a task, with other seeds or
    in other tables, the mean counts; one that did not reach `epoch` or has no finite value there is not known. Where any configuration was
    trained on every task, only such ones are candidates. Members of a portfolio that was tried are none: they were found elsewhere.

    Args:
        tables: one or more per task.
        metric: a recorded column, e.g. ``val_accuracy``.
        epoch: number of epochs trained; None for the last that every table has.

    Raises:
        UserError: if a table is empty or lacks the metric or epoch, tables of one task are of different rows, or the tables share no
            hyperparameter.
    """
    _sign(metric)  # refuses what is no column before anything is read
    tasks = _tasks(tables)
    last = min((_checked(table, metric).n_entries - 1 for table in tables), default=0)
    epoch = last if epoch is None else epoch
    if not 1 <= epoch <= last:
        raise UserError(f"`--epoch` is {epoch}, but every table has the epochs 1..{last}")
    shared = [name for name in tables[0].space if all(name in table.space for table in tables)]
    if not shared:
        raise UserError(
            "the tables share no hyperparameter, so that no configuration of one is one of another: build a portfolio from each"
        )
    found, beyond, measured = _gathered(tables, tasks, shared, metric, epoch)
    everywhere = [name for name in found if all((name, t) in measured for t in range(len(tasks)))]
    chosen = everywhere or list(found)
    agreed = {name: values[0] for name, values in beyond.items() if all(one == values[0] for one in values)}
    disputed = [one for name in chosen if name not in agreed for one in beyond.get(name, ())]
    among = _matrix(list(found), len(tasks), measured)
    return Candidates(
        configurations=[found[name] | agreed.get(name, {}) for name in chosen],
        tasks=tasks,
        scores=among if chosen == list(found) else _matrix(chosen, len(tasks), measured),
        among=among,
        epoch=epoch,
        spaces=list(dict.fromkeys(str(table.space.name) for table in tables)),
        licences=list(dict.fromkeys(str(table.provenance.get("licence") or "not stated") for table in tables)),
        not_shared=list(dict.fromkeys(name for one in disputed for name in one)),
        everywhere=bool(everywhere),
        n_apart=len(found) - len(chosen),
    )


def _gathered(
    tables: Sequence[CurveTable], tasks: list[str], shared: list[str], metric: str, epoch: int
) -> tuple[dict[str, dict[str, Any]], dict[str, list[dict[str, Any]]], dict[tuple[str, int], list[float]]]:
    """By key: every configuration, what it has beyond the shared hyperparameters in every table that has more, and its scores by task."""
    found: dict[str, dict[str, Any]] = {}
    beyond: dict[str, list[dict[str, Any]]] = {}
    measured: dict[tuple[str, int], list[float]] = {}
    for table in tables:
        found_here = table.columns["origin"] != str(Origin.PORTFOLIO)
        rows = np.flatnonzero(found_here & (table.columns["horizon"] == table.columns["horizon"].max()))
        scores = scores_of(table, rows, metric, epoch)
        t, more = tasks.index(names_of(table)[0]), [name for name in table.space if name not in shared]
        for whole, score in zip(table.configurations(rows), scores.tolist(), strict=True):
            configuration = {name: whole[name] for name in shared if name in whole}
            name = key(configuration)
            found.setdefault(name, configuration)
            measured.setdefault((name, t), []).append(score)
            if more:
                beyond.setdefault(name, []).append({name: whole[name] for name in more if name in whole})
    return found, beyond, measured


def _tasks(tables: Sequence[CurveTable]) -> list[str]:
    """Names of the tasks; all tables of one name must be of the same rows."""
    first: dict[str, CurveTable] = {}
    for table in tables:
        check_same_rows(first.setdefault(names_of(table)[0], table), table)
    return list(first)


def scores_of(table: CurveTable, rows: NDArray[np.int64], metric: str, epoch: int) -> NDArray[np.float64]:  # (n,)
    """Values of a column after `epoch` epochs, in the unit of its metric, larger is better."""
    plane = table.plane(metric)
    return _sign(metric) * SCALES.get(table.units[plane], 1.0) * table.curves[plane, rows, epoch].astype(np.float64)


def _matrix(names: list[str], n_tasks: int, measured: dict[tuple[str, int], list[float]]) -> NDArray[np.float64]:
    scores = np.full((len(names), n_tasks), np.nan)
    place = {name: i for i, name in enumerate(names)}
    for (name, t), values in measured.items():
        if name in place and (finite := [value for value in values if np.isfinite(value)]):
            scores[place[name], t] = np.mean(finite)
    return scores


def _sign(metric: str) -> float:
    split, _, name = metric.partition("_")
    if split not in ("train", "val", "test") or name not in METRICS:
        raise UserError(f"`--metric` is {metric!r}, but must be train_, val_ or test_ with one of {', '.join(METRICS)}: val_accuracy")
    return 1.0 if METRICS[name].direction == "maximize" else -1.0


def _checked(table: CurveTable, metric: str) -> CurveTable:
    if len(table) == 0:
        raise UserError(f"the table of {table.task.name!r} is empty: nothing was recorded yet")
    if metric not in table.metrics:
        raise UserError(f"`--metric` is {metric!r}, but {table.task.name!r} was recorded with {', '.join(table.metrics)}")
    return table
