"""The tabular benchmark: answers a query with the curve that was recorded, in microseconds.

Notation: n configurations (rows of the benchmark), epochs first..last of the view.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace
from numpy.typing import NDArray

from lcbench.curve import LearningCurve
from lcbench.database import SHIPPED, Database
from lcbench.errors import UserError
from lcbench.metric import SCALES, Metric, metric_recorded
from lcbench.plane import Plane
from lcbench.query import Query, Result, Status
from lcbench.schema import STATUSES, UNFINISHED
from lcbench.space import encode_columns, key, nearest
from lcbench.table import CurveTable
from lcbench.task import TaskInfo
from lcbench.view import view_named

if TYPE_CHECKING:
    import os

    import pandas as pd


SAME = 1e-9
"""Two configurations whose places in the unit cube are not further apart than this are one."""


class UnknownConfigurationError(UserError):
    """A configuration that was not recorded; `nearest` is the row of the recorded one that is closest to it."""

    def __init__(self, message: str, nearest: int) -> None:
        super().__init__(message)
        self.nearest = nearest


class TabularBenchmark:
    """A `CurveBenchmark` on the trainings of one table with one seed and one annealing horizon.

    Everything it returns is in the units of `METRICS`: accuracies are fractions, whatever the table stores. A row is a
    training, numbered in the order of the table. `Query.seed` is not used: what was recorded has the seed it has.
    """

    def __init__(
        self,
        table: CurveTable,
        metric: Metric | str | None = None,
        *,
        view: str = "trained",
        seed: int | None = None,
        horizon: int | None = None,
    ) -> None:
        """Serve `table`.

        Args:
            table: the recorded trainings.
            metric: what is optimised; None for the objective of the recording.
            view: which epochs can be asked for, see `lcbench.view`.
            seed: seed of the trainings, None for the one of the most trainings of this horizon, the smallest of such.
            horizon: annealing horizon of the trainings in epochs, None for the largest recorded one (with this seed).

        Raises:
            UserError: if the metric, view, seed or horizon is not there, with what is.
        """
        self.table = table
        if len(table) == 0:
            raise UserError(f"the table of {table.task.name!r} is empty: nothing was recorded yet")
        self.view = view_named(view)
        self.metric = metric if isinstance(metric, Metric) else _metric(table, metric)
        self.objective = self.metric.on("val")
        """Name of the column whose loss is optimised."""
        self.seed, self.horizon = _chosen(table, seed, horizon)
        self.rows = _trainings_of(table, self.seed, self.horizon)  # (n,)
        """Row of the table behind every row of the benchmark."""
        self._lengths = table.columns["length"][self.rows]  # (n,)
        longest = int(self._lengths.max(initial=0))
        self.first, self.epochs = self.view.span(longest)
        if self.epochs < max(self.first, 1):
            raise UserError(
                f"`view` is {view!r}, but the curves of {table.task.name!r} have {longest} entries: no epoch is left to ask for"
            )
        self._planes: dict[str, Plane] = {}
        self._curves: dict[int, LearningCurve] = {}
        self._answers: dict[tuple[int, int], Result] = {}
        self.column(self.objective)

    @classmethod
    def load(
        cls,
        task: str,
        path: str | os.PathLike[str] = SHIPPED,
        *,
        space: str | None = None,
        **options: Any,
    ) -> TabularBenchmark:
        """Serve a task from a database, by default the one that ships; `options` as of the class.

        >>> TabularBenchmark.load("vehicle").epochs
        50
        """
        return cls(Database(path).table(task, space), **options)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        what = f"{self.table.task.name}, {len(self)} configurations, epochs {self.first}..{self.epochs} (view {self.view.name})"
        return f"<TabularBenchmark {what}, {self.objective}, seed {self.seed}, horizon {self.horizon}>"

    @property
    def task(self) -> TaskInfo:
        """The task that the configurations were trained on."""
        return self.table.task

    @property
    def space(self) -> ConfigurationSpace:
        """The space that the configurations come from; only the recorded ones can be asked for."""
        return self.table.space

    # ------------------------------------------------------------------------------------------------- configurations

    @cached_property
    def keys(self) -> dict[str, int]:
        """Row of every configuration, by its key (`lcbench.space.key`); of a configuration that was trained twice the first."""
        names = self.table.columns["key"][self.rows].tolist()
        return {name: len(names) - 1 - i for i, name in enumerate(reversed(names))}

    @cached_property
    def encoded(self) -> NDArray[np.float64]:  # (n, d)
        """The recorded configurations in the unit cube, NaN where a hyperparameter is inactive."""
        return encode_columns({name: column.take(self.rows) for name, column in self.table.configs.items()}, self.space)

    def configuration(self, row: int) -> dict[str, Any]:
        """The configuration of a row in plain values.

        Raises:
            IndexError: if there is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"`row` is {row}, but there are {len(self)} configurations, 0..{len(self) - 1}")
        return self.table.configurations(self.rows[[row]])[0]

    def row(self, configuration: Configuration | Mapping[str, Any]) -> int:
        """The row of a configuration.

        ConfigSpace rounds numbers to 13 decimals and other people's files do not, so equal means equal within `SAME`.

        Raises:
            UnknownConfigurationError: if it was not recorded, with the nearest one that was.
        """
        name = key(configuration)
        if name not in self.keys:
            near, distance = nearest(configuration, self.encoded, self.space)
            if distance > SAME:
                raise self._unknown(configuration, near)
            self.keys[name] = near
        return self.keys[name]

    def _unknown(self, configuration: Configuration | Mapping[str, Any], near: int) -> UnknownConfigurationError:
        return UnknownConfigurationError(
            f"the configuration {dict(configuration)} was not recorded on {self.task.name!r}; the nearest of the {len(self)} that were is "
            f"row {near}: {self.configuration(near)}. Ask for that one, let the nearest answer (`lcbench.wrappers.NearestRecorded`, or "
            "unknown='nearest'), or use the surrogate benchmark",
            near,
        )

    # ------------------------------------------------------------------------------------------------------- look-ups

    def column(self, name: str) -> Plane:
        """The plane of a recorded column, e.g. ``val_accuracy``, or of ``seconds``: its methods are the fast look-ups.

        Raises:
            UserError: if it was not recorded, with the nearest names.
        """
        if name not in self._planes:
            self._planes[name] = self._plane(name)
        return self._planes[name]

    def _plane(self, name: str) -> Plane:
        if name == "seconds":
            return Plane(self._seconds, first=self.first, last=self.epochs)
        if name not in self.table.metrics:
            near = difflib.get_close_matches(name, (*self.table.metrics, "seconds"), n=3)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise UserError(f"`column` is {name!r}, but {self.task.name!r} has seconds, {', '.join(self.table.metrics)}{hint}")
        m = self.table.plane(name)
        values, broken = _rows_of(self.table.curves[m], self.rows), self._diverged & (self._lengths > 0)
        if name.startswith(("val_", "test_")) and self.view.name != "raw" and broken.any():
            values = np.array(values)
            values[broken, self._lengths[broken] - 1] = np.nan  # a network of NaN may have been given the accuracy of some class
        return Plane(values, first=self.first, last=self.epochs, scale=SCALES.get(self.table.units[m], 1.0))

    @cached_property
    def _diverged(self) -> NDArray[np.bool_]:  # (n,)
        return self.table.columns["status"][self.rows] == STATUSES.index(Status.DIVERGED)

    @cached_property
    def _seconds(self) -> NDArray[np.float64]:  # (n, T)
        seconds = _rows_of(self.table.seconds, self.rows)
        return seconds - seconds[:, :1] if self.view.from_first_seconds else seconds

    def value(self, configuration: Configuration | Mapping[str, Any] | int | np.integer, epoch: int, column: str | None = None) -> float:
        """One recorded value, of the objective unless `column` says otherwise; a configuration can be named by its row.

        Raises:
            UnknownConfigurationError, IndexError, UserError: if it was not recorded, with what was.
        """
        row = int(configuration) if isinstance(configuration, int | np.integer) else self.row(configuration)
        return self.column(column or self.objective).at(row, epoch)

    def query_best(self, column: str | None = None, epoch: int | None = None, *, direction: str | None = None) -> tuple[int, float]:
        """The best row by a column, and its value there.

        Args:
            column: the criterion; None for the objective.
            epoch: compare after this epoch; None for the best epoch of every curve.
            direction: ``minimize`` or ``maximize``; None for that of the metric in the column's name.

        Raises:
            UserError: if the direction is unknown and the column does not tell, or no training has a finite value.
        """
        name = column or self.objective
        sign = _sign(name, direction)
        plane = self.column(name)
        values = sign * (plane.matrix() if epoch is None else plane.column(epoch)[:, None])  # (n, 1 or epochs), smaller is better
        values[~np.isfinite(values)] = math.inf
        row, at = np.unravel_index(np.argmin(values), values.shape)
        if not math.isfinite(values[row, at]):
            raise UserError(f"`column` is {name!r}, but no training on {self.task.name!r} has a finite value there")
        return int(row), float(sign * values[row, at])

    def ranking(self, column: str | None = None, epoch: int | None = None) -> NDArray[np.int64]:  # (n,)
        """All rows from the best to the worst by a column after `epoch` epochs (default: the last); no number comes last.

        Raises:
            UserError, IndexError: if the column or epoch is not there, or the column's name does not tell which way is better.
        """
        name = column or self.objective
        values = _sign(name, None) * self.column(name).column(self.epochs if epoch is None else epoch)
        return np.argsort(np.where(np.isfinite(values), values, np.inf), kind="stable")

    @cached_property
    def best_loss(self) -> float:
        """The smallest loss of the objective at any epoch of the view: what regret is measured against."""
        sign = 1.0 if self.metric.direction == "minimize" else -1.0
        return self.metric.loss(self.query_best(direction="minimize" if sign > 0 else "maximize")[1])

    # ------------------------------------------------------------------------------------------------------- protocol

    def curve(self, row: int) -> LearningCurve:
        """Everything that was measured of one training on validation and test rows, from entry 0 to its end or the view's."""
        if row not in self._curves:
            table_row, n = int(self.rows[row]), min(int(self._lengths[row]), self.epochs + 1)
            names = [name for name in self.table.metrics if name.startswith(("val_", "test_"))]
            scales = [SCALES.get(self.table.units[self.table.plane(name)], 1.0) for name in names]
            values = {
                name: self.table.curves[self.table.plane(name), table_row, :n] * np.float64(scale)
                for name, scale in zip(names, scales, strict=True)
            }
            self._curves[row] = LearningCurve(np.arange(n), self._seconds[row, :n], values)
        return self._curves[row]

    def evaluate(self, query: Query) -> Result:
        """Look the curve up; `Result.seconds` is what a training from scratch took.

        A training that ended before the epoch of the query answers with its recorded status, and so does one that diverged in this epoch.

        Raises:
            UnknownConfigurationError, IndexError: if the query cannot be answered, with what can be.
        """
        return self.answer(query, self.row(query.configuration))

    def answer(self, query: Query, row: int) -> Result:
        """What `row` says to `query`, whatever the configuration of the query is."""
        known = self._answers.get((row, query.epoch))
        if known is None:
            self.view.check(self.task.name, query.epoch, self.first, self.epochs)
            known = self._answers[row, query.epoch] = self._answer(query, row)
        return Result(query, known.curve, known.loss, known.seconds, known.status, known.error)

    def _answer(self, query: Query, row: int) -> Result:
        curve = self.curve(row).prefix(query.epoch)
        seconds = float(curve.seconds[-1]) if len(curve) else 0.0
        if curve.last_epoch < query.epoch or (query.epoch == self._lengths[row] - 1 and self._diverged[row]):
            status, error = self._end(row)
            return Result.failure(query, status, error, curve=curve, seconds=seconds)
        return Result.measured(query, curve, self.metric.loss(float(curve.values[self.objective][-1])), seconds)

    def _end(self, row: int) -> tuple[Status, str]:
        table_row = int(self.rows[row])
        word = STATUSES[self.table.columns["status"][table_row]]
        reason = self.table.columns["error"][table_row] or f"the recorded training ended after {self._lengths[row] - 1} epochs"
        return (Status.CRASHED, reason) if word in (UNFINISHED, Status.SUCCESS) else (Status(word), reason)

    # -------------------------------------------------------------------------------------------------------- exports

    def to_frame(self) -> pd.DataFrame:
        """One line per (row, epoch): hyperparameters, seconds and every column; needs pandas.

        A column with the name of a hyperparameter, like the scheduled ``learning_rate``, is called ``learning_rate_measured``.
        """
        import pandas as pd

        index = pd.MultiIndex.from_product([range(len(self)), range(self.first, self.epochs + 1)], names=["row", "epoch"])
        configurations = pd.DataFrame(self.table.configurations(self.rows)).loc[index.get_level_values("row")].set_index(index)
        columns = {self._measured(name): self.column(name).matrix().ravel() for name in ("seconds", *self.table.metrics)}
        frame = pd.concat([configurations, pd.DataFrame(columns, index=index)], axis=1)
        ended = np.arange(self.first, self.epochs + 1) >= self._lengths[:, None]  # (n, epochs)
        return frame[~ended.ravel()]

    def _measured(self, column: str) -> str:
        return f"{column}_measured" if column in self.space else column

    def to_xarray_dict(self) -> dict[str, Any]:
        """What `xarray.Dataset.from_dict` takes: columns over (row, epoch), hyperparameters over (row,)."""
        configurations = self.table.configurations(self.rows)
        variables: dict[str, Any] = {
            self._measured(name): {"dims": ("row", "epoch"), "data": self.column(name).matrix()}
            for name in ("seconds", *self.table.metrics)
        }
        variables |= {name: {"dims": ("row",), "data": np.array([c.get(name) for c in configurations])} for name in self.space}
        coordinates = {"row": np.arange(len(self)), "epoch": np.arange(self.first, self.epochs + 1)}
        return {
            "dims": {name: len(values) for name, values in coordinates.items()},
            "coords": {name: {"dims": (name,), "data": values} for name, values in coordinates.items()},
            "data_vars": variables,
            "attrs": {"task": self.task.name, "view": self.view.name, "seed": self.seed, "horizon": self.horizon},
        }


