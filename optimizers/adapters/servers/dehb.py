"""DEHB: differential evolution under Hyperband, through its own ask and tell."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Evolution:
    """A DEHB optimizer with one worker and no log."""

    def __init__(self, method: str, space: dict[str, Any], epochs: Sequence[int], eta: int, seed: int, settings: dict[str, Any]) -> None:
        from ConfigSpace import ConfigurationSpace
        from dehb import DEHB

        self._space = ConfigurationSpace.from_serialized_dict(space)
        if self._space.forbidden_clauses:
            raise NotImplementedError(f"cannot search a space with forbidden clauses, but this one has {self._space.forbidden_clauses}")
        if len(epochs) == 1:
            raise NotImplementedError("needs two rungs, but the ladder has one")
        self._epochs = epochs
        self._dehb = DEHB(
            cs=self._space,
            dimensions=len(self._space),
            min_fidelity=epochs[0],
            max_fidelity=epochs[-1],
            eta=eta,
            n_workers=1,
            seed=seed,
            save_freq="end",
            log_level="ERROR",
            output_path=tempfile.mkdtemp(dir=Path.cwd()),
            **settings,
        )

    def ask(self) -> tuple[Any, dict[str, Any]]:
        """The next job of the oldest bracket that has one."""
        job = self._dehb.ask()
        fidelities = list(self._dehb.fidelities)
        place = job["bracket_id"]
        proposal = {
            "configuration": dict(job["config"]),
            "budget": float(job["fidelity"]),
            "key": str(job["config_id"]),
            "origin": "model",
            "bracket": place,
            "rung": fidelities.index(job["fidelity"]) - place % len(fidelities),
        }
        return job, proposal

    def tell(self, job: Any, loss: float | None, configuration: dict[str, Any] | None) -> None:
        """The fitness of a job; a failure is the worst number, since DEHB holds infinity for not evaluated and breaks on a rung of it."""
        from ConfigSpace import Configuration

        if configuration is not None:
            known = Configuration(self._space, values=configuration)
            job["config"] = known
            self._dehb.config_repository.configs[job["config_id"]].config = self._dehb.configspace_to_vector(known)
        self._dehb.tell(job, {"fitness": sys.float_info.max if loss is None else loss, "cost": 0.0})


new = Evolution
