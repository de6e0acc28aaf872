"""The compiled training against torch's layers in double precision: on any table, with any configuration, as near as these in single."""

from functools import cache

import numpy as np
import pytest
import torch

from lcbench.task import TaskInfo
from pipeline.compiled import CompiledLearner
from pipeline.flat import is_known
from pipeline.learner import Learner, Recipe
from pipeline.preprocessing.prepared import Prepared
from pipeline.preprocessing.raw import SPLITS
from pipeline.spaces import full

RATE = 1e-3


def drawn_table(rng):
    """Random numbers: few rows or one, columns that are constant, classes that no training row has."""
    kind, n_classes, d = rng.choice(["classification", "regression"]), int(rng.integers(2, 6)), int(rng.choice([1, 2, 5, 30]))
    rows = int(rng.choice([1, 2, 5, 17, 40, 64])), int(rng.choice([1, 5, 300])), int(rng.choice([0, 4]))
    info = TaskInfo("drawn", kind, None, 0, "drawn", *rows, d, n_classes if kind == "classification" else 0, 0)
    X = {split: rng.standard_normal((n, d)).astype(np.float32) for split, n in zip(SPLITS, rows, strict=True)}
    if rng.random() < 0.3:
        for values in X.values():
            values[:, ::2] = 0
    if kind == "regression":
        return Prepared(
            info, X, {split: rng.standard_normal(len(X[split])).astype(np.float32) for split in SPLITS}, y_mean=1.0, y_scale=3.0
        )
    n_known = {split: n_classes - (split == "train" and n_classes > 2 and rng.random() < 0.3) for split in SPLITS}
    return Prepared(info, X, {split: rng.integers(0, n_known[split], len(X[split])) for split in SPLITS})


@cache
def space_of(kind, n_classes):
    return full.space(TaskInfo("drawn", kind, None, 0, "drawn", 40, 5, 4, 5, n_classes, 0))


def drawn_recipe(rng, data):
    """A configuration of the whole space that the compiled training knows, of a small network."""
    space = space_of(str(data.info.kind), data.info.n_classes)
    space.space.seed(int(rng.integers(2**31)))
    while True:
        settings = dict(space.settings(space.space.sample_configuration()))
        network = settings["network"]
        settings |= {f"{network}.activation": "relu", "weight_averaging": "none", "embedding": "none", "optimizer": "sgd"}
        settings |= {"sgd.learning_rate": RATE, "sgd.weight_decay": 1e-3, "sgd.momentum": float(rng.choice([0.0, 0.9, 0.999]))}
        settings |= {"batch_size": int(rng.choice([1, 8, 16, 64, 500]))}
        most = {"units": 24, "blocks_per_group": 2, "num_groups": 3}
        for name, value in settings.items():
            settings[name] = next((min(int(value), limit) for part, limit in most.items() if part in name), value)
        if rng.random() < 0.3:
            settings |= {name: float(rng.choice([0, 1e-11, 0.999, 1])) for name in settings if "dropout" in name and "use" not in name}
        if rng.random() < 0.5:
            settings |= {"augmentation": "mixup", "mixup.alpha": float(rng.choice([0, 0.2, 1]))}
        if is_known(settings, embeds=False):
            return Recipe(settings, int(rng.integers(1000)), 5)


def in_double(data, recipe):
    """Torch's layers, and the rows that they see, in double precision."""
    learner = Learner(data, recipe)
    learner.network.double()
    learner.X = {split: values.double() for split, values in learner.X.items()}
    if data.info.kind == "regression":
        learner.y = {split: values.double() for split, values in learner.y.items()}
    else:
        learner.scores.weights = learner.scores.weights.double()
    return learner


def flat(tensors):
    return torch.cat([tensor.detach().double().flatten() for tensor in tensors])


def running(network):
    """What normalisations have seen."""
    return [values for name, values in network.named_buffers() if "running" in name]


def gradient(learner):
    return learner.gradient.double() if isinstance(learner, CompiledLearner) else flat(p.grad for p in learner.network.parameters())


def assert_as_near(torchs, ours, exact):
    """Twenty times torch's own error, or a ten thousandth of the largest number."""
    scale = exact.abs().max().clamp(min=1e-6)
    allowed, found = (float((values - exact).abs().max() / scale) for values in (torchs, ours))
    assert found <= 20 * allowed + 1e-4, (allowed, found)


@pytest.mark.parametrize("seed", range(24))
def test_it_is_as_near_to_double_precision_as_torchs_layers(seed):
    rng = np.random.default_rng(seed)
    data = drawn_table(rng)
    recipe = drawn_recipe(rng, data)
    learners = [Learner(data, recipe), CompiledLearner(data, recipe), in_double(data, recipe)]
    for learner in learners:
        learner.network.start_epoch(0)
        learner._look()
    assert_as_near(*(gradient(learner) for learner in learners))
    for learner in learners:
        learner.network.start_epoch(1)
        learner._train(1, RATE)
    assert_as_near(*(flat(learner.network.parameters()) for learner in learners))
    assert_as_near(*(flat([torch.zeros(1), *running(learner.network)]) for learner in learners))
