"""YAHPO Gym's call shape on our databases: configurations with an epoch in them go in, a list of dicts comes out.

    bench = BenchmarkSet("lcbench", instance="167168", unknown="nearest")
    bench.objective_function(bench.get_opt_space().sample_configuration())[0]["val_accuracy"]

Names, units and results are those of YAHPO Gym 1.0, yahpo_gym/benchmark_set.py; the package is not needed. Where YAHPO asks
a network, this looks up what was recorded. The scenario is the name of a search space, an instance the number of an OpenML
task. As in YAHPO, epoch 1 is the untrained network: epoch k is entry k - 1 of a curve, so LCBench's 52 entries are the
epochs 1..52, and 51 entries of our own recordings 1..51.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from ConfigSpace import CategoricalHyperparameter, Configuration, ConfigurationSpace, Constant

from lcbench.benchmark import CurveBenchmark
from lcbench.database import SHIPPED, Database
from lcbench.errors import UserError
from lcbench.formats.facade import EPOCH, Unknown, answered, entry, epoch_hyperparameter, published, recorded, whole_epoch
from lcbench.space import sample
from lcbench.tabular import TabularBenchmark
from lcbench.wrappers import NearestRecorded

if TYPE_CHECKING:
    import pandas as pd

TASK = "OpenML_task_id"
"""Name of the hyperparameter that holds the instance."""
TARGETS = ("time", "val_accuracy", "val_cross_entropy", "val_balanced_accuracy", "test_cross_entropy", "test_balanced_accuracy")
"""What is returned for classification tasks, in YAHPO's order."""
_SESSION = ("active_session", "session", "multithread", "check")  # about YAHPO's networks: taken, and without a meaning here


