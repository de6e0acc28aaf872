"""Honest references: what a constant and a linear model reach on the same rows, in the same metrics and units.

Notation: n rows of a split, C classes, d columns. Both are fitted on the training rows alone.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.preprocessing import numbers
from pipeline.tasks import Task

Predictor = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""Rows (n,) to class probabilities (n, C), or to predictions (n,)."""
MAX_ITERATIONS = 1000
"""Steps of the logistic regression; standardised columns need a few dozen."""


@dataclass(frozen=True)
class Baseline:
    """The scores of one reference."""

    name: str
    """What it is, e.g. ``majority class``."""
    seconds: float
    """Wall-clock seconds of preprocessing, fitting and scoring."""
    scores: dict[str, float]
    """``val_`` and ``test_`` of every metric of the task, in the units of `lcbench.metric`."""


def constant_baseline(task: Task) -> Baseline:
    """The most frequent class with the class frequencies as probabilities, or the mean target."""
    y = task.y[task.train]
    if task.info.kind == "regression":
        return _scored("mean", task, lambda: lambda rows: np.full(len(rows), y.mean()))
    frequencies = np.bincount(y.astype(np.int64), minlength=task.info.n_classes) / len(y)
    return _scored("majority class", task, lambda: lambda rows: np.tile(frequencies, (len(rows), 1)))


def linear_baseline(task: Task) -> Baseline:
    """Logistic (up to 1000 steps) or ridge regression, else scikit-learn's defaults, on standardised numbers and one-hot categories."""
    name = "logistic regression" if task.info.kind == "classification" else "ridge regression"
    return _scored(name, task, lambda: _fitted_linear(task))


def _fitted_linear(task: Task) -> Predictor:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    values, encoder = _columns(task)
    classify = task.info.kind == "classification"
    model = make_pipeline(encoder, LogisticRegression(max_iter=MAX_ITERATIONS) if classify else Ridge())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what is reached after 1000 steps is a fair reference too
        model.fit(values[task.train], task.y[task.train])
    if not classify:
        return lambda rows: model.predict(values[rows])
    present = model[-1].classes_.astype(np.int64)  # a rare class may have no training row

    def probabilities(rows: NDArray[np.int64]) -> NDArray[np.float64]:  # (n,) -> (n, C)
        p = np.zeros((len(rows), task.info.n_classes))
        p[:, present] = model.predict_proba(values[rows])
        return p

    return probabilities


def _columns(task: Task) -> tuple[NDArray[np.float64], Any]:
    """All columns as numbers (n, columns), and the transformer that makes them inputs of a linear model (n, d).

    A missing number becomes the training mean; a missing category is a category of its own; a category without training
    rows counts as none of them.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    values = numbers(task.X)
    nominal = np.array([isinstance(dtype, pd.CategoricalDtype) for dtype in task.X.dtypes])
    values[:, nominal] = np.nan_to_num(values[:, nominal], nan=-1)
    known = ~np.isnan(values[task.train]).all(axis=0)
    scaled = make_pipeline(SimpleImputer(strategy="mean"), StandardScaler())
    parts = [
        ("numbers", scaled, np.flatnonzero(~nominal & known)),
        ("categories", OneHotEncoder(handle_unknown="ignore"), np.flatnonzero(nominal)),
    ]
    return values, ColumnTransformer(parts)


def _scored(name: str, task: Task, fit: Callable[[], Predictor]) -> Baseline:
    start = time.perf_counter()
    predict = fit()
    score = _classification_scores if task.info.kind == "classification" else _regression_scores
    scores: dict[str, float] = {}
    for split, rows in (("val", task.val), ("test", task.test)):
        scores |= {f"{split}_{metric}": value for metric, value in score(predict(rows), task.y[rows]).items()}
    return Baseline(name, time.perf_counter() - start, scores)


def _classification_scores(p: NDArray[np.float64], y: NDArray[Any]) -> dict[str, float]:  # (n, C), (n,)
    """Scores of class probabilities; balanced accuracy is the mean recall over the classes that occur in `y`."""
    codes = y.astype(np.int64)
    hit = (p.argmax(1) == codes).astype(np.float64)
    support = np.bincount(codes)
    recall = np.bincount(codes, hit)[support > 0] / support[support > 0]
    truth = np.clip(p[np.arange(len(codes)), codes], np.finfo(np.float64).eps, 1.0)  # as scikit-learn's log_loss clips
    return {"accuracy": float(hit.mean()), "balanced_accuracy": float(recall.mean()), "cross_entropy": float(-np.log(truth).mean())}


def _regression_scores(predicted: NDArray[np.float64], y: NDArray[Any]) -> dict[str, float]:  # (n,), (n,)
    """Errors in the target's unit; R2 compares with the mean of the same split."""
    error = predicted - y
    squared = float(np.mean(error**2))
    spread = float(np.var(y))
    return {"rmse": squared**0.5, "mae": float(np.abs(error).mean()), "r2": 1 - squared / spread if spread else float("nan")}
