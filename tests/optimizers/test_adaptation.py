"""A member of another space becomes a legal configuration with as little change as possible."""

import math

import pytest
from ConfigSpace import (
    Categorical,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    Float,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    Integer,
    OrdinalHyperparameter,
)
from hypothesis import given
from hypothesis import strategies as st

from lcbench.errors import UserError
from lcbench.space import plain
from optimizers.adaptation import adapted

WHOLE = {"batch_size": 64, "size": "m", "kind": 1, "shape": "funnel", "network": "mlp", "dropout": True, "rate": 0.5, "embedding": "none"}


def space():
    joint = ConfigurationSpace(name="small")
    network, dropout = Categorical("network", ["mlp", "resnet"]), Categorical("dropout", [True, False], default=False)
    rate, embedding = Float("rate", (0.1, 1.0), log=True, default=0.2), Categorical("embedding", ["none", "learned"])
    joint.add(Integer("batch_size", (16, 320), log=True), OrdinalHyperparameter("size", ["s", "m", "l"]))
    joint.add(Constant("kind", 1), Constant("shape", "funnel"))
    joint.add(network, dropout, rate, embedding)
    joint.add(EqualsCondition(dropout, network, "mlp"), EqualsCondition(rate, dropout, True))
    joint.add(ForbiddenAndConjunction(ForbiddenEqualsClause(embedding, "learned"), ForbiddenEqualsClause(network, "resnet")))
    return joint


def test_what_is_legal_stays_as_it_is():
    found = adapted(WHOLE, space())
    assert plain(found.configuration) == WHOLE
    assert not (found.missing or found.unknown or found.inactive or found.moved)


@pytest.mark.parametrize(
    ("value", "legal", "words"),
    [
        (442, 320, ["batch_size 442 is clipped to 320"]),
        (1, 16, ["batch_size 1 is clipped to 16"]),
        (math.inf, 320, ["batch_size inf is clipped to 320"]),
        (64.0, 64, []),
        (64.4, 64, ["batch_size 64.4 is rounded to 64"]),
    ],
)
def test_a_number_moves_to_the_nearest_legal_one(value, legal, words):
    found = adapted(WHOLE | {"batch_size": value}, space())
    assert (found.configuration["batch_size"], found.moved) == (legal, words)
    assert type(plain(found.configuration)["batch_size"]) is int


def test_a_number_that_the_space_fixes_is_that_number():
    found = adapted(WHOLE | {"kind": 2}, space())
    assert (found.configuration["kind"], found.moved) == (1, ["kind 2 is clipped to 1"])


def test_what_is_missing_takes_its_default_and_what_is_not_active_is_dropped():
    found = adapted({"batch_size": 64, "network": "mlp", "rate": 0.5}, space())
    assert plain(found.configuration) == {
        "batch_size": 64,
        "size": "s",
        "kind": 1,
        "shape": "funnel",
        "network": "mlp",
        "dropout": False,
        "embedding": "none",
    }
    assert (sorted(found.missing), found.inactive) == (["dropout", "embedding", "kind", "shape", "size"], ["rate"])
    assert adapted(WHOLE | {"lr": 1}, space()).unknown == ["lr"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network": "transformer"}, "`network` is 'transformer', but the space offers mlp, resnet"),
        ({"dropout": 1}, "`dropout` is 1, but the space offers True, False"),
        ({"network": ["mlp"]}, r"`network` is \['mlp'\]"),
        ({"size": "xl"}, "`size` is 'xl', but the space offers s, m, l"),
        ({"shape": "brick"}, "`shape` is 'brick', but the space offers funnel"),
        ({"kind": "two"}, "`kind` is 'two', but must be a number in 1..1"),
        ({"batch_size": "64"}, "`batch_size` is '64', but must be a number in 16..320"),
        ({"batch_size": True}, "`batch_size` is True"),
        ({"rate": math.nan}, "`rate` is nan"),
        ({"rate": None}, "`rate` is None"),
        ({"network": "resnet", "embedding": "learned"}, "[Ff]orbidden"),
        ({f"x{i}": i for i in range(8)}, "8 of its 16 hyperparameters are unknown to the space 'small': 'x0', 'x1', 'x2' and 5 more"),
    ],
)
def test_what_cannot_be_adapted_is_refused_in_a_sentence(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        adapted(WHOLE | changes, space())


def test_a_member_of_another_space_is_refused_with_the_nearest_names():
    with pytest.raises(UserError, match=r"1 of its 1 .*'batchsize' \(did you mean 'batch_size'\?\)"):
        adapted({"batchsize": 1}, space())
    with pytest.raises(UserError, match="it is empty"):
        adapted({}, space())


@given(
    st.fixed_dictionaries(
        {"network": st.sampled_from(["mlp", "resnet"])},
        optional={
            "batch_size": st.integers() | st.floats(allow_nan=False),
            "dropout": st.booleans(),
            "rate": st.floats(allow_nan=False),
            "size": st.sampled_from("sml"),
        },
    )
)
def test_the_result_is_legal_and_adapting_it_again_changes_nothing(member):
    first = adapted(member, space())
    first.configuration.check_valid_configuration()
    again = adapted(plain(first.configuration), space())
    assert again.configuration == first.configuration
    assert not (again.missing or again.unknown or again.inactive or again.moved)
