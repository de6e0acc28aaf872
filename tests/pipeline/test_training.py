"""The LCBench recipe: golden values of the ground truth, and the pair resumed = uninterrupted."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, mean_absolute_error, r2_score, root_mean_squared_error

from lcbench.task import TaskInfo
from pipeline.gradients import gradient_statistics, gradients_of
from pipeline.learner import Learner, Recipe
from pipeline.metrics import metric_for, score
from pipeline.networks.network import build_network
from pipeline.preprocessing import cache
from pipeline.preprocessing.cache import make
from pipeline.preprocessing.prepared import Prepared, class_weights
from pipeline.preprocessing.raw import SPLITS, RawTable
from pipeline.schedules.schedule import FLOOR, learning_rate
from pipeline.scores import ClassificationScores, RegressionScores, double_softmax_cross_entropy
from pipeline.spaces import full, lcbench
from pipeline.tasks import bundled_task, cross_validated
from pipeline.training import RESOLUTION, Training

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
    values = gradient_statistics(gradients_of(network.linears))
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
    assert len(gradient_statistics(gradients_of(network.linears))) == n_columns


def test_gradient_statistics_need_a_backward_pass():
    with pytest.raises(ValueError, match="need a backward pass"):
        gradients_of(_network(1).linears)


def test_seconds_are_kept_in_steps_of_a_microsecond_and_do_not_drift(data):
    ticks = iter(0.1 * i for i in range(1000))
    training = Training([data], RECIPE, clock=lambda: next(ticks))
    seconds = [training.advance().seconds for _ in range(20)]
    assert [one / RESOLUTION % 1 for one in seconds] == [0.0] * 20
    assert seconds == pytest.approx(np.cumsum([0.1] * 20), abs=20 * RESOLUTION / 2)


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


# cross-validation


def _cut(data, n_folds=3):
    """The training and validation rows of a table as folds, of which the last one validates fewer rows."""
    X, y = (np.concatenate([of["train"], of["val"]]) for of in (data.X, data.y))
    folds = np.array_split(np.arange(len(y)), n_folds)
    folds[-2], folds[-1] = np.concatenate([folds[-2], folds[-1][:20]]), folds[-1][20:]
    made = []
    for fold in folds:
        others = np.setdiff1d(np.arange(len(y)), fold)
        parts = {"train": others, "val": fold}
        made.append(
            replace(
                data,
                X={split: X[rows] for split, rows in parts.items()} | {"test": data.X["test"]},
                y={split: y[rows] for split, rows in parts.items()} | {"test": data.y["test"]},
            )
        )
    return made


@pytest.fixture(scope="module")
def folds(data):
    return _cut(data)


def _weights(training):
    return [{name: weight.clone() for name, weight in learner.judged.state_dict().items()} for learner in training.learners]


def _equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("embedding_first", [True, False])
def test_folds_may_embed_different_columns(folds, embedding_first):
    """A column of categories with few values in the training rows of one fold goes to indicators there, and to an embedding in another."""
    codes = {split: np.zeros((len(y), 1), np.float32) for split, y in folds[0].y.items()}
    embeds = replace(folds[0], X={split: np.hstack([folds[0].X[split], codes[split]]) for split in codes}, cardinalities=(4,))
    parts = [embeds, folds[1]] if embedding_first else [folds[1], embeds]
    recipe = _changed(embedding="learned", learned__dimension_reduction=0.5)
    together, alone = Training(parts, recipe), [Training([part], recipe) for part in parts]
    curve, curves = _curve(together, 2), [_curve(one, 2) for one in alone]
    for (_, values), (_, one), (_, other) in zip(curve, *curves, strict=True):
        assert set(values) == {name for name in one if name in other and "_layer_" not in name}
        assert values["val_loss"] == pytest.approx((one["val_loss"] + other["val_loss"]) / 2)
    assert (together.trainer, {training.trainer for training in alone}) == ("layers", {"layers", "compiled"})


def test_every_fold_is_the_training_that_it_would_be_alone_and_the_curve_is_their_mean(folds):
    together, alone = Training(folds, RECIPE), [Training([fold], RECIPE) for fold in folds]
    curve, curves = _curve(together, 4), [_curve(one, 4) for one in alone]
    for (epoch, values), *others in zip(curve, *curves, strict=True):
        assert {number for number, _ in others} == {epoch}
        assert {name: pytest.approx(np.mean([one[name] for _, one in others]), rel=1e-12) for name in values} == values
    assert all(_equal(one, other) for one, (other,) in zip(_weights(together), map(_weights, alone), strict=True))
    assert not _equal(*_weights(together)[:2])


def test_resumed_equals_uninterrupted_with_three_folds(folds, tmp_path):
    recipe = _changed(weight_averaging="moving_average", moving_average__decay=0.9)
    whole = Training(folds, recipe)
    _curve(whole, 5)
    half = Training(folds, recipe)
    _curve(half, 2)
    half.save(tmp_path / "half.pt")
    resumed = Training(folds, recipe)
    assert resumed.restore(tmp_path / "half.pt")
    assert _curve(resumed, 5) == _curve(whole, 5)
    assert all(_equal(one, other) for one, other in zip(_weights(resumed), _weights(whole), strict=True))
    for training in (resumed, whole):
        training.judge()
    assert np.array_equal(resumed.validation_predictions(), whole.validation_predictions())


def test_predictions_lie_in_the_order_of_the_folds_and_those_of_the_test_rows_are_their_mean(folds):
    training = Training(folds, RECIPE)
    _curve(training, 2)
    with torch.inference_mode():
        logits = [learner.judged(learner.X["val"]) for learner in training.learners]
        own = [torch.softmax(one, 1).numpy() for one in logits]
        test = [torch.softmax(learner.judged(learner.X["test"]), 1).numpy() for learner in training.learners]
    assert [len(one) for one in own] == [len(fold.y["val"]) for fold in folds]
    assert np.array_equal(training.validation_predictions(), np.concatenate(own))
    np.testing.assert_allclose(training.test_predictions(), np.mean(test, axis=0), atol=1e-7)
    assert training.validation_predictions().dtype == training.test_predictions().dtype == np.float32


def _unbalanced():
    """Two overlapping classes of 1 in 10 rows and 9 in 10."""
    rng = np.random.default_rng(0)
    y = {split: (rng.random(n) < 0.1).astype(np.int64) for split, n in zip(SPLITS, (600, 400, 400), strict=True)}
    X = {split: (rng.normal(size=(len(y[split]), 5)) + 0.8 * y[split][:, None]).astype(np.float32) for split in SPLITS}
    return Prepared(replace(INFO, n_train=600, n_val=400, n_test=400, n_classes=2), X, y)


@pytest.mark.parametrize(("metric", "unweighted"), [("accuracy", True), ("cross_entropy", True), ("balanced_accuracy", False)])
def test_predictions_have_the_shares_of_the_rows_where_the_metric_wants_them(metric, unweighted):
    data = _unbalanced()
    training, metric = Training([data], RECIPE), metric_for(metric, data.info)
    _curve(training, 3)
    before = training.validation_predictions()
    training.choose_shares(metric)
    after, y = training.validation_predictions(), data.y["val"]
    learner = training.learners[0]
    assert bool(learner.divisors) == unweighted
    assert metric.loss(score(metric, y, after)) <= metric.loss(score(metric, y, before))
    weights = class_weights(data.y["train"], 2) if unweighted else np.ones(2)
    np.testing.assert_allclose(after, before / weights / (before / weights).sum(1, keepdims=True), rtol=1e-4)
    if unweighted:
        assert abs(after[:, 1].mean() - y.mean()) < 0.05 < before[:, 1].mean() - y.mean()


@pytest.mark.parametrize("loss", ["cross_entropy", "cross_entropy_weighted"])
@pytest.mark.parametrize(("way", "size"), [("over_sampling", "upsample"), ("under_sampling", "downsample")])
def test_what_balancing_has_done_to_the_shares_is_taken_out_too(loss, way, size, tmp_path):
    task = bundled_task("breast_cancer")
    rows = np.concatenate([task.train[task.y[task.train] == 0][:15], task.train[task.y[task.train] == 1]])
    raw = RawTable.of(replace(task, train=rows))
    raw.save(tmp_path / "raw")
    settings = RECIPE.settings | {"loss": loss, way: "random", "target_size": size}
    data = cache.prepared(tmp_path, settings, 1, raw.info)
    before, now = np.bincount(task.y[rows], minlength=2), np.bincount(data.y["train"], minlength=2)
    assert now[0] == now[1]
    training = Training([data], replace(RECIPE, settings=settings))
    _curve(training, 2)
    balanced = training.validation_predictions()
    training.set_shares(unweighted=True)
    ratio = now / before
    np.testing.assert_allclose(training.learners[0].divisors, ratio, rtol=1e-6)
    expected = balanced / ratio / (balanced / ratio).sum(1, keepdims=True)
    np.testing.assert_allclose(training.validation_predictions(), expected, rtol=1e-4, atol=1e-7)


def test_without_class_weights_there_is_nothing_to_take_out():
    data = _unbalanced()
    training = Training([data], _changed(loss="cross_entropy"))
    _curve(training, 2)
    training.choose_shares(metric_for("accuracy", data.info))
    assert training.learners[0].divisors == []


def test_a_network_knows_nothing_of_the_rows_that_it_validates():
    """From the raw table on: what stands in fold 1's rows, features and target, reaches every network but its own."""
    raw = RawTable.of(cross_validated(bundled_task("wine"), 3))
    space = full.space(raw.info)
    chosen = {"preprocessor": "select_rates", "scaler": "quantile", "loss": "cross_entropy_weighted", "target_size": "upsample"}
    recipe = Recipe(replace(space, fixed=chosen | {"over_sampling": "random"}).settings({}), seed=1, horizon=3)
    rows = raw.fold(1).rows["val"]
    values, y = raw.values.copy(), raw.y.copy()
    values[rows] = -3 * values[rows]
    y[rows] = (y[rows] + 1) % 3
    states = []
    for table in (raw, replace(raw, values=values, y=y)):
        training = Training([make(table.fold(number), recipe.settings, 1)[0] for number in range(3)], recipe)
        _curve(training, 2)
        states.append(_weights(training))
    assert [_equal(one, other) for one, other in zip(*states, strict=True)] == [False, True, False]


