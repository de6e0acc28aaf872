"""Search spaces: golden ranges, decode∘encode = id, and keys that are equal on every machine."""

import json
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
from ConfigSpace import Configuration, ConfigurationSpace, ForbiddenGreaterThanEqualsClause, ForbiddenLessThanEqualsClause, Integer
from ConfigSpace.exceptions import ForbiddenValueError
from hypothesis import given
from hypothesis import strategies as st

from lcbench.space import cardinalities, decode, encode, is_active, is_legal, key, lcbench_space, legal, nearest, plain, sample
from pipeline.spaces import apt2021, full
from tests.lcbench.curve_strategies import SPACES, TASK, configurations, mixed_space

# LCBench's README and generator: name -> type, range, log scale, default of the ConfigSpace dump
GOLDEN = {
    "batch_size": (int, 16, 512, True, 91),
    "learning_rate": (float, 1e-4, 1e-1, True, 0.0031622777),
    "momentum": (float, 0.1, 0.99, False, 0.545),
    "weight_decay": (float, 1e-5, 1e-1, False, 0.050005),
    "num_layers": (int, 1, 5, False, 3),
    "max_units": (int, 64, 1024, True, 256),
    "max_dropout": (float, 0.0, 1.0, False, 0.5),
}

any_configuration = st.sampled_from(sorted(SPACES)).flatmap(lambda name: st.tuples(st.just(SPACES[name]), configurations(SPACES[name])))


def test_lcbench_space_is_that_of_the_paper():
    space = lcbench_space()
    assert set(space) == set(GOLDEN)
    assert not space.conditions and not space.forbidden_clauses
    for name, (kind, lower, upper, log, default) in GOLDEN.items():
        hp = space[name]
        assert (type(hp.default_value), hp.lower, hp.upper, hp.log) == (kind, lower, upper, log), name
        assert hp.default_value == pytest.approx(default, rel=1e-7), name


@given(any_configuration)
def test_decode_inverts_encode(drawn):
    space, configuration = drawn
    point = encode([configuration], space)
    assert point.shape == (1, len(space))
    assert np.all((np.isnan(point)) | ((point >= 0) & (point <= 1)))
    (again,) = decode(point, space)
    assert again == configuration
    assert plain(again) == plain(configuration)
    assert key(again) == key(configuration)


@given(any_configuration)
def test_nan_marks_exactly_the_inactive_entries(drawn):
    space, configuration = drawn
    (point,) = encode([configuration], space)
    assert [name for name, entry in zip(space, point, strict=True) if np.isnan(entry)] == [
        name for name in space if name not in configuration
    ]


@given(st.data(), st.sampled_from(sorted(SPACES)))
def test_encode_inverts_decode_up_to_the_grid(data, name):
    """Decoding any point of the cube and encoding it again gives a point that decodes to the same configuration."""
    space = SPACES[name]
    point = np.array(data.draw(st.lists(st.floats(0, 1), min_size=len(space), max_size=len(space))))
    if not is_legal(point, space):
        with pytest.raises(ForbiddenValueError):
            decode(point, space)
        return
    (configuration,) = decode(point, space)
    configuration.check_valid_configuration()
    assert decode(encode([configuration], space), space) == [configuration]


@given(any_configuration)
def test_plain_values_name_the_configuration(drawn):
    space, configuration = drawn
    values = json.loads(json.dumps(plain(configuration)))
    assert Configuration(space, values=values) == configuration
    assert key(Configuration(space, values=values)) == key(configuration)


def test_several_configurations_are_rows():
    space = mixed_space()
    several = [sample(space, np.random.default_rng(seed)) for seed in range(20)]
    assert decode(encode(several, space), space) == several
    assert encode([], space).shape == (0, len(space))
    assert len({key(configuration) for configuration in several}) == 20


def test_samples_depend_on_the_generator_only():
    space = lcbench_space()
    first = sample(space, np.random.default_rng(1))
    space.seed(12345)
    assert sample(space, np.random.default_rng(1)) == first
    assert sample(space, np.random.default_rng(2)) != first


def test_points_outside_the_cube_are_refused():
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]\^d"):
        decode(np.full(7, 1.5), lcbench_space())
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]\^d"):
        is_legal(np.full(7, 1.5), lcbench_space())


