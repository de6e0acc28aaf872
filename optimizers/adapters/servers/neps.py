"""NePS: its bracket optimizers through its ask and tell."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

FIDELITY = "_epoch"


class Brackets:
    """A bracket optimizer of NePS; a trial is one configuration at one rung, called ``<configuration>_rung_<rung>``."""

    def __init__(self, method: str, space: dict[str, Any], epochs: Sequence[int], eta: int, seed: int, settings: dict[str, Any]) -> None:
        from ConfigSpace import ConfigurationSpace
        from neps.optimizers import algorithms
        from neps.optimizers.ask_and_tell import AskAndTell
        from neps.space import HPOInteger, SearchSpace
        from neps.space.parsing import convert_configspace

        logging.getLogger("neps").setLevel(logging.CRITICAL)
        known = ConfigurationSpace.from_serialized_dict(space)
        if ordinals := [name for name, hyperparameter in known.items() if hasattr(hyperparameter, "sequence")]:
            raise NotImplementedError(f"knows no ordinal hyperparameters, but the space has {', '.join(ordinals)}")
        if known.conditions or known.forbidden_clauses:
            raise NotImplementedError("knows no conditions and no forbidden clauses, but the space has them")
        if len(epochs) == 1:
            raise NotImplementedError("needs two rungs, but the ladder has one")
        fidelity = HPOInteger(lower=epochs[0], upper=epochs[-1], is_fidelity=True)
        pipeline = SearchSpace({**convert_configspace(known), FIDELITY: fidelity})
        self._neps = AskAndTell(getattr(algorithms, method)(pipeline, eta=eta, **settings))

    def ask(self) -> tuple[Any, dict[str, Any]]:
        """The next configuration at its rung."""
        trial = self._neps.ask()
        values = dict(trial.config)
        key, _, rung = trial.id.partition("_rung_")
        proposal = {
            "budget": values.pop(FIDELITY),
            "configuration": values,
            "key": key,
            "origin": "random",
            "bracket": 0,
            "rung": int(rung),
        }
        return trial, proposal

    def tell(self, job: Any, loss: float | None, configuration: dict[str, Any] | None) -> None:
        """The objective of a trial; without a loss it ends with an exception, which NePS never promotes."""
        if configuration is not None:
            job.config = {**configuration, FIDELITY: job.config[FIDELITY]}
        self._neps.tell(job, RuntimeError("failed") if loss is None else loss)


new = Brackets
