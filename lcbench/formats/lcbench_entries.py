"""Entries of LCBench's published files as rows of a table; everything that is read is checked, nothing is guessed in silence.

What is not what LCBench's files hold is refused with its name; names in `ignore` are left out before anything is checked.
What can be read in one way only is read, and a note says so: a time that runs backwards is set to the largest before it, a
metric that a training lacks is NaN, a missing seed is 1. A training whose last validation accuracy or cross-entropy is not
finite is ``diverged`` and keeps all its entries; one with fewer epochs than its horizon is ``unfinished``.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from ConfigSpace.hyperparameters import Hyperparameter, IntegerHyperparameter
from numpy.typing import DTypeLike, NDArray

from lcbench.columns import Column
from lcbench.formats.lcbench_layout import (
    DAMAGED,
    Place,
    Run,
    agreed,
    number,
    number_lists,
    refuse_unknown,
    runs_of,
    value_of,
    whole_number,
)
from lcbench.formats.lcbench_tags import CONSTANTS, HORIZON, RESPLIT, RESULTS, TASK_RESULTS, TASKS, column_of, layer_of, unit_in_file
from lcbench.query import Origin, Status
from lcbench.schema import STATUSES, UNFINISHED
from lcbench.space import key, lcbench_space
from lcbench.table import NUMBERS, CurveTable
from lcbench.task import TaskInfo

OBJECTIVE = "val_accuracy"
SEED = 1
"""Seed of LCBench's standard file, assumed where an entry does not say it."""
ORIGIN = Origin.RANDOM
"""LCBench's configurations are random draws."""
LICENCE = "not stated"
"""The published files are Apache-2.0, but a file does not say of itself that it is one of them."""
RECORDED = "when is not known: the published files do not say it"

_RESULTS = dict.fromkeys((*RESULTS, *TASK_RESULTS, "model_parameters", "budget", "seed"))
_HYPERPARAMETERS = tuple(lcbench_space())
_KEYS = dict.fromkeys((*_HYPERPARAMETERS, *CONSTANTS, HORIZON))
_REQUIRED = ("time", "epoch", "Train/val_accuracy")
_VALIDATION = 0.33  # of the rows that are not tested on
_ABSENT = object()
_NO_SEED = f"`seed` is missing in {{}}: {SEED} assumed"
_BAD_TIME = "`time` runs backwards or is not finite in {}: set to the largest before it"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")  # of 64 bits
_IN_SPLIT = "then 33 % of the training rows for validation, shuffled with seed 42; numbers of rows derived from the published fraction"


class _Signature(NamedTuple):
    """What the tags of a log say, worked out once for all logs that have them."""

    tags: list[str]  # time, epoch, then the k that are planes
    planes: NDArray[np.int64]  # (k,)