def test_labels_without_a_signal_are_not_foreseen_out_of_fold():
    rng = np.random.default_rng(0)
    noise = {"train": 120, "val": 60, "test": 30}
    X = {split: rng.normal(size=(n, 20)).astype(np.float32) for split, n in noise.items()}
    data = Prepared(replace(INFO, n_classes=2), X, {split: rng.integers(0, 2, n) for split, n in noise.items()})
    folds = _cut(data)
    training = Training(folds, replace(_changed(shaped_mlp__max_dropout=0.0, shaped_mlp__max_units=256), horizon=25))
    curve = _curve(training, 25)
    y = np.concatenate([fold.y["val"] for fold in folds])
    assert curve[-1][1]["train_accuracy"] > 0.95  # learned by heart
    assert abs((training.validation_predictions().argmax(1) == y).mean() - 0.5) < 0.15


def test_a_score_that_a_fold_does_not_define_is_left_out_of_the_mean():
    data = _table("regression")
    folds = _cut(data)
    folds[1] = replace(folds[1], y=folds[1].y | {"val": np.full_like(folds[1].y["val"], 0.5)})  # no spread, no R2
    recipe = _changed(loss="squared")
    entry, own = Training(folds, recipe).advance().values, [Training([fold], recipe).advance().values for fold in folds]
    assert math.isnan(own[1]["val_r2"])
    assert entry["val_r2"] == pytest.approx((own[0]["val_r2"] + own[2]["val_r2"]) / 2)
    assert entry["val_rmse"] == pytest.approx(sum(one["val_rmse"] for one in own) / 3)
    flat = [replace(fold, y=fold.y | {"val": np.full_like(fold.y["val"], 0.5)}) for fold in folds]
    assert math.isnan(Training(flat, recipe).advance().values["val_r2"])


