"""The runs of one data set as LCBench names them: every tag of a table, its value in LCBench's units, and rankings.

This is what stands behind `lcbench_api.Benchmark`. Notation: n trainings (rows of the table), T the longest curve.
"""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lcbench.columns import INACTIVE, decode_column
from lcbench.errors import UserError
from lcbench.formats.lcbench_tags import CONSTANTS, HORIZON, RESULTS, STATISTICS, layer_of, tag_of, unit_in_file
from lcbench.metric import METRICS, SCALES, unit_of
from lcbench.schema import PER_SEED
from lcbench.space import lcbench_space
from lcbench.table import CurveTable

Direction = Literal["min", "max"]
"""Which end of a criterion is the best."""

_METRIC_TAGS = (
    "loss",
    *(f"{split}_{name}" for name in ("accuracy", "cross_entropy", "balanced_accuracy") for split in ("train", "val")),
    *("test_result", "test_cross_entropy", "test_balanced_accuracy"),
)
_RANKS = {"time": -2, "epoch": -1} | {f"Train/{name}": i for i, name in enumerate((*_METRIC_TAGS, *(f"gradient_{s}" for s in STATISTICS)))}
_RANKS |= {"Train/gradient_norm": 101, "Train/lr": 102}  # layers are 100, everything that LCBench does not have 103
_LAYERS = "Train/layer_wise_gradient_"
_CONFIG = (
    "batch_size imputation_strategy learning_rate_scheduler loss network max_dropout normalization_strategy optimizer "
    f"{HORIZON} cosine_annealing_eta_min activation max_units mlp_shape num_layers learning_rate momentum weight_decay"
).split()


class NotRecordedError(UserError, KeyError, IndexError):
    """A data set, tag, configuration or position that is not there, with what is.

    LCBench raises ValueError, KeyError or IndexError, depending on the method; this is all three.
    """

    __str__ = Exception.__str__  # that of KeyError would put the sentence in quotes


def known(name: str, names: Sequence[str]) -> str:
    """The names there are, the ones that are nearest to `name` first; all of them where they are few."""
    near = difflib.get_close_matches(str(name), names, n=3)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    return (", ".join(names) if len(names) <= 40 else f"{len(names)} names, e.g. {', '.join(names[:5])}") + hint


Reader = Callable[[int], Any]
"""From a row of a table to a value; raises KeyError where the row has none."""


