"""CatBoost: gradient-boosted symmetric trees, with categories turned into ordered statistics of the target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from catboost import CatBoost, CatBoostError, Pool
from numpy.typing import NDArray

from lcbench.task import TaskInfo
from pipeline.traditional._boosting import ROUNDS, patience
from pipeline.traditional.model import Model, Part, Stopwatch

SETTINGS: dict[str, Any] = {"learning_rate": 0.1}
"""Auto-PyTorch, which took it from AutoGluon (Erickson et al. 2020); all else is the library's default."""
TECHNICAL: dict[str, Any] = {"thread_count": 1, "allow_writing_files": False, "logging_level": "Silent"}
"""One thread, no files, no output."""
MANY_CLASSES = 10
"""More classes than this, and categories get statistics that do not ask for the class (`PLAIN`)."""
PLAIN: dict[str, Any] = {
    "one_hot_max_size": 255,
    "simple_ctr": ["BinarizedTargetMeanValue", "Counter"],
    "combinations_ctr": ["BinarizedTargetMeanValue", "Counter"],
}
"""One indicator per category, or its mean class code and frequency where there are more than 255. By default a category gets a statistic
per class, and each is weighed for each class: quadratic, 10 seconds a round with 200 classes, 4 such columns and 2000 rows."""
REFIT_ROUNDS = 500
"""Rounds without validation rows if none are asked for: at this learning rate the best round is usually some hundred."""
FEWEST_PLANNED = 200
"""Where fewer rounds are planned, the library grows other trees: no combinations of categories, one step per leaf instead of ten. A
refit of fewer is stopped on its way, so that it is the beginning of what the search has trained."""
MISSING = -1
"""Code of a missing category, which becomes a category of its own."""


def build(info: TaskInfo, nominal: NDArray[np.bool_], *, seed: int, rounds: int | None = None) -> Model:
    """A CatBoost learner, see `OrderedBoosting`."""
    return OrderedBoosting(info, nominal, seed=seed, rounds=rounds)


class OrderedBoosting(Model):
    """`SETTINGS`, 10,000 rounds with early stopping; the best round by log loss or squared error is kept.

    The paper watches accuracy; log loss sees progress in the probabilities that an ensemble averages, and has fewer ties. A step is a
    round. A missing number counts as the smallest, a missing category as one of its own, an unknown category as one without statistics.
    """

    name = "catboost"

    def _learn(self, train: Part, validation: Part | None, deadline: float) -> None:
        rounds = self.rounds or (REFIT_ROUNDS if validation is None else ROUNDS)
        self._boost(SETTINGS | {"iterations": max(rounds, FEWEST_PLANNED)}, rounds, train, validation, deadline)

    def _boost(self, settings: dict[str, Any], rounds: int, train: Part, validation: Part | None, deadline: float) -> None:
        """Train at most so many of the rounds that the settings plan; with validation rows the best is kept."""
        statistics = PLAIN if self.info.kind == "classification" and self._n_known > MANY_CLASSES else {}
        task = {"loss_function": self._loss(), "random_seed": self.seed}
        self._booster = CatBoost(settings | TECHNICAL | statistics | task)
        try:
            self._booster.fit(
                self._pool(train.X, train.y),
                eval_set=None if validation is None else self._pool(validation.X, validation.y),
                early_stopping_rounds=None if validation is None else patience(len(train.y)),
                use_best_model=validation is not None,
                callbacks=[_Stop(rounds, deadline)],
            )
        except CatBoostError as error:
            if "constant or ignored" not in str(error):
                raise
            self._can_answer = False  # no border splits the columns as the library quantises them: the constant prediction is left
            return
        self.rounds_kept = int(self._booster.tree_count_)

    def _answer(self, X: NDArray[np.float64]) -> NDArray[Any]:
        kind = "RawFormulaVal" if self.info.kind == "regression" else "Probability"
        return np.asarray(self._booster.predict(self._pool(X), prediction_type=kind, thread_count=1))

    def _loss(self) -> str:
        if self.info.kind == "regression":
            return "RMSE"
        return "Logloss" if self._n_known == 2 else "MultiClass"

    def _pool(self, X: NDArray[np.float64], y: NDArray[Any] | None = None) -> Pool:
        """The library takes categories as integers only, so the columns of a table with categories have types of their own."""
        nominal = self._known_nominal
        if not nominal.any():
            return Pool(X.astype(np.float32), y, thread_count=1)
        columns = {
            i: np.where(np.isnan(column), MISSING, column).astype(np.int64) if nominal[i] else column.astype(np.float32)
            for i, column in enumerate(X.T)
        }
        return Pool(pd.DataFrame(columns), y, cat_features=np.flatnonzero(nominal).tolist(), thread_count=1)


class _Stop:
    """Stops boosting after so many rounds, or after the round whose successor would not end in time."""

    def __init__(self, rounds: int, deadline: float) -> None:
        self.left = rounds
        self.watch = Stopwatch(deadline)

    def after_iteration(self, info: Any) -> bool:
        """Whether to go on; called by the library."""
        self.left -= 1
        return self.watch.has_time() and self.left > 0
