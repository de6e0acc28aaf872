"""Learning curves: the invariants, and the prefix law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcbench.curve import LearningCurve
from tests.lcbench.curve_strategies import curves


def curve(epochs=(0, 1, 2), seconds=(0.0, 1.0, 2.0), **values):
    return LearningCurve(np.array(epochs), np.array(seconds), values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": (1, 2, 3)}, r"increase strictly from 0, but is \[1, 2, 3\]"),
        ({"epochs": (0, 2, 2)}, "increase strictly"),
        ({"epochs": (0, 2, 1)}, "increase strictly"),
        ({"seconds": (0.0, 2.0, 1.0)}, "never decrease"),
        ({"seconds": (0.0, 1.0)}, r"one length, but are \(3,\) and \(2,\)"),
        ({"epochs": ((0, 1, 2),)}, "must be vectors"),
        ({"loss": (1.0, 2.0)}, r"'loss' has shape \(2,\), but the curve has 3 entries"),
    ],
)
def test_a_wrong_curve_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        curve(**arguments)


def test_equal_seconds_and_left_out_epochs_are_legal():
    assert curve(epochs=(0, 5, 7), seconds=(0.0, 0.0, 0.0)).last_epoch == 7


@given(curves(), st.integers(-1, 7), st.integers(-1, 7))
def test_prefix_law(whole, a, b):
    assert whole.prefix(a).prefix(b) == whole.prefix(min(a, b))
    assert whole.prefix(a).last_epoch == min(a, whole.last_epoch)
    assert whole.prefix(whole.last_epoch) == whole


@given(curves(), st.integers(0, 4))
def test_a_prefix_has_the_same_entries(whole, epoch):
    part = whole.prefix(epoch)
    for e in range(len(part)):
        assert part.seconds[e] == whole.seconds[e]
        np.testing.assert_equal(part.at(e), whole.at(e))


@given(curves())
def test_from_entries_inverts_at(whole):
    again = LearningCurve.from_entries((e, whole.seconds[e], whole.at(e)) for e in whole.epochs.tolist())
    assert again == whole or len(whole) == 0  # an empty curve has no entry that could name its columns


@given(curves(), curves())
def test_equality_is_symmetric_and_sees_values(a, b):
    assert (a == b) == (b == a)
    assert a == LearningCurve(a.epochs, a.seconds, dict(reversed(a.values.items())))
    if len(a) and a.values:
        name = next(iter(a.values))
        changed = np.where(np.isnan(a.values[name]), 0.0, np.nan)
        assert a != LearningCurve(a.epochs, a.seconds, {**a.values, name: changed})


def test_from_entries_fills_missing_columns_with_nan():
    found = LearningCurve.from_entries([(0, 0.0, {"a": 1.0}), (1, 1.0, {"b": 2.0})])
    np.testing.assert_array_equal(found.values["a"], [1.0, np.nan])
    np.testing.assert_array_equal(found.values["b"], [np.nan, 2.0])


def test_empty_curve():
    assert len(LearningCurve.empty()) == 0
    assert LearningCurve.empty().last_epoch == -1
    with pytest.raises(KeyError, match="`epoch` is 0, but this curve has entries for none"):
        LearningCurve.empty().at(0)


def test_an_epoch_beyond_the_end_says_what_there_is():
    with pytest.raises(KeyError, match=r"`epoch` is 3, but this curve has entries for 0\.\.2"):
        curve().at(3)
