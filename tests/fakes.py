"""A benchmark in closed form, the ways in which a benchmark can misbehave, and a space with everything in it."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from ConfigSpace import (
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    InCondition,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from lcbench.curve import LearningCurve
from lcbench.metric import METRICS, Metric
from lcbench.query import Query, Result
from lcbench.space import encode, lcbench_space
from lcbench.task import TaskInfo
from pipeline.spaces import lcbench
from pipeline.spaces.search_space import SearchSpace

FAKE_TASK = TaskInfo(
    name="fake",
    kind="classification",
    openml_task_id=None,
    fold=0,
    split="none, the curves are a formula",
    n_train=450,
    n_val=220,
    n_test=330,
    n_features=7,
    n_classes=2,
)
OPTIMUM = 0.3
"""Best place of every entry of the unit cube."""
UNTRAINED = 0.9
"""Loss at epoch 0."""


@dataclass(frozen=True)
class FakeBenchmark:
    """Power-law curves: loss(e) = final + (0.9 - final) (1 + e)^-rate, lowest final loss at 0.3 of every dimension.

    The rate falls along the last dimension, so that short trainings mislead a little. Nothing is random.
    """

    space: ConfigurationSpace = field(default_factory=lcbench_space)
    epochs: int = 50
    task: TaskInfo = FAKE_TASK
    metric: Metric = METRICS["accuracy"]

    def evaluate(self, query: Query) -> Result:
        if not 1 <= query.epoch <= self.epochs:
            raise ValueError(f"`epoch` is {query.epoch}, but must lie in 1..{self.epochs}")
        point = np.nan_to_num(encode([query.configuration], self.space)[0], nan=0.5)
        final = 0.05 + 0.8 * np.sqrt(np.mean((point - OPTIMUM) ** 2))
        epochs = np.arange(query.epoch + 1)
        loss = final + (UNTRAINED - final) * (1.0 + epochs) ** -(1.5 - point[-1])
        seconds = (0.5 + point.mean()) * epochs
        curve = LearningCurve(epochs, seconds, {"val_accuracy": 1 - loss, "test_accuracy": 0.99 * (1 - loss)})
        return Result.measured(query, curve, self.metric.loss(float(1 - loss[-1])), float(seconds[-1]))


def sleep_for_ever(query: Query) -> Result:
    """Answer never."""
    while True:
        time.sleep(3600)


def allocate_without_end(query: Query) -> Result:
    """Take memory until somebody ends it; every page is written, so that it counts."""
    hoard = []
    while True:
        hoard.append(np.ones(2**20))


def crash(query: Query) -> Result:
    """Raise what a bug in a pipeline would raise."""
    raise ZeroDivisionError(f"trial {query.trial} was told to crash")


def diverge(query: Query) -> Result:
    """End with a loss that is not a number."""
    curve = LearningCurve.from_entries([(0, 0.0, {"val_accuracy": 0.1}), (1, 1.0, {"val_accuracy": math.nan})])
    return Result.measured(query, curve, METRICS["accuracy"].loss(math.nan), 1.0)


@dataclass(frozen=True)
class MisbehavingBenchmark(FakeBenchmark):
    """The fake benchmark, but some trials are answered by one of the functions above; it can be pickled."""

    acts: Mapping[int, Callable[[Query], Result]] = field(default_factory=dict)
    """What happens instead of an evaluation, by number of the trial."""

    def evaluate(self, query: Query) -> Result:
        act = self.acts.get(query.trial)
        return act(query) if act else super().evaluate(query)


def mixed_space() -> ConfigurationSpace:
    """Numbers, integers, categories, an ordinal and a constant; two conditions, one of them on a forbidden value."""
    space = ConfigurationSpace(name="mixed")
    optimizer = CategoricalHyperparameter("optimizer", ["sgd", "adam", "rmsprop", "lion"])
    momentum = UniformFloatHyperparameter("momentum", 0.1, 0.99)
    schedule = CategoricalHyperparameter("schedule", ["cosine", "step", "none"])
    width = OrdinalHyperparameter("width", ["narrow", "medium", "wide"])
    space.add(
        optimizer,
        momentum,
        schedule,
        width,
        UniformFloatHyperparameter("learning_rate", 1e-4, 1e-1, log=True),
        UniformIntegerHyperparameter("num_layers", 1, 5),
        Constant("activation", "relu"),
    )
    space.add(EqualsCondition(momentum, optimizer, "sgd"), InCondition(schedule, optimizer, ["sgd", "adam"]))
    space.add(ForbiddenAndConjunction(ForbiddenEqualsClause(schedule, "cosine"), ForbiddenEqualsClause(width, "wide")))
    return space


def wild_space(task: TaskInfo) -> SearchSpace:
    """The LCBench space with learning rates at which every training diverges."""
    space = ConfigurationSpace(name="wild")
    for name, hyperparameter in lcbench_space().items():
        space.add(UniformFloatHyperparameter(name, 1e5, 1e6) if name == "learning_rate" else hyperparameter)
    return replace(lcbench.space(task), space=space)
