"""Hypothesis strategies for what a curve database holds, and the spaces that its tests use."""

from __future__ import annotations

import numpy as np
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    ForbiddenInClause,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from hypothesis import strategies as st

from lcbench.curve import LearningCurve
from lcbench.schema import STATUSES
from lcbench.space import key, lcbench_space, plain, sample
from lcbench.table import CurveTable
from lcbench.task import TaskInfo
from lcbench.training import Training

TASK = TaskInfo("vehicle", "classification", 167168, 0, "official hold-out, 33 % validation", 379, 187, 280, 18, 4)
COLUMNS = ("train_loss", "val_accuracy", "lr", "gradient_norm_layer_4")


def mixed_space() -> ConfigurationSpace:
    """One of everything: conditions of two levels, categories of several types, an ordinal, a constant, forbidden clauses."""
    space = ConfigurationSpace(
        name="mixed",
        space=[
            CategoricalHyperparameter("optimizer", ["sgd", "adam", "ünï cödé"]),
            UniformFloatHyperparameter("momentum", 0.1, 0.99),
            CategoricalHyperparameter("nesterov", [True, False]),
            OrdinalHyperparameter("depth", [1, 2, 4, 8]),
            OrdinalHyperparameter("size", ["small", "large"]),
            UniformIntegerHyperparameter("batch/size", 16, 512, log=True),
            CategoricalHyperparameter("odd", [1, "1", ""]),
            Constant("version", 3),
        ],
    )
    space.add(EqualsCondition(space["momentum"], space["optimizer"], "sgd"))
    space.add(EqualsCondition(space["nesterov"], space["optimizer"], "sgd"))
    space.add(EqualsCondition(space["size"], space["nesterov"], True))
    forbidden = ForbiddenEqualsClause(space["optimizer"], "adam"), ForbiddenInClause(space["depth"], [4, 8])
    space.add(ForbiddenAndConjunction(*forbidden))
    return space


SPACES = {"lcbench": lcbench_space(), "mixed": mixed_space()}


def configurations(space: ConfigurationSpace) -> st.SearchStrategy:
    """Configurations from the space's own distribution."""
    return st.integers(0, 2**31).map(lambda seed: sample(space, np.random.default_rng(seed)))


@st.composite
def curves(draw, columns=COLUMNS, max_length=5) -> LearningCurve:
    """Curves of up to `max_length` entries with any float32 values, NaN and infinities too."""
    n = draw(st.integers(0, max_length))
    steps = draw(st.lists(st.floats(0, 1e6), min_size=n, max_size=n))
    chosen = [column for column in columns if draw(st.booleans())]
    values = st.lists(st.floats(width=32), min_size=n, max_size=n)
    return LearningCurve(np.arange(n), np.cumsum(steps), {column: draw(values) for column in chosen})


@st.composite
def trainings(draw, space: ConfigurationSpace) -> Training:
    """Trainings with curves, errors in any script, and any legal configuration."""
    configuration = plain(draw(configurations(space)))
    return Training(
        trial=draw(st.integers(0, 10**6)),
        configuration=configuration,
        key=key(configuration),
        seed=draw(st.integers(0, 2**62)),
        horizon=draw(st.integers(1, 1000)),
        origin=draw(st.sampled_from(["random", "model", "promotion"])),
        n_parameters=draw(st.integers(-1, 10**9)),
        status=draw(st.sampled_from(STATUSES)),
        error=draw(st.text(max_size=20)),
        curve=draw(curves()),
        results=draw(st.dictionaries(st.sampled_from(["final_val_accuracy", "a/b"]), st.floats(allow_nan=False), max_size=2)),
    )


@st.composite
def tables(draw) -> CurveTable:
    """Tables of up to 4 trainings on one of the two spaces."""
    space = SPACES[draw(st.sampled_from(sorted(SPACES)))]
    rows = draw(st.lists(trainings(space), max_size=4))
    provenance = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "created": st.just("2026-01-31T12:00:00+00:00"),
                "licence": st.sampled_from(["CC-BY-4.0", 7]),
                "versions": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
                "host": st.just({"cores": 2}),
                "anything": st.lists(st.integers() | st.none() | st.booleans(), max_size=3),
            },
        )
    )
    return CurveTable.of(task=TASK, space=space, objective="val_accuracy", trainings=tuple(rows), provenance=provenance)