def _metric(table: CurveTable, name: str | None) -> Metric:
    """The metric called `name`, or the one that the recording optimised."""
    wanted = name or table.objective.partition("_")[2]
    recorded = [column.removeprefix("val_") for column in table.metrics if column.startswith("val_")]
    if wanted not in recorded:
        raise UserError(
            f"`metric` is {wanted!r}, but {table.task.name!r} was recorded with {', '.join(recorded) or 'none'} on validation rows"
        )
    return metric_recorded(wanted)


def _chosen(table: CurveTable, seed: int | None, horizon: int | None) -> tuple[int, int]:
    """The seed and horizon that were asked for, or the default ones."""
    for name, wanted in (("seed", seed), ("horizon", horizon)):
        recorded = np.unique(table.columns[name]).tolist()
        if wanted is not None and wanted not in recorded:
            raise UserError(f"`{name}` is {wanted}, but {table.task.name!r} was recorded with {', '.join(map(str, recorded))}")
    seeds, horizons = table.columns["seed"], table.columns["horizon"]
    if horizon is None:
        horizon = int(np.max(horizons if seed is None else horizons[seeds == seed]))
    return _most_frequent(seeds[horizons == horizon]) if seed is None else seed, horizon


def _most_frequent(values: NDArray[np.int64]) -> int:
    recorded, counts = np.unique(values, return_counts=True)
    return int(recorded[np.argmax(counts)])


def _trainings_of(table: CurveTable, seed: int, horizon: int) -> NDArray[np.int64]:
    """Rows of the table with this seed and horizon."""
    rows = np.flatnonzero((table.columns["seed"] == seed) & (table.columns["horizon"] == horizon))
    if not len(rows):
        raise UserError(f"no training on {table.task.name!r} has both `seed` {seed} and `horizon` {horizon}")
    return rows


def _rows_of(matrix: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Some rows of a matrix; the matrix itself, without a copy, where all of them are wanted."""
    return matrix if np.array_equal(rows, np.arange(len(matrix))) else matrix[rows]


def _sign(column: str, direction: str | None) -> float:
    """1 where smaller values of a column are better, -1 where larger ones are."""
    if direction is None:
        split, _, metric = column.partition("_")
        if column != "seconds" and (split not in ("train", "val", "test") or not metric):
            raise UserError(f"`direction` must be minimize or maximize, because the name {column!r} does not tell")
        direction = "minimize" if column == "seconds" else metric_recorded(metric).direction
    if direction not in ("minimize", "maximize"):
        raise UserError(f"`direction` is {direction!r}, but must be 'minimize' or 'maximize'")
    return 1.0 if direction == "minimize" else -1.0
