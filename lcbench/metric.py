"""Metrics: the one place that knows which direction is better, in which unit, and how a value becomes a loss."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import Any, Literal

Split = Literal["train", "val", "test"]
"""The three parts of a task on which a metric is measured after every epoch."""


@dataclass(frozen=True)
class Metric:
    """A quantity that a network is judged by.

    Everything outside this class sees a *loss*, which is smaller where the metric is better:

    ========= ================ =================
    direction bounded above?   ``loss(value)``
    ========= ================ =================
    minimize  either           ``value``
    maximize  yes, by ``u``    ``u - value``
    maximize  no               ``-value``
    ========= ================ =================
    """

    name: str
    """Stem of the recorded columns, e.g. ``accuracy`` for ``val_accuracy``."""
    direction: Literal["minimize", "maximize"]
    """Which way is better."""
    bounds: tuple[float, float]
    """Lowest and highest possible value, both in ``unit``."""
    unit: str
    """Unit of the value, e.g. ``fraction`` (0 to 1) or ``nat``."""

    def loss(self, value: float) -> float:
        """Turn a value into a loss; NaN stays NaN, so that nothing diverged can look good."""
        return float(self.losses(value))

    def losses(self, values: Any) -> Any:
        """Turn an array of values into one of losses."""
        if self.direction == "minimize":
            return values
        upper = self.bounds[1]
        return upper - values if math.isfinite(upper) else -values

    def value(self, loss: float) -> float:
        """Turn a loss back into a value: ``value(loss(x)) == x`` up to rounding."""
        return self.loss(loss)

    def on(self, split: Split) -> str:
        """Name of the recorded column of this metric on one split, e.g. ``val_accuracy``."""
        return f"{split}_{self.name}"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "maximize", (0.0, 1.0), "fraction"),
        Metric("balanced_accuracy", "maximize", (0.0, 1.0), "fraction"),
        Metric("cross_entropy", "minimize", (0.0, math.inf), "nat"),
        Metric("roc_auc", "maximize", (0.0, 1.0), "fraction"),
        Metric("roc_auc_ovo", "maximize", (0.0, 1.0), "fraction"),
        Metric("f1_macro", "maximize", (0.0, 1.0), "fraction"),
        Metric("f1_micro", "maximize", (0.0, 1.0), "fraction"),
        Metric("f1_weighted", "maximize", (0.0, 1.0), "fraction"),
        Metric("mcc", "maximize", (-1.0, 1.0), "correlation"),
        Metric("rmse", "minimize", (0.0, math.inf), "target"),
        Metric("mae", "minimize", (0.0, math.inf), "target"),
        Metric("r2", "maximize", (-math.inf, 1.0), "fraction"),
        Metric("rmsle", "minimize", (0.0, math.inf), "nat"),
        Metric("loss", "minimize", (0.0, math.inf), "nat or squared target deviation"),
    )
}
"""Every metric by name; `TaskInfo.metrics` says which of them every training records, `pipeline.metrics` how each is computed."""

CLASSIFICATION_METRICS = ("accuracy", "balanced_accuracy", "cross_entropy")
"""What is recorded after every epoch of a classification, whatever is optimised."""
REGRESSION_METRICS = ("rmse", "mae", "r2")
"""What is recorded after every epoch of a regression, whatever is optimised."""


SCALES = {"percent": 0.01}
"""What turns a value that is stored in another unit into the unit of its metric; every unit that is not here counts as it is."""


def unit_of(column: str) -> str:
    """Unit of a recorded column, by the metric in its name; empty for what is no metric, e.g. a gradient.

    >>> unit_of("val_accuracy"), unit_of("gradient_norm")
    ('fraction', '')
    """
    split, _, name = column.partition("_")
    return METRICS[name].unit if split in ("train", "val", "test") and name in METRICS else ""


def metric_recorded(name: str) -> Metric:
    """The metric of recorded columns: one of `METRICS`, or a scorer of scikit-learn, which is better the larger it is.

    >>> metric_recorded("average_precision").direction
    'maximize'
    """
    if name in METRICS:
        return METRICS[name]
    return Metric(name, "maximize", (-math.inf, 0.0 if name.startswith("neg_") else math.inf), "score")


def metric_of(column: str) -> Metric | None:
    """The metric of a recorded column, None for what is no metric, e.g. a gradient or seconds.

    >>> metric_of("val_accuracy").name, metric_of("gradient_norm")
    ('accuracy', None)
    """
    split, _, name = column.partition("_")
    return metric_recorded(name) if split in ("train", "val", "test") and name else None


def metric_named(name: str) -> Metric:
    """Look a metric up by name.

    Raises:
        KeyError: with the allowed names and the nearest one.
    """
    if name in METRICS:
        return METRICS[name]
    near = difflib.get_close_matches(name, METRICS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise KeyError(f"`metric` is {name!r}, but must be one of {', '.join(METRICS)}{hint}")
