"""Metrics turn values into losses by the truth table of the class, and back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcbench.metric import CLASSIFICATION_METRICS, METRICS, REGRESSION_METRICS, Metric, metric_named


@pytest.mark.parametrize(
    ("direction", "bounds", "value", "loss"),
    [
        ("minimize", (0.0, math.inf), 0.25, 0.25),
        ("minimize", (0.0, 1.0), 0.25, 0.25),
        ("maximize", (0.0, 1.0), 0.25, 0.75),
        ("maximize", (0.0, 100.0), 25.0, 75.0),
        ("maximize", (-math.inf, 1.0), -3.0, 4.0),
        ("maximize", (0.0, math.inf), 0.25, -0.25),
    ],
)
def test_truth_table(direction, bounds, value, loss):
    metric = Metric("m", direction, bounds, "unit")
    assert metric.loss(value) == loss
    assert metric.value(loss) == value


@given(st.sampled_from(sorted(METRICS)), st.floats(-1e6, 1e6))
def test_value_inverts_loss(name, value):
    metric = METRICS[name]
    assert metric.value(metric.loss(value)) == pytest.approx(value, abs=1e-9)


@given(st.sampled_from(sorted(METRICS)), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_better_value_never_has_a_larger_loss(name, a, b):
    metric = METRICS[name]
    worse, better = sorted((a, b), reverse=metric.direction == "minimize")
    assert metric.loss(better) <= metric.loss(worse)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_nan_stays_nan(name):
    assert math.isnan(METRICS[name].loss(math.nan))


def test_best_value_of_a_bounded_metric_has_loss_zero():
    assert [METRICS[name].loss(1.0) for name in ("accuracy", "balanced_accuracy", "r2")] == [0.0, 0.0, 0.0]
    assert METRICS["cross_entropy"].loss(0.0) == 0.0


def test_columns_are_named_by_split():
    assert metric_named("accuracy").on("val") == "val_accuracy"


def test_every_metric_is_registered_under_its_name():
    assert all(metric.name == name for name, metric in METRICS.items())
    assert {*CLASSIFICATION_METRICS, *REGRESSION_METRICS} <= METRICS.keys()


def test_unknown_metric_names_the_nearest():
    with pytest.raises(KeyError, match=r"`metric` is 'acuracy', but must be one of accuracy.*did you mean 'accuracy'"):
        metric_named("acuracy")