@dataclass
class Entries:
    """The trainings of one data set, collected one by one; `table` makes them one table."""

    source: str
    """Name of the file, for messages."""
    task: str
    """Name of the data set."""
    dtype: DTypeLike
    """float32 or float64: how values are held."""
    ignore: Collection[str] = ()
    """Names of tags, results and keys of a configuration that are left out."""

    def __post_init__(self) -> None:
        self._space = lcbench_space()
        self._planes: dict[str, int] = {}
        self._signatures: dict[tuple[Any, ...], _Signature] = {}
        self._n_with: Counter[tuple[Any, ...]] = Counter()  # trainings, by signature
        self._curves: list[tuple[NDArray[np.int64], NDArray[Any]]] = []  # planes (k,) and values (k, length) of every row
        self._seconds: list[NDArray[np.float64]] = []
        self._columns: dict[str, list[Any]] = {name: [] for name in ("trial", "seed", "horizon", "n_parameters", "key")}
        self._configs: dict[str, list[Any]] = {name: [] for name in self._space}
        self._results: dict[str, list[float]] = {name: [] for name in RESULTS}
        self._constants: dict[str, Any] | None = None
        self._facts: dict[str, Any] | None = None
        self._trials: dict[int, str] = {}  # the key of its last configuration
        self._ambiguous: set[int] = set()  # trials with several configurations
        self._counts: Counter[str] = Counter()  # of what the notes tell

    def __len__(self) -> int:
        return len(self._seconds)

    def add(self, config_id: str, entry: Any) -> None:
        """Add the trainings of one entry.

        Raises:
            UserError: if anything in it is not what LCBench's files hold.
        """
        place = Place(self.source, self.task, config_id)
        if not _NUMBER.fullmatch(config_id):
            raise place.refusal("configuration", config_id, "must be a whole number", todo=DAMAGED)
        trial = int(config_id)
        if trial in self._trials:
            raise place.refusal("configuration", config_id, "must not stand twice in a data set", todo=DAMAGED)
        self._trials[trial] = ""
        for run in runs_of(place, entry):
            self._add_run(trial, self._kept(run) if self.ignore else run)

    def _kept(self, run: Run) -> Run:
        config, results, log = ({k: v for k, v in part.items() if k not in self.ignore} for part in (run.config, run.results, run.log))
        return run._replace(config=config, results=results, log=log)

    def _add_run(self, trial: int, run: Run) -> None:
        place, results = run.place, run.results
        refuse_unknown(place, results, _RESULTS, "results")
        self._constants = self._same(place, self._constants, {k: run.config[k] for k in CONSTANTS if k in run.config})
        self._facts = self._same(place, self._facts, {k: results[k] for k in TASK_RESULTS if k in results})
        values = self._configuration(run)
        row = {
            "trial": trial,
            "seed": agreed(place, {"seed as key": run.seed, "seed": results.get("seed")}, 0),
            "horizon": agreed(place, {"budget as key": run.budget, "budget": results.get("budget"), HORIZON: run.config.get(HORIZON)}, 1),
            "n_parameters": whole_number(place, "model_parameters", results["model_parameters"], 0)
            if "model_parameters" in results
            else -1,
            "key": self._named(trial, values),
        }
        if row["horizon"] is None:
            raise place.refusal("budget", None, f"`budget` or `{HORIZON}` must say the annealing horizon", todo=DAMAGED)
        if row["seed"] is None:
            row["seed"] = SEED
            self._counts[_NO_SEED] += 1
        self._add_curve(run, values)
        for name, value in row.items():
            self._columns[name].append(value)
        for name, value in zip(self._configs, values, strict=True):
            self._configs[name].append(value)
        for name, finals in self._results.items():
            finals.append(number(place, name, results[name]) if name in results else math.nan)

    def _same(self, place: Place, known: dict[str, Any] | None, found: dict[str, Any]) -> dict[str, Any]:
        """What is equal in every entry of a data set."""
        if known is not None and known != found:
            name = min(name for name in {**known, **found} if known.get(name, _ABSENT) != found.get(name, _ABSENT))
            raise place.refusal(name, found.get(name), f"the entries before have {reprlib.repr(known.get(name))}, and all must be equal")
        return found if known is None else known

    def _configuration(self, run: Run) -> tuple[Any, ...]:
        """The seven values in the order of the space."""
        place, config = run.place, run.config
        refuse_unknown(place, config, _KEYS, "a configuration")
        return tuple(value_of(place, hyperparameter, config.get(name)) for name, hyperparameter in self._space.items())

    def _named(self, trial: int, values: tuple[Any, ...]) -> str:
        """The key of a configuration; notes if its number stood for another one before."""
        found = _key(values)
        if self._trials[trial] not in ("", found):
            self._ambiguous.add(trial)
        self._trials[trial] = found
        return found

    # ------------------------------------------------------------------------------------------------------------ curves

    def _add_curve(self, run: Run, values: tuple[Any, ...]) -> None:
        n_layers = values[_HYPERPARAMETERS.index("num_layers")]
        name = (*run.log, n_layers)
        self._n_with[name] += 1
        signature = self._signatures.get(name)
        if signature is None:
            signature = self._signatures[name] = self._signature(run, n_layers)
        numbers = number_lists(run.place, run.log, signature.tags)
        seconds, epochs = numbers[0], numbers[1]
        if not np.array_equal(epochs, _epochs(len(epochs))):
            raise run.place.refusal("epoch", run.log["epoch"], f"must be 0, 1, …, {len(epochs) - 1}", todo=DAMAGED)
        with np.errstate(over="ignore"):  # beyond float32 a value is infinite
            self._curves.append((signature.planes, numbers[2:].astype(self.dtype)))
        self._seconds.append(self._mended(seconds))

    def _signature(self, run: Run, n_layers: int) -> _Signature:
        tags = [tag for tag in run.log if tag not in ("time", "epoch")]
        for tag in _REQUIRED:
            if tag not in run.log:
                raise run.place.refusal(tag, None, "every log must have it", todo=DAMAGED)
        for tag in tags:
            column = column_of(tag)
            if column is None:
                raise run.place.refusal(tag, run.log[tag], "LCBench's files have no such tag")
            layer = layer_of(column)
            if layer is not None and layer >= n_layers:
                raise run.place.refusal(tag, run.log[tag], f"this network has {n_layers} layers, counted from 0")
            self._planes.setdefault(column, len(self._planes))
        return _Signature(["time", "epoch", *tags], np.array([self._planes[str(column_of(tag))] for tag in tags], np.int64))

    def _mended(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:  # (length,)
        if np.isfinite(seconds[[0, -1]] if len(seconds) else seconds).all() and (seconds[1:] >= seconds[:-1]).all():
            return seconds.copy()  # not a view of all numbers
        self._counts[_BAD_TIME] += 1
        largest = np.maximum.accumulate(np.where(np.isfinite(seconds), seconds, -np.inf))
        return np.where(np.isfinite(largest), largest, 0.0)

    # ------------------------------------------------------------------------------------------------------------- table

    def table(self) -> CurveTable:
        """All trainings that were added, in their order; `provenance` lacks what is known of the file as a whole."""
        n, lengths = len(self), np.array([len(seconds) for seconds in self._seconds], NUMBERS["length"])
        curves = np.full((len(self._planes), n, lengths.max(initial=0)), np.nan, self.dtype)
        seconds = np.full(curves.shape[1:], np.nan)
        for i, ((planes, values), times) in enumerate(zip(self._curves, self._seconds, strict=True)):
            curves[planes, i, : len(times)] = values
            seconds[i, : len(times)] = times
        self._curves.clear()  # they are in the table now
        metrics = tuple(self._planes)
        status, errors = _outcomes(dict(zip(metrics, curves, strict=True)), lengths, np.array(self._columns["horizon"]))
        numbers = {name: np.array(self._columns[name], NUMBERS[name]) for name in ("trial", "seed", "horizon", "n_parameters")}
        texts = {"key": self._columns["key"], "error": errors, "origin": [str(ORIGIN)] * n}
        task = self._task_info()
        return CurveTable(
            task=task,
            space=self._space,
            objective=OBJECTIVE,
            provenance={
                "licence": LICENCE,
                "recorded": RECORDED,
                "constants": self._constants or {},
                "published": self._facts or {},
                "notes": self._notes(task.openml_task_id),
            },
            metrics=metrics,
            units=tuple(unit_in_file(name) for name in metrics),
            curves=curves,
            seconds=seconds,
            columns=numbers | {"length": lengths, "status": status} | {name: np.array(t, object) for name, t in texts.items()},
            configs={name: _column(self._space[name], values) for name, values in self._configs.items()},
            results={k: np.array(v, np.float64) for k, v in self._results.items() if not all(map(math.isnan, v))},
        )

    def _task_info(self) -> TaskInfo:
        facts, place = self._facts or {}, self._place()
        task_id = facts.get("OpenML_task_id", TASKS.get(self.task))
        if task_id is not None:
            task_id = whole_number(place, "OpenML_task_id", task_id, 0)
        if task_id != TASKS.get(self.task, task_id) and task_id in TASKS.values():
            raise place.refusal("OpenML_task_id", task_id, f"{self.task} is task {TASKS[self.task]}, and {task_id} is another data set")
        n, n_classes, n_features = (
            whole_number(place, name, facts[name], 1) if name in facts else 0 for name in ("instances", "classes", "features")
        )
        fraction = number(place, "test_split", facts.get("test_split", 0.0))
        if not 0 <= fraction < 1:
            raise place.refusal("test_split", fraction, "must be a fraction in [0, 1)")
        n_test = round(n * fraction)
        n_train = int((n - n_test) * (1 - _VALIDATION))  # as the generator cuts
        sizes = {"n_train": n_train, "n_val": n - n_test - n_train, "n_test": n_test, "n_features": n_features, "n_classes": n_classes}
        return TaskInfo(name=self.task, kind="classification", openml_task_id=task_id, fold=0, split=self._split(task_id), **sizes)

    def _split(self, task_id: int | None) -> str:
        if self.task not in TASKS or task_id != TASKS[self.task]:
            return f"as published, how the test rows were chosen is not known; {_IN_SPLIT}"
        if self.task in RESPLIT:
            return f"33 % test with seed 42, stratified by class, one of the {len(RESPLIT)} tasks that LCBench split itself; {_IN_SPLIT}"
        return f"OpenML's own hold-out split; {_IN_SPLIT}"

    def _notes(self, task_id: int | None) -> list[str]:
        """What a user should know of this data set, sentences."""
        notes = [what.format(f"{n} of {len(self)} trainings") for what, n in self._counts.items()]
        if self._ambiguous:
            share = f"{len(self._ambiguous)} of {len(self._trials)}"
            notes.append(f"not the same configuration at all budgets under {share} numbers")
        for column in self._planes:
            layer = layer_of(column)
            lacking = [n for name, n in self._n_with.items() if self._planes[column] not in self._signatures[name].planes]
            expected = [n for name, n in self._n_with.items() if layer is None or layer < name[-1]]
            n_lacking = sum(lacking) - (len(self) - sum(expected))
            if n_lacking:
                notes.append(f"`{column}` is missing in {n_lacking} of {sum(expected)} trainings: NaN")
        if task_id != TASKS.get(self.task, task_id):
            notes.append(f"`OpenML_task_id` is {task_id} in the file, but {TASKS[self.task]} was expected: kept as it is in the file")
        for name, value in (self._constants or {}).items():
            if value != CONSTANTS[name]:
                notes.append(f"`{name}` is {value!r} in the file, but {CONSTANTS[name]!r} was expected: kept as it is in the file")
        return notes

    def _place(self) -> Place:
        return Place(self.source, self.task, str(self._columns["trial"][0]) if len(self) else "none")


@lru_cache(maxsize=1 << 15)  # every data set of a file has the same configurations
def _key(values: tuple[Any, ...]) -> str:
    return key(dict(zip(_HYPERPARAMETERS, values, strict=True)))


@lru_cache(maxsize=1 << 10)
def _epochs(length: int) -> NDArray[np.int64]:  # (length,)
    return np.arange(length)


def _column(hyperparameter: Hyperparameter, values: list[Any]) -> Column:
    return Column("integer" if isinstance(hyperparameter, IntegerHyperparameter) else "float", np.array(values, np.float64))


def _outcomes(
    planes: Mapping[str, NDArray[Any]], lengths: NDArray[np.int32], horizons: NDArray[np.int64]
) -> tuple[NDArray[np.int8], list[str]]:
    """How every training ended, (n,), and n texts about it."""
    status = np.full(len(lengths), STATUSES.index(Status.SUCCESS), NUMBERS["status"])
    errors = [""] * len(lengths)
    for name in ("val_accuracy", "val_cross_entropy"):
        if name not in planes or not planes[name].shape[1]:
            continue
        last = planes[name][np.arange(len(lengths)), np.maximum(lengths - 1, 0)]
        for i in np.flatnonzero(~np.isfinite(last)):
            status[i], errors[i] = STATUSES.index(Status.DIVERGED), f"{name} is {last[i]} after epoch {lengths[i] - 1}"
    for i in np.flatnonzero(lengths <= horizons):
        status[i], errors[i] = STATUSES.index(UNFINISHED), ""
    return status, errors
