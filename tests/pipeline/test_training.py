"""The LCBench recipe: golden values of the ground truth, and the pair resumed = uninterrupted."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, mean_absolute_error, r2_score, root_mean_squared_error

from lcbench.task import TaskInfo
from pipeline.gradients import gradient_statistics
from pipeline.learner import Learner
from pipeline.networks.network import build_network
from pipeline.preprocessing.prepared import Prepared, class_weights
from pipeline.preprocessing.raw import SPLITS
from pipeline.schedules.schedule import FLOOR, learning_rate
from pipeline.scores import ClassificationScores, RegressionScores, double_softmax_cross_entropy
from pipeline.spaces import lcbench
from pipeline.training import Recipe, Training

CONFIGURATION = {
    "batch_size": 32,
    "learning_rate": 0.05,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "num_layers": 3,
    "max_units": 64,
    "max_dropout": 0.3,
}
INFO = TaskInfo("blobs", "classification", None, 0, "made up", 130, 50, 60, 5, 3, 0)
SETTINGS = lcbench.space(INFO).settings(CONFIGURATION)
RECIPE = Recipe(SETTINGS, seed=1, horizon=6)


def _changed(**settings):
    """The recipe with other settings; a double underscore stands for the dot."""
    return replace(RECIPE, settings=SETTINGS | {name.replace("__", "."): value for name, value in settings.items()})


def _network(num_layers):
    shape = {"shaped_mlp.num_layers": num_layers, "shaped_mlp.max_units": 64, "shaped_mlp.use_dropout": False}
    return build_network(SETTINGS | shape, 5, 3, seed=0)


def _table(kind="classification"):
    rng = np.random.default_rng(0)
    info = replace(INFO, kind=kind, n_classes=3 if kind == "classification" else 0)
    X = {split: rng.normal(size=(n, 5)).astype(np.float32) for split, n in zip(SPLITS, (130, 50, 60), strict=True)}
    signal = {split: X[split] @ np.arange(1.0, 6.0) + rng.normal(size=len(X[split])) for split in SPLITS}
    if kind == "classification":
        y = {split: np.digitize(signal[split], [-4, 6]) for split in SPLITS}
    else:
        y = {split: (signal[split] / 8).astype(np.float32) for split in SPLITS}
    return Prepared(info, X, y, y_scale=1.0 if kind == "classification" else 8.0)


@pytest.fixture(scope="module")
def data():
    return _table()


def _curve(training, until):
    while training.epoch < until:
        training.advance()
    return [(entry.epoch, entry.values) for entry in training.entries]


def test_class_weights_of_90_and_10():
    np.testing.assert_allclose(class_weights(np.repeat([0, 1], [90, 10]), 2), [0.5556, 5.0], atol=1e-4)


def test_a_class_without_training_rows_gets_a_finite_weight():
    np.testing.assert_allclose(class_weights(np.zeros(4, np.int64), 2), [0.5, 2.0])


def test_learning_rate_equals_torch_cosine_annealing_up_to_the_horizon_and_stays_at_the_floor():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=FLOOR)
    for epoch in range(1, 52):
        assert learning_rate(SETTINGS, epoch, 50) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9, abs=1e-12)
        optimizer.step()
        schedule.step()
    assert learning_rate(SETTINGS, 0, 50) == 0
    assert learning_rate(SETTINGS, 52, 50) == learning_rate(SETTINGS, 99, 50) == pytest.approx(FLOOR)


def test_scores_equal_scikit_learn():
    rng = np.random.default_rng(1)
    logits, y = torch.from_numpy(rng.normal(size=(40, 3))), torch.from_numpy(rng.integers(0, 2, 40))  # class 2 never occurs
    scores = ClassificationScores(torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64))(logits, y)
    probabilities = torch.softmax(logits, 1).numpy()
    assert scores["accuracy"] == pytest.approx(accuracy_score(y, probabilities.argmax(1)))
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, probabilities.argmax(1)))
    assert scores["cross_entropy"] == pytest.approx(log_loss(y, probabilities, labels=[0, 1, 2]))
    weights = np.array([0.5, 2.0])[y]
    assert scores["loss"] == pytest.approx(np.average(-np.log(probabilities[np.arange(40), y]), weights=weights))


def test_regression_scores_are_in_the_unit_of_the_target():
    rng = np.random.default_rng(2)
    prediction, y = rng.normal(size=30), rng.normal(size=30)
    scores = RegressionScores(10.0)(torch.from_numpy(prediction)[:, None], torch.from_numpy(y))
    assert scores["rmse"] == pytest.approx(root_mean_squared_error(10 * y, 10 * prediction))
    assert scores["mae"] == pytest.approx(mean_absolute_error(10 * y, 10 * prediction))
    assert scores["r2"] == pytest.approx(r2_score(y, prediction))
    assert scores["loss"] == pytest.approx(np.mean((y - prediction) ** 2))


def test_published_test_cross_entropy_is_the_double_softmax():
    logits, y = torch.tensor([[4.0, -4.0], [4.0, -4.0]]), torch.tensor([0, 0])
    assert double_softmax_cross_entropy(logits, y) == pytest.approx(math.log(1 + math.exp(-0.99933)), abs=1e-4)


def test_published_defects_change_only_the_test_cross_entropy(data):
    plain, published = Training([data], RECIPE).advance().values, Training([data], replace(RECIPE, published_defects=True)).advance().values
    assert {name for name in plain if plain[name] != published[name]} == {"test_cross_entropy"}


def test_gradient_statistics_equal_a_plain_computation():
    network = _network(3)
    network(torch.randn(8, 5, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    values = gradient_statistics(list(network.linears))
    everything = torch.cat([p.grad.flatten() for p in network.parameters()]).numpy()
    layer = torch.cat([p.grad.flatten() for p in network.linears[1].parameters()]).numpy()
    assert values["gradient_max"] == everything.max()
    assert values["gradient_q10"] == pytest.approx(np.quantile(everything, 0.1))
    assert values["gradient_median_layer_1"] == pytest.approx(np.median(layer))
    assert values["gradient_std_layer_1"] == pytest.approx(layer.std())
    assert values["gradient_norm"] == pytest.approx(np.mean([p.grad.norm() for p in network.parameters()]))
    assert len(values) == 9 + 3 * 8


@pytest.mark.parametrize(("n_layers", "n_columns"), [(6, 9 + 6 * 8), (7, 9)])
def test_deep_networks_have_no_columns_per_layer(n_layers, n_columns):
    network = _network(n_layers)
    network(torch.ones(2, 5)).sum().backward()
    assert len(gradient_statistics(network.linears)) == n_columns


def test_gradient_statistics_need_a_backward_pass():
    with pytest.raises(ValueError, match="need a backward pass"):
        gradient_statistics(_network(1).linears)


def test_the_curve_learns_and_has_every_column(data):
    training = Training([data], RECIPE)
    curve = _curve(training, 6)
    assert [epoch for epoch, _ in curve] == list(range(7))
    assert len({frozenset(values) for _, values in curve}) == 1
    names = set(curve[0][1])
    metrics = ("loss", "accuracy", "balanced_accuracy", "cross_entropy")
    assert {f"{split}_{metric}" for split in SPLITS for metric in metrics} <= names
    assert {"learning_rate", "gradient_norm", "gradient_q90_layer_2"} <= names
    assert curve[6][1]["val_accuracy"] > curve[0][1]["val_accuracy"] + 0.2
    seconds = [entry.seconds for entry in training.entries]
    assert seconds == sorted(seconds)


def test_same_seed_same_curve_and_another_seed_another(data):
    first = _curve(Training([data], RECIPE), 3)
    assert first == _curve(Training([data], RECIPE), 3)
    assert first != _curve(Training([data], replace(RECIPE, seed=2)), 3)


def test_resumed_equals_uninterrupted(data, tmp_path):
    whole = _curve(Training([data], RECIPE), 5)
    half = Training([data], RECIPE)
    _curve(half, 2)
    half.save(tmp_path / "half.pt")
    resumed = Training([data], RECIPE)
    resumed.restore(tmp_path / "half.pt")
    assert _curve(resumed, 5) == whole


def test_a_damaged_checkpoint_is_not_taken(data, tmp_path):
    training = Training([data], RECIPE)
    _curve(training, 1)
    training.save(tmp_path / "one.pt")
    (tmp_path / "one.pt").write_bytes((tmp_path / "one.pt").read_bytes()[:2000])
    assert not Training([data], RECIPE).restore(tmp_path / "one.pt")


def test_a_checkpoint_of_another_training_is_refused(data, tmp_path):
    Training([data], RECIPE).save(tmp_path / "one.pt")
    with pytest.raises(ValueError, match=r"checkpoint one\.pt holds"):
        Training([data], replace(RECIPE, seed=2)).restore(tmp_path / "one.pt")


@pytest.mark.parametrize(("size", "n_batches"), [(32, 4), (129, 1), (130, 1), (512, 1), (65, 2)])
def test_the_last_incomplete_batch_is_dropped_unless_it_is_the_only_one(data, size, n_batches):
    learner = Learner(data, _changed(batch_size=size))
    batches = learner._batches(1)
    assert len(batches) == n_batches
    rows = torch.cat(batches)
    assert len(rows.unique()) == len(rows) == (min(size, 130) * n_batches)
    assert not torch.equal(torch.cat(learner._batches(2)), rows)


def test_regression_learns():
    training = Training([_table("regression")], _changed(loss="squared"))
    curve = _curve(training, 6)
    assert curve[6][1]["val_r2"] > 0.8 > curve[0][1]["val_r2"]
    assert curve[6][1]["val_rmse"] == pytest.approx(8 * math.sqrt(curve[6][1]["val_loss"]))


def test_divergence_shows_as_a_value_that_is_not_finite(data):
    wild = _changed(sgd__learning_rate=1e6, shaped_mlp__max_dropout=0.0)
    curve = _curve(Training([data], wild), 5)
    assert not math.isfinite(curve[-1][1]["train_loss"])