class BenchmarkSet:
    """The tasks of a database that share a search space, asked as YAHPO Gym's scenarios are."""

    def __init__(
        self,
        scenario: str = "lcbench",
        instance: str | int | None = None,
        *,
        path: str | os.PathLike[str] = SHIPPED,
        unknown: Unknown = "refuse",
        benchmarks: Mapping[str, CurveBenchmark] | None = None,
        **session: Any,
    ) -> None:
        """Serve every task of a database, or the given `benchmarks` of one space by instance, e.g. surrogates.

        `unknown` says what happens with a configuration that was not recorded (`facade.recorded`).

        Raises:
            UserError: if there is no such space or instance, or an option of YAHPO's that this cannot honour.
        """
        if refused := [name for name in session if name not in _SESSION and not (name == "noisy" and not session[name])]:
            raise UserError(f"`{refused[0]}` is {session[refused[0]]!r}, but of YAHPO's options only {', '.join(_SESSION)} are taken")
        self.scenario = scenario
        self.instance: str | None = None
        """The instance that was set."""
        self.quant = 1e-3
        """Seconds that `objective_function_timed` sleeps per recorded second."""
        self.archive: list[dict[str, Any]] = []
        """What was asked with ``logging=True``, as dicts of ``time``, ``x`` and ``y``."""
        given = None if benchmarks is None else {name: partial(_itself, benchmark) for name, benchmark in benchmarks.items()}
        self._openers: Mapping[str, Callable[[], CurveBenchmark]] = given or _openers(Database(path), scenario, unknown)
        self._opened: dict[str, CurveBenchmark] = {}
        if instance is not None:
            self.set_instance(instance)

    def __repr__(self) -> str:
        return f"BenchmarkSet({self.scenario})"

    @property
    def instances(self) -> list[str]:
        """Numbers of the OpenML tasks, as text; the name of a task that has none."""
        return list(self._openers)

    def set_instance(self, value: str | int) -> None:
        """Ask this task from now on, whatever a configuration says.

        Raises:
            UserError: if it is not one of `instances`.
        """
        self.instance = self._known(value)

    @property
    def benchmark(self) -> CurveBenchmark:
        """The benchmark of the instance, of the first one while none is set."""
        return self._benchmark(self.instance or self.instances[0])

    @property
    def targets(self) -> list[str]:
        """Names of what is returned."""
        task = self.benchmark.task
        if task.kind == "classification":
            return list(TARGETS)
        return ["time", *(f"{split}_{name}" for split in ("val", "test") for name in task.metrics)]

    @property
    def config_space(self) -> ConfigurationSpace:
        """Hyperparameters, epoch and instance, none of them fixed."""
        return self._space(CategoricalHyperparameter(TASK, self.instances))

    def get_opt_space(self, drop_fidelity_params: bool = False, seed: int | None = None) -> ConfigurationSpace:
        """The space to search: the instance is a constant if it was set, the epoch is left out on demand."""
        task = CategoricalHyperparameter(TASK, self.instances) if self.instance is None else Constant(TASK, self.instance)
        return self._space(task, with_epoch=not drop_fidelity_params, seed=seed)

    def get_fidelity_space(self, seed: int | None = None) -> ConfigurationSpace:
        """The space of the one fidelity, ``epoch``."""
        return ConfigurationSpace(seed=seed, space=[epoch_hyperparameter(1, self.benchmark.epochs + 1)])

    def _space(self, task: Any, *, with_epoch: bool = True, seed: int | None = None) -> ConfigurationSpace:
        searched, space = copy.deepcopy(self.benchmark.space), ConfigurationSpace(name=self.scenario, seed=seed)
        space.add([task, *searched.values(), *([epoch_hyperparameter(1, self.benchmark.epochs + 1)] if with_epoch else [])])
        space.add(searched.conditions, searched.forbidden_clauses)
        return space

    def objective_function(
        self,
        configuration: Mapping[str, Any] | Configuration | Sequence[Mapping[str, Any] | Configuration],
        seed: int | None = None,
        logging: bool = False,
        multithread: bool = True,
    ) -> list[dict[str, float]]:
        """What was recorded of one or several configurations, always a list of dicts; NaN where a training ended before.

        Raises:
            UserError: if a configuration lacks its epoch or instance, or cannot be asked for.
        """
        asked = [configuration] if isinstance(configuration, Mapping) else list(configuration)
        answers = [self._answer(dict(one), seed or 0) for one in asked]
        if logging:
            now = time.strftime("%D|%H:%M:%S")
            self.archive += [{"time": now, "x": dict(one), "y": answer} for one, answer in zip(asked, answers, strict=True)]
        return answers

    def objective_function_timed(self, configuration: Any, **options: Any) -> list[dict[str, float]]:
        """As `objective_function`, and sleep `quant` times the seconds that the trainings took together."""
        answers = self.objective_function(configuration, **options)
        time.sleep(self.quant * sum(answer["time"] for answer in answers if math.isfinite(answer["time"])))
        return answers

    def _answer(self, values: dict[str, Any], seed: int) -> dict[str, float]:
        said = values.pop(TASK, None)
        if self.instance is None and said is None:
            raise UserError(f"`{TASK}` is missing: call set_instance, or give one of {', '.join(self.instances)} in the configuration")
        if EPOCH not in values:
            raise UserError(f"`{EPOCH}` is missing in the configuration, but is the fidelity: 1 is the untrained network")
        benchmark = self._benchmark(self.instance or self._known(said))
        at = whole_epoch(values.pop(EPOCH), 1, benchmark.epochs + 1) - 1
        found = entry(answered(benchmark, values, at, seed), at)
        names = {"time": "seconds"}
        return {target: published(target, found.get(names.get(target, target), math.nan)) for target in self.targets}

    @property
    def target_stats(self) -> pd.DataFrame:
        """Smallest and largest value of every target at any epoch, of the set instance or of all; needs pandas.

        Columns are metric, statistic (min or max), value, scenario and instance. Of a table all recorded configurations
        count, of any other benchmark 1000 random ones.
        """
        import pandas as pd

        lines = [line for name in ([self.instance] if self.instance else self.instances) for line in self._stats(name)]
        return pd.DataFrame(lines, columns=["metric", "statistic", "value", "scenario", "instance"])

    def _stats(self, name: str) -> list[tuple[str, str, float, str, str]]:
        benchmark = self._benchmark(name)
        inner = benchmark.benchmark if isinstance(benchmark, NearestRecorded) else benchmark
        if isinstance(inner, TabularBenchmark):
            curves = [inner.curve(row) for row in range(len(inner))]
        else:
            rng = np.random.default_rng(0)
            curves = [answered(benchmark, sample(benchmark.space, rng), benchmark.epochs).curve for _ in range(1000)]
        lines = []
        for target in self.targets:
            parts = [curve.seconds if target == "time" else curve.values.get(target, np.empty(0)) for curve in curves]
            values = np.concatenate([[np.nan], *parts])
            for word, reduce in (("min", np.fmin), ("max", np.fmax)):
                lines.append((target, word, published(target, float(reduce.reduce(values))), self.scenario, name))
        return lines

    def _known(self, instance: Any) -> str:
        if str(instance) not in self._openers:
            raise UserError(f"`instance` is {instance!r}, but the instances of {self.scenario!r} are {', '.join(self.instances)}")
        return str(instance)

    def _benchmark(self, instance: str) -> CurveBenchmark:
        if instance not in self._opened:
            self._opened[instance] = self._openers[instance]()
        return self._opened[instance]


def _openers(database: Database, scenario: str, unknown: Unknown) -> dict[str, Callable[[], CurveBenchmark]]:
    """What opens the benchmark of every instance: all tables of the space `scenario`."""
    tasks = [task for task, space in database.names if space == scenario]
    if not tasks:
        spaces = dict.fromkeys(space for _, space in database.names)
        raise UserError(f"`scenario` is {scenario!r}, but the search spaces in {database.path} are {', '.join(spaces)}")
    numbers = [database.table(task, scenario).task.openml_task_id for task in tasks]
    names = [task if number is None or numbers.count(number) > 1 else str(number) for task, number in zip(tasks, numbers, strict=True)]
    opener = partial(recorded, path=database.path, unknown=unknown, space=scenario, view="raw")
    return {name: partial(opener, task) for name, task in zip(names, tasks, strict=True)}


def _itself(benchmark: CurveBenchmark) -> CurveBenchmark:
    return benchmark
