"""From configuration to objects: the only calls of `hydra.utils.instantiate` in the project."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ConfigSpace import ConfigurationSpace
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig
from rich.console import Console

from experiments.executors import Executor
from experiments.simulated import Simulated, Timed
from lcbench.benchmark import CurveBenchmark
from lcbench.errors import UserError
from lcbench.metric import Metric, metric_named
from lcbench.task import TaskInfo
from optimizers.optimizer import Optimizer
from optimizers.portfolio import Portfolio, read_members
from optimizers.prior import Beliefs, Prior
from optimizers.rungs import Ladder

if TYPE_CHECKING:
    from experiments.recorded import Recorded
    from pipeline.live import LiveBenchmark
    from pipeline.tasks import Task

Verb = Callable[[DictConfig, Console, float], dict[str, Any]]
"""Does what a configuration asks for, prints to a console, counts from a `time.monotonic()`, and returns the summary."""
OF_THE_HARNESS = ("name", "verb")
"""Keys of a node that are no arguments of what it builds."""
DEFAULT_METRIC = {"classification": "accuracy", "regression": "r2"}
"""What is optimised when `metric` is null: the paper's accuracy, and for regression a score without a unit."""


def _build(node: DictConfig, noun: str, *args: object, **kwargs: object) -> Any:
    """Instantiate a node, with further arguments where it is partial; a refusal becomes a sentence that names the group."""
    settings = {name: value for name, value in node.items() if name not in OF_THE_HARNESS or noun == "task"}
    _check_numbers(settings, noun)
    try:
        built = instantiate(settings)
        return built(*args, **kwargs) if node.get("_partial_") else built
    except (InstantiationException, TypeError, ValueError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from None
        raise UserError(f"`{noun}` cannot be built: {cause}") from error


def _check_numbers(settings: dict[Any, Any], noun: str) -> None:
    """Where a builder's signature says int or float, it gets no other: Hydra would hand over whatever was typed."""
    try:
        parameters = inspect.signature(get_object(settings["_target_"])).parameters
    except (ImportError, KeyError, ValueError):  # said by `instantiate`, or without a signature
        return
    for name, value in settings.items():
        if name not in parameters or value is None:
            continue
        kind = str(parameters[name].annotation).removesuffix(" | None")
        if kind == "int" and not isinstance(value, int):
            raise UserError(f"`{noun}.{name}` is {value!r}, but must be a whole number")
        if kind == "float" and not (isinstance(value, int | float) and math.isfinite(value)):
            raise UserError(f"`{noun}.{name}` is {value!r}, but must be a finite number")


def build_verb(config: DictConfig) -> Verb:
    """What the benchmark is asked with: the function in the file of experiments/ that both are called `benchmark.verb`.

    Raises:
        UserError: if there is none.
    """
    name = str(config.benchmark.verb)
    found = import_module(f"experiments.{name}") if name.isidentifier() and find_spec(f"experiments.{name}") else None
    if not hasattr(found, name):
        raise UserError(f"`benchmark.verb` is {name!r}, but must be search (trains) or simulate (looks recorded curves up)")
    return getattr(found, name)


def build_task(config: DictConfig) -> Task:
    """Load the task, from the configured OpenML cache where it is an OpenML task."""
    from pipeline.tasks import use_openml_cache

    use_openml_cache(config.openml.cache_dir)
    return _build(config.task, "task")


def build_space(config: DictConfig) -> ConfigurationSpace:
    """The search space."""
    return _build(config.space, "space")


def build_ladder(config: DictConfig) -> Ladder:
    """The epochs at which trials are compared."""
    return _build(config.fidelity, "fidelity")


def build_optimizer(
    config: DictConfig, space: ConfigurationSpace, ladder: Ladder, say: Callable[[str], object] = lambda reason: None
) -> Optimizer:
    """The optimizer with a random generator of its own, behind what the user believes and the portfolio, if there are such.

    `say` is told which members of the portfolio are skipped, and why.
    """
    seeds = np.random.SeedSequence(config.seed)
    optimizer = _build(config.optimizer, "optimizer", space, ladder, np.random.default_rng(seeds), trial_seed=config.seed)
    if config.get("prior"):
        try:
            beliefs = Beliefs(space, config.prior.beliefs)
            optimizer = Prior(optimizer, space, beliefs, np.random.default_rng(seeds.spawn(1)[0]), beta=config.prior.beta)
        except ValueError as error:
            raise UserError(f"`prior` cannot be built: {error}") from None
    if config.get("portfolio"):
        members, skipped = read_members(Path(config.portfolio.path), space)
        optimizer = Portfolio(optimizer, members)
        for reason in skipped:
            say(reason)
    return optimizer


def build_benchmark(config: DictConfig, task: TaskInfo, space: ConfigurationSpace, ladder: Ladder, directory: Path) -> LiveBenchmark:
    """The benchmark that trains for real."""
    metric = build_metric(config, task)
    return _build(config.benchmark, "benchmark", task=task, space=space, epochs=ladder.max, metric=metric, directory=directory)


def build_recorded(config: DictConfig, task: str) -> Recorded:
    """The benchmark that looks curves up, for the table of `task`."""
    return _build(config.benchmark, "benchmark", task, space=config.space.name, metric=config.metric)


def build_metric(config: DictConfig, task: TaskInfo) -> Metric:
    """The optimised metric.

    Raises:
        UserError: if it is unknown, or does not fit the kind of task.
    """
    name = config.metric or DEFAULT_METRIC[task.kind]
    if name not in task.metrics:
        raise UserError(f"`metric` is {name!r}, but task {task.name!r} is a {task.kind} task: choose one of {', '.join(task.metrics)}")
    return metric_named(name)


def build_executor(config: DictConfig, benchmark: CurveBenchmark) -> Executor:
    """Where the queries are evaluated."""
    return _build(config.executor, "executor", benchmark)


def build_simulated(config: DictConfig, recorded: Recorded, limit: float | None, optimizer: Timed | None = None) -> Simulated:
    """The workers of a simulated run, with their clock.

    Raises:
        UserError: if the executor is one that trains.
    """
    if config.executor.get("_target_") != f"{Simulated.__module__}.{Simulated.__name__}":
        raise UserError(
            f"`executor` is {config.executor.get('_target_')}, but recorded curves are not trained: leave it out; executor.workers=4 "
            "simulates four workers"
        )
    overhead = (lambda: optimizer.seconds) if optimizer else None
    return _build(config.executor, "executor", recorded.benchmark, limit=limit, continues=recorded.continues, overhead=overhead)
