"""HpBandSter: BOHB's own model and its own brackets, driven in the order of its master, without Pyro, workers and threads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any


class Master:
    """Hands out the runs of HpBandSter's iterations as `hpbandster.core.master.Master.run` does."""

    def __init__(self, method: str, space: dict[str, Any], epochs: Sequence[int], eta: int, seed: int, settings: dict[str, Any]) -> None:
        import numpy as np
        from ConfigSpace import ConfigurationSpace
        from hpbandster.optimizers.config_generators.bohb import BOHB

        logging.getLogger("hpbandster").setLevel(logging.CRITICAL)  # it warns of every categorical value that a density lacks
        self._space = ConfigurationSpace.from_serialized_dict(space)
        self._space.seed(seed)
        if ordinals := [name for name, hyperparameter in self._space.items() if hasattr(hyperparameter, "sequence")]:
            raise NotImplementedError(f"knows no ordinal hyperparameters, but the space has {', '.join(ordinals)}")
        self._model = BOHB(self._space, **settings)
        self._iterations: list[Any] = []
        self._eta = eta
        # The budgets of hpbandster.optimizers.bohb.BOHB, whose constructor would start the name server's client.
        self._n_rungs = -int(np.log(epochs[0] / epochs[-1]) / np.log(eta)) + 1
        self._budgets = epochs[-1] * np.power(eta, -np.linspace(self._n_rungs - 1, 0, self._n_rungs))

    def ask(self) -> tuple[Any, dict[str, Any]]:
        """The first run that an unfinished iteration has, oldest first; a new iteration where none has one."""
        from hpbandster.core.dispatcher import Job

        active = (iteration for iteration in self._iterations if not iteration.is_finished)
        run = next((run for iteration in active if (run := iteration.get_next_run()) is not None), None)
        if run is None:
            self._iterations.append(self._next_iteration())
            run = self._iterations[-1].get_next_run()
        name, configuration, budget = run
        iteration = self._iterations[name[0]]
        proposal = {
            "configuration": configuration,
            "budget": float(budget),
            "key": str(name),
            "origin": self._origin(iteration.data[name].config_info),
            "bracket": name[0],
            "rung": iteration.stage,
        }
        return Job(name, config=configuration, budget=budget), proposal

    def tell(self, job: Any, loss: float | None, configuration: dict[str, Any] | None) -> None:
        """Register a result with its iteration and with the model; without a loss it is a crash, which counts as +inf."""
        if configuration is not None:
            job.kwargs["config"] = self._iterations[job.id[0]].data[job.id].config = configuration
        if loss is not None:
            job.result = {"loss": loss, "info": {}}
        self._iterations[job.id[0]].register_result(job)
        self._model.new_result(job)

    def _next_iteration(self) -> Any:
        from hpbandster.optimizers.iterations import SuccessiveHalving

        place = len(self._iterations)
        s = self._n_rungs - 1 - place % self._n_rungs
        n = self._n_rungs // (s + 1) * self._eta**s
        sizes = [max(int(n * self._eta ** (-i)), 1) for i in range(s + 1)]
        return SuccessiveHalving(HPB_iter=place, num_configs=sizes, budgets=self._budgets[-s - 1 :], config_sampler=self._model.get_config)

    def _origin(self, info: dict[str, Any]) -> str:
        if info["model_based_pick"]:
            return "model"
        return "random" if self._model.kde_models else "initial"


new = Master
