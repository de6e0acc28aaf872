"""SMAC3: its random forest under Hyperband, or at full training; asked and told through its facades."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

UNSEEN = 1e6
"""Cost of a crash before anything was seen: no success may look worse."""


class Facade:
    """One of SMAC3's facades, without a target function."""

    def __init__(self, method: str, space: dict[str, Any], epochs: Sequence[int], eta: int, seed: int, settings: dict[str, Any]) -> None:
        from ConfigSpace import ConfigurationSpace
        from smac import HyperparameterOptimizationFacade, MultiFidelityFacade, Scenario

        if method == "multi_fidelity" and len(epochs) == 1:
            raise NotImplementedError("needs two rungs for its Hyperband, but the ladder has one: take its facade for full training")
        budgets = {"min_budget": epochs[0], "max_budget": epochs[-1]} if method == "multi_fidelity" else {}
        scenario = Scenario(
            ConfigurationSpace.from_serialized_dict(space),
            output_directory=Path(tempfile.mkdtemp(dir=Path.cwd())),
            deterministic=True,
            n_trials=10**9,  # nothing is stopped by it; the initial design is given as a number instead of as a share of it
            seed=seed,
            **budgets,
        )
        facade: Any = MultiFidelityFacade if budgets else HyperparameterOptimizationFacade
        parts = {"initial_design": facade.get_initial_design(scenario, n_configs=settings["n_initial"])}
        if budgets:
            parts["intensifier"] = facade.get_intensifier(scenario, eta=eta)
        self._smac = facade(scenario, None, logging_level=50, overwrite=True, **parts)
        self._epochs = epochs
        self._worst = -math.inf

    def ask(self) -> tuple[Any, dict[str, Any]]:
        """The next trial of SMAC's intensifier."""
        trial = self._smac.ask()
        budget = trial.budget or self._epochs[-1]
        proposal = {
            "configuration": dict(trial.config),
            "budget": budget,
            "key": str(self._smac.runhistory.get_config_id(trial.config)),
            "origin": _origin(trial.config.origin or ""),
            "bracket": 0,  # SMAC does not say
            "rung": min(range(len(self._epochs)), key=lambda rung: abs(self._epochs[rung] - budget)) if trial.budget else 0,
        }
        return trial, proposal

    def tell(self, job: Any, loss: float | None, configuration: dict[str, Any] | None) -> None:
        """Note a cost; a crash costs the most that was seen, as SMAC's forest cannot learn from its default, infinity."""
        from smac.runhistory.dataclasses import TrialValue
        from smac.runhistory.enumerations import StatusType

        if configuration is not None:
            raise NotImplementedError("cannot learn from a configuration in the place of its own: run it without a portfolio or prior")
        self._worst = self._worst if loss is None else max(self._worst, loss)
        status = StatusType.CRASHED if loss is None else StatusType.SUCCESS
        cost = loss if loss is not None else self._worst if math.isfinite(self._worst) else UNSEEN
        self._smac.tell(job, TrialValue(cost=cost, status=status), save=False)


def _origin(said: str) -> str:
    if "initial design" in said.lower():
        return "initial"
    return "random" if "random" in said.lower() and "sorted" not in said.lower() else "model"


new = Facade
