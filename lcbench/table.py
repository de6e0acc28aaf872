"""A table of a curve database, held in columns: every training of one space on one task.

Notation: M recorded metrics (planes), n trainings (rows), T the longest curve. Row i of every array is training i.
Entry 0 of a curve is the untrained network, entry e the network after e epochs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from lcbench.columns import INACTIVE, Column, decode_column, encode_column
from lcbench.curve import LearningCurve
from lcbench.metric import unit_of
from lcbench.schema import STATUSES
from lcbench.task import TaskInfo
from lcbench.training import Training

NUMBERS = {"length": "<i4", "trial": "<i8", "seed": "<i8", "horizon": "<i8", "n_parameters": "<i8", "status": "<i1"}
"""Columns of integers and their types."""
TEXTS = ("error", "key", "origin")
"""Columns of texts."""


@dataclass(frozen=True, eq=False)
class CurveTable:
    """Every training of one space on one task; immutable, and refuses to be wrong.

    Values are float32, or float64 where the source asked for it; seconds are always float64. The arrays may be
    memory-mapped files, so nothing here copies them.

    Raises:
        ValueError: if the space has no name, or shapes or names contradict each other.
    """

    task: TaskInfo
    """The task."""
    space: ConfigurationSpace
    """The space, with a name."""
    objective: str
    """Name of the plane that the recording run optimised, e.g. ``val_accuracy``."""
    provenance: dict[str, Any]
    """Where the table comes from, in JSON types; `schema.ATTRIBUTES` names the usual keys, any other is kept too."""
    metrics: tuple[str, ...]
    """Names of the M planes, e.g. ``val_accuracy``."""
    units: tuple[str, ...]
    """Unit of every plane as it is stored, e.g. ``percent``; `metric.SCALES` turns it into the unit of its metric."""
    curves: NDArray[Any]  # (M, n, T)
    """Values, NaN beyond the end of a training and where a metric does not apply to it."""
    seconds: NDArray[np.float64]  # (n, T)
    """Cumulative seconds, NaN beyond the end."""
    columns: Mapping[str, NDArray[Any]]  # {name: (n,)}
    """What is known of every training: `NUMBERS` and `TEXTS`; ``status`` counts in `schema.STATUSES`."""
    configs: Mapping[str, Column]
    """One column per hyperparameter of the space."""
    results: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  # {name: (n,)}
    """Further scalars of every training under the names that their source gave them, NaN where it gave none."""

    def __post_init__(self) -> None:
        if not self.space.name:
            raise ValueError("the space of a table needs a name: ConfigurationSpace(name=…)")
        n, t = self.seconds.shape
        if self.curves.shape != (len(self.metrics), n, t) or len(self.units) != len(self.metrics):
            raise ValueError(
                f"`curves` is {self.curves.shape}, but {len(self.metrics)} metrics, {len(self.units)} units and `seconds` {(n, t)} "
                "want (M, n, T)"
            )
        if set(self.columns) != {*NUMBERS, *TEXTS} or set(self.configs) != set(self.space):
            raise ValueError(f"a table has the columns {sorted(self.columns)} and the hyperparameters {sorted(self.configs)}")
        every = {**self.columns, **{name: column.values for name, column in self.configs.items()}, **self.results}
        if wrong := {name: values.shape for name, values in every.items() if values.shape != (n,)}:
            raise ValueError(f"a table of {n} trainings has columns of other lengths: {wrong}")

    @classmethod
    def of(
        cls,
        *,
        task: TaskInfo,
        space: ConfigurationSpace,
        objective: str,
        trainings: Iterable[Training] = (),
        provenance: dict[str, Any] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> CurveTable:
        """A table from trainings, row by row; a metric that a training lacks is NaN in its row.

        Values beyond the range of float32 become infinite. `units` overrides the unit of planes (default: that of the metric).

        Raises:
            ValueError: if the space has no name, or a configuration has a hyperparameter that the space does not have.
        """
        rows = tuple(trainings)
        for row in rows:
            if unknown := row.configuration.keys() - space.keys():
                raise ValueError(f"trial {row.trial} has the hyperparameters {sorted(unknown)}, but the space has {sorted(space)}")
        metrics = tuple(dict.fromkeys(name for row in rows for name in row.curve.values))
        curves, seconds = _planes(rows, metrics)
        return cls(
            task=task,
            space=space,
            objective=objective,
            provenance=provenance or {},
            metrics=metrics,
            units=tuple((units or {}).get(name) or unit_of(name) for name in metrics),
            curves=curves,
            seconds=seconds,
            columns=_columns(rows),
            configs={name: encode_column(space[name], [row.configuration for row in rows]) for name in space},
            results=_results(rows),
        )

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def n_entries(self) -> int:
        """T, the length of the longest curve."""
        return self.seconds.shape[1]

    @cached_property
    def trainings(self) -> tuple[Training, ...]:
        """The rows as objects, each with a copy of its curve; for reading and looking at, not for speed."""
        columns = {name: values.tolist() for name, values in self.columns.items()}
        configurations, lengths = self.configurations(), columns.pop("length")
        columns["status"] = [STATUSES[status] for status in columns["status"]]
        results = {name: values.tolist() for name, values in self.results.items()}
        return tuple(
            Training(
                **{name: values[i] for name, values in columns.items()},
                configuration=configurations[i],
                curve=self._curve(i, lengths[i]),
                results={name: values[i] for name, values in results.items() if not math.isnan(values[i])},
            )
            for i in range(len(self))
        )

    def configurations(self, rows: Sequence[int] | NDArray[np.int64] | None = None) -> list[dict[str, Any]]:
        """The active hyperparameters of trainings in plain values; of all of them unless `rows` says which."""
        n = len(self) if rows is None else len(rows)
        configurations: list[dict[str, Any]] = [{} for _ in range(n)]
        for name, column in self.configs.items():
            wanted = column if rows is None else column.take(np.asarray(rows, np.int64))
            for configuration, value in zip(configurations, decode_column(wanted), strict=True):
                if value is not INACTIVE:
                    configuration[name] = value
        return configurations

    def take(self, rows: Sequence[int] | NDArray[np.int64], metrics: Sequence[str] | None = None) -> CurveTable:
        """The table of some rows, in their order, and of some planes; T stays as it is.

        Raises:
            KeyError: if a metric is not in the table.
        """
        chosen, names = np.asarray(rows, np.int64), self.metrics if metrics is None else tuple(metrics)
        planes = np.array([self.plane(name) for name in names], np.int64)
        return CurveTable(
            task=self.task,
            space=self.space,
            objective=self.objective,
            provenance=self.provenance,
            metrics=names,
            units=tuple(self.units[m] for m in planes),
            curves=self.curves[np.ix_(planes, chosen)],
            seconds=self.seconds[chosen],
            columns={name: values[chosen] for name, values in self.columns.items()},
            configs={name: column.take(chosen) for name, column in self.configs.items()},
            results={name: values[chosen] for name, values in self.results.items()},
        )

    def plane(self, metric: str) -> int:
        """Number of the plane of `metric`.

        Raises:
            KeyError: with the names there are.
        """
        if metric not in self.metrics:
            raise KeyError(f"`metric` is {metric!r}, but this table has {', '.join(self.metrics) or 'none'}")
        return self.metrics.index(metric)

    def __eq__(self, other: object) -> bool:
        """Equal in the header and in every value, NaN equal to NaN."""
        return (
            isinstance(other, CurveTable)
            and self._header() == other._header()
            and np.array_equal(self.curves, other.curves, equal_nan=True)
            and np.array_equal(self.seconds, other.seconds, equal_nan=True)
            and all(np.array_equal(values, other.columns[name]) for name, values in self.columns.items())
            and all(_equal_columns(column, other.configs[name]) for name, column in self.configs.items())
            and self.results.keys() == other.results.keys()
            and all(np.array_equal(values, other.results[name], equal_nan=True) for name, values in self.results.items())
        )

    __hash__ = None  # type: ignore[assignment]

    def _header(self) -> tuple[Any, ...]:
        return self.task, self.space, self.objective, self.provenance, self.metrics, self.units

    def _curve(self, i: int, length: int) -> LearningCurve:
        values = self.curves[:, i, :length].astype(np.float64)
        return LearningCurve(np.arange(length), self.seconds[i, :length], dict(zip(self.metrics, values, strict=True)))


def _planes(rows: Sequence[Training], metrics: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:  # (M, n, T), (n, T)
    n, t = len(rows), max((len(row.curve) for row in rows), default=0)
    curves = np.full((len(metrics), n, t), np.nan, np.float32)
    seconds = np.full((n, t), np.nan)
    place = {name: m for m, name in enumerate(metrics)}
    with np.errstate(over="ignore"):
        for i, row in enumerate(rows):
            seconds[i, : len(row.curve)] = row.curve.seconds
            for name, values in row.curve.values.items():
                curves[place[name], i, : len(row.curve)] = values
    return curves, seconds


def _columns(rows: Sequence[Training]) -> dict[str, NDArray[Any]]:
    lists: dict[str, list[Any]] = {
        "length": [len(row.curve) for row in rows],
        "status": [STATUSES.index(row.status) for row in rows],
        **{name: [getattr(row, name) for row in rows] for name in ("trial", "seed", "horizon", "n_parameters")},
    }
    numbers = {name: np.array(values, NUMBERS[name]) for name, values in lists.items()}
    return numbers | {name: np.array([getattr(row, name) for row in rows], object) for name in TEXTS}


def _results(rows: Sequence[Training]) -> dict[str, NDArray[np.float64]]:
    names = dict.fromkeys(name for row in rows for name in row.results)
    return {name: np.array([row.results.get(name, math.nan) for row in rows], np.float64) for name in names}


def _equal_columns(one: Column, other: Column) -> bool:
    if one.kind != other.kind:
        return False
    return bool(np.array_equal(one.values, other.values, equal_nan=one.values.dtype.kind == "f"))
