"""HPOBench's call shape on any of our benchmarks: a configuration and a fidelity go in, a loss and its cost come out.

    benchmark = HPOBenchmark.load("vehicle")
    benchmark.objective_function({"batch_size": 32, …}, fidelity={"epoch": 10})["function_value"]

Names and results are those of HPOBench 0.0.10, hpobench/abstract_benchmark.py; the package is not needed. Everything is
minimised: `function_value` is the loss of the benchmark's metric, 1 - accuracy where that is accuracy.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace

from lcbench.benchmark import CurveBenchmark
from lcbench.database import SHIPPED
from lcbench.errors import UserError
from lcbench.formats.facade import EPOCH, Unknown, answered, entry, epoch_hyperparameter, recorded, whole_epoch
from lcbench.metric import Split

Values: TypeAlias = Mapping[str, Any] | Configuration


class HPOBenchmark:
    """A `CurveBenchmark` that is asked as HPOBench's benchmarks are."""

    def __init__(self, benchmark: CurveBenchmark, rng: int | np.random.RandomState | None = None) -> None:
        """Serve `benchmark`; `rng` is the seed of trainings that are not given one, which tables do not use."""
        self.benchmark = benchmark
        self.rng = rng
        self.configuration_space = self.get_configuration_space()
        self.fidelity_space = self.get_fidelity_space()

    @classmethod
    def load(cls, task: str, path: str | os.PathLike[str] = SHIPPED, *, unknown: Unknown = "refuse", **options: Any) -> HPOBenchmark:
        """Serve a recorded task; `unknown` and `options` as of `facade.recorded`."""
        return cls(recorded(task, path, unknown=unknown, **options))

    def objective_function(
        self, configuration: Values, fidelity: Values | None = None, rng: int | np.random.RandomState | None = None
    ) -> dict[str, Any]:
        """Loss on the validation rows after an epoch, by default the last one.

        Returns:
            ``function_value``: the loss, +inf if the training failed; ``cost``: seconds of a training from scratch;
            ``info``: ``fidelity``, ``status``, ``error``, and every recorded column in the unit of its metric.

        Raises:
            UserError: if the configuration or fidelity is none that can be asked for.
        """
        return self._answer("val", configuration, fidelity, rng)

    def objective_function_test(
        self, configuration: Values, fidelity: Values | None = None, rng: int | np.random.RandomState | None = None
    ) -> dict[str, Any]:
        """As `objective_function`, but the loss on the test rows.

        Raises:
            UserError: as there; also if the benchmark has no such column.
        """
        return self._answer("test", configuration, fidelity, rng)

    def __call__(self, configuration: Values, **options: Any) -> float:
        """The loss alone."""
        return self.objective_function(configuration, **options)["function_value"]

    def _answer(self, split: Split, configuration: Values, fidelity: Values | None, rng: Any) -> dict[str, Any]:
        epoch = self._epoch(fidelity)
        result = answered(self.benchmark, configuration, epoch, _seed(self.rng if rng is None else rng))
        values = entry(result, epoch)
        values.pop("seconds", None)
        loss, column = result.loss, self.benchmark.metric.on(split)
        if split != "val" and result.ok:
            if column not in values:
                raise UserError(f"there is no {column!r}, but only {', '.join(values)}: the benchmark was not measured on {split} rows")
            loss = self.benchmark.metric.loss(values[column])
        info = {"fidelity": {EPOCH: epoch}, "status": str(result.status), "error": result.error, **values}
        return {"function_value": loss if math.isfinite(loss) else math.inf, "cost": result.seconds, "info": info}

    def _epoch(self, fidelity: Values | None) -> int:
        given = {} if fidelity is None else dict(fidelity)
        if unknown := given.keys() - {EPOCH}:
            raise UserError(f"`fidelity` has {', '.join(sorted(unknown))}, but only {EPOCH!r} can be given")
        return whole_epoch(given.get(EPOCH, self.benchmark.epochs), 1, self.benchmark.epochs)

    def get_configuration_space(self, seed: int | None = None) -> ConfigurationSpace:
        """A copy of the search space that draws from `seed`."""
        space = copy.deepcopy(self.benchmark.space)
        if seed is not None:
            space.seed(seed)
        return space

    def get_fidelity_space(self, seed: int | None = None) -> ConfigurationSpace:
        """The space of the one fidelity, ``epoch``; its default is the last one."""
        return ConfigurationSpace(name="fidelity", seed=seed, space=[epoch_hyperparameter(1, self.benchmark.epochs)])

    def get_meta_information(self) -> dict[str, Any]:
        """Name, task and what is minimised."""
        task = self.benchmark.task
        return {
            "name": f"{self.benchmark.space.name} on {task.name}",
            "task": task.name,
            "openml_task_id": task.openml_task_id,
            "objective": f"loss of {self.benchmark.metric.on('val')}",
            "references": ["Zimmer, Lindauer, Hutter: Auto-PyTorch Tabular, TPAMI 2021, doi:10.1109/TPAMI.2021.3067763"],
        }


def _seed(rng: int | np.random.RandomState | None) -> int:
    if isinstance(rng, np.random.RandomState):
        return int(rng.randint(2**31 - 1))
    return 0 if rng is None else int(rng)
