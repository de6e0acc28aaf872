"""Laws of everything that shapes a training: rules of descent, schedules, mixup, averaging, early stopping, balancing, whole spaces."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lcbench.space import sample
from lcbench.task import TaskInfo
from pipeline.augmentation import Mixup
from pipeline.balancing import balanced
from pipeline.learner import Recipe
from pipeline.preprocessing.prepared import Prepared
from pipeline.preprocessing.raw import SPLITS
from pipeline.schedules.schedule import learning_rate
from pipeline.settings import under
from pipeline.spaces import apt2021, full, lcbench, tiny
from pipeline.spaces.choices import choices, component, values
from pipeline.training import Training

SIZES = {"train": 90, "val": 40, "test": 30}
CLASSIFICATION = TaskInfo("blobs", "classification", None, 0, "made up", 90, 40, 30, 6, 3, 2)
REGRESSION = replace(CLASSIFICATION, kind="regression", n_classes=0, n_categorical=0)
TASKS = {"classification": CLASSIFICATION, "regression": REGRESSION}
SPACES = {"apt2021": apt2021, "full": full, "tiny": tiny, "lcbench": lcbench}
BASE = {"schedule": "none", "loss": "cross_entropy", "shaped_mlp.max_units": 64, "batch_size": 16}


def data(task=CLASSIFICATION, cardinalities=()):
    rng = np.random.default_rng(0)
    X = {split: rng.normal(size=(n, 6)).astype(np.float32) for split, n in SIZES.items()}
    signal = {split: X[split] @ np.arange(1.0, 7.0) for split in SPLITS}
    classify = task.kind == "classification"
    y = {split: np.digitize(s, [-6, 6]) if classify else (s / 9).astype(np.float32) for split, s in signal.items()}
    for split in SPLITS:
        codes = [rng.integers(0, n, SIZES[split]).astype(np.float32)[:, None] for n in cardinalities]
        X[split] = np.hstack([X[split], *codes])
    return Prepared(task, X, y, cardinalities=tuple(cardinalities))


def settings(task=CLASSIFICATION, **changes):
    given = {name.replace("__", "."): value for name, value in changes.items()}
    base = {name: value for name, value in BASE.items() if task.kind == "classification" or name != "loss"}
    return replace(full.space(task), fixed=base | given).settings({})


def curve(training, until):
    while training.epoch < until and not training.stopped:
        training.advance()
    return [(entry.epoch, entry.values) for entry in training.entries]


def resumed(recipe, at, until, path):
    half = Training([data()], recipe)
    curve(half, at)
    half.save(path)
    whole = Training([data()], recipe)
    assert whole.restore(path)
    return curve(whole, until)


@pytest.mark.parametrize("rule", values("optimizer"))
@pytest.mark.parametrize("noise", ["plain", "mixup", "averaged"])
def test_every_rule_of_descent_learns_and_resumes_exactly(rule, noise, tmp_path):
    more = {"mixup": {"augmentation": "mixup"}, "averaged": {"weight_averaging": "moving_average"}, "plain": {}}[noise]
    recipe = Recipe(settings(optimizer=rule, **{f"{rule}__learning_rate": 0.1 if rule == "sgd" else 0.01}, **more), seed=3, horizon=8)
    whole = curve(Training([data()], recipe), 8)
    assert whole[-1][1]["val_cross_entropy"] < whole[0][1]["val_cross_entropy"] - 0.1
    assert resumed(recipe, 3, 8, tmp_path / "half.pt") == whole


@pytest.mark.parametrize(
    ("rule", "made"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=1e-4)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.01)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=1e-2)),
        ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.99)),
    ],
)
def test_a_rule_moves_as_torch_does(rule, made):
    training = Training([data()], Recipe(settings(optimizer=rule, **{f"{rule}__learning_rate": 0.01}), seed=3, horizon=8))
    ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range(2))
    own = under(training.recipe.settings, rule)
    optimizers = component("optimizer", rule).build([ours], own), made([theirs])
    for _ in range(5):
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            (parameter**2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("schedule", values("schedule"))
def test_every_schedule_starts_within_its_bounds_and_is_never_negative(schedule):
    own = settings(schedule=schedule, adam__learning_rate=0.05)
    rates = [learning_rate(own, epoch, 20, [1.0] * (epoch - 1)) for epoch in range(1, 60)]
    assert all(0 < rate <= 0.1 for rate in rates)
    assert learning_rate(own, 0, 20) == 0
    if schedule not in ("cyclic",):
        assert rates[0] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("name", "more", "theirs"),
    [
        ("exponential", {"gamma": 0.8}, lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.8)),
        ("step", {"step_size": 3, "gamma": 0.5}, lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5)),
        *(
            (
                "cyclic",
                {"max_factor": 1.5, "min_factor": 0.1, "cycle_length": 6, "mode": mode},
                lambda o, mode=mode: torch.optim.lr_scheduler.CyclicLR(o, 0.005, 0.075, 3, mode=mode, cycle_momentum=False),
            )
            for mode in ("triangular", "triangular2")
        ),
        ("warm_restarts", {"t_0": 4, "t_mult": 2.0}, lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 4, 2, 1e-8)),
    ],
)
def test_schedules_equal_those_of_torch(name, more, theirs):
    own = settings(schedule=name, adam__learning_rate=0.05, **{f"{name}__{key}": value for key, value in more.items()})
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.05)
    schedule = theirs(optimizer)
    for epoch in range(1, 25):
        assert learning_rate(own, epoch, 20) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6, abs=2e-8)
        optimizer.step()
        schedule.step()


def test_a_plateau_lowers_the_rate_after_its_patience_and_not_before():
    own = settings(schedule="plateau", adam__learning_rate=0.1, plateau__factor=0.5, plateau__patience=3)
    losses = [1.0, 0.5, *[0.6] * 4]
    assert learning_rate(own, 6, 20, losses[:5]) == pytest.approx(0.1)
    assert learning_rate(own, 7, 20, losses) == pytest.approx(0.05)


def test_mixup_draws_from_its_epoch_alone_and_zero_mixes_nothing():
    one, same, other = (Mixup.of_epoch(0.4, 5, epoch).draw(9) for epoch in (2, 2, 3))
    assert one[0] == same[0] != other[0]
    assert torch.equal(one[1], same[1])
    assert 0 <= one[0] <= 1
    assert Mixup.of_epoch(0.0, 5, 2).draw(9)[0] == 1.0
    plain, unmixed = (Recipe(settings(**more), 3, 8) for more in ({}, {"augmentation": "mixup", "mixup__alpha": 0.0}))
    assert curve(Training([data()], plain), 3)[-1][1]["val_loss"] == curve(Training([data()], unmixed), 3)[-1][1]["val_loss"]


def test_codes_of_categories_are_mixed_as_their_vectors():
    recipe = Recipe(settings(augmentation="mixup", embedding="learned"), seed=3, horizon=4)
    training = Training([data(cardinalities=(4, 9))], recipe)
    entries = curve(training, 3)
    assert all(np.isfinite(list(values.values())).all() for _, values in entries)
    (learner,), mixup = training.learners, Mixup.of_epoch(5.0, 3, 1)
    x, y, network = learner.X["train"][:16], learner.y["train"][:16], learner.network.eval()
    share, order = Mixup.of_epoch(5.0, 3, 1).draw(16)
    assert 0.01 < share < 0.99
    mixed = share * network.embed(x) + (1 - share) * network.embed(x[order])
    output, loss = learner._forward(x, y, mixup)
    assert torch.equal(output, network.body(mixed))
    assert not torch.allclose(output, network(share * x + (1 - share) * x[order]))
    expected = share * learner.scores.loss(output, y) + (1 - share) * learner.scores.loss(output, y[order])
    assert loss.item() == pytest.approx(expected.item())


def test_an_average_of_weights_is_what_is_judged():
    recipe = Recipe(settings(weight_averaging="moving_average", moving_average__decay=0.9), seed=3, horizon=8)
    training = Training([data()], recipe)
    before = {name: weight.clone() for name, weight in training.learners[0].network.state_dict().items()}
    curve(training, 1)
    judged, trained = training.learners[0].judged.state_dict(), training.learners[0].network.state_dict()
    moved = [name for name in before if not torch.equal(before[name], trained[name])]
    assert moved
    assert all(not torch.equal(judged[name], trained[name]) for name in moved)


def test_early_stopping_returns_to_the_best_epoch(tmp_path):
    recipe = Recipe(settings(optimizer="sgd", sgd__learning_rate=2.0, sgd__momentum=0.0), seed=3, horizon=60, patience=4)
    training = Training([data()], recipe)
    losses = [values["val_loss"] for _, values in curve(training, 60)]
    best = int(np.argmin(losses))
    assert training.stopped
    assert training.epoch == best + 4 < 60
    assert training.judge() == best
    learner = training.learners[0]
    y = torch.from_numpy(learner.data.y["val"])
    assert float(learner.scores.loss(learner.outputs["val"], y)) == pytest.approx(losses[best], rel=1e-6)
    entries = resumed(recipe, 1, 60, tmp_path / "half.pt")
    assert [values["val_loss"] for _, values in entries] == losses


@pytest.mark.parametrize("target", ["upsample", "downsample", "average", "median"])
@pytest.mark.parametrize("over", ["none", "random", "smote"])
@pytest.mark.parametrize("below", ["none", "random"])
def test_balancing_moves_classes_toward_the_target_and_only_by_the_chosen_methods(target, over, below):
    sizes = np.array([60, 20, 9, 2])
    y = np.repeat(np.arange(4), sizes)
    X = np.random.default_rng(0).normal(size=(len(y), 3)).astype(np.float32)
    wish = {"target_size": target, "over_sampling": over, "under_sampling": below, "smote.k_neighbors": 5}
    made, labels = balanced(X, y, wish, seed=1)
    goal = int({"upsample": 60, "downsample": 2, "average": 91 / 4, "median": 14.5}[target])
    expected = [max(n, goal) if n < goal and over != "none" else min(n, goal) if n > goal and below != "none" else n for n in sizes]
    assert np.bincount(labels).tolist() == expected
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    again, _ = balanced(X, y, wish, seed=1)
    assert np.array_equal(made, again)
    if over != "smote":
        assert {row.tobytes() for row in made} <= {row.tobytes() for row in X}


def test_without_a_target_nothing_is_touched():
    X, y = np.zeros((3, 1), np.float32), np.array([0, 1, 1])
    assert balanced(X, y, {"target_size": "none"}, 0) == (X, y)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("name", SPACES)
def test_settings_of_every_space_are_complete_and_hold_the_configuration(name, kind):
    search_space, rng = SPACES[name].space(TASKS[kind]), np.random.default_rng(1)
    for _ in range(25):
        configuration = sample(search_space.space, rng)
        found = search_space.settings(configuration)
        assert {found[search_space.names.get(key, key)] for key in configuration} == set(configuration.values())
        for choice in choices():
            module = component(choice, found[choice])
            assert module is None or set(under(found, found[choice])) <= set(module.space(TASKS[kind]))


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("name", SPACES)
def test_every_space_trains(name, kind):
    search_space, rng = SPACES[name].space(TASKS[kind]), np.random.default_rng(2)
    for _ in range(8):
        found = search_space.settings(sample(search_space.space, rng))
        cardinalities = (4, 30) if found["embedding"] == "learned" else ()
        training = Training([data(TASKS[kind], cardinalities)], Recipe(found, seed=1, horizon=4))
        assert [epoch for epoch, _ in curve(training, 1)] == [0, 1]
        assert training.validation_predictions().shape == (40, TASKS[kind].n_outputs)
        assert training.validation_predictions().dtype == np.float32


def test_the_paper_s_space_has_its_ranges():
    space = apt2021.space(CLASSIFICATION).space
    assert len(space) == 27
    assert len(apt2021.space(replace(CLASSIFICATION, n_categorical=0)).space) == 24
    bounds = {
        name: (space[name].lower, space[name].upper, space[name].log) for name in ("batch_size", "shaped_resnet.max_units", "sgd.momentum")
    }
    assert bounds == {"batch_size": (16, 512, True), "shaped_resnet.max_units": (32, 512, True), "sgd.momentum": (0.1, 0.999, False)}
