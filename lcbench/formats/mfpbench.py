"""mf-prior-bench tables in and out: one parquet file per LCBench task, one row per configuration and epoch.

mf-prior-bench (automl/mf-prior-bench 1.10.0, setup_benchmark.py and lcbench_tabular/benchmark.py) makes ``<task>.parquet``
from LCBench's JSON. A pandas MultiIndex holds

    id      text, LCBench's number of the configuration
    epoch   0..51; entry 0 is the untrained network, and mf-prior-bench drops it when it loads the file

and the columns are

    time                                   cumulative seconds
    {val,test}_accuracy                    percent; LCBench's Train/test_result is test_accuracy here
    {val,test}_balanced_accuracy           fractions
    {val,test}_cross_entropy               nat
    batch_size, learning_rate, …           LCBench's seven hyperparameters
    loss, optimizer, network, …            what LCBench never varies (`lcbench_tags.CONSTANTS`) and cosine_annealing_T_max.
                                           ``loss`` is the *name* of the loss: it overwrote the column of Train/loss

What the format does not hold: train metrics, seeds, statuses and errors, origins, numbers of parameters, further results,
anything about the task but its name, and whether rows were taken from one run or several.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ConfigSpace.hyperparameters import IntegerHyperparameter
from numpy.typing import NDArray

from lcbench.columns import encode_column
from lcbench.errors import UserError
from lcbench.files import replacing
from lcbench.formats.lcbench_tags import CONSTANTS, HORIZON, unit_in_file
from lcbench.metric import SCALES
from lcbench.schema import STATUSES, UNFINISHED
from lcbench.space import key, lcbench_space
from lcbench.table import NUMBERS, CurveTable
from lcbench.task import TaskInfo

if TYPE_CHECKING:
    import pandas as pd

METRICS = tuple(f"{split}_{name}" for split in ("val", "test") for name in ("accuracy", "balanced_accuracy", "cross_entropy"))
"""Planes that the format holds, under the same names as ours."""
OBJECTIVE = "val_accuracy"
"""What LCBench was optimised for in most studies; mf-prior-bench's own default is val_balanced_accuracy."""

_SPACE = lcbench_space()
_KNOWN = {"id", "epoch", "time", HORIZON, *METRICS, *CONSTANTS, *_SPACE}
_LAYOUT = "the layout is described in lcbench/formats/mfpbench.py"


class _Grids(NamedTuple):
    """The numbers of a file: n configurations, E epochs."""

    ids: list[int]
    first: int  # the first epoch, 0 or 1
    values: dict[str, NDArray[np.float64]]  # {column: (n, E)}


def read_mfpbench(path: Path) -> CurveTable:
    """Read one table; the task is named after the file, trials are the ids, rows are in their order.

    An epoch without a time was not recorded: `write_mfpbench` fills short trainings so. Where a file starts at epoch 1,
    entry 0 has NaN in every metric and 0 seconds. A training is ``diverged`` if its last validation accuracy is not finite
    and ``unfinished`` if it has no entry; its seed is 0. Values are float32 where that loses nothing, else float64. Metrics
    without a single number are left out.

    Raises:
        UserError: if the file cannot be read or is laid out in any other way.
    """
    frame = _frame(path)
    grids = _grids(path, frame)
    seconds, curves = _recorded(path, grids)
    configurations = _configurations(path, grids)
    metrics = tuple(name for name, plane in zip(METRICS, curves, strict=True) if name == OBJECTIVE or not np.isnan(plane).all())
    curves = curves[[METRICS.index(name) for name in metrics]]
    return CurveTable(
        task=_task(path.stem),
        space=lcbench_space(),
        objective=OBJECTIVE,
        provenance=_provenance(path, frame),
        metrics=metrics,
        units=tuple(unit_in_file(name) for name in metrics),
        curves=curves.astype(np.float32) if _is_float32(curves) else curves,
        seconds=seconds,
        columns=_columns(grids, configurations, seconds, curves[metrics.index(OBJECTIVE)]),
        configs={name: encode_column(_SPACE[name], configurations) for name in _SPACE},
    )


