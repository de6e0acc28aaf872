"""Syne Tune: its schedulers driven directly, one report per rung, without tuner and backend."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any

EPOCH_ZERO = datetime(2000, 1, 1)  # a trial wants to know when it was made; nothing depends on it


class Scheduler:
    """A stopping scheduler: a trial that is told to continue is asked again at the next rung."""

    def __init__(self, method: str, space: dict[str, Any], epochs: Sequence[int], eta: int, seed: int, settings: dict[str, Any]) -> None:
        from ConfigSpace import ConfigurationSpace
        from syne_tune.optimizer import baselines

        logging.getLogger("syne_tune").setLevel(logging.CRITICAL)
        known = ConfigurationSpace.from_serialized_dict(space)
        if known.conditions or known.forbidden_clauses:
            raise NotImplementedError("knows no conditions and no forbidden clauses, but the space has them")
        self._epochs = epochs
        self._scheduler = {"asha": baselines.ASHA, "bohb": baselines.BOHB}[method](
            {name: _domain(hyperparameter) for name, hyperparameter in known.items()},
            metric="loss",
            time_attr="epoch",
            max_t=epochs[-1],
            grace_period=epochs[0],
            reduction_factor=eta,
            random_seed=seed,
            **settings,
        )
        self._n_trials = 0
        self._promoted: deque[tuple[Any, int]] = deque()

    def ask(self) -> tuple[Any, dict[str, Any]]:
        """A trial that may go on, else a new one."""
        from syne_tune.backend.trial_status import Trial

        if self._promoted:
            trial, rung = self._promoted.popleft()
        else:
            self._forget_densities()
            trial, rung = Trial(self._n_trials, self._scheduler.suggest().config, EPOCH_ZERO), 0
            self._n_trials += 1
            self._scheduler.on_trial_add(trial)
        proposal = {
            "configuration": trial.config,
            "budget": self._epochs[rung],
            "key": str(trial.trial_id),
            "origin": "model" if getattr(self._scheduler.searcher.searcher, "good_kde", None) else "random",
            "bracket": self._scheduler.brackets.index(self._scheduler.trial_info[trial.trial_id]),
            "rung": rung,
        }
        return (trial, rung), proposal

    def tell(self, job: Any, loss: float | None, configuration: dict[str, Any] | None) -> None:
        """Report the loss at its rung, and do what the scheduler decides; without a loss the trial ends in error."""
        trial, rung = job
        if configuration is not None:
            trial.config = configuration
        if loss is None:
            self._scheduler.on_trial_error(trial)
        elif self._scheduler.on_trial_result(trial, {"loss": loss, "epoch": self._epochs[rung]}) == "CONTINUE":
            self._promoted.append((trial, rung + 1))
        else:
            self._scheduler.on_trial_remove(trial)

    def _forget_densities(self) -> None:
        """The densities that the next suggestion leaves behind tell a proposal of the model from a random draw."""
        if hasattr(self._scheduler.searcher.searcher, "good_kde"):
            self._scheduler.searcher.searcher.good_kde = None


def _domain(hyperparameter: Any) -> Any:
    import ConfigSpace
    from syne_tune import config_space

    match hyperparameter:
        case ConfigSpace.CategoricalHyperparameter():
            return config_space.choice(list(hyperparameter.choices))
        case ConfigSpace.OrdinalHyperparameter():
            return config_space.ordinal(list(hyperparameter.sequence), kind="equal")
        case ConfigSpace.UniformIntegerHyperparameter():
            domain = config_space.lograndint if hyperparameter.log else config_space.randint
            return domain(int(hyperparameter.lower), int(hyperparameter.upper))
        case ConfigSpace.UniformFloatHyperparameter():
            domain = config_space.loguniform if hyperparameter.log else config_space.uniform
            return domain(float(hyperparameter.lower), float(hyperparameter.upper))
    raise NotImplementedError(f"has no domain for {hyperparameter.name!r}, a {type(hyperparameter).__name__}")


new = Scheduler
