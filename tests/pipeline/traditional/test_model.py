"""What all learners share: the pilot that keeps the deadline, the stopwatch, the doors of the package."""

import time

import numpy as np
import pytest

from lcbench.errors import UserError
from lcbench.task import TaskInfo
from pipeline.traditional import model as package
from pipeline.traditional.model import PILOT_ROWS, Model, Stopwatch, build

INFO = TaskInfo("rows", "regression", None, 0, "drawn", 20_000, 100, 100, 1, 0)


class Slow(Model):
    """One step that takes a time per row and cannot be stopped; predicts the number of rows it was trained on."""

    name = "slow"
    seconds_per_row = 1e-5

    def _learn(self, train, validation, deadline):
        self.calls = [*getattr(self, "calls", []), len(train.y)]
        time.sleep(self.seconds_per_row * len(train.y))

    def _answer(self, X):
        return np.full(len(X), 1.0)


def fitted(seconds, n=20_000, **attributes):
    X = np.arange(float(n))[:, None]
    model = Slow(INFO, np.array([False]), seed=1)
    vars(model).update(attributes)
    start = time.monotonic()
    model.fit(X, X[:, 0], None, None, deadline=start + seconds)
    return model, time.monotonic() - start


def test_with_enough_time_all_rows_follow_the_pilot():
    assert fitted(np.inf)[0].calls == [PILOT_ROWS, 20_000]
    assert fitted(np.inf, n=PILOT_ROWS)[0].calls == [PILOT_ROWS]


def test_with_little_time_as_many_rows_as_it_allows():
    model, seconds = fitted(0.6, seconds_per_row=5e-5)  # all rows would take 1 s
    assert model.calls[0] == PILOT_ROWS < model.calls[1] < 20_000
    assert seconds < 1


def test_with_less_time_the_pilot_is_the_model():
    model, seconds = fitted(0.03, seconds_per_row=1e-4)
    assert model.calls == [PILOT_ROWS]
    assert seconds < 0.5
    assert model.predict(np.zeros((2, 1))).shape == (2, 1)


def test_after_the_deadline_nothing_is_trained():
    model, _ = fitted(-1)
    assert not hasattr(model, "calls")
    assert model.predict(np.zeros((2, 1))) == pytest.approx(9999.5)


def test_rows_are_limited_where_the_learner_says_so():
    assert fitted(np.inf, max_rows=3000)[0].calls == [PILOT_ROWS, 3000]


def test_the_stopwatch_expects_the_next_step_to_be_as_long_as_the_last(monkeypatch):
    clock = iter([10.0, 11.0, 12.5, 14.0])
    monkeypatch.setattr(package.time, "monotonic", lambda: next(clock))
    watch = Stopwatch(15.0)
    assert watch.has_time()  # a first look
    assert watch.has_time(steps=3)  # 1 s each: until 14
    assert not watch.has_time(reserve=1.5)  # 1.5 s: until 14, and 1.5 s after that
    assert not watch.has_time()  # until 15.5


def test_wrong_columns_and_unknown_names_are_refused():
    with pytest.raises(ValueError, match="raw has 2 columns, but the model was built for 1"):
        fitted(np.inf, n=5)[0].predict(np.zeros((3, 2)))
    with pytest.raises(UserError, match="'xgboost', but must be one of lightgbm_default, catboost"):
        build("xgboost", INFO, np.array([False]), 1)
