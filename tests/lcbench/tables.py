"""Small tables with closed-form curves, for the tests of whatever serves them."""

from __future__ import annotations

import numpy as np

from lcbench.curve import LearningCurve
from lcbench.query import Query
from lcbench.space import key, lcbench_space, plain, sample
from lcbench.table import CurveTable
from lcbench.training import Training
from tests.fakes import FakeBenchmark
from tests.lcbench.curve_strategies import TASK

SPACE = lcbench_space()


def fake_training(trial: int, *, seed: int = 1, horizon: int = 12, **changes) -> Training:
    """Training of configuration number `trial`; its values depend on seed and horizon too, so that none is taken for another."""
    configuration = sample(SPACE, np.random.default_rng(trial))
    curve = FakeBenchmark(epochs=horizon).evaluate(Query(configuration, horizon, trial)).curve
    shift = 0.001 * seed + 0.0001 * horizon
    values = {name: column - shift for name, column in curve.values.items()}
    values["val_cross_entropy"] = 3 * (1 - values["val_accuracy"])
    fields = {
        "trial": trial,
        "configuration": plain(configuration),
        "key": key(configuration),
        "seed": seed,
        "horizon": horizon,
        "origin": "random",
        "n_parameters": 1000 + trial,
        "status": "success",
        "error": "",
        "curve": LearningCurve(curve.epochs, curve.seconds + 0.25, values),
    }
    return Training(**{**fields, **changes})


def fake_table(n: int = 30, *, task=TASK, seeds=(1,), horizons=(12,), more=(), units=None, **provenance) -> CurveTable:
    """`n` configurations, trained with every seed and horizon, and `more` trainings behind them."""
    rows = [fake_training(i, seed=seed, horizon=horizon) for i in range(n) for horizon in horizons for seed in seeds]
    return CurveTable.of(
        task=task, space=SPACE, objective="val_accuracy", trainings=(*rows, *more), provenance={"licence": "CC0", **provenance}, units=units
    )
