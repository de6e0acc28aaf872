"""YAHPO Gym's LCBench surrogate in: a neural network that predicts curves, served as a benchmark (extra: yahpo).

A folder of slds-lmu/yahpo_data (``lcbench/`` of v1.0, Apache-2.0; Pfisterer et al. 2022, arXiv 2109.03670) holds

    model.onnx           the network; scaling of inputs and outputs is inside, so both are in natural units
    config_space.json    the space in ConfigSpace's JSON of 0.4.18, with ``epoch`` and ``OpenML_task_id`` among the hyperparameters
    encoding.json        {"OpenML_task_id": {"#na#": 0, "126025": 1, …}}: the number of each task in the network

yahpo_gym (benchmark_set.py, benchmarks/lcbench.py, yahpo_train/models.py) defines the rest, none of which is in the files:

    input 0, x_cat    (n, 1) int32     number of the task
    input 1, x_cont   (n, 8) float32   `_INPUTS`, in this order, which is not the order of the JSON
    output 0          (n, 6) float32   `_OUTPUTS`: seconds, val_accuracy in percent, the others in nat and fractions

**Epochs.** YAHPO counts LCBench's 52 entries as epochs 1..52, so its epoch k is our epoch k - 1: k = 1 is the untrained
network, our entry 0, and fidelities run 1..51. Later versions of the data cut LCBench differently and are refused.

**What is changed.** Accuracy becomes a fraction. Predicted times go backwards in about one curve of twenty, which no clock
does, so seconds are the running maximum. There is no test_accuracy. All else is the network's word, and the network is a
model: on YAHPO's own test split the rank correlation of val_accuracy is 0.85 for the median task and 0.21 for the worst.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import (
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    Constant,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from ConfigSpace.hyperparameters import Hyperparameter
from numpy.typing import NDArray

from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.metric import Metric, metric_named
from lcbench.query import Query, Result
from lcbench.task import TaskInfo

TASK, EPOCH = "OpenML_task_id", "epoch"
"""Hyperparameters of the JSON that are held fixed: they are no part of our space."""
N_ENTRIES = 52
"""Entries of every curve, our epochs 0..51."""

_INPUTS = ("batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout")  # after the epoch
_OUTPUTS = ("time", "val_accuracy", "val_cross_entropy", "val_balanced_accuracy", "test_cross_entropy", "test_balanced_accuracy")
_LAYOUT = "a folder lcbench/ of slds-lmu/yahpo_data v1.0 is wanted: see the docstring of lcbench/formats/yahpo.py"


@dataclass(frozen=True, eq=False)
class YahpoBenchmark:
    """A curve benchmark that asks YAHPO's network; `read_yahpo` makes it. Deterministic: seeds of queries change nothing."""

    directory: Path
    """Folder of the files."""
    task: TaskInfo
    """The task; only its number is known."""
    space: ConfigurationSpace
    """LCBench's seven hyperparameters with YAHPO's ranges."""
    metric: Metric
    """The metric whose validation loss is optimised."""
    code: int
    """Number of the task in the network."""
    session: Any = field(repr=False)
    """The network, an onnxruntime.InferenceSession of one thread."""
    epochs: int = N_ENTRIES - 1
    """The largest epoch that can be asked for."""

    def __reduce__(self) -> tuple[Any, ...]:
        return read_yahpo, (self.directory, self.task.openml_task_id, self.metric.name)  # a session cannot be pickled

    def evaluate(self, query: Query) -> Result:
        """Predict the curve of entries 0..query.epoch.

        Raises:
            ValueError: if the epoch or the configuration is none that can be asked for.
        """
        if query.epoch > self.epochs:
            raise ValueError(f"`epoch` is {query.epoch}, but must lie in 1..{self.epochs}")
        # Always the whole curve: the arithmetic of a smaller batch could differ in the last bit, and a short curve is a prefix.
        predicted = self.predict(query.configuration)[: query.epoch + 1]
        seconds, *columns = predicted.T
        values = dict(zip(_OUTPUTS[1:], columns, strict=True))
        values["val_accuracy"] = values["val_accuracy"] / 100
        curve = LearningCurve(np.arange(len(seconds)), np.maximum.accumulate(seconds), values)
        loss = self.metric.loss(float(values[self.metric.on("val")][-1]))
        return Result.measured(query, curve, loss, float(curve.seconds[-1]))

    def predict(self, configuration: Configuration) -> NDArray[np.float64]:  # (52, 6)
        """What the network says of all entries: `_OUTPUTS` in YAHPO's units, times as they come.

        Raises:
            ValueError: if the configuration lacks a hyperparameter or leaves its range.
        """
        x = np.empty((N_ENTRIES, 1 + len(_INPUTS)), np.float32)
        x[:, 0] = np.arange(1, N_ENTRIES + 1)  # YAHPO's epoch k is our epoch k - 1
        x[:, 1:] = [self._checked(name, configuration) for name in _INPUTS]
        task = np.full((N_ENTRIES, 1), self.code, np.int32)
        names = [one.name for one in self.session.get_inputs()]
        outputs = self.session.run(None, dict(zip(names, (task, x), strict=True)))
        return np.asarray(outputs[0], np.float64)

    def _checked(self, name: str, configuration: Configuration) -> float:
        hyperparameter, value = self.space[name], configuration.get(name)
        # In float32, as the network reads it: YAHPO's bounds are a rounding error off LCBench's.
        if value is None or not np.float32(hyperparameter.lower) <= np.float32(value) <= np.float32(hyperparameter.upper):
            raise ValueError(f"`{name}` is {value}, but must lie in {hyperparameter.lower:g}..{hyperparameter.upper:g}")
        return float(value)


