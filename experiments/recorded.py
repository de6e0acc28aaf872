"""Benchmarks that answer from a database of recorded curves, as conf/benchmark and conf/task name them; nothing is trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ConfigSpace import Configuration

from experiments.config import ROOT
from lcbench.benchmark import CurveBenchmark
from lcbench.checksums import crc_of_array, crcs_of_rows
from lcbench.database import SHIPPED, Database
from lcbench.errors import UserError
from lcbench.space import key, nearest, plain
from lcbench.table import CurveTable
from lcbench.tabular import TabularBenchmark
from lcbench.wrappers import NearestRecorded

UNKNOWN = {
    "nearest": "a configuration that was not recorded is answered with the nearest one that was",
    "refuse": "a configuration that was not recorded ends the run",
}
"""What `benchmark.unknown` may be."""


@dataclass(frozen=True)
class Recorded:
    """A benchmark of recorded curves."""

    benchmark: CurveBenchmark
    """Answers queries; `Result.seconds` is what a training from scratch took."""
    best_loss: float
    """The smallest validation loss there is: what regret is measured against."""
    continues: bool
    """True if a promotion is charged only its new epochs, False if it is charged as trained from scratch."""
    about: dict[str, Any]
    """Which curves these are, for the summary."""
    source: Callable[[Configuration], dict[str, Any]] = field(default=lambda configuration: {})
    """Which recorded training answers for a configuration, and how far away in the unit cube; nothing where a model does."""


def tabular(
    task: str,
    *,
    space: str | None,
    metric: str | None,
    database: str | None = None,
    unknown: str = "nearest",
    continue_trials: bool = True,
    **cut: Any,
) -> Recorded:
    """The exact look-up in one table; `cut` is the view, seed and horizon, as of `TabularBenchmark`.

    Raises:
        UserError: if the database, table, metric, view, seed or horizon is not there, with what is.
    """
    if unknown not in UNKNOWN:
        raise UserError(f"`benchmark.unknown` is {unknown!r}, but must be one of {', '.join(UNKNOWN)}")
    table, about = _table(task, space, database)
    with _keys_of_the_group():
        exact = TabularBenchmark(table, metric, **cut)
    about |= {"view": exact.view.name, "recorded_seed": exact.seed, "horizon": exact.horizon}
    about |= {"n_configurations": len(exact), "unknown": unknown}
    benchmark = NearestRecorded(exact) if unknown == "nearest" else exact
    return Recorded(benchmark, exact.best_loss, continue_trials, about, partial(_source, exact))


def _source(benchmark: TabularBenchmark, configuration: Configuration) -> dict[str, Any]:
    row, distance = benchmark.keys.get(key(configuration)), 0.0
    if row is None:
        values = plain(configuration)  # a configuration that was read back from a record may differ in the last bit of its vector
        row, distance = nearest(values, benchmark.encoded, benchmark.space)
    return {"row": row, "distance": distance, "config": benchmark.configuration(row)}


def surrogate(
    task: str,
    *,
    space: str | None,
    metric: str | None,
    database: str | None = None,
    view: str = "trained",
    noise: bool = False,
    force: bool = False,
    continue_trials: bool = True,
) -> Recorded:
    """The model of one table, which answers for any configuration.

    Raises:
        UserError: if the table is not there, or the model does not describe it well enough and is not forced.
    """
    from lcbench.surrogate_benchmark import SurrogateBenchmark

    table, about = _table(task, space, database)
    with _keys_of_the_group():
        model = SurrogateBenchmark.load(task, _path(database), space=table.space.name, metric=metric, view=view, noise=noise, force=force)
    about |= {"view": view, "n_configurations": model.quality["n"], "noise": noise, "quality": model.quality}
    return Recorded(model, model.best_loss, continue_trials, about)


def only_recorded(name: str | None = None) -> NoReturn:
    """Stands for a task or space that is known by its recorded curves alone.

    Raises:
        UserError: always, because whoever builds it wants to train.
    """
    raise UserError(
        f"{f'the task {name!r}' if name else 'space=table'} stands for recorded curves, which cannot be trained: add benchmark=tabular or "
        "benchmark=surrogate, or choose another `task` and `space`"
    )


def _path(database: str | None) -> Path:
    return SHIPPED if database is None else Path(database)


def _table(task: str, space: str | None, database: str | None) -> tuple[CurveTable, dict[str, Any]]:
    """The table, and what identifies it: the file, its size, and a checksum of every row, so that a result can be traced."""
    path = _path(database)
    try:
        table = Database(path).table(task, space)
    except UserError as error:
        known = "" if path.is_file() else "; benchmark.database=FILE names another (null: the one that comes with the code)"
        raise UserError(f"{error}{known}") from None
    shown = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path.resolve())
    return table, {"database": shown, "table_crc32": crc_of_array(crcs_of_rows(table))}


@contextmanager
def _keys_of_the_group() -> Iterator[None]:
    """Names in a refusal are arguments there and keys of `benchmark` here; `seed` alone would be that of the run."""
    try:
        yield
    except UserError as error:
        text = re.sub(r"`(view|seed|horizon)`", r"`benchmark.\1`", str(error))
        raise UserError(text.replace("force=True", "benchmark.force=true")) from None
