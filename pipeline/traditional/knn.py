"""k nearest neighbours: the classes or the mean target of the training rows that are most alike."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from lcbench.task import TaskInfo
from pipeline.traditional._indicators import Indicators
from pipeline.traditional.model import PILOT_ROWS, Model, Part

NEIGHBOURS = 5
"""k; with uniform weights and Euclidean distance as in Auto-PyTorch, the library's defaults."""


def build(info: TaskInfo, nominal: NDArray[np.bool_], *, seed: int, rounds: int | None = None) -> Model:
    """A k-nearest-neighbours learner, see `NearestNeighbours`."""
    return NearestNeighbours(info, nominal, seed=seed, rounds=rounds)


class NearestNeighbours(Model):
    """5 neighbours on `Indicators` (Auto-PyTorch drops text columns instead); validation rows and `rounds` are not used.

    Fitting only stores rows; it is predicting that takes time. So a few rows are predicted, and if by their rate the validation and test
    rows of the task would not be done by the deadline, fewer training rows are kept, though at least `PILOT_ROWS`.
    """

    name = "knn"
    varies = False
    max_rows = 50_000

    def _learn(self, train: Part, validation: Part | None, deadline: float) -> None:
        kind = KNeighborsRegressor if self.info.kind == "regression" else KNeighborsClassifier
        self._inputs_of = Indicators(self._known_nominal, dense=True)
        X = self._inputs_of.fit_transform(train.X)
        self._neighbours = kind(min(NEIGHBOURS, len(train.y)), n_jobs=1).fit(X, train.y)
        to_come, left = self._seconds_to_predict(train.X), deadline - time.monotonic()
        if to_come > left and len(train.y) > PILOT_ROWS:
            affordable = int(len(train.y) * left / to_come)
            rows = np.random.default_rng(self.seed).permutation(len(train.y))[: max(PILOT_ROWS, affordable)]
            self._neighbours.fit(X[rows], train.y[rows])

    def _answer(self, X: NDArray[np.float64]) -> NDArray[Any]:
        inputs = self._inputs_of.transform(X)
        if self.info.kind == "regression":
            return np.asarray(self._neighbours.predict(inputs))
        p = np.zeros((len(X), self._n_known))
        p[:, self._neighbours.classes_] = self._neighbours.predict_proba(inputs)
        return p
