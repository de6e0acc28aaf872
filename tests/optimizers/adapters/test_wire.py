"""What crosses to a peer's process and back: the same configuration, legal whatever a library does to the numbers."""

import json
import math

import numpy as np
import pytest
from ConfigSpace import (
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from hypothesis import given
from hypothesis import strategies as st

from lcbench.space import key, lcbench_space, plain, sample
from lcbench.task import TaskInfo
from optimizers.adapters.wire import configuration_from_wire, configuration_to_wire, space_to_wire
from pipeline.spaces import apt2021
from tests.fakes import mixed_space

TASK = TaskInfo("t", "classification", None, 0, "", 1, 1, 1, 4, 3, 2)
SPACES = {"lcbench": lcbench_space(), "mixed": mixed_space(), "apt2021": apt2021.space(TASK).space}


@given(name=st.sampled_from(sorted(SPACES)), seed=st.integers(0, 2**31 - 1))
def test_a_configuration_comes_back_as_it_went(name, seed):
    space = SPACES[name]
    configuration = sample(space, np.random.default_rng(seed))
    sent = json.loads(json.dumps(configuration_to_wire(configuration, space_to_wire(space))))
    returned = configuration_from_wire(sent, space)
    assert returned.get_array() == pytest.approx(configuration.get_array(), abs=1e-12, nan_ok=True)
    assert key(returned) == key(configuration_from_wire(plain(returned), space))


@pytest.mark.parametrize("name", SPACES)
def test_another_configspace_reads_the_space(name):
    read = ConfigurationSpace.from_serialized_dict(json.loads(json.dumps(space_to_wire(SPACES[name]))))
    assert set(read) == set(SPACES[name]) - {"activation"}
    assert len(read.conditions) == len(SPACES[name].conditions)


def test_a_constant_travels_only_where_something_reads_it():
    space = ConfigurationSpace()
    kind, depth = Constant("kind", "tree"), UniformIntegerHyperparameter("depth", 1, 9)
    space.add(kind, depth, Constant("idle", 3), EqualsCondition(depth, kind, "tree"))
    assert {hyperparameter["name"] for hyperparameter in space_to_wire(space)["hyperparameters"]} == {"kind", "depth"}
    assert plain(configuration_from_wire({"kind": "tree", "depth": 4}, space)) == {"kind": "tree", "depth": 4, "idle": 3}


def test_a_conditional_constant_follows_its_condition():
    space = ConfigurationSpace()
    kind, width = CategoricalHyperparameter("kind", ["line", "tree"]), Constant("width", 7)
    space.add(kind, width, EqualsCondition(width, kind, "tree"))
    assert not space_to_wire(space)["conditions"]
    assert plain(configuration_from_wire({"kind": "tree"}, space)) == {"kind": "tree", "width": 7}
    assert plain(configuration_from_wire({"kind": "line"}, space)) == {"kind": "line"}


def test_numbers_are_clipped_and_whole_ones_rounded():
    space = ConfigurationSpace()
    space.add(UniformFloatHyperparameter("rate", 1e-4, 1e-1, log=True), UniformIntegerHyperparameter("layers", 1, 5))
    got = configuration_from_wire({"rate": math.nextafter(1e-1, 1), "layers": 5.4}, space)
    assert got["rate"] <= 1e-1
    assert got["layers"] == 5
    assert configuration_from_wire({"rate": 0.0, "layers": 0}, space) == Configuration(space, values={"rate": 1e-4, "layers": 1})


def test_what_is_inactive_stays_out_and_what_is_missing_is_the_default():
    space = SPACES["mixed"]
    values = {"optimizer": "adam", "momentum": 0.5, "schedule": "step", "width": "wide", "learning_rate": 1e-2}
    got = plain(configuration_from_wire(values, space))
    assert "momentum" not in got  # only sgd has it
    assert got["num_layers"] == space["num_layers"].default_value
    assert got["activation"] == "relu"
