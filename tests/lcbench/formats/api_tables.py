"""Small tables for the tests of the foreign interfaces: five runs of LCBench's space on two tasks, two horizons, two seeds."""

import dataclasses

import numpy as np

from lcbench.curve import LearningCurve
from lcbench.space import key, lcbench_space, plain, sample
from lcbench.table import CurveTable
from lcbench.task import TaskInfo
from lcbench.training import Training

VEHICLE = TaskInfo("vehicle", "classification", 167168, 0, "official hold-out, 33 % validation", 379, 187, 280, 18, 4)
HIGGS = dataclasses.replace(
    VEHICLE, name="higgs", openml_task_id=167200, n_train=44013, n_val=21680, n_test=32357, n_features=28, n_classes=2
)
NAMES = tuple(f"{split}_{name}" for split in ("val", "test") for name in ("accuracy", "balanced_accuracy", "cross_entropy"))
N = 5
SPACE = lcbench_space()


def training(trial, *, seed=1, horizon=50, entries=52, **changes):
    """A run whose accuracies are fractions with few binary digits, so that float32 and percent lose nothing."""
    rng = np.random.default_rng([trial, seed, horizon])
    configuration = plain(sample(SPACE, np.random.default_rng(trial)))
    values = {name: np.round(64 * rng.random(entries)) / 64 for name in (*NAMES, "train_loss")}
    for layer in range(configuration["num_layers"]):
        values[f"gradient_max_layer_{layer}"] = rng.random(entries).astype(np.float32).astype(np.float64)
    fields = {
        "trial": trial,
        "configuration": configuration,
        "key": key(configuration),
        "seed": seed,
        "horizon": horizon,
        "origin": "random",
        "n_parameters": 1000 + trial,
        "status": "success",
        "error": "",
        "curve": LearningCurve(np.arange(entries), np.cumsum(rng.random(entries)), values),
    }
    return Training(**{**fields, **changes})


def table(*trainings, task=VEHICLE, **header):
    rows = trainings or [training(trial) for trial in range(N)]
    return CurveTable.of(task=task, space=SPACE, objective="val_accuracy", trainings=rows, **header)


def full_table(task=VEHICLE):
    """As bench_full.json: every configuration with several budgets and seeds."""
    return table(*(training(t, seed=s, horizon=h, entries=h + 2) for t in range(N) for h in (6, 50) for s in (1, 2)), task=task)
