"""Queries and results: what they refuse, and that a failure is a value."""

import dataclasses
import math

import pytest

from lcbench.curve import LearningCurve
from lcbench.query import Query, Result, Status
from lcbench.space import lcbench_space

CONFIGURATION = lcbench_space().get_default_configuration()
QUERY = Query(CONFIGURATION, epoch=5, trial=0)


def test_epochs_count_from_one():
    assert Query(CONFIGURATION, epoch=1, trial=0).epoch == 1
    with pytest.raises(ValueError, match="`epoch` is 0, but must be at least 1: entry 0 of a curve is the untrained network"):
        Query(CONFIGURATION, epoch=0, trial=0)


def test_trials_count_from_zero():
    with pytest.raises(ValueError, match="`trial` is -1, but must be 0 or larger"):
        Query(CONFIGURATION, epoch=1, trial=-1)


def test_queries_are_frozen_values():
    assert Query(CONFIGURATION, epoch=5, trial=0) == QUERY
    with pytest.raises(dataclasses.FrozenInstanceError):
        QUERY.epoch = 6


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_success_has_a_finite_loss(loss):
    with pytest.raises(ValueError, match="`status` is success, so `loss` must be finite, but it is"):
        Result(QUERY, LearningCurve.empty(), loss, 1.0)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.SUCCESS])
def test_a_failure_has_no_finite_loss(status):
    with pytest.raises(ValueError, match=f"`status` is {status}, so `loss` must not be finite, but it is 0.5"):
        Result(QUERY, LearningCurve.empty(), 0.5, 1.0, status)
    result = Result.failure(QUERY, status, "why", seconds=2.0)
    assert (result.loss, result.ok, result.error, result.seconds, len(result.curve)) == (math.inf, False, "why", 2.0, 0)


def test_a_failure_keeps_its_partial_curve():
    curve = LearningCurve.from_entries([(0, 0.0, {"val_accuracy": 0.5})])
    assert Result.failure(QUERY, Status.TIMEOUT, "late", curve=curve).curve == curve


def test_a_success_is_ok():
    assert Result(QUERY, LearningCurve.empty(), 0.5, 1.0).ok


@pytest.mark.parametrize("loss", [math.nan, -math.inf])
def test_a_failure_is_infinitely_bad(loss):
    with pytest.raises(ValueError, match="that of a failure is"):
        Result(QUERY, LearningCurve.empty(), loss, 1.0, Status.CRASHED)