class Dataset:
    """One table with one training per configuration, and a reader for every tag."""

    def __init__(self, name: str, table: CurveTable, budget: int | None, seed: int | None) -> None:
        self.name, self.table = name, table
        chosen = _chosen(table, budget, seed)
        trials = (table.columns["trial"][chosen] % PER_SEED).tolist()
        self.ids: list[int] = trials if len({*trials}) == len(trials) else [*range(len(trials))]
        """Numbers of the configurations: those of the trials of their seed, or where these are not unique, the position in the table."""
        rows = dict(zip(self.ids, chosen.tolist(), strict=True))
        self.rows: dict[int | str, int] = {**rows, **{str(config_id): row for config_id, row in rows.items()}}
        self.lengths: list[int] = table.columns["length"].tolist()
        self.planes, configs = _planes(table), _configs(table)
        self.parts: dict[str, dict[str, Reader]] = {
            "log": {tag: self._list_reader(tag) for tag in sorted(self.planes, key=_rank)},
            "results": {tag: _scalar_reader(tag, values) for tag, values in _scalars(table).items()},
            "config": {tag: _scalar_reader(tag, values) for tag, values in configs.items()},
        }
        self.readers: dict[str, Reader] = (
            {"config": _config_reader(configs)} | self.parts["config"] | self.parts["results"] | self.parts["log"]
        )
        self._rankings: dict[tuple[Any, ...], list[int]] = {}

    def row(self, config_id: int | str) -> int:
        """The row of a configuration; NotRecordedError if there is none."""
        if config_id in self.rows:
            return self.rows[config_id]
        whole = len(self.ids) == max(self.ids) + 1
        law = f"0..{len(self.ids) - 1}" if whole else f"{len(self.ids)} from {min(self.ids)} to {max(self.ids)}, see get_config_ids"
        raise NotRecordedError(f"`config_id` is {config_id!r}, but {self.name!r} has the configurations {law}")

    def reader(self, tag: str) -> Reader:
        """What reads a tag; NotRecordedError if no run has it."""
        if tag not in self.readers:
            raise NotRecordedError(f"`tag` is {tag!r}, but {self.name!r} has {known(tag, list(self.readers))}")
        return self.readers[tag]

    def value(self, tag: str, config_id: int | str) -> Any:
        """The value of a tag; NotRecordedError if there is no such run or tag, or the run lacks it."""
        row, reader = self.row(config_id), self.reader(tag)
        try:
            return reader(row)
        except KeyError:
            law = "which other runs have, but not this one; get_queriable_tags(dataset_name, config_id) lists what it has"
            raise NotRecordedError(f"`tag` is {tag!r} of run {config_id} on {self.name!r}, {law}") from None

    def entry(self, row: int) -> dict[str, dict[str, Any]]:
        """Everything of a run, as the published files have it."""
        return {part: _present(readers, row) for part, readers in self.parts.items()}

    def ranking(self, criterion: str, direction: Direction | None = None, epoch: int | None = None) -> list[int]:
        """Numbers of the configurations that have a value, the best first."""
        if direction not in (None, "min", "max"):
            raise UserError(f"`direction` is {direction!r}, but must be 'min', 'max', or None for LCBench's own, the largest value")
        if direction is None and _is_better_smaller(criterion):
            text = f"runs are ranked by the largest {criterion}, as LCBench does; for the smallest give query_best direction='min'"
            warnings.warn(text, stacklevel=3)
        smaller = direction == "min"
        found = self._rankings.get((criterion, smaller, epoch))
        if found is None:
            self.reader(criterion)
            values = self._of_curves(criterion, smaller, epoch) if criterion in self.planes else self._of_scalars(criterion, epoch)
            valid = np.flatnonzero(~np.isnan(values))
            order = np.argsort(values[valid] if smaller else -values[valid], kind="stable")
            found = self._rankings[criterion, smaller, epoch] = [self.ids[i] for i in valid[order]]
        return found

    def _of_curves(self, tag: str, smaller: bool, epoch: int | None) -> NDArray[np.float64]:  # (n,)
        plane, scale = self.planes[tag]
        rows = np.array([self.rows[config_id] for config_id in self.ids], np.int64)
        lengths = np.array(self.lengths, np.int64)[rows]
        values = np.where(np.arange(plane.shape[1]) < lengths[:, None], plane[rows] * scale, np.nan)
        if epoch is None:
            return (np.fmin if smaller else np.fmax).reduce(values, axis=1, initial=np.nan)  # NaN only where all are
        if not 0 <= epoch < values.shape[1]:
            raise NotRecordedError(f"`epoch` is {epoch}, but {self.name!r} has the epochs 0..{values.shape[1] - 1}")
        return values[:, epoch]

    def _of_scalars(self, tag: str, epoch: int | None) -> NDArray[np.float64]:  # (n,)
        if epoch is not None:
            raise UserError(f"`epoch` is {epoch}, but the criterion {tag!r} has no epochs; leave it out or take a list tag")
        found = [_present({tag: self.readers[tag]}, self.rows[config_id]).get(tag, math.nan) for config_id in self.ids]
        if not all(isinstance(value, int | float) for value in found):
            raise UserError(f"`criterion` is {tag!r}, whose values, e.g. {found[0]!r}, have no order; take one with numbers")
        return np.array(found, np.float64)

    def _list_reader(self, tag: str) -> Reader:
        (plane, scale), lengths = self.planes[tag], self.lengths

        def read(row: int) -> list[Any]:
            return plane[row, : lengths[row]].tolist()

        def read_scaled(row: int) -> list[float]:
            return (plane[row, : lengths[row]] * scale).tolist()

        def read_layer(row: int) -> list[Any]:
            if applies[row]:
                return read(row)
            raise KeyError(tag)

        if not tag.startswith(_LAYERS):
            return read if scale == 1.0 else read_scaled
        applies = ~np.isnan(plane).all(axis=1)  # a network has the layers that were measured
        return read_layer


# ------------------------------------------------------------------------------------------------------- what a table holds


def _chosen(table: CurveTable, budget: int | None, seed: int | None) -> NDArray[np.int64]:
    """Rows of the trainings with one budget and one seed."""
    rows = np.arange(len(table))
    for name, column, wanted, choose in (("budget", "horizon", budget, max), ("seed", "seed", seed, min)):
        values = table.columns[column][rows]
        there = np.unique(values).tolist()
        if not there:
            raise UserError(f"the table of {table.task.name!r} is empty: nothing was recorded yet")
        if wanted is not None and wanted not in there:
            raise UserError(f"`{name}` is {wanted}, but {table.task.name!r} was recorded with {', '.join(map(str, there))}")
        rows = rows[values == (choose(there) if wanted is None else wanted)]
    return rows


def _planes(table: CurveTable) -> dict[str, tuple[NDArray[Any], np.float64]]:
    """Values (n, T) of every list tag, and what turns them into LCBench's unit."""
    n, t = table.seconds.shape
    planes: dict[str, tuple[NDArray[Any], np.float64]] = {
        "time": (table.seconds, np.float64(1)),
        "epoch": (np.broadcast_to(np.arange(t), (n, t)), np.float64(1)),
    }
    for column, unit, values in zip(table.metrics, table.units, table.curves, strict=True):
        ours = f"Train/{column}" if layer_of(column) is None else f"{_LAYERS}{column.removeprefix('gradient_')}"
        planes[tag_of(column) or ours] = values, np.float64(_factor(column, unit))
    return planes


