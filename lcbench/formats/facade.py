"""What the interfaces of other benchmark suites share: how they reach one of our benchmarks, and how they read its answer.

Each of `yahpo_api`, `hpobench_api` and `mfpbench_api` gives any `CurveBenchmark` the call shape of another suite, so that
an optimizer that was written for that suite runs on our data. None of them needs the suite to be installed.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Mapping
from typing import Any, Literal

from ConfigSpace import Configuration, Constant, UniformIntegerHyperparameter
from ConfigSpace.hyperparameters import Hyperparameter

from lcbench.benchmark import CurveBenchmark
from lcbench.database import SHIPPED, Database
from lcbench.errors import UserError
from lcbench.formats.lcbench_tags import unit_in_file
from lcbench.metric import SCALES
from lcbench.query import Query, Result, Status
from lcbench.space import checked_configuration, key
from lcbench.tabular import TabularBenchmark
from lcbench.wrappers import NearestRecorded

EPOCH = "epoch"
"""Name of the fidelity in all of these suites."""
Unknown = Literal["refuse", "nearest"]
"""What a table says to a configuration that was not recorded: it refuses, or answers with the nearest one that was."""


def recorded(
    task: str, path: str | os.PathLike[str] = SHIPPED, *, space: str | None = None, unknown: Unknown = "refuse", **options: Any
) -> TabularBenchmark | NearestRecorded:
    """The tabular benchmark of a task, by default in the database that ships; `options` as of `TabularBenchmark`.

    Raises:
        UserError: if there is no such task, option or way with unknown configurations.
    """
    if unknown not in ("refuse", "nearest"):
        raise UserError(f"`unknown` is {unknown!r}, but must be 'refuse' or 'nearest'")
    benchmark = TabularBenchmark(Database(path).table(task, space), **options)
    return benchmark if unknown == "refuse" else NearestRecorded(benchmark)


def whole_epoch(value: Any, first: int, last: int) -> int:
    """`value` as an epoch in first..last; 25.0 is one.

    Raises:
        UserError: if it is none.
    """
    try:
        epoch = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
    except TypeError:
        epoch = first - 1
    if not first <= epoch <= last:
        raise UserError(f"`{EPOCH}` is {value!r}, but must be a whole number in {first}..{last}")
    return epoch


def epoch_hyperparameter(first: int, last: int) -> Hyperparameter:
    """The fidelity as a hyperparameter, by default the last epoch."""
    return UniformIntegerHyperparameter(EPOCH, first, last, default_value=last) if first < last else Constant(EPOCH, last)


def answered(benchmark: CurveBenchmark, values: Mapping[str, Any] | Configuration, epoch: int, seed: int = 0) -> Result:
    """What the benchmark says to these values; the curve begins with entry 0, also where epoch 0 cannot be asked for.

    Raises:
        UserError: if they are no configuration of its space, or it does not know them.
    """
    query = Query(checked_configuration(values, benchmark.space), max(epoch, 1), trial=0, seed=seed)
    if isinstance(benchmark, TabularBenchmark) and (row := benchmark.keys.get(key(values))) is not None:
        return benchmark.answer(query, row)  # with all digits of the source: those of a Configuration are rounded
    return benchmark.evaluate(query)


def entry(result: Result, epoch: int) -> dict[str, float]:
    """What the curve says at an epoch: ``seconds`` and every column in its metric's unit; empty if the training ended before.

    Where a training has diverged, its columns are NaN: a network of NaN predicts one class, and may be right by chance.
    """
    last = result.curve.last_epoch
    if last < epoch:
        return {}
    at = int(result.curve.epochs.searchsorted(epoch))
    diverged = result.status == Status.DIVERGED and epoch == last
    values = {name: math.nan if diverged else float(column[at]) for name, column in result.curve.values.items()}
    return {"seconds": float(result.curve.seconds[at]), **values}


def published(name: str, value: float) -> float:
    """A column's value in the unit of LCBench's files: accuracies in percent, balanced accuracies as fractions."""
    return value / SCALES.get(unit_in_file(name), 1.0) if math.isfinite(value) else value
