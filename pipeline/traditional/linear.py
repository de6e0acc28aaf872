"""Linear models: logistic regression and ridge regression."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from lcbench.task import TaskInfo
from pipeline.traditional._indicators import Indicators
from pipeline.traditional.model import Model, Part, Stopwatch

SETTINGS: dict[str, Any] = {"C": 1.0, "solver": "lbfgs"}
"""Of the logistic regression: scikit-learn's defaults. The paper has no linear model."""
RIDGE: dict[str, Any] = {"alpha": 1.0}
"""Of the ridge regression: scikit-learn's default."""
ITERATIONS = 1000
"""Most iterations of the logistic regression; standardised columns need a few dozen."""
CHUNK = 20
"""Iterations between two looks at the clock; fixed, because where the solver restarts shows in the last digits of the model."""


def build(info: TaskInfo, nominal: NDArray[np.bool_], *, seed: int, rounds: int | None = None) -> Model:
    """A logistic or ridge regression, see `Linear`."""
    return Linear(info, nominal, seed=seed, rounds=rounds)


class Linear(Model):
    """Logistic regression in chunks of iterations, or ridge regression in one go, on `Indicators`.

    Validation rows and `rounds` are not used. The first chunk is a single iteration. The solution of the ridge cannot be interrupted;
    the pilot limits its rows instead.
    """

    name = "linear"
    varies = False

    def _learn(self, train: Part, validation: Part | None, deadline: float) -> None:
        self._inputs_of = Indicators(self._known_nominal)
        X = self._inputs_of.fit_transform(train.X)
        if self.info.kind == "regression":
            self._linear = Ridge(**RIDGE).fit(X, train.y.astype(np.float32))
            return
        self._linear = LogisticRegression(**SETTINGS, warm_start=True)
        watch = Stopwatch(deadline)
        watch.has_time()
        done, chunk = 0, 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # every chunk but the last ends before it has converged
            while done < ITERATIONS:
                self._linear.set_params(max_iter=chunk).fit(X, train.y)
                done += chunk
                if self._linear.n_iter_.max() < chunk or not watch.has_time(CHUNK if chunk == 1 else 1):
                    return
                chunk = CHUNK

    def _answer(self, X: NDArray[np.float64]) -> NDArray[Any]:
        predict = self._linear.predict if self.info.kind == "regression" else self._linear.predict_proba
        return np.asarray(predict(self._inputs_of.transform(X)))
