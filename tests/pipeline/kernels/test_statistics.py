"""Moments and quantiles equal numpy's, for any numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.kernels.statistics import SORTED_BELOW, moments_and_quantiles

SHARES = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


def _expected(values):
    exact = values.astype(np.float64)
    return [exact.max(), exact.mean(), exact.std(), *np.quantile(exact, SHARES)]


@given(arrays(np.float32, st.integers(1, 40), elements=st.floats(-1e3, 1e3, width=32)))
def test_a_few_numbers(values):
    np.testing.assert_allclose(moments_and_quantiles(values, SHARES), _expected(values), rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("n", [SORTED_BELOW - 1, SORTED_BELOW, SORTED_BELOW + 1, 50_000, 1_000_003])
@pytest.mark.parametrize("kind", ["gradients", "many zeros", "all equal", "negative", "wide"])
def test_many_numbers(n, kind):
    rng = np.random.default_rng(n)
    values = (rng.standard_normal(n) * 1e-3).astype(np.float32)
    match kind:
        case "many zeros":
            values[rng.random(n) < 0.8] = 0
        case "all equal":
            values[:] = -0.25
        case "negative":
            values = -np.abs(values)
        case "wide":
            values = (values * np.exp(rng.uniform(-30, 30, n))).astype(np.float32)
    found, expected = moments_and_quantiles(values, SHARES), _expected(values)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12 + 1e-9 * np.abs(values).max())


@pytest.mark.parametrize("n", [3, SORTED_BELOW + 10])
def test_one_that_is_not_a_number_makes_all_so(n):
    values = np.ones(n, np.float32)
    values[-1] = np.nan
    assert np.isnan(moments_and_quantiles(values, SHARES)).all()
