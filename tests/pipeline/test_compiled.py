"""The compiled training and torch's give the same curve, from the same streams, for everything that the compiled one knows."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lcbench.task import TaskInfo
from pipeline.compiled import CompiledLearner
from pipeline.flat import is_known
from pipeline.kernels.scores import class_scores
from pipeline.learner import Learner, Recipe
from pipeline.metrics import metric_for
from pipeline.preprocessing.prepared import Prepared
from pipeline.preprocessing.raw import SPLITS
from pipeline.schedules.schedule import learning_rate
from pipeline.scores import ClassificationScores
from pipeline.spaces import apt2021, full, lcbench
from pipeline.training import Training, learner_of

ROWS = (230, 90, 80)


def table(kind="classification", n_classes=3, d=6):
    rng = np.random.default_rng(0)
    info = TaskInfo("made up", kind, None, 0, "made up", *ROWS, d, n_classes if kind == "classification" else 0, 0)
    X = {split: rng.standard_normal((n, d)).astype(np.float32) for split, n in zip(SPLITS, ROWS, strict=True)}
    signal = {split: X[split] @ np.arange(1.0, d + 1) + rng.standard_normal(len(X[split])) for split in SPLITS}
    if kind == "regression":
        return Prepared(info, X, {split: (signal[split] / 8).astype(np.float32) for split in SPLITS}, y_mean=2.0, y_scale=8.0)
    cuts = np.quantile(signal["train"], np.linspace(0, 1, n_classes + 1)[1:-1])
    return Prepared(info, X, {split: np.digitize(signal[split], cuts) for split in SPLITS})


def recipe_of(data, seed=1, horizon=8, **changed):
    configuration = {"batch_size": 32, "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "num_layers": 3}
    settings = lcbench.space(data.info).settings(configuration | {"max_units": 64, "max_dropout": 0.5})
    for name in ("adam", "adamw"):
        settings |= {f"{name}.learning_rate": 0.01, f"{name}.weight_decay": 0.05, f"{name}.beta1": 0.9, f"{name}.beta2": 0.99}
    return Recipe(settings | {name.replace("__", "."): value for name, value in changed.items()}, seed, horizon)


def largest_difference(data, recipe, epochs=8, metric=None, fast=CompiledLearner):
    """Of any recorded value, relative where it is large."""
    both = [build(data, recipe, metric) for build in (Learner, fast)]
    worst = 0.0
    for epoch in range(epochs + 1):
        rate = learning_rate(recipe.settings, epoch, recipe.horizon)
        torchs, ours = (learner.advance(epoch, rate) for learner in both)
        assert list(torchs) == list(ours)
        for name, value in torchs.items():
            assert math.isfinite(value) and math.isfinite(ours[name]), name
            worst = max(worst, abs(value - ours[name]) / max(1.0, abs(value)))
    return worst


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_network_of_nan_predicts_no_class(bad):
    """For torch the largest of such logits is one of them, for us the first."""
    outputs = torch.randn((6, 3), generator=torch.Generator().manual_seed(0))
    outputs[4, 1] = bad
    y, weights = torch.tensor([0, 1, 2, 0, 1, 2]), torch.ones(3)
    assert np.isnan(ClassificationScores(weights).usual(outputs, y).numpy()).all()
    assert np.isnan(class_scores(outputs.numpy(), y.numpy(), weights.numpy())).all()


CHANGES = [
    {},
    {"batch_size": 1, "sgd__learning_rate": 1e-3},
    {"batch_size": 230},
    {"batch_size": 500},
    {"shaped_mlp__num_layers": 1},
    {"shaped_mlp__num_layers": 6, "shaped_mlp__max_units": 100},
    {"shaped_mlp__max_dropout": 0.0},
    {"shaped_mlp__max_dropout": 0.9, "sgd__learning_rate": 5e-3},
    {"shaped_mlp__max_dropout": 1.0},
    {"sgd__momentum": 0.0},
    {"optimizer": "adam"},
    {"optimizer": "adamw"},
    {"augmentation": "mixup", "mixup__alpha": 0.4},
    {"augmentation": "mixup", "mixup__alpha": 0.0},
    {"initialisation": "orthogonal", "initialisation__bias": "zero"},
    {"schedule": "none"},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("loss", ["cross_entropy_weighted", "cross_entropy", "squared", "absolute"])
def test_both_give_the_same_curve(change, loss):
    data = table("classification" if "cross" in loss else "regression")
    recipe = recipe_of(data, **change, loss=loss)
    assert is_known(recipe.settings, embeds=False)
    adaptive = "adam" in str(change)  # where a gradient is about zero, its sign decides about a whole step
    assert largest_difference(data, recipe, epochs=2 if adaptive else 5) < (1e-2 if adaptive else 5e-4)


def residual(**changed):
    """Settings of a residual network whose first block of the second group changes the width."""
    style = {"activation": "relu", "use_skip_connections": True, "use_shake_shake": False, "use_shake_drop": False}
    style |= {"blocks_per_group": 2, "num_groups": 2, "max_units": 40, "shape": "funnel", "use_dropout": True, "max_dropout": 0.4}
    style |= {"max_shake_drop_probability": 0.5} | changed
    return {"network": "shaped_resnet"} | {f"shaped_resnet__{name}": value for name, value in style.items()}


RESIDUAL = [
    {"shaped_mlp__batch_norm": True},
    {"shaped_mlp__batch_norm": True, "shaped_mlp__max_dropout": 0.0, "batch_size": 230},
    {"shaped_mlp__batch_norm": True, "batch_size": 1, "sgd__learning_rate": 1e-3},
    residual(),
    residual(shape="brick", max_dropout=0.0),
    residual(use_dropout=False, num_groups=4, blocks_per_group=1),
    residual(use_shake_shake=True),
    residual(use_shake_drop=True),
    residual(use_shake_shake=True, use_shake_drop=True, blocks_per_group=3, num_groups=3),
    residual(use_skip_connections=False),
    residual(use_shake_drop=True, max_shake_drop_probability=1.0, max_dropout=1.0),
    residual() | {"batch_size": 1, "sgd__learning_rate": 1e-3},
    residual() | {"batch_size": 500},
    residual(use_shake_shake=True) | {"optimizer": "adam"},
    residual() | {"augmentation": "mixup", "mixup__alpha": 0.4},
]


@pytest.mark.parametrize("change", RESIDUAL, ids=map(str, range(len(RESIDUAL))))
def test_both_give_the_same_curve_of_normalised_and_residual_networks(change):
    data = table()
    recipe = recipe_of(data, **change)
    assert is_known(recipe.settings, embeds=False)
    adaptive = "adam" in str(change)
    assert largest_difference(data, recipe, epochs=1 if adaptive or recipe.settings["batch_size"] == 1 else 3) < (
        1e-2 if adaptive else 1e-3
    )


def test_the_first_gradient_of_a_deep_residual_network():
    """Later ones drift apart: a unit that is dead on a batch has no variance, and normalising it blows rounding up."""
    data = table()
    recipe = recipe_of(data, **residual(use_dropout=False, use_shake_shake=True, num_groups=5, blocks_per_group=3, max_units=60))
    assert largest_difference(data, recipe, epochs=0) < 1e-4


@pytest.mark.parametrize("n_classes", [2, 10])
def test_few_and_many_classes(n_classes):
    data = table(n_classes=n_classes)
    assert largest_difference(data, recipe_of(data)) < 2e-4


def test_any_other_metric_is_scored_as_well():
    data = table()
    assert largest_difference(data, recipe_of(data), metric=metric_for("roc_auc", data.info)) < 2e-4


def test_a_network_of_the_other_kind():
    data = table()
    mlp = {"network": "mlp", "mlp.num_layers": 2, "mlp.activation": "relu", "mlp.batch_norm": False, "mlp.use_dropout": True}
    mlp |= {"mlp.units_1": 40, "mlp.units_2": 30, "mlp.dropout_1": 0.2, "mlp.dropout_2": 0.0}
    recipe = recipe_of(data)
    assert largest_difference(data, replace(recipe, settings=recipe.settings | mlp)) < 2e-4


@pytest.mark.parametrize(
    "change",
    [
        {"shaped_mlp__activation": "tanh"},
        {"optimizer": "rmsprop"},
        {"weight_averaging": "moving_average"},
    ],
    ids=str,
)
def test_what_it_does_not_know_is_left_to_torch(change):
    data = table()
    assert not is_known(recipe_of(data, **change).settings, embeds=False)


def test_embedded_columns_are_left_to_torch():
    data = table()
    assert not is_known(recipe_of(data).settings, embeds=True)
    assert not is_known(recipe_of(data).settings | {"network": "a new file", "a new file.activation": "relu"}, embeds=False)
    assert not is_known(recipe_of(data).settings | {"network": "without activations"}, embeds=False)
    assert (
        type(learner_of(replace(data, cardinalities=(3,)), recipe_of(data, embedding="learned", learned__dimension_reduction=0.5)))
        is Learner
    )


@pytest.mark.parametrize("module", [lcbench, apt2021, full])
def test_every_configuration_of_a_space_has_a_trainer(module):
    data = table()
    space = module.space(data.info)
    space.space.seed(0)
    known = [is_known(space.settings(configuration), embeds=False) for configuration in space.space.sample_configuration(60)]
    assert set(known) == ({True, False} if module is full else {True})


def test_a_diverging_training_says_so():
    data = table()
    recipe = recipe_of(data, sgd__learning_rate=1e25, sgd__momentum=0.99)
    training = Training([data], recipe)
    assert isinstance(training.learners[0], CompiledLearner)
    while training.epoch < 3:
        training.advance()
    assert not math.isfinite(training.entries[-1].values["val_loss"])


def test_resumed_is_uninterrupted_to_the_bit(tmp_path):
    data = table()
    for change in ({}, {"optimizer": "adam"}, {"shaped_mlp__batch_norm": True}, residual(use_shake_shake=True, use_shake_drop=True)):
        recipe = recipe_of(data, **change)
        whole, half, rest = (Training([data], recipe) for _ in range(3))
        for _ in range(6):
            whole.advance()
        for _ in range(3):
            half.advance()
        half.save(tmp_path / "half.pt")
        assert rest.restore(tmp_path / "half.pt")
        for _ in range(3):
            rest.advance()
        assert [entry.values for entry in rest.entries] == [entry.values for entry in whole.entries]
        assert np.array_equal(rest.learners[0].net.state.parameters, whole.learners[0].net.state.parameters)
        assert np.array_equal(rest.learners[0].running, whole.learners[0].running)


def test_a_normalised_network_that_stops_early_is_that_of_its_best_epoch():
    data = table()
    training = Training([data], replace(recipe_of(data, shaped_mlp__batch_norm=True, sgd__learning_rate=0.09), patience=2))
    while not training.stopped and training.epoch < 40:
        training.advance()
    best = training.judge()
    assert training.stopped and best == training.epoch - 2
    losses = [entry.values["val_loss"] for entry in training.entries]
    learner = training.learners[0]
    assert learner.scores(learner.outputs["val"], learner.y["val"])["loss"] == pytest.approx(losses[best], rel=1e-5)


def test_what_another_trainer_left_is_no_checkpoint(tmp_path):
    data = table()
    recipe = recipe_of(data)
    other = Training([data], recipe)
    other.learners = (Learner(data, recipe),)
    other.advance()
    other.save(tmp_path / "one.pt")
    assert not Training([data], recipe).restore(tmp_path / "one.pt")


def test_the_torch_network_looks_at_the_trained_numbers():
    data = table()
    learner = learner_of(data, recipe_of(data))
    learner.advance(0, 0.0)
    learner.advance(1, 0.05)
    with torch.inference_mode():
        logits = learner.network(learner.X["val"])
    np.testing.assert_allclose(logits, learner.outputs["val"], atol=1e-5)
    assert np.array_equal(torch.softmax(logits, 1).numpy(), learner.predictions("val"))


def test_training_rows_are_not_changed_and_neither_are_the_weights_by_a_look():
    data = table()
    before = {split: data.X[split].copy() for split in SPLITS}
    learner = learner_of(data, recipe_of(data))
    weights = learner.net.state.parameters.copy()
    learner.advance(0, 0.0)
    assert np.array_equal(learner.net.state.parameters, weights)
    assert not learner.net.state.momenta.any()
    learner.advance(1, 0.05)
    assert all(np.array_equal(before[split], data.X[split]) for split in SPLITS)


@pytest.mark.slow
def test_other_random_numbers_give_the_same_distribution():
    """Kolmogorov and Smirnov's test on the final validation losses of 100 seeds each, drawn apart."""
    from scipy.stats import ks_2samp

    data, losses = table(), {}
    for build, seeds in ((Learner, range(100)), (CompiledLearner, range(100, 200))):
        losses[build] = [_final_loss(build(data, recipe_of(data, seed=seed, batch_size=64))) for seed in seeds]
    assert ks_2samp(losses[Learner], losses[CompiledLearner]).pvalue > 0.01
    assert np.std(losses[Learner]) > 0


def _final_loss(learner):
    for epoch in range(4):
        values = learner.advance(epoch, learning_rate(learner.recipe.settings, epoch, 3))
    return values["val_cross_entropy"]