def read_yahpo(directory: Path, task: int | str, metric: str = "accuracy") -> YahpoBenchmark:
    """The benchmark of one task.

    Args:
        directory: the folder with the three files.
        task: number of the OpenML task, one of `yahpo_tasks`.
        metric: name of the metric that is optimised: accuracy, balanced_accuracy or cross_entropy.

    Raises:
        UserError: if onnxruntime is not installed, a file is missing or other than expected, or the task or metric is not served.
    """
    tasks = yahpo_tasks(directory)
    if str(task) not in tasks:
        raise UserError(f"`task` is {task}, but {str(directory)!r} serves the OpenML tasks {', '.join(tasks)}")
    served = [name.removeprefix("val_") for name in _OUTPUTS if name.startswith("val_")]
    if metric not in served:
        raise UserError(f"`metric` is {metric!r}, but YAHPO predicts {', '.join(served)}")
    codes = _json(directory / "encoding.json").get(TASK)
    if not isinstance(codes, dict) or not isinstance(codes.get(str(task)), int):
        raise UserError(f"{str(directory / 'encoding.json')!r} has no whole number for task {task} under {TASK!r}: {_LAYOUT}")
    benchmark = YahpoBenchmark(
        directory=directory,
        task=_task_info(int(task)),
        space=_space(directory),
        metric=metric_named(metric),
        code=codes[str(task)],
        session=_session(directory / "model.onnx"),
    )
    _check_model(benchmark)
    return benchmark


def yahpo_tasks(directory: Path) -> tuple[str, ...]:
    """Numbers of the OpenML tasks that the folder serves.

    Raises:
        UserError: if the file of the space is missing or other than expected.
    """
    task = _hyperparameters(directory / "config_space.json").get(TASK, {})
    choices = task.get("choices", ())
    if not choices or not all(isinstance(choice, str) and choice.isdecimal() for choice in choices):
        raise UserError(f"{str(directory / 'config_space.json')!r} lists no task numbers as choices of {TASK!r}: {_LAYOUT}")
    return tuple(choices)


