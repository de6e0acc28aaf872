"""mf-prior-bench's call shape on any of our benchmarks: ``query(config, at=)``, ``trajectory``, ``sample``.

    benchmark = MFPBenchmark.load("vehicle")
    result = benchmark.query(benchmark.sample(seed=1), at=25)
    result.error, result.cost, result.val_accuracy

Names and results are those of automl/mf-prior-bench 1.10, the package is not needed. Attributes of a result have the units
of its LCBench table, accuracies in percent; `score` and `error` are those of the metric that was chosen, both in its own unit.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace

from lcbench.benchmark import CurveBenchmark
from lcbench.database import SHIPPED
from lcbench.errors import UserError
from lcbench.formats.facade import EPOCH, Unknown, answered, entry, published, recorded, whole_epoch
from lcbench.metric import Metric, Split
from lcbench.query import Result
from lcbench.space import plain
from lcbench.tabular import TabularBenchmark
from lcbench.wrappers import NearestRecorded

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class MFPResult:
    """What was measured at one epoch; every column is an attribute, ``time`` too. NaN where the training ended before."""

    fidelity: int
    """The epoch."""
    config: dict[str, Any] = field(repr=False)
    """The configuration."""
    values: dict[str, float]
    """``time`` in seconds and every recorded column in the unit of LCBench's files."""
    metric: Metric = field(repr=False)
    """The metric of `score` and `error`."""
    _losses: dict[Split, float] = field(repr=False)

    def __getattr__(self, name: str) -> float:
        """A column, e.g. ``val_accuracy``."""
        values = self.__dict__.get("values", {})  # missing while pickle or copy makes the object
        if name in values:
            return values[name]
        raise AttributeError(f"a result has no {name!r}, but {', '.join(values)}")

    @property
    def cost(self) -> float:
        """Seconds of a training from scratch up to this epoch."""
        return self.values["time"]

    @property
    def val_error(self) -> float:
        """Loss of the metric on the validation rows: smaller is better; +inf where the training failed."""
        return self._losses["val"]

    @property
    def test_error(self) -> float:
        """Loss of the metric on the test rows."""
        return self._losses["test"]

    @property
    def error(self) -> float:
        """`val_error`, what is to be minimised."""
        return self.val_error

    @property
    def val_score(self) -> float:
        """The value of the metric on the validation rows, or its negative where smaller is better: larger is better."""
        return self.metric.value(self.val_error) if self.metric.direction == "maximize" else -self.val_error

    @property
    def test_score(self) -> float:
        """As `val_score`, on the test rows."""
        return self.metric.value(self.test_error) if self.metric.direction == "maximize" else -self.test_error

    @property
    def score(self) -> float:
        """`val_score`."""
        return self.val_score

    def dict(self) -> dict[str, float]:
        """All columns."""
        return dict(self.values)