def write_mfpbench(table: CurveTable, path: Path) -> None:
    """Write `table` so that mf-prior-bench and `read_mfpbench` read it; an existing file is replaced at once or not at all.

    Accuracies are converted to percent. Ids are the trials, or the numbers of the rows where trials repeat. All
    configurations get the same epochs, as mf-prior-bench demands: what a training did not reach has neither time nor
    values, and mf-prior-bench answers such a query with an error. Constants of the network are taken from
    ``provenance["constants"]`` and empty where that does not say.

    Raises:
        UserError: if the table is empty or not of the LCBench space, which is the only one that the format knows.
    """
    import pandas as pd

    if set(table.space) != set(_SPACE):
        raise UserError(f"the table has the hyperparameters {sorted(table.space)}, but mf-prior-bench's tables hold {sorted(_SPACE)}")
    n, t = table.seconds.shape
    if not n or not t:
        raise UserError(f"the table of {table.task.name!r} has {n} trainings of up to {t} entries, but at least one of each is wanted")
    trials = table.columns["trial"]
    ids = trials if len(set(trials.tolist())) == n else np.arange(n)
    constants = table.provenance.get("constants", {})
    columns: dict[str, Any] = {"id": np.repeat(ids.astype(str).astype(object), t), "epoch": np.tile(np.arange(t), n)}
    columns["time"] = table.seconds.ravel()
    columns |= {name: _in_file(table, name).ravel() for name in METRICS}
    columns |= {name: constants.get(name) for name in CONSTANTS}
    columns[HORIZON] = np.repeat(table.columns["horizon"], t)
    columns |= {name: np.repeat(_numbers(table, name), t) for name in _SPACE}
    frame = pd.DataFrame(columns, index=pd.RangeIndex(n * t)).set_index(["id", "epoch"]).sort_index()
    with replacing(path) as temporary:
        frame.to_parquet(temporary)


def _in_file(table: CurveTable, metric: str) -> NDArray[np.float64]:  # (n, T)
    if metric not in table.metrics:
        return np.full(table.seconds.shape, np.nan)
    plane = table.plane(metric)
    scale = SCALES.get(table.units[plane], 1.0) / SCALES.get(unit_in_file(metric), 1.0)
    values = table.curves[plane].astype(np.float64)
    return values if scale == 1.0 else values * scale


def _numbers(table: CurveTable, name: str) -> NDArray[Any]:  # (n,)
    values = table.configs[name].values
    if values.dtype == object or not (legal := _is_legal(name, values)).all():
        strange = values[0] if values.dtype == object else values[~legal][0]
        raise UserError(f"`{name}` is {strange} in the table of {table.task.name!r}, but {_range(name)}")
    return values.astype(np.int64) if isinstance(_SPACE[name], IntegerHyperparameter) else values


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd
    from pyarrow import ArrowException

    if path.suffix != ".parquet":
        raise UserError(f"`path` is {str(path)!r}, but a table of mf-prior-bench is a file <task>.parquet")
    try:
        frame = pd.read_parquet(path)
    except (OSError, ArrowException, ValueError) as error:
        raise UserError(f"{str(path)!r} cannot be read as parquet ({str(error).splitlines()[0]}): fetch or write it again") from error
    if not {"id", "epoch"}.isdisjoint(frame.index.names):
        frame = frame.reset_index()
    wanted, found = {"id", "epoch", "time", *METRICS, *_SPACE}, set(frame.columns)
    if wanted - found or found - _KNOWN or not len(frame):
        raise UserError(
            f"{str(path)!r} has {len(frame)} rows, lacks the columns {sorted(wanted - found)} and has the unknown columns "
            f"{sorted(found - _KNOWN)}: {_LAYOUT}"
        )
    return frame


def _grids(path: Path, frame: pd.DataFrame) -> _Grids:
    texts = frame["id"].astype(str)
    if strange := sorted(set(texts[~texts.str.fullmatch("[0-9]{1,18}")])):
        raise UserError(f"{str(path)!r} has the id {strange[0]!r}, but ids are the numbers of configurations: {_LAYOUT}")
    ids, epochs = texts.astype(np.int64).to_numpy(), _floats(path, frame, "epoch")
    order = np.lexsort((epochs, ids))
    unique, counts = np.unique(ids, return_counts=True)
    shape = len(unique), int(counts[0])
    first = epochs[order[0]]
    if not (counts == shape[1]).all() or first not in (0, 1) or not (epochs[order].reshape(shape) == first + np.arange(shape[1])).all():
        raise UserError(f"{str(path)!r} does not have one row for each id and each epoch from 0 or 1 up to one end: {_LAYOUT}")
    names = ["time", *METRICS, *_SPACE, *({HORIZON} & set(frame.columns))]
    return _Grids(unique.tolist(), int(first), {name: _floats(path, frame, name)[order].reshape(shape) for name in names})


def _floats(path: Path, frame: pd.DataFrame, name: str) -> NDArray[np.float64]:  # (rows,)
    try:
        return frame[name].to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise UserError(f"{str(path)!r}: column {name!r} is {frame[name].dtype} ({error}), but must hold numbers: {_LAYOUT}") from error


