"""Changing a space from the command line: ranges, choices, constants, and the sentences that refuse."""

import numpy as np
import pytest

from lcbench.errors import UserError
from lcbench.space import decode, encode, sample
from lcbench.task import TaskInfo
from optimizers.adaptation import adapted
from pipeline.spaces import apt2021, full
from pipeline.spaces.updates import updated

TASK = TaskInfo("t", "classification", None, 0, "", 1, 1, 1, 4, 3, 2)


@pytest.fixture
def space():
    return apt2021.space(TASK)


def test_without_updates_it_is_the_same_space(space):
    assert updated(space, {}).space == space.space


def test_ranges_choices_and_constants(space):
    changed = updated(space, {"batch_size": [32, 128], "optimizer": ["adam"], "shaped_mlp.max_units": 256, "adam.weight_decay": [0, 0.2]})
    found = changed.space
    assert (found["batch_size"].lower, found["batch_size"].upper, found["batch_size"].log) == (32, 128, True)
    assert found["optimizer"].choices == ("adam",)
    assert found["shaped_mlp.max_units"].default_value == 256
    assert type(updated(space, {"batch_size": 32.0}).space["batch_size"].value) is int
    assert found["adam.weight_decay"].upper == 0.2
    assert not [name for name in found if name.startswith("sgd.")]
    rng = np.random.default_rng(0)
    for _ in range(30):
        configuration = sample(found, rng)
        assert decode(encode([configuration], found), found) == [configuration]
        settings = changed.settings(configuration)
        assert settings["optimizer"] == "adam"
        assert settings["network"] != "shaped_mlp" or settings["shaped_mlp.max_units"] == 256


def test_what_hangs_on_a_removed_choice_goes_with_it_and_forbidden_clauses_too(space):
    found = updated(space, {"network": "shaped_mlp", "embedding": ["none"]}).space
    assert not [name for name in found if name.startswith(("shaped_resnet.", "learned."))]
    assert found.forbidden_clauses == []
    whole = updated(full.space(TASK), {"network": ["resnet"], "preprocessor": ["none", "pca"]}).space
    assert [name for name in whole if name.startswith("resnet.units_")]
    assert not [name for name in whole if name.startswith(("mlp.", "nystroem."))]


def test_members_of_a_portfolio_for_a_choice_that_is_gone_are_refused(space):
    found = updated(space, {"network": ["shaped_mlp"]}).space
    member = dict(space.space.get_default_configuration()) | {"network": "shaped_resnet"}
    with pytest.raises(UserError):
        adapted(member, found)


@pytest.mark.parametrize(
    ("updates", "words"),
    [
        ({"batch_sise": 3}, "did you mean 'batch_size'"),
        ({"batch_size": [128, 32]}, "low at most high"),
        ({"batch_size": [1.5, 32]}, "whole numbers"),
        ({"batch_size": [0, 32]}, "above 0 because its scale is logarithmic"),
        ({"batch_size": "many"}, "a number, or a range"),
        ({"batch_size": []}, "a number, or a range"),
        ({"optimizer": ["adam", "lion"]}, "some of sgd, adam"),
        ({"optimizer": []}, "some of sgd, adam"),
        ({"optimizer": ["adam", "adam"]}, "some of sgd, adam, each at most once"),
        ({"embedding": ["learned"], "preprocessor": ["truncated_svd"]}, "leaves defaults that the space forbids together"),
        ({"shaped_mlp.max_dropout": [0, 5]}, "must be at most 1"),
        ({"adam.weight_decay": [-1, 0.1]}, "must be 0 or more"),
        ({"adam.learning_rate": [0.001, float("inf")]}, "a number, or a range"),
        ({"adam.learning_rate": [float("nan"), 0.1]}, "a number, or a range"),
        ({"truncated_svd.target_dim": -3}, "must be 1 or more"),
        ([["batch_size", 3]], "must be {hyperparameter: "),
        ("batch_size", "must be {hyperparameter: "),
    ],
)
def test_what_is_wrong_is_one_sentence(space, updates, words):
    with pytest.raises(UserError, match=words):
        updated(space, updates)


def test_a_share_of_the_full_space_is_none_above_1():
    for name in ("moving_average.decay", "pca.keep_variance"):
        with pytest.raises(UserError, match="must be at most 1"):
            updated(full.space(TASK), {name: 1.5})


def test_a_number_on_which_others_hang_is_not_widened():
    with pytest.raises(UserError, match=r"mlp.num_layers = \[1, 20\], but it must be within 1..15, because other hyperparameters"):
        updated(full.space(TASK), {"network": ["mlp"], "mlp.num_layers": [1, 20]})


@pytest.mark.parametrize(
    ("updates", "gone", "always"),
    [
        ({"mlp.num_layers": [1, 3]}, "mlp.units_4", None),
        ({"mlp.num_layers": [5, 10]}, None, "mlp.units_5"),
        ({"mlp.num_layers": 4}, "mlp.units_5", "mlp.units_4"),
        ({"resnet.num_groups": [2, 3]}, "resnet.units_4", "resnet.units_2"),
    ],
)
def test_what_hangs_on_a_number_follows_its_range(updates, gone, always):
    network = next(iter(updates)).partition(".")[0]
    changed = updated(full.space(TASK), {"network": [network], **updates})
    assert gone not in changed.space
    rng = np.random.default_rng(0)
    for _ in range(30):
        configuration = sample(changed.space, rng)
        assert always is None or always in configuration
        assert decode(encode([configuration], changed.space), changed.space) == [configuration]
