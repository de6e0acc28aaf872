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
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from experiments.executors import Evaluator, Workers
from experiments.records import stored_config
from experiments.simulated import Simulated, Timed
from lcbench.errors import UserError
from lcbench.metric import Metric
from lcbench.rundir import read_header
from lcbench.task import TaskInfo
from optimizers.optimizer import Optimizer
from optimizers.portfolio import Portfolio, read_members
from optimizers.prior import Beliefs, Prior
from optimizers.rungs import Ladder

if TYPE_CHECKING:
    from experiments.recorded import Recorded
    from pipeline.live import LiveBenchmark
    from pipeline.preprocessing.raw import RawTable
    from pipeline.spaces.search_space import SearchSpace
    from pipeline.tasks import Task

Verb = Callable[[DictConfig, Console, float], dict[str, Any]]
"""Does what a configuration asks for, prints to a console, counts from a `time.monotonic()`, and returns the summary."""
OF_THE_HARNESS = ("name", "verb", "updates", "portfolio")
"""Keys of a node that are no arguments of what it builds."""
PORTFOLIOS = Path(__file__).parent / "portfolios"
"""Where the portfolios lie that come with the code."""


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
    """Load the task, from the configured OpenML cache where it is an OpenML task, and cut its folds where there is cross-validation.

    Raises:
        UserError: if there is no such task, or it has fewer rows than folds.
    """
    from pipeline.tasks import automatically_validated, cross_validated, use_openml_cache

    use_openml_cache(config.openml.cache_dir)
    task = _build(config.task, "task")
    if config.cross_validation == "auto":
        return automatically_validated(task)
    return task if config.cross_validation is None else cross_validated(task, config.cross_validation)


def config_of(run: Path) -> DictConfig:
    """The configuration of a recorded run; where OpenML's cache lies is no part of it, so that is left to the environment."""
    return OmegaConf.create({**stored_config(run / "config.yaml"), "openml": {"cache_dir": None}})


def searched_table(run: Path) -> tuple[Task, RawTable]:
    """The task of a recorded run, and its table, which is still that of the search.

    Raises:
        UserError: if the table or its splits have changed.
    """
    from pipeline.preprocessing.raw import RawTable

    task = build_task(config_of(run))
    raw = RawTable.of(task)
    if raw.checksum() != read_header(run).provenance.get("table_crc32"):
        raise UserError(f"the table of task {raw.info.name!r} has changed since the run in {run}: search again on the new one")
    return task, raw


def build_space(config: DictConfig, task: TaskInfo) -> SearchSpace:
    """The search space of a task, with the changes of `space.updates`."""
    from pipeline.spaces.updates import updated

    return updated(_build(config.space, "space", task), config.space.get("updates") or {})


def build_ladder(config: DictConfig) -> Ladder:
    """The epochs at which trials are compared."""
    return _build(config.fidelity, "fidelity")


def build_optimizer(
    config: DictConfig, space: ConfigurationSpace, ladder: Ladder, say: Callable[[str], object] = lambda reason: None
) -> Optimizer:
    """The optimizer with a random generator of its own, behind what the user believes and the portfolio, if there are such.

    `say` is told which members of the portfolio are changed or skipped, and why.
    """
    seeds = np.random.SeedSequence(config.seed)
    optimizer = _build(config.optimizer, "optimizer", space, ladder, np.random.default_rng(seeds), trial_seed=config.seed)
    path = portfolio_path(config, optimizer)
    if (path or config.get("prior")) and not getattr(optimizer, "takes_others", True):
        raise UserError(
            f"`optimizer` is {config.optimizer.name!r}, which cannot learn from configurations that it did not propose: "
            "say portfolio=none, and leave `prior` out"
        )
    if config.get("prior"):
        try:
            beliefs = Beliefs(space, config.prior.beliefs)
            optimizer = Prior(optimizer, space, beliefs, np.random.default_rng(seeds.spawn(1)[0]), beta=config.prior.beta)
        except ValueError as error:
            raise UserError(f"`prior` cannot be built: {error}") from None
    if path is None:
        return optimizer
    try:
        members, notes = read_members(path, space)
    except UserError as error:
        if config.portfolio.name != "auto":
            raise
        members, notes = [], [f"no portfolio is tried first: {error}"]
    for note in notes:
        say(note)
    return Portfolio(optimizer, members) if members else optimizer


def portfolio_path(config: DictConfig, optimizer: Optimizer) -> Path | None:
    """The file of the portfolio: one of its own, or the shipped one of this name; ``auto`` is that of the space.

    The space's is for methods that are used with one by default.
    """
    wish = config.get("portfolio")
    if not wish:
        return None
    if wish.name != "auto":
        return Path(wish.path) if "path" in list(wish) else PORTFOLIOS / f"{wish.name}.json"
    named = config.space.get("portfolio")
    return PORTFOLIOS / f"{named}.json" if named and getattr(optimizer, "with_portfolio", False) else None


def build_benchmark(config: DictConfig, task: Task, ladder: Ladder, directory: Path) -> LiveBenchmark:
    """The benchmark that trains for real."""
    metric, search_space = build_metric(config, task), build_space(config, task.info)
    about = {"task": task.info, "search_space": search_space, "epochs": ladder.max, "metric": metric, "directory": directory}
    return _build(config.benchmark, "benchmark", **about, folds=len(task.folds) or 1, keep=config.ensemble.size > 0)


def build_recorded(config: DictConfig, task: str) -> Recorded:
    """The benchmark that looks curves up, for the table of `task`."""
    return _build(config.benchmark, "benchmark", task, space=config.space.name, metric=config.metric)


def build_metric(config: DictConfig, task: Task) -> Metric:
    """The optimised metric.

    Raises:
        UserError: if it is unknown, does not fit the kind of task, or cannot judge its rows.
    """
    from pipeline.metrics import check_target, metric_for

    metric = metric_for(config.metric, task.info)
    check_target(metric, task.y if metric.name == "rmsle" else task.y[task.val], task.info)  # all rows have a value of it
    return metric


def build_executor(config: DictConfig, benchmark: Evaluator) -> Workers:
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
