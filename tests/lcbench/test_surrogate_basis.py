"""Curve transforms: what goes in comes out, in order, within its bounds, and time never runs backwards."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lcbench.surrogate.basis import LevelCodec, TimeCodec, _increasing, fill, fill_seconds, worst

LOSSES = (0.0, np.inf)
ACCURACIES = (0.0, 1.0)
curves = hnp.arrays(np.float64, (12, 6), elements=st.floats(0.01, 5))


@pytest.fixture(params=[0, 1, 2])
def decays(request):
    rng = np.random.default_rng(request.param)
    return rng.uniform(0.2, 1, (60, 1)) + rng.uniform(0, 2, (60, 1)) * np.exp(-rng.uniform(0.05, 1, (60, 1)) * np.arange(21))


@pytest.mark.parametrize(
    ("bounds", "maximise", "expected"),
    [
        (ACCURACIES, True, 0.0),
        (LOSSES, False, 10 * 0.7),
        ((-np.inf, 1.0), True, 1 - 10 * 0.3),
        ((-np.inf, np.inf), False, 0.9),
        ((-np.inf, np.inf), True, 0.6),
    ],
)
def test_what_diverged_becomes_the_worst_value(bounds, maximise, expected):
    Y = np.array([[0.7, 0.7, 0.7], [0.6, 0.9, np.nan], [0.7, 0.7, np.inf]])
    assert worst(Y, bounds, maximise=maximise) == pytest.approx(expected)
    filled = fill(Y, bounds, maximise=maximise)
    assert filled[1, 2] == filled[2, 2] == pytest.approx(expected)
    np.testing.assert_array_equal(filled[0], Y[0])


@given(
    hnp.arrays(np.float64, (5, 4), elements=st.floats(allow_nan=True, allow_infinity=True)),
    st.sampled_from([(ACCURACIES, True), (LOSSES, False), ((-np.inf, 1.0), True), ((-np.inf, np.inf), True), ((-np.inf, np.inf), False)]),
)
@example(np.full((5, 4), 2.0**1022), (LOSSES, False))
def test_filled_curves_are_finite_and_within_bounds(Y, kind):
    bounds, maximise = kind
    filled = fill(Y, bounds, maximise=maximise)
    assert np.isfinite(filled).all()
    assert (filled >= bounds[0]).all() and (filled <= bounds[1]).all()


def test_an_ended_clock_goes_on_at_its_own_pace():
    steps = np.array([1.0, 2, 2, 2, 2])
    Y = np.cumsum(np.array([[1.0], [2.0], [3.0], [10.0]]) * steps, axis=1)
    cut = Y.copy()
    cut[3, 3:] = np.nan
    np.testing.assert_allclose(fill_seconds(cut), Y)
    with pytest.raises(ValueError, match=r"rows \[0\] have no seconds at all"):
        fill_seconds(np.full((1, 3), np.nan))


def test_scores_are_the_order_of_the_values(decays):
    codec = LevelCodec.fit(decays)
    scores = codec.scores(decays)
    assert scores.min() >= 0 and scores.max() <= 1
    order = np.argsort(decays, axis=None)
    assert (np.diff(scores.ravel()[order]) >= 0).all()
    np.testing.assert_allclose(codec.values(scores), decays, atol=1e-5)


@pytest.mark.parametrize("codec", [LevelCodec, TimeCodec])
def test_the_basis_keeps_smooth_curves(codec, decays):
    Y = decays if codec is LevelCodec else np.cumsum(decays, axis=1)
    fitted = codec.fit(Y, n_components=8)
    U = fitted.scores(Y)
    np.testing.assert_allclose(fitted.expand(fitted.coefficients(U)), U, atol=0.05)


@given(hnp.arrays(np.float64, (4, 4), elements=st.floats(-50, 50)))
def test_time_never_runs_backwards_whatever_the_coefficients(C):
    rng = np.random.default_rng(0)
    codec = TimeCodec.fit(np.cumsum(rng.lognormal(size=(30, 9)), axis=1))
    for Y in (codec.means(codec.expand(C)), codec.values(codec.expand(C) + rng.normal(size=(4, 9)))):
        assert np.isfinite(Y).all() and (Y >= 0).all()
        assert (np.diff(Y, axis=1) >= 0).all()


@given(curves, hnp.arrays(np.float64, (12, 6), elements=st.floats(-1, 2)))
def test_a_link_keeps_the_order_of_predictions(Y, U):
    codec = LevelCodec.fit(Y).linked(U, Y)
    assert (np.diff(codec.link_scores) > 0).all() and (np.diff(codec.link_values) >= 0).all()
    assert (codec.means(U) >= Y.min() - 1e-3 * np.ptp(Y) - 1e-6).all()


def test_a_link_makes_predictions_right_on_average(decays):
    rng = np.random.default_rng(0)
    codec = LevelCodec.fit(decays)
    U = codec.scores(decays) + rng.normal(scale=0.2, size=decays.shape)
    before, after = codec.means(U), codec.linked(U, decays).means(U)
    assert np.mean((after - decays) ** 2) < 0.8 * np.mean((before - decays) ** 2)


def test_pooling_is_the_nearest_increasing_sequence():
    np.testing.assert_allclose(_increasing(np.array([1.0, 3, 2, 4]), np.ones(4)), [1, 2.5, 2.5, 4])
    np.testing.assert_allclose(_increasing(np.array([3.0, 1]), np.array([1.0, 3])), [1.5, 1.5])


@pytest.mark.parametrize("codec", [LevelCodec, TimeCodec])
def test_constant_curves_are_no_accident(codec):
    Y = np.full((20, 5), 0.5) if codec is LevelCodec else np.tile(np.arange(1.0, 6), (20, 1))
    fitted = codec.fit(Y)
    U = fitted.scores(Y)
    again = fitted.linked(U, Y).means(fitted.expand(fitted.coefficients(U)))
    np.testing.assert_allclose(again, Y, rtol=1e-3)
