"""Metrics of stored predictions: which a task can be optimised for, and the value of each.

Notation: n rows, C columns of predictions (class probabilities, or 1 for a regression), m models. Every function agrees with
scikit-learn's of the same meaning; they are written for many models at once, because an ensemble asks for thousands of values.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.errors import UserError
from lcbench.metric import METRICS, Metric, metric_recorded
from lcbench.task import Kind, TaskInfo
from pipeline import class_metrics

Floats = NDArray[np.float64]

DEFAULT: dict[Kind, str] = {"classification": "accuracy", "regression": "r2"}
"""What is optimised unless told otherwise: the paper's accuracy, and for regression a score without a unit."""
ALIASES = {"log_loss": "cross_entropy"}
"""Other names of a metric."""
EXAMPLES: dict[Kind, str] = {"classification": "top_k_accuracy", "regression": "neg_median_absolute_error"}
"""A scorer of scikit-learn that fits, for the sentence that refuses one that does not."""
SMALLEST = float(np.finfo(np.float64).eps)
"""A true class counts with at least this probability in the cross-entropy, as in scikit-learn."""
ROUNDING = 1e-6
"""A target below 0 by less than this part of the largest is a 0 that was standardised in float32 and back."""


def metric_for(name: str | None, info: TaskInfo) -> Metric:
    """The metric of that name for a task: one of our own, an alias, or any scorer of scikit-learn (greater is better).

    A scorer called ``neg_…`` is bounded above by 0, so that its loss is the positive error; the others count as unbounded.

    Raises:
        UserError: if there is no such metric or it does not fit the kind of the task, with what is allowed.
    """
    name = ALIASES.get(name or DEFAULT[info.kind], name or DEFAULT[info.kind])
    if name in _NAMED[info.kind]:
        return METRICS[name]
    from pipeline.sklearn_scorers import misfit, scorer_names

    choices = f"choose one of {', '.join(_NAMED[info.kind])}, or a scorer of scikit-learn that fits, e.g. {EXAMPLES[info.kind]}"
    if name in METRICS:
        raise UserError(f"`metric` is {name!r}, but task {info.name!r} is a {info.kind} task: {choices}")
    if name not in scorer_names():
        near = difflib.get_close_matches(name, dict.fromkeys((*_NAMED[info.kind], *ALIASES, *scorer_names())), n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UserError(f"`metric` is {name!r}, but task {info.name!r} is a {info.kind} task: {choices}{hint}")
    reason = misfit(name, info)
    if reason:
        kind = f"{info.n_classes}-class classification" if info.kind == "classification" else info.kind
        raise UserError(f"`metric` is {name!r}, which does not fit task {info.name!r}, a {kind} ({reason}): {choices}")
    return metric_recorded(name)


def check_target(metric: Metric, y: NDArray[Any], info: TaskInfo) -> None:  # (n,)
    """See that a metric can judge these rows at all; call it once, before anything is trained for it.

    Raises:
        UserError: if even perfect predictions have no value, e.g. RMSLE below 0 or an area under a curve of one class.
    """
    perfect = np.eye(info.n_classes, dtype=np.float32)[y] if info.kind == "classification" else np.asarray(y, np.float64)[:, None]
    reason = ""
    if metric.name == "rmsle" and _below_zero(y):
        reason = f"its smallest target is {float(np.min(y)):g}, but RMSLE needs targets of 0 or more"
    elif metric.name not in _NAMED[info.kind]:
        from pipeline.sklearn_scorers import scorer_value

        try:
            scorer_value(metric.name, y, perfect)
        except ValueError as error:
            reason = str(error).strip().split("\n")[0].rstrip(".")
    elif math.isnan(score(metric, y, perfect)):
        reason = (
            "it is undefined on these rows, which hold a single value of the target (with cross_validation=5 every row that is not tested "
            "on validates once)"
        )
    if reason:
        raise UserError(f"`metric` is {metric.name!r}, which cannot judge task {info.name!r}: {reason}; choose another metric")


def score(metric: Metric, y: NDArray[Any], predictions: NDArray[Any]) -> float:  # (n,), (n, C) or (n, 1)
    """The value of a metric; NaN if a prediction is not finite, or if the metric is undefined on these rows.

    Args:
        metric: what `metric_for` gave.
        y: class codes, or the target in its own unit.
        predictions: probabilities in the order of the class codes, or predictions (n, 1) in the target's unit.

    Raises:
        UserError: for RMSLE, if a target is below 0.
    """
    return float(_values(metric, y, predictions[None])[0])


def scores(info: TaskInfo, y: NDArray[Any], predictions: NDArray[Any], extra: Metric | None = None) -> dict[str, float]:
    """Every metric that is recorded for this kind of task, and `extra`, by name; see `score`."""
    metrics = {name: METRICS[name] for name in info.metrics} | ({extra.name: extra} if extra else {})
    return {name: score(metric, y, predictions) for name, metric in metrics.items()}


def losses(metric: Metric, y: NDArray[Any], stack: NDArray[Any]) -> Floats:  # (n,), (m, n, C) -> (m,)
    """``metric.loss(score(metric, y, p))`` of each of m models."""
    return metric.losses(_values(metric, y, stack))


def _values(metric: Metric, y: NDArray[Any], stack: NDArray[Any]) -> Floats:  # (n,), (m, n, C) -> (m,)
    finite, judge = np.isfinite(stack).all(axis=(1, 2)), Judge(metric, y)
    values = np.full(len(stack), np.nan)
    if finite.any():
        values[finite] = judge.values(judge.seen(stack if finite.all() else stack[finite]))
    return values


class Judge:
    """A metric on fixed rows, split into the part that is linear in the predictions and the rest.

    ``values(seen(p))`` is the value for p, and ``seen`` of an average is the average of ``seen``. So an ensemble can average what a
    metric looks at, one number per row for most, instead of all probabilities.
    """

    def __init__(self, metric: Metric, y: NDArray[Any]) -> None:  # (n,)
        """Judge against `y`; raise UserError for RMSLE of a target below 0."""
        self.metric = metric
        if metric.name == "rmsle" and _below_zero(y):
            raise UserError(
                f"`metric` is 'rmsle', but a target is {float(np.min(y)):g}: it needs targets of 0 or more; choose another metric"
            )
        self._classes = metric.name in _NAMED["classification"]
        self.y = np.asarray(y, np.int64 if self._classes or np.issubdtype(np.asarray(y).dtype, np.integer) else np.float64)

    def seen(self, predictions: NDArray[Any]) -> NDArray[Any]:  # (..., n, C) -> (..., n) or (..., n, C)
        """What the metric looks at: a linear function of the predictions."""
        name = self.metric.name
        if name == "cross_entropy":
            return predictions[..., np.arange(len(self.y)), self.y]
        if name in _NAMED["regression"]:
            return predictions[..., 0]
        if self._classes and predictions.shape[-1] == 2:
            if name in ("roc_auc", "roc_auc_ovo"):
                return predictions[..., 1]
            return np.subtract(predictions[..., 1], predictions[..., 0], dtype=np.float64)
        return predictions

    def values(self, seen: NDArray[Any]) -> Floats:  # (m, n) or (m, n, C) -> (m,)
        """The value of each of m models, all of whose predictions are finite."""
        compute = _VALUES.get(self.metric.name)
        return compute(self.y, seen) if compute else np.array([_scorer(self.metric.name, self.y, one) for one in seen])


def _scorer(name: str, y: NDArray[Any], predictions: NDArray[Any]) -> float:  # (n,), (n, C)
    """A scorer's value, NaN where it refuses: it fits the task (`metric_for`), so these rows lack what it needs, e.g. a class."""
    from pipeline.sklearn_scorers import scorer_value

    try:
        return scorer_value(name, y, predictions)
    except ValueError:
        return math.nan


def _below_zero(y: NDArray[Any]) -> bool:
    return bool(np.min(y) < -ROUNDING * np.abs(y).max())


def _decided(seen: NDArray[Any]) -> NDArray[np.int64]:  # (m, n) differences of two classes, or (m, n, C) -> (m, n)
    """The most probable class, the first of equals."""
    return (seen > 0).astype(np.int64) if seen.ndim == 2 else seen.argmax(-1)


def _accuracy(y: NDArray[np.int64], seen: NDArray[Any]) -> Floats:
    return (_decided(seen) == y).mean(-1)


def _balanced_accuracy(y: NDArray[np.int64], seen: NDArray[Any]) -> Floats:
    """The mean recall over the classes that occur in `y`."""
    order = np.argsort(y, kind="stable")
    _, starts, support = np.unique(y[order], return_index=True, return_counts=True)
    hits = (_decided(seen) == y)[:, order]
    return (np.add.reduceat(hits, starts, axis=1, dtype=np.int64) / support).mean(1)


def _cross_entropy(y: NDArray[np.int64], seen: NDArray[Any]) -> Floats:
    return 0.0 - np.log(np.clip(seen, SMALLEST, 1.0, dtype=np.float64)).mean(-1)


def _f1(average: str) -> Callable[[NDArray[np.int64], NDArray[Any]], Floats]:
    def compute(y: NDArray[np.int64], seen: NDArray[Any]) -> Floats:
        return np.array([class_metrics.f1(y, decided, average) for decided in _decided(seen)])

    return compute


def _mcc(y: NDArray[np.int64], seen: NDArray[Any]) -> Floats:
    return np.array([class_metrics.mcc(y, decided) for decided in _decided(seen)])


def _rmse(y: NDArray[Any], seen: NDArray[Any]) -> Floats:
    return np.sqrt(np.square(seen - y, dtype=np.float64).mean(-1))


def _mae(y: NDArray[Any], seen: NDArray[Any]) -> Floats:
    return np.abs(seen - y, dtype=np.float64).mean(-1)


def _r2(y: NDArray[Any], seen: NDArray[Any]) -> Floats:
    """Compared with the mean of the same rows; NaN where the target is constant."""
    spread = float(np.var(y, dtype=np.float64))
    squared = np.square(seen - y, dtype=np.float64).mean(-1)
    return 1 - squared / spread if spread else np.full(len(seen), np.nan)


def _rmsle(y: NDArray[Any], seen: NDArray[Any]) -> Floats:
    return _rmse(np.log1p(np.maximum(y, 0.0)), np.log1p(np.maximum(seen, 0.0, dtype=np.float64)))


_NAMED: dict[Kind, dict[str, Callable[[NDArray[Any], NDArray[Any]], Floats]]] = {
    "classification": {
        "accuracy": _accuracy,
        "balanced_accuracy": _balanced_accuracy,
        "cross_entropy": _cross_entropy,
        "roc_auc": class_metrics.roc_auc,
        "roc_auc_ovo": class_metrics.roc_auc_ovo,
        "f1_macro": _f1("macro"),
        "f1_micro": _f1("micro"),
        "f1_weighted": _f1("weighted"),
        "mcc": _mcc,
    },
    "regression": {"rmse": _rmse, "mae": _mae, "r2": _r2, "rmsle": _rmsle},
}
_VALUES = _NAMED["classification"] | _NAMED["regression"]
