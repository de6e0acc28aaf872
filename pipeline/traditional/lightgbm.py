"""LightGBM: gradient-boosted trees that grow leaf by leaf, on histograms, with native categories."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

import lightgbm
import numpy as np
from lightgbm.callback import CallbackEnv, EarlyStopException
from numpy.typing import NDArray

from lcbench.task import TaskInfo
from pipeline.traditional._boosting import ROUNDS, patience
from pipeline.traditional.model import Model, Part, Stopwatch

SETTINGS: dict[str, Any] = {
    "boosting": "gbdt",
    "learning_rate": 0.03,
    "num_leaves": 128,
    "min_data_in_leaf": 3,
    "feature_fraction": 0.9,
}
"""Auto-PyTorch, which took them from AutoGluon (Erickson et al. 2020); all else is the library's default."""
TECHNICAL: dict[str, Any] = {
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,  # left to itself, the library times both ways and takes the faster, which is not deterministic
    "verbosity": -1,
}
"""One thread, the same trees every time, no output."""
REFIT_ROUNDS = 300
"""Rounds without validation rows if none are asked for: at this learning rate the best round is usually some hundred."""

RARER = 4
"""Copies and predictions are timed after 1, 4, 16, … rounds."""


def build(info: TaskInfo, nominal: NDArray[np.bool_], *, seed: int, rounds: int | None = None) -> Model:
    """A LightGBM learner, see `LightGBM`."""
    return LightGBM(info, nominal, seed=seed, rounds=rounds)


class LightGBM(Model):
    """`SETTINGS`, 10,000 rounds with early stopping; the best round by log loss or squared error is kept.

    The paper stops by classification error; log loss sees progress in the probabilities that an ensemble averages, and has fewer ties.
    Two classes are boosted with one tree per round (``binary``), not with two (``multiclass``) as in the paper: half the time.
    A step is a round. Missing cells and categories not trained on go where the trees send what they do not know.
    """

    name = "lightgbm"
    settings: ClassVar[dict[str, Any]] = SETTINGS

    def _learn(self, train: Part, validation: Part | None, deadline: float) -> None:
        self._boost(self.rounds or (REFIT_ROUNDS if validation is None else ROUNDS), train, validation, deadline)

    def _boost(self, rounds: int, train: Part, validation: Part | None, deadline: float) -> None:
        """Train so many rounds at most; with validation rows the best is kept."""
        losses: dict[str, Any] = {}
        callbacks: list[Callable[..., Any]] = [_Deadline(deadline, train.X, self._seconds_to_predict)]
        held_out = None
        data = self._dataset(train)
        if validation is not None:
            held_out = self._dataset(validation, data)
            callbacks += [
                lightgbm.record_evaluation(losses),
                lightgbm.early_stopping(patience(len(train.y)), verbose=False),
            ]
        booster = lightgbm.train(
            self.settings | TECHNICAL | self._objective() | {"seed": self.seed},
            data,
            rounds,
            valid_sets=None if held_out is None else [held_out],
            valid_names=None if held_out is None else ["validation"],
            keep_training_booster=True,
            callbacks=callbacks,
        )
        kept = booster.current_iteration()
        for loss in losses.get("validation", {}).values():
            kept = min(kept, int(np.argmin(loss)) + 1)
        self.rounds_kept = kept
        self._booster = _copy(booster, kept)

    def _answer(self, X: NDArray[np.float64]) -> NDArray[Any]:
        answer = np.asarray(self._booster.predict(X.astype(np.float32), num_threads=1))
        return np.column_stack([1 - answer, answer]) if self.info.kind == "classification" and self._n_known == 2 else answer

    def _objective(self) -> dict[str, Any]:
        if self.info.kind == "regression":
            return {"objective": "regression", "metric": "rmse"}
        if self._n_known == 2:
            return {"objective": "binary", "metric": "binary_logloss"}
        return {"objective": "multiclass", "metric": "multi_logloss", "num_class": self._n_known}

    def _dataset(self, part: Part, reference: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
        nominal = np.flatnonzero(self._known_nominal).tolist()
        return lightgbm.Dataset(
            part.X.astype(np.float32), part.y, reference=reference, categorical_feature=nominal, params=self.settings | TECHNICAL
        )


def _copy(booster: lightgbm.Booster, rounds: int) -> lightgbm.Booster:
    """A copy by way of text, which leaves the training rows and the rounds after the best one behind."""
    return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=rounds))


class _Deadline:
    """Stops boosting after the round whose successor, the copy of all rounds and their predictions would not end in time."""

    order = 25
    """Called after the loss of the round is recorded (20), before early stopping (30)."""

    def __init__(self, deadline: float, X: NDArray[np.float64], seconds_to_predict: Callable[..., float]) -> None:
        self.watch, self.X, self.seconds_to_predict = Stopwatch(deadline), X, seconds_to_predict
        self.seconds_per_round = 0.0
        self.measured = 0

    def __call__(self, env: CallbackEnv) -> None:
        rounds = env.iteration + 1
        if rounds >= RARER * self.measured and isinstance(env.model, lightgbm.Booster):
            self.measure(env.model, rounds)
        if not self.watch.has_time(reserve=rounds * self.seconds_per_round):
            raise EarlyStopException(env.iteration, env.evaluation_result_list or [])

    def measure(self, booster: lightgbm.Booster, rounds: int) -> None:
        """How long copying and predicting will take for every round, by the rounds that there are: a few alone are mostly overhead."""
        start = time.monotonic()
        copy = _copy(booster, rounds)
        seconds = time.monotonic() - start + self.seconds_to_predict(self.X, lambda X: copy.predict(X.astype(np.float32), num_threads=1))
        self.seconds_per_round, self.measured = seconds / rounds, rounds
        self.watch.has_time()  # the measurement is no part of a round