def test_forbidden_points_are_not_legal():
    space = mixed_space()
    values = {"optimizer": "adam", "depth": 2, "batch/size": 64, "odd": "1", "version": 3}
    (point,) = encode([Configuration(space, values=values)], space)
    assert is_legal(point, space)
    point[list(space).index("depth")] = 1.0
    assert not is_legal(point, space)


@given(
    st.sampled_from([*SPACES.values(), apt2021.space(TASK).space, full.space(TASK).space]),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.2]),
)
def test_legal_points_are_those_of_the_decoded_configurations_to_the_last_bit(space, seed, missing):
    rng = np.random.default_rng(seed)
    points = rng.random((20, len(space)))
    points[rng.random(points.shape) < missing] = np.nan
    made = []
    for point in points:
        with suppress(ForbiddenValueError):
            made += decode(point, space)
    assert np.array_equal(legal(points, space), encode(made, space), equal_nan=True)
    assert decode(legal(points, space), space) == made
    assert [is_legal(point, space) for point in points].count(True) == len(made)


@pytest.mark.parametrize(("clause", "allowed"), [(ForbiddenLessThanEqualsClause, {4, 5}), (ForbiddenGreaterThanEqualsClause, {1, 2})])
def test_what_a_bound_forbids_is_left_out(clause, allowed):
    space = ConfigurationSpace(space=[Integer("depth", (1, 5), default=min(allowed))])
    space.add(clause(space["depth"], 3))
    points = legal(np.linspace(0, 1, 50)[:, None], space)
    assert {configuration["depth"] for configuration in decode(points, space)} == allowed


def test_cardinalities_count_unordered_choices():
    found = dict(zip(mixed_space(), cardinalities(mixed_space()), strict=True))
    expected = {"optimizer": 3, "momentum": 0, "nesterov": 2, "depth": 0, "size": 0, "batch/size": 0, "odd": 3, "version": 1}
    assert found == expected


def test_keys_are_equal_in_every_process():
    program = (
        "import numpy as np; from lcbench.space import *; s = lcbench_space();"
        "print(*(key(sample(s, np.random.default_rng(i))) for i in range(5)), hash('x'))"
    )
    here = [key(sample(lcbench_space(), np.random.default_rng(seed))) for seed in range(5)]
    outputs = [subprocess.check_output([sys.executable, "-c", program], text=True).split() for _ in range(2)]
    assert outputs[0][:5] == outputs[1][:5] == here
    assert outputs[0][5] != outputs[1][5]  # or the processes would not differ in what a key must not depend on


def test_a_key_depends_on_values_and_types_and_not_on_order():
    assert key({"a": 1, "b": 2.0}) == key({"b": 2.0, "a": 1})
    assert len({key({"a": 1}), key({"a": 1.5}), key({"a": "1"}), key({"b": 1})}) == 4


def test_golden_key():
    """Recorded databases are joined by keys, so their definition must never drift."""
    assert key({"batch_size": 91, "learning_rate": 0.001}) == "ddecb91080b0e936"


def test_a_space_survives_json():
    for space in SPACES.values():
        assert ConfigurationSpace.from_serialized_dict(json.loads(json.dumps(space.to_serialized_dict()))) == space


@given(data=st.data())
def test_the_nearest_of_many_is_itself_whatever_is_inactive(data):
    space = SPACES["mixed"]
    drawn = data.draw(st.lists(configurations(space), min_size=1, max_size=20))
    row, distance = nearest(drawn[-1], encode(drawn, space), space)
    assert drawn[row] == drawn[-1]
    assert distance == 0


def test_what_is_inactive_in_both_is_equal():
    space = mixed_space()
    plain = {"depth": 1, "batch/size": 64, "odd": 1, "version": 3}
    without = Configuration(space, values=plain | {"optimizer": "ünï cödé"})
    inactive_too = Configuration(space, values=plain | {"optimizer": "adam"})
    active = Configuration(space, values=plain | {"optimizer": "sgd", "momentum": 0.5, "nesterov": False})
    encoded = encode([inactive_too, active], space)
    assert nearest(without, encoded[:1], space) == (0, 1.0)
    assert nearest(without, encoded[1:], space)[1] == pytest.approx(3**0.5)  # another optimizer, with a momentum and a choice


@given(data=st.data())
def test_what_is_active_follows_from_the_values_before_it(data):
    space = SPACES["mixed"]
    values = dict(data.draw(configurations(space)))
    assert {name for name in space if is_active(name, values, space)} == values.keys()