def _recorded(path: Path, grids: _Grids) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # (n, T), (M, n, T)
    seconds, curves = grids.values["time"], np.stack([grids.values[name] for name in METRICS])
    missing = np.isnan(seconds)
    with np.errstate(invalid="ignore"):
        wrong = (missing[:, :-1] & ~missing[:, 1:]) | (np.diff(seconds) < 0)  # NaN compares false
    laws = {"never decrease, and be missing at the end alone": wrong, "be there with values": missing & ~np.isnan(curves).all(axis=0)}
    for law, broken in laws.items():
        if broken.any():
            raise UserError(f"{str(path)!r}: `time` of id {grids.ids[int(broken.any(axis=1).argmax())]} must {law}: {_LAYOUT}")
    if grids.first == 1:
        curves = np.pad(curves, ((0, 0), (0, 0), (1, 0)), constant_values=np.nan)
        seconds = np.concatenate([np.where(missing[:, :1], np.nan, 0.0), seconds], axis=1)
    return seconds, curves


def _configurations(path: Path, grids: _Grids) -> list[dict[str, Any]]:
    columns = {}
    for name, hyperparameter in _SPACE.items():
        values = grids.values[name]
        bad = ~(_is_legal(name, values) & (values == values[:, :1])).all(axis=1)
        if bad.any():
            i = int(bad.argmax())
            raise UserError(f"{str(path)!r}: `{name}` of id {grids.ids[i]} is {sorted(set(values[i].tolist()))}, but {_range(name)}")
        integer = isinstance(hyperparameter, IntegerHyperparameter)
        columns[name] = (values[:, 0].astype(np.int64) if integer else values[:, 0]).tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _is_legal(name: str, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    hyperparameter = _SPACE[name]
    legal = (values >= hyperparameter.lower) & (values <= hyperparameter.upper)
    return legal & (values == np.round(values)) if isinstance(hyperparameter, IntegerHyperparameter) else legal


def _range(name: str) -> str:
    whole = "whole number" if isinstance(_SPACE[name], IntegerHyperparameter) else "number"
    return f"LCBench has one {whole} from {_SPACE[name].lower:g} to {_SPACE[name].upper:g} for each configuration"


def _is_float32(values: NDArray[np.float64]) -> bool:
    with np.errstate(over="ignore"):
        return np.array_equal(values.astype(np.float32).astype(np.float64), values, equal_nan=True)


def _columns(
    grids: _Grids, configurations: list[dict[str, Any]], seconds: NDArray[np.float64], objective: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    n, t = seconds.shape
    length = t - np.isnan(seconds).sum(axis=1)
    horizon = grids.values[HORIZON][:, 0] if HORIZON in grids.values else np.full(n, np.nan)
    last = objective[np.arange(n), length - 1]
    status = np.where(np.isfinite(last), STATUSES.index("success"), STATUSES.index("diverged"))
    numbers = {
        "length": length,
        "trial": grids.ids,
        "seed": np.zeros(n),
        "horizon": np.where(np.isnan(horizon), t - 1, horizon),
        "n_parameters": np.full(n, -1),
        "status": np.where(length > 0, status, STATUSES.index(UNFINISHED)),
    }
    texts = {"error": [""] * n, "key": [key(row) for row in configurations], "origin": ["random"] * n}
    return {name: np.array(values).astype(NUMBERS[name]) for name, values in numbers.items()} | {
        name: np.array(values, object) for name, values in texts.items()
    }


def _task(name: str) -> TaskInfo:
    return TaskInfo(
        name=name,
        kind="classification",
        openml_task_id=None,
        fold=0,
        split="not recorded; LCBench's own, if the table comes from LCBench",
        n_train=0,
        n_val=0,
        n_test=0,
        n_features=0,
        n_classes=0,
    )


def _provenance(path: Path, frame: pd.DataFrame) -> dict[str, Any]:
    constants: dict[str, Any] = {}
    for name in CONSTANTS.keys() & set(frame.columns):
        values = frame[name].dropna().unique().tolist()
        if len(values) > 1:
            raise UserError(f"{str(path)!r}: `{name}` is {values[:3]}, but LCBench never varies it: {_LAYOUT}")
        if values:
            constants[name] = values[0]
    return {
        "licence": "LCBench's data are Apache-2.0; a table that somebody else wrote has terms of its own",
        "source": f"mf-prior-bench table {path.name}",
        "seeds": "not recorded, written as 0",
        "constants": {name: constants[name] for name in CONSTANTS if name in constants},
    }
