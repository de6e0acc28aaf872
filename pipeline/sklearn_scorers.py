"""Scikit-learn's scorers by name, applied to stored predictions: greater is better.

Notation: n rows, C classes. Importing this module loads scikit-learn; `pipeline.metrics` does so only for a metric of that name.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer, get_scorer_names

from lcbench.task import TaskInfo


class StoredClassifier(ClassifierMixin, BaseEstimator):
    """Stands in for a fitted classifier: answers with given probabilities, whatever it is asked about."""

    def __init__(self, probabilities: NDArray[np.float64]) -> None:  # (n, C)
        self.probabilities = probabilities
        self.classes_ = np.arange(probabilities.shape[1])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # -> (n, C)
        """The given probabilities."""
        return self.probabilities

    def predict(self, X: Any) -> NDArray[np.int64]:  # -> (n,)
        """The code of the most probable class, the first of equals."""
        return self.probabilities.argmax(1)


class StoredRegressor(RegressorMixin, BaseEstimator):
    """Stands in for a fitted regressor: answers with given predictions, whatever it is asked about."""

    def __init__(self, predictions: NDArray[np.float64]) -> None:  # (n,)
        self.predictions = predictions

    def predict(self, X: Any) -> NDArray[np.float64]:  # -> (n,)
        """The given predictions."""
        return self.predictions


def scorer_names() -> tuple[str, ...]:
    """Every scorer that the installed scikit-learn knows by name."""
    return tuple(get_scorer_names())


def scorer_value(name: str, y: NDArray[Any], predictions: NDArray[Any], *, strict: bool = False) -> float:  # (n,), (n, C) or (n, 1)
    """What the scorer says about predictions.

    Args:
        name: one of `scorer_names`.
        y: class codes, or the target.
        predictions: probabilities (n, C), or predictions (n, 1) of a regression.
        strict: let a UserWarning of the scorer, e.g. that it wants classes, be an error.

    Raises:
        ValueError: in scikit-learn's words, if the scorer cannot judge these.
        UserWarning: if `strict`, where the scorer only warns.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if strict:
            warnings.simplefilter("error", UserWarning)
        return float(get_scorer(name)(_stored(predictions), None, y))


def _stored(predictions: NDArray[Any]) -> StoredClassifier | StoredRegressor:
    numbers = np.asarray(predictions, np.float64)
    if numbers.shape[1] == 1:
        return StoredRegressor(numbers[:, 0])
    return StoredClassifier(numbers.clip(0, 1))  # an average may be 1 + 1e-7, which scorers refuse


def misfit(name: str, info: TaskInfo) -> str:
    """Why a scorer does not fit the kind of a task, in words; empty if it does.

    Scorers do not say what they are for, so they are tried on a small example. Some that are meant for numbers would take class
    codes for numbers: a scorer that accepts a regression is no scorer of classes.
    """
    rng = np.random.default_rng(0)
    numbers = np.linspace(1.0, 2.0, 20)
    refused = _refusal(name, numbers, (numbers + rng.normal(0, 0.01, 20))[:, None])
    if info.kind == "regression":
        return refused
    if not refused:
        return "it compares numbers, not classes"
    codes = rng.permutation(np.tile(np.arange(info.n_classes), 10))
    p = rng.dirichlet(np.ones(info.n_classes), len(codes))
    p[::2] = (p[::2] + 2 * np.eye(info.n_classes)[codes[::2]]) / 3  # half of the rows right, so that every class is also predicted
    return _refusal(name, codes, p)


def _refusal(name: str, y: NDArray[Any], predictions: NDArray[Any]) -> str:
    try:
        scorer_value(name, y, predictions, strict=True)
    except (ValueError, TypeError, AttributeError, UserWarning) as error:
        return str(error).strip().split("\n")[0].rstrip(".")
    return ""
