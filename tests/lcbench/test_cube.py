"""The unit cube: blocks of draws are the draws one by one, whole numbers are fair, and vectors are what ConfigSpace reads back."""

import gc

import numpy as np
import pytest
from ConfigSpace import (
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from lcbench import cube as module
from lcbench.cube import cube
from lcbench.space import decode, encode, lcbench_space, sample
from tests.fakes import mixed_space


@st.composite
def spaces(draw):
    hyperparameters = []
    for i in range(draw(st.integers(1, 5))):
        name, log = f"h{i}", draw(st.booleans())
        kind = draw(st.sampled_from(["integer", "float", "category"]))
        if kind == "category":
            hyperparameters.append(CategoricalHyperparameter(name, list("abcdefg")[: draw(st.integers(2, 7))]))
            continue
        low = draw(st.integers(1, 50)) if log else draw(st.integers(-50, 50))
        high = low + draw(st.integers(1, 2000))
        cls = UniformIntegerHyperparameter if kind == "integer" else UniformFloatHyperparameter
        hyperparameters.append(cls(name, low, high, log=log))
    return ConfigurationSpace(name="any", space=hyperparameters)


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=200)
def test_a_block_of_draws_is_the_draws_one_by_one_to_the_last_bit(space, seed):
    places, rng = cube(space), np.random.default_rng(seed)
    block = places.vectors(places.fair(np.random.default_rng(seed).random((20, len(space)))))
    assert np.array_equal(block, [sample(space, rng).get_array() for _ in range(20)])


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=200)
def test_a_configuration_that_is_read_back_from_its_values_has_the_same_vector(space, seed):
    for configuration in decode(np.random.default_rng(seed).random((20, len(space))), space):
        configuration.check_valid_configuration()
        again = Configuration(space, values=dict(configuration))
        assert np.abs(again.get_array() - configuration.get_array()).max() <= 1e-12
        assert again == configuration


def test_on_the_lcbench_space_they_are_equal_to_the_last_bit():
    space = lcbench_space()
    for configuration in decode(np.random.default_rng(0).random((2000, len(space))), space):
        assert np.array_equal(Configuration(space, values=dict(configuration)).get_array(), configuration.get_array())


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=100)
def test_decode_and_encode_are_inverse(space, seed):
    points = encode(decode(np.random.default_rng(seed).random((10, len(space))), space), space)
    assert np.abs(encode(decode(points, space), space) - points).max() <= 1e-12


@pytest.mark.parametrize(("low", "high", "log"), [(1, 5, False), (0, 1, False), (16, 24, True), (1, 8, True)])
def test_whole_numbers_are_drawn_fairly(low, high, log):
    space = ConfigurationSpace(space=[UniformIntegerHyperparameter("n", low, high, log=log)])
    rng = np.random.default_rng(0)
    counts = np.bincount([sample(space, rng)["n"] for _ in range(6000)], minlength=high + 1)[low:]
    edges = np.arange(low - 0.5, high + 1)
    shares = np.diff(np.log(edges) if log else edges)
    assert chisquare(counts, shares / shares.sum() * 6000).pvalue > 1e-3


def test_weights_of_choices_are_those_of_the_space():
    space = ConfigurationSpace(space=[CategoricalHyperparameter("c", ["a", "b"], weights=[9, 1])])
    rng = np.random.default_rng(0)
    assert np.mean([sample(space, rng)["c"] == "a" for _ in range(500)]) > 0.8
    assert not cube(space).uniform


def test_a_space_with_conditions_and_forbidden_clauses_is_not_plain():
    assert cube(lcbench_space()).simple
    assert not cube(mixed_space()).simple


def test_a_cube_is_made_once_and_forgotten_with_its_space():
    space = lcbench_space()
    assert cube(space) is cube(space)
    name = id(space)
    assert name in module._CUBES
    del space
    gc.collect()
    assert name not in module._CUBES