def test_a_score_of_rows_of_one_class_is_left_out_of_the_mean(data):
    folds = _cut(replace(data, info=replace(INFO, n_classes=2), y={split: np.minimum(y, 1) for split, y in data.y.items()}))
    folds[2] = replace(folds[2], y=folds[2].y | {"val": np.zeros_like(folds[2].y["val"])})
    metric = metric_for("roc_auc", folds[0].info)
    entry = Training(folds, RECIPE, metric).advance().values
    own = [Training([fold], RECIPE, metric).advance().values["val_roc_auc"] for fold in folds]
    assert math.isnan(own[2])
    assert entry["val_roc_auc"] == pytest.approx((own[0] + own[1]) / 2)


@pytest.mark.parametrize("metric", ["cross_entropy", "roc_auc_ovo", "neg_log_loss"])
def test_a_fold_whose_network_has_diverged_is_not_left_out(folds, metric):
    training = Training(folds, RECIPE, metric_for(metric, INFO))
    training.advance()
    with torch.no_grad():
        next(training.learners[1].network.parameters()).fill_(math.nan)
    values = training.advance().values
    assert [name for name in ("train_loss", "val_loss", f"val_{metric}") if not math.isnan(values[name])] == []


def test_early_stopping_returns_every_fold_to_the_same_epoch(folds, tmp_path):
    recipe = replace(_changed(sgd__learning_rate=0.3, batch_size=16), horizon=60, patience=3)
    training, states = Training(folds, recipe), []
    while not training.stopped and training.epoch < 60:
        training.advance()
        states.append(_weights(training))
        if training.epoch == 1:
            training.save(tmp_path / "one.pt")
    losses = [entry.values["val_loss"] for entry in training.entries]
    best = int(np.argmin(losses))
    assert best > 0
    assert training.epoch == best + 3 < 60
    assert [learner.data for learner in training.learners] == folds
    resumed = Training(folds, recipe)
    assert resumed.restore(tmp_path / "one.pt")
    while not resumed.stopped:
        resumed.advance()
    for stopped in (training, resumed):
        assert stopped.judge() == best
        assert all(_equal(one, other) for one, other in zip(_weights(stopped), states[best], strict=True))
        predicted, y = stopped.validation_predictions(), np.concatenate([fold.y["val"] for fold in folds])
        own = np.split(predicted[np.arange(len(y)), y], np.cumsum([len(fold.y["val"]) for fold in folds])[:-1])
        found = np.mean([-np.log(part).mean() for part in own])
        assert found == pytest.approx(training.entries[best].values["val_cross_entropy"], rel=1e-4)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_without_rows_to_validate_or_test_it_trains_all_the_same(kind):
    data = _table(kind)
    recipe = replace(RECIPE if kind == "classification" else _changed(loss="squared"), patience=1)
    none = {"val": data.X["val"][:0], "test": data.X["test"][:0]}, {"val": data.y["val"][:0], "test": data.y["test"][:0]}
    with_rows, without = (
        Training([data], replace(recipe, patience=None)),
        Training([replace(data, X=data.X | none[0], y=data.y | none[1])], recipe),
    )
    curve, bare = _curve(with_rows, 5), _curve(without, 5)
    assert [{name for name in values if name.startswith(("val_", "test_"))} for _, values in bare] == [set()] * 6
    assert bare == [(epoch, {name: values[name] for name in bare[0][1]}) for epoch, values in curve]
    assert _equal(*_weights(with_rows), *_weights(without))
    assert not without.stopped
    assert without.judge() == 5
    width = 3 if kind == "classification" else 1
    assert without.validation_predictions().shape == without.test_predictions().shape == (0, width)


def test_without_test_rows_only_their_columns_are_missing(data):
    bare = replace(data, X=data.X | {"test": data.X["test"][:0]}, y=data.y | {"test": data.y["test"][:0]})
    curve, other = _curve(Training([data], RECIPE), 2), _curve(Training([bare], RECIPE), 2)
    assert other == [(epoch, {name: value for name, value in values.items() if not name.startswith("test_")}) for epoch, values in curve]


@pytest.mark.parametrize("schedule", ["plateau"])
def test_without_validation_rows_a_plateau_looks_at_the_training_loss(data, schedule):
    own = _changed(schedule=schedule, plateau__factor=0.5, plateau__patience=1, sgd__learning_rate=1.0)
    bare = replace(data, X=data.X | {"val": data.X["val"][:0]}, y=data.y | {"val": data.y["val"][:0]})
    curve = _curve(Training([bare], own), 6)
    losses = [values["train_loss"] for _, values in curve[1:]]
    expected = [learning_rate(own.settings, epoch, own.horizon, losses[: epoch - 1]) for epoch in range(1, 7)]
    assert [values["learning_rate"] for _, values in curve[1:]] == expected
    assert expected[-1] < expected[0]