def _space(directory: Path) -> ConfigurationSpace:
    path = directory / "config_space.json"
    entries = _hyperparameters(path)
    epoch = entries.get(EPOCH, {})
    if (epoch.get("lower"), epoch.get("upper")) != (1, N_ENTRIES):
        raise UserError(f"{str(path)!r}: `epoch` runs {epoch.get('lower')}..{epoch.get('upper')} instead of 1..{N_ENTRIES}: {_LAYOUT}")
    space = space_of_entries(path, {name: entry for name, entry in entries.items() if name not in (TASK, EPOCH)})
    numbers = [name for name in space if isinstance(space[name], UniformFloatHyperparameter | UniformIntegerHyperparameter)]
    if set(numbers) != set(_INPUTS) or len(space) != len(_INPUTS):
        raise UserError(f"{str(path)!r} has the hyperparameters {sorted(space)}, but the numbers {sorted(_INPUTS)} are wanted: {_LAYOUT}")
    return space


def space_of_entries(path: Path, entries: dict[str, dict[str, Any]]) -> ConfigurationSpace:
    """A space of today's ConfigSpace from entries of the JSON of 0.4: uniform numbers, categories and constants.

    Raises:
        UserError: if an entry is of another type, or ConfigSpace refuses it.
    """
    space = ConfigurationSpace(name="lcbench_yahpo")
    for name, entry in entries.items():
        try:
            space.add(_hyperparameter(name, entry))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{str(path)!r}: hyperparameter {name!r} cannot be read from {entry} ({error!r}): {_LAYOUT}") from error
    return space


def _hyperparameter(name: str, entry: dict[str, Any]) -> Hyperparameter:
    if entry.get("q") is not None:
        raise ValueError("quantised hyperparameters are not supported")
    match entry["type"]:
        case "uniform_int":
            return UniformIntegerHyperparameter(name, entry["lower"], entry["upper"], entry["default"], log=entry["log"])
        case "uniform_float":
            return UniformFloatHyperparameter(name, entry["lower"], entry["upper"], entry["default"], log=entry["log"])
        case "categorical":
            weights = entry.get("probabilities") or entry.get("weights")
            return CategoricalHyperparameter(name, entry["choices"], default_value=entry["default"], weights=weights)
        case "constant":
            return Constant(name, entry["value"])
    raise ValueError("its type must be uniform_int, uniform_float, categorical or constant")


def _hyperparameters(path: Path) -> dict[str, dict[str, Any]]:
    document = _json(path)
    entries = document.get("hyperparameters")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in entries):
        raise UserError(f"{str(path)!r} has no list of named `hyperparameters`: {_LAYOUT}")
    if document.get("conditions") or document.get("forbiddens"):
        raise UserError(f"{str(path)!r} has conditions or forbidden clauses, but YAHPO's LCBench space has none: {_LAYOUT}")
    return {entry["name"]: entry for entry in entries}


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{str(path)!r} cannot be read ({error}): {_LAYOUT}") from error
    if not isinstance(document, dict):
        raise UserError(f"{str(path)!r} holds no JSON object: {_LAYOUT}")
    return document


def _session(path: Path) -> Any:
    try:
        onnxruntime = import_module("onnxruntime")  # optional, and slow to import
    except ImportError as error:
        raise UserError("YAHPO's networks need the package onnxruntime, which is not installed: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # 52 rows: more threads only cost time
    options.log_severity_level = 4  # what goes wrong is said by the errors below, once
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no other base class
        raise UserError(f"{str(path)!r} cannot be read as a network ({_first_line(error)}): {_LAYOUT}") from error


def _check_model(benchmark: YahpoBenchmark) -> None:
    path = benchmark.directory / "model.onnx"
    try:
        shape = benchmark.predict(benchmark.space.get_default_configuration()).shape
    except Exception as error:  # as above
        raise UserError(f"{str(path)!r} does not take a task and 8 numbers a row ({_first_line(error)}): {_LAYOUT}") from error
    if shape != (N_ENTRIES, len(_OUTPUTS)):
        raise UserError(f"{str(path)!r} predicts an array of shape {shape} instead of {(N_ENTRIES, len(_OUTPUTS))}: {_LAYOUT}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [repr(error)])[0]


def _task_info(number: int) -> TaskInfo:
    return TaskInfo(
        name=f"openml_{number}",
        kind="classification",
        openml_task_id=number,
        fold=0,
        split="LCBench's own, not described in YAHPO's files",
        n_train=0,
        n_val=0,
        n_test=0,
        n_features=0,
        n_classes=0,
    )
