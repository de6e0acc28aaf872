"""Networks that live on a device give the curves of torch's layers, alone and side by side; here the device is the processor itself."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from pipeline.compiled import CompiledLearner
from pipeline.gradients import gradient_statistics, statistic_names, statistics_on_device
from pipeline.kernels.dropout import fill_mask, limit_and_scale
from pipeline.learner import Learner
from pipeline.metrics import metric_for
from pipeline.preprocessing.prepared import Prepared
from pipeline.resident import ResidentLearner
from pipeline.training import Training, learner_of
from pipeline.turns import Turns
from tests.pipeline.test_compiled import CHANGES, largest_difference, recipe_of, table

MIXED = {"augmentation": "mixup", "mixup__alpha": 0.4}
_difference = partial(largest_difference, fast=ResidentLearner)


EVERY = [*((change, "cross_entropy_weighted") for change in CHANGES), ({}, "squared"), (MIXED, "absolute")]


@pytest.mark.parametrize(("change", "loss"), EVERY, ids=str)
def test_it_gives_the_curve_of_torchs_layers(change, loss):
    data = table("classification" if "cross" in loss else "regression")
    adaptive = "adam" in str(change)  # where a gradient is about zero, its sign decides about a whole step
    epochs = 1 if change.get("batch_size") == 1 else 2 if adaptive else 4
    assert _difference(data, recipe_of(data, **change, loss=loss), epochs) < (1e-2 if adaptive else 5e-4)


def test_any_other_metric_is_scored_as_well():
    data = table()
    assert _difference(data, recipe_of(data), 3, metric_for("roc_auc", data.info)) < 2e-4


def test_no_step_reads_a_number_back():
    """What a step would wait for cannot be recorded as a graph."""
    data = table()
    learner = ResidentLearner(data, recipe_of(data, **MIXED))
    learner.advance(0, 0.0)
    learner.epoch = 1  # what a card records
    with RefusingToRead():
        learner.launches.launch(learner._step)
        learner.launches.launch(learner._measure)
        with pytest.raises(AssertionError, match="read"):
            learner.parameters.sum().item()


READERS = ("_local_scalar_dense", "nonzero", "masked_select", "unique")


class RefusingToRead(torch.utils._python_dispatch.TorchDispatchMode):
    """No operation on tensors may end in a number of this machine."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        name = str(function)
        assert not any(word in name for word in READERS), f"{name} would read a number"
        return function(*arguments, **(keywords or {}))


def test_side_by_side_is_one_after_the_other():
    """Networks of different shapes and batch sizes, more of them than places."""
    data = table()
    recipes = [recipe_of(data, seed=seed, batch_size=16 * seed, shaped_mlp__num_layers=seed, horizon=4) for seed in (1, 2, 3, 4, 5)]
    alone = [_resident(data, recipe) for recipe in recipes]
    for training in alone:
        while training.epoch < 4:
            training.advance()
    turns, order = Turns(2), []
    together = [_resident(data, recipe, turns.clock) for recipe in recipes]
    for place, _ in turns.results(_whole(training, 4) for training in together):
        order.append(place)
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert order != [0, 1, 2, 3, 4]  # small batches are many steps, and the others do not wait
    for one, other in zip(alone, together, strict=True):
        assert [entry.values for entry in one.entries] == [entry.values for entry in other.entries]
        assert all(a.seconds < b.seconds for a, b in zip(other.entries, other.entries[1:], strict=False))


def _resident(data, recipe, *clock):
    training = Training([data], recipe, **({"clock": clock[0]} if clock else {}))
    training.learners = (ResidentLearner(data, recipe),)
    assert training.trainer == "resident"
    return training


def _whole(training, epochs):
    while training.epoch < epochs:
        yield from training.advancing()


def test_arrays_of_a_file_are_on_the_device_once(tmp_path):
    table().save(tmp_path)
    one, other = (ResidentLearner(Prepared.load(tmp_path, table().info), recipe_of(table(), seed=seed)) for seed in (1, 2))
    assert all(one.X[split] is other.X[split] and one.y[split] is other.y[split] for split in one.X)
    assert one.parameters is not other.parameters
    alone = ResidentLearner(table(), recipe_of(table()))
    assert one.advance(0, 0.0) == alone.advance(0, 0.0)


def test_resumed_is_uninterrupted_to_the_bit():
    data = table()
    for optimizer in ("sgd", "adam"):
        recipe = recipe_of(data, optimizer=optimizer)
        whole, rest = ResidentLearner(data, recipe), ResidentLearner(data, recipe)
        for epoch in range(3):
            whole.advance(epoch, 0.01)
        state = {name: value if isinstance(value, dict) else value.clone() for name, value in whole.state().items()}
        rest.restore(state)
        assert whole.advance(3, 0.01) == rest.advance(3, 0.01)


def test_the_torch_network_looks_at_the_trained_numbers():
    data = table()
    learner = ResidentLearner(data, recipe_of(data))
    for epoch in range(3):
        learner.advance(epoch, 0.05)
    with torch.inference_mode():
        logits = learner.network(learner.X["val"])
    np.testing.assert_allclose(logits, learner.outputs["val"], atol=1e-5)
    np.testing.assert_allclose(torch.softmax(logits, 1).numpy(), learner.predictions("val"), atol=1e-5)


def test_a_diverging_training_says_so():
    data = table()
    learner = ResidentLearner(data, recipe_of(data))
    for epoch in range(4):
        values = learner.advance(epoch, 1e25)
    assert not math.isfinite(values["val_loss"])
    assert math.isnan(values["gradient_mean"])


def test_what_is_not_dense_is_trained_on_the_processor():
    data = table()
    recipe = recipe_of(data)
    assert type(learner_of(data, recipe, device="cpu:0")) is ResidentLearner
    assert type(learner_of(data, replace(recipe, published_defects=True), device="cpu:0")) is CompiledLearner
    assert type(learner_of(data, recipe_of(data, shaped_mlp__batch_norm=True), device="cpu:0")) is CompiledLearner
    assert type(learner_of(data, recipe_of(data, shaped_mlp__activation="tanh"), device="cpu:0")) is Learner


def test_masks_are_those_of_the_compiled_kernel_at_every_rate():
    data = table()
    for rate in (0.5, 0.25, 1e-3):
        learner = ResidentLearner(data, recipe_of(data, shaped_mlp__max_dropout=rate))
        learner.network.start_epoch(3)
        keys = learner.keys()
        learner.codes[: len(keys)] = torch.from_numpy(keys.astype(np.int64))
        for layer, dropout in enumerate(learner.dropouts):
            if dropout.rate > 0:
                expected = np.empty(learner.size * learner.widths[layer + 1], np.float32)
                fill_mask(expected, 0, tuple(keys[layer]), *limit_and_scale(dropout.rate))
                assert np.array_equal(learner._mask(layer).flatten(), expected)


def test_statistics_of_tiny_gradients_are_those_of_the_compiled_kernel():
    gradients = [[torch.tensor(np.random.default_rng(0).normal(0, 1e-24, (9, 5)), dtype=torch.float32), torch.zeros(9)]]
    expected = gradient_statistics([[part.numpy() for part in layer] for layer in gradients])
    assert list(expected) == statistic_names(1)
    np.testing.assert_allclose(statistics_on_device(gradients), list(expected.values()), rtol=1e-6, atol=0)