class MFPBenchmark:
    """A `CurveBenchmark` that is asked as mf-prior-bench's benchmarks are."""

    fidelity_name = EPOCH
    """What `at` counts."""
    step = 1
    """Distance between two fidelities."""

    def __init__(self, benchmark: CurveBenchmark) -> None:
        """Serve `benchmark`."""
        self.benchmark = benchmark
        self.name = f"{benchmark.space.name}-{benchmark.task.name}"
        self.space: ConfigurationSpace = benchmark.space
        self.start = 1
        self.end = benchmark.epochs
        self.fidelity_range = self.start, self.end, self.step

    @classmethod
    def load(
        cls,
        task: str,
        path: str | os.PathLike[str] = SHIPPED,
        *,
        metric: str = "balanced_accuracy",
        unknown: Unknown = "refuse",
        **options: Any,
    ) -> MFPBenchmark:
        """Serve a recorded task, by default with the metric of mf-prior-bench; `options` as of `facade.recorded`."""
        return cls(recorded(task, path, unknown=unknown, metric=metric, **options))

    def query(
        self, config: Mapping[str, Any] | Configuration, at: int | None = None, *, argmax: str | None = None, argmin: str | None = None
    ) -> MFPResult:
        """The result at an epoch, by default the last one; with `argmax` or `argmin` the best up to there by an attribute.

        Raises:
            UserError: if the configuration or epoch is none that can be asked for, or both `argmax` and `argmin` are given.
        """
        if argmax is None and argmin is None:
            return self.trajectory(config, frm=at if at is not None else self.end, to=at)[0]
        if argmax is not None and argmin is not None:
            raise UserError(f"`argmax` is {argmax!r} and `argmin` is {argmin!r}, but only one of them can be given")
        name, sign = (argmax, -1.0) if argmax is not None else (argmin, 1.0)
        ranked = [(sign * getattr(result, str(name)), result) for result in self.trajectory(config, to=at)]
        return min(ranked, key=lambda pair: math.inf if math.isnan(pair[0]) else pair[0])[1]

    def trajectory(
        self, config: Mapping[str, Any] | Configuration, *, frm: int | None = None, to: int | None = None, step: int | None = None
    ) -> list[MFPResult]:
        """The results of the epochs `frm`, `frm` + `step`, … up to `to`, by default of all from `start` to `end`.

        Raises:
            UserError: if the configuration or an epoch is none that can be asked for.
        """
        last = whole_epoch(self.end if to is None else to, self.start, self.end)
        first = whole_epoch(self.start if frm is None else frm, self.start, last)
        result = answered(self.benchmark, config, last)
        return [self._at(result, plain(config), epoch) for epoch in range(first, last + 1, self.step if step is None else step)]

    def _at(self, result: Result, config: dict[str, Any], epoch: int) -> MFPResult:
        values = entry(result, epoch) or dict.fromkeys(("seconds", *result.curve.values), math.nan)
        metric = self.benchmark.metric
        losses: dict[Split, float] = {split: metric.loss(values.get(metric.on(split), math.nan)) for split in ("val", "test")}
        if math.isnan(losses["val"]):
            losses["val"] = math.inf
        columns = {"time": values.pop("seconds")} | {name: published(name, value) for name, value in values.items()}
        return MFPResult(epoch, config, columns, metric, losses)

    def sample(self, n: int | None = None, *, seed: int | np.random.RandomState | None = None) -> Any:
        """A random configuration as a dict, or a list of `n`; of a table, one that was recorded.

        Without `seed` every call draws anew.
        """
        rng = np.random.default_rng(seed.randint(2**31 - 1) if isinstance(seed, np.random.RandomState) else seed)
        count = 1 if n is None else n
        if isinstance(self.benchmark, TabularBenchmark):
            rows = rng.integers(len(self.benchmark), size=count)
            drawn = self.benchmark.table.configurations(self.benchmark.rows[rows])
        else:
            space = copy.deepcopy(self.space)
            space.seed(int(rng.integers(2**31)))
            drawn = [plain(space.sample_configuration()) for _ in range(count)]
        return drawn[0] if n is None else drawn

    @cached_property
    def configs(self) -> dict[str, dict[str, Any]]:
        """The recorded configurations of a table, by their numbers as text.

        Raises:
            UserError: if this is no table.
        """
        table = self._tabular
        return {str(i): configuration for i, configuration in enumerate(table.table.configurations(table.rows))}

    @property
    def table(self) -> pd.DataFrame:
        """Everything recorded, a line per (row, epoch); needs pandas.

        Raises:
            UserError: if this is no table.
        """
        return self._tabular.to_frame()

    @property
    def _tabular(self) -> TabularBenchmark:
        inner = self.benchmark.benchmark if isinstance(self.benchmark, NearestRecorded) else self.benchmark
        if not isinstance(inner, TabularBenchmark):
            raise UserError(f"{self.name!r} was not recorded but is asked of {type(inner).__name__}: it has no table; use `sample`")
        return inner
