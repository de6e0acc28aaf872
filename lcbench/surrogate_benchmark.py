"""The surrogate benchmark: answers a query with a predicted curve, for any configuration of the space.

It loads models that were fitted to a recorded table and stored in the same file, with NumPy alone.
"""

from __future__ import annotations

import zlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from lcbench.curve import LearningCurve
from lcbench.database import SHIPPED, Database
from lcbench.errors import UserError
from lcbench.metric import Metric, metric_of, metric_recorded
from lcbench.query import Query, Result
from lcbench.space import encode, key
from lcbench.store import FittedModel
from lcbench.surrogate.models import Surrogate
from lcbench.surrogate.report import headline
from lcbench.table import CurveTable
from lcbench.task import TaskInfo
from lcbench.view import view_named

if TYPE_CHECKING:
    import os

MIN_SPEARMAN = 0.5
"""A surrogate whose ranking of held-out configurations agrees less with the recorded one is refused unless forced.

It is Spearman's correlation of the optimised column at the last epoch, out of fold, as its quality report says.
"""


class SurrogateBenchmark:
    """A `CurveBenchmark` that predicts: validation and test columns, and seconds that never go backwards.

    The same configuration always has the same curve. With `noise`, every (configuration, seed) has a curve of its own,
    drawn from the noise that the model found in the recorded curves.
    """

    def __init__(
        self,
        table: CurveTable,
        models: list[FittedModel],
        metric: Metric | str | None = None,
        *,
        view: str = "trained",
        noise: bool = False,
        force: bool = False,
    ) -> None:
        """Serve the models of a table; `table` gives task and space, its curves are not looked at.

        Raises:
            UserError: if the optimised column or the seconds have no model, or the quality is too low and `force` is False.
        """
        self.task: TaskInfo = table.task
        self.space: ConfigurationSpace = table.space
        self.view = view_named(view)
        self.noise = noise
        self._about = {model.column: model.about for model in models}
        self.metric = metric if isinstance(metric, Metric) else metric_recorded(metric or table.objective.partition("_")[2])
        self.objective = self.metric.on("val")
        """Name of the column whose loss is optimised."""
        for needed in (self.objective, "seconds"):
            if needed not in self._about:
                raise UserError(
                    f"the surrogate of {self.task.name!r} has no model of {needed!r}, only of {', '.join(self._about)}: choose another "
                    "metric, or fit it: `python -m lcbench fit-surrogate`"
                )
        try:
            self._models = {model.column: Surrogate.from_arrays(model.arrays, model.about) for model in models}
            self.quality = headline(self._about[self.objective]["report"])
            """How good the model of the objective is on configurations that it had not seen."""
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"a surrogate of {self.task.name!r} cannot be read ({error}); `python -m lcbench fit-surrogate DB` fits it again"
            ) from None
        self._check_quality(force)
        self.first, self.epochs = self.view.span(self._about[self.objective]["report"]["n_entries"])

    @classmethod
    def load(cls, task: str, path: str | os.PathLike[str] = SHIPPED, *, space: str | None = None, **options: Any) -> SurrogateBenchmark:
        """Serve a task from a database, by default the one that ships; `options` as of the class."""
        database = Database(path)
        return cls(database.table(task, space), database.fitted(task, space), **options)

    def __repr__(self) -> str:
        told = f"{self.quality['model']}, Spearman {self.quality['scores']['Spearman']:.2f}"
        return (
            f"<SurrogateBenchmark {self.task.name}, epochs {self.first}..{self.epochs} (view {self.view.name}), {self.objective}: {told}>"
        )

    def _check_quality(self, force: bool) -> None:
        spearman = self.quality["scores"]["Spearman"]
        if not force and not spearman >= MIN_SPEARMAN:
            raise UserError(
                f"the surrogate of {self.objective!r} on {self.task.name!r} ranks held-out configurations with a Spearman correlation of "
                f"{spearman:.3f}, but at least {MIN_SPEARMAN} is asked for: use the tabular benchmark, another metric, or force=True"
            )

    @cached_property
    def best_loss(self) -> float:
        """The smallest loss that is predicted without noise among the recorded and 2000 random configurations, at any epoch of any view.

        Regret is measured against it, so it is the regret of expected curves; with `noise` it can be below zero.
        """
        return self.metric.loss(float(self._about[self.objective]["best"]))

    def curve(self, query: Query) -> LearningCurve:
        """The whole predicted curve of a query's configuration, from entry 0 to the last epoch of the view."""
        x = encode([query.configuration], self.space)[0]
        rng = np.random.default_rng((zlib.crc32(key(query.configuration).encode()), query.seed % 2**64)) if self.noise else None
        columns: dict[str, NDArray[np.float64]] = {}
        for name, model in self._models.items():
            full: Any = model.predict_one(x) if rng is None or name == "seconds" else model.sample(x[None], rng)[0]
            columns[name] = full[: self.epochs + 1]
        seconds = columns.pop("seconds")
        return LearningCurve(np.arange(len(seconds)), seconds - seconds[0] if self.view.from_first_seconds else seconds, columns)

    def evaluate(self, query: Query) -> Result:
        """Predict; `Result.seconds` is what a training from scratch would take.

        Raises:
            IndexError: if the epoch is not one of the view, with those that are.
        """
        self.view.check(self.task.name, query.epoch, self.first, self.epochs)
        curve = self.curve(query).prefix(query.epoch)
        return Result.measured(query, curve, self.metric.loss(float(curve.values[self.objective][-1])), float(curve.seconds[-1]))


def bounds_of(column: str) -> tuple[float, float]:
    """Lowest and highest possible value of a recorded column."""
    if column == "seconds":
        return 0.0, np.inf
    metric = metric_of(column)
    return metric.bounds if metric else (-np.inf, np.inf)


def is_maximised(column: str) -> bool:
    """Whether the largest values of a recorded column are the best; of what is no metric, the smallest are."""
    metric = metric_of(column)
    return metric is not None and metric.direction == "maximize"