def _factor(column: str, unit: str) -> float:
    """What turns a stored value into LCBench's unit: exactly 1 where it already has it."""
    return SCALES.get(unit, 1.0) * (1.0 if unit_in_file(column) not in SCALES else 1 / SCALES[unit_in_file(column)])


def _scalars(table: CurveTable) -> dict[str, Sequence[Any]]:
    """Values of every scalar tag, one per row; `INACTIVE` where a row has none.

    Where a table has no final values of its own, they are the last entries of its curves.
    """
    task, n = table.task, len(table)
    size = task.n_train + task.n_val + task.n_test
    published = table.provenance.get("published")
    facts = published if isinstance(published, dict) else {}
    derived = {"OpenML_task_id": task.openml_task_id, "test_split": task.n_test / size if size else INACTIVE}
    derived |= {"instances": size or INACTIVE, "classes": task.n_classes or INACTIVE, "features": task.n_features or INACTIVE}
    constant = {name: [facts.get(name, value)] * n for name, value in derived.items()}
    finals = {name: _or_inactive(values) for name, values in table.results.items()}
    if not any(name.startswith("final_") for name in finals):
        finals = _last_entries(table) | finals
    ordered = [name for name in RESULTS if name in finals] + [name for name in finals if name not in RESULTS]
    return {
        "model_parameters": [count if count >= 0 else INACTIVE for count in table.columns["n_parameters"].tolist()],
        **{name: finals[name] for name in ordered},
        **{name: constant[name] for name in ("OpenML_task_id", "test_split")},
        "budget": table.columns["horizon"].tolist(),
        "seed": table.columns["seed"].tolist(),
        **{name: constant[name] for name in ("instances", "classes", "features")},
    }


def _last_entries(table: CurveTable) -> dict[str, list[Any]]:
    lengths = table.columns["length"]
    rows = np.flatnonzero(lengths)
    finals = {}
    for column, unit, values in zip(table.metrics, table.units, table.curves, strict=True):
        if unit_of(column):
            last = np.full(len(table), np.nan)
            last[rows] = values[rows, lengths[rows] - 1] * np.float64(_factor(column, unit))
            finals[f"final_{column}"] = _or_inactive(last)
    return finals


def _or_inactive(values: NDArray[np.float64]) -> list[Any]:
    return [INACTIVE if math.isnan(value) else value for value in values.tolist()]


def _configs(table: CurveTable) -> dict[str, Sequence[Any]]:
    """Values of every key of a configuration, one per row; `INACTIVE` where it is.

    In LCBench's space a configuration has what never varies too, as in the published files.
    """
    n = len(table)
    values: dict[str, Sequence[Any]] = {name: decode_column(column) for name, column in table.configs.items()}
    if set(table.space) == set(lcbench_space()):
        constants = table.provenance.get("constants")
        values |= {name: [value] * n for name, value in (constants if isinstance(constants, dict) else CONSTANTS).items()}
        values[HORIZON] = table.columns["horizon"].tolist()
    return {name: values[name] for name in sorted(values, key=lambda name: _CONFIG.index(name) if name in _CONFIG else len(_CONFIG))}


def _scalar_reader(tag: str, values: Sequence[Any]) -> Reader:
    def read(row: int) -> Any:
        value = values[row]
        if value is INACTIVE:
            raise KeyError(tag)
        return value

    return read


def _config_reader(configs: Mapping[str, Sequence[Any]]) -> Reader:
    columns = list(configs.items())
    return lambda row: {name: values[row] for name, values in columns if values[row] is not INACTIVE}


def _present(readers: Mapping[str, Reader], row: int) -> dict[str, Any]:
    found = {}
    for tag, reader in readers.items():
        with suppress(KeyError):
            found[tag] = reader(row)
    return found


def _rank(tag: str) -> tuple[int, int, int]:
    """Where a list tag stands in LCBench's files; `sorted` keeps the order of the table where they do not say."""
    if not tag.startswith(_LAYERS):
        return _RANKS.get(tag, 103), 0, 0
    statistic, _, layer = tag.removeprefix(_LAYERS).rpartition("_layer_")
    return 100, STATISTICS.index(statistic) if statistic in STATISTICS else len(STATISTICS), int(layer)


def _is_better_smaller(criterion: str) -> bool:
    """True where the name of a tag says that smaller values are better."""
    metric = METRICS.get(criterion.rpartition("/")[2].removeprefix("final_").partition("_")[2])
    return criterion == "Train/loss" or (metric is not None and metric.direction == "minimize")
