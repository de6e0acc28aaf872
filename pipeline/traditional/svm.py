"""Support vector machines with a Gaussian kernel, on a few thousand rows."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC, SVR

from lcbench.task import TaskInfo
from pipeline.traditional._indicators import Indicators
from pipeline.traditional.model import Model, Part

SETTINGS: dict[str, Any] = {"C": 1.0, "kernel": "rbf"}
"""Auto-PyTorch (its degree 3 belongs to another kernel); all else is the library's default."""
FOLDS = 3
"""Folds whose held-out decision values calibrate the probabilities; a class with fewer rows than this is left out."""
FIRST_ROWS = 500
"""Rows of the first machine, which tells how long more of them would take."""
EXPONENT = 2.5
"""Seconds grow with this power of the rows, in the worst of our measurements: between 2 and 3 in theory."""
WORTH = 1.5
"""A further machine must have this many times the rows of the last one."""


def build(info: TaskInfo, nominal: NDArray[np.bool_], *, seed: int, rounds: int | None = None) -> Model:
    """A support vector machine, see `SupportVectors`."""
    return SupportVectors(info, nominal, seed=seed, rounds=rounds)


class SupportVectors(Model):
    """`SETTINGS` on `Indicators` and at most 8000 random rows, for its time is at least quadratic.

    Validation rows and `rounds` are not used. Probabilities are Platt's: a sigmoid per class, fitted on decision values of rows that the
    machine has not seen (cross-validation on the training rows), then normalised. The library's own ``probability=True`` does this too,
    and is deprecated. It cannot be interrupted, so that a machine on few rows comes first, then one on as many as the time allows, that of
    predicting the validation and test rows of the task included.
    """

    name = "svm"
    max_rows = 8000

    def _learn(self, train: Part, validation: Part | None, deadline: float) -> None:
        self._inputs_of = Indicators(self._known_nominal)
        X = self._inputs_of.fit_transform(train.X)
        order = np.random.default_rng(self.seed).permutation(len(train.y))
        size = min(FIRST_ROWS, len(order))
        while True:
            start = time.monotonic()
            rows = np.sort(order[:size])
            self._machine = self._fitted(X[rows], train.y[rows])
            taken = time.monotonic() - start + self._seconds_to_predict(train.X)
            left = max(deadline - time.monotonic(), 0)
            larger = int(min(size * (left / taken) ** (1 / EXPONENT), len(order)))
            if larger < min(WORTH * size, len(order)) or larger <= size:
                return
            size = larger

    def _fitted(self, X: Any, y: NDArray[Any]) -> Any | None:
        """A machine, or None if fewer than two classes have enough rows to be calibrated."""
        if self.info.kind == "regression":
            machine = SVR(**SETTINGS)
            machine.random_state = self.seed  # no argument of SVR, but else it draws from the global generator
            return machine.fit(X, y)
        rows = np.flatnonzero(np.bincount(y)[y] >= FOLDS)
        if len(np.unique(y[rows])) < 2:
            return None
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=self.seed)
        return CalibratedClassifierCV(SVC(**SETTINGS, random_state=self.seed), method="sigmoid", cv=folds, ensemble=False, n_jobs=1).fit(
            X[rows], y[rows]
        )

    def _answer(self, X: NDArray[np.float64]) -> NDArray[Any]:
        if self._machine is None:
            return np.tile(self._prior, (len(X), 1))
        inputs = self._inputs_of.transform(X)
        if self.info.kind == "regression":
            return np.asarray(self._machine.predict(inputs))
        p = np.zeros((len(X), self._n_known))
        p[:, self._machine.classes_] = self._machine.predict_proba(inputs)
        return p
