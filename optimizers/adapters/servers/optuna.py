"""Optuna: TPE, at full training or under the Hyperband pruner; its trials are continued rung by rung until they are pruned."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

N_TRIES = 1000
"""Draws after which a space whose forbidden clauses are hit every time is given up."""


class Study:
    """An Optuna study, asked and told one rung at a time."""

    def __init__(self, method: str, space: dict[str, Any], epochs: Sequence[int], eta: int, seed: int, settings: dict[str, Any]) -> None:
        import optuna
        from ConfigSpace import ConfigurationSpace

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = ConfigurationSpace.from_serialized_dict(space)
        self._distributions = {name: _distribution(hyperparameter) for name, hyperparameter in self._space.items()}
        self._is_hyperband = method == "hyperband"
        self._rungs = list(epochs) if self._is_hyperband else [epochs[-1]]
        self._n_startup = settings["n_startup_trials"]
        sampler = optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=settings["n_startup_trials"],
            n_ei_candidates=settings["n_candidates"],
            multivariate=settings["multivariate"],
        )
        self._pruner: Any = optuna.pruners.NopPruner()
        if self._is_hyperband:
            self._pruner = optuna.pruners.HyperbandPruner(min_resource=epochs[0], max_resource=epochs[-1], reduction_factor=eta)
        # Brackets are drawn from a hash of this name and the trial's number.
        self._study = optuna.create_study(study_name=f"seed {seed}", sampler=sampler, pruner=self._pruner)
        if self._is_hyperband:
            self._pruner._try_initialization(self._study)  # it would at its first decision, and call every bracket 0 until then
        self._promoted: deque[tuple[Any, int]] = deque()
        self._origins: dict[int, str] = {}
        self._replaced: dict[int, dict[str, Any]] = {}  # number of a trial -> what was evaluated instead of its parameters

    def ask(self) -> tuple[Any, dict[str, Any]]:
        """A trial that the pruner lets go on, else a new one."""
        if self._promoted:
            trial, rung = self._promoted.popleft()
        else:
            trial = self._new_trial()
            rung = min(self._bracket(trial), len(self._rungs) - 1)
        proposal = {
            "configuration": {name: self._value(name, parameter) for name, parameter in trial.params.items()},
            "budget": self._rungs[rung],
            "key": str(trial.number),
            "origin": self._origins[trial.number],
            "bracket": self._bracket(trial),
            "rung": rung,
        }
        return (trial, rung), proposal

    def tell(self, job: Any, loss: float | None, configuration: dict[str, Any] | None) -> None:
        """Report the loss at its epoch; finish the trial at the last rung, or where the pruner ends it."""
        from optuna.trial import TrialState

        trial, rung = job
        if configuration is not None:
            self._replaced[trial.number] = configuration
        if loss is None:
            self._finish(trial, TrialState.FAIL, None)
            return
        trial.report(loss, self._rungs[rung])
        if rung == len(self._rungs) - 1:
            self._finish(trial, TrialState.COMPLETE, loss)
        elif trial.should_prune():
            self._finish(trial, TrialState.PRUNED, None)
        else:
            self._promoted.append((trial, rung + 1))

    def _bracket(self, trial: Any) -> int:
        """Bracket s of Hyperband is never pruned below rung s."""
        return self._pruner._get_bracket_id(self._study, trial) if self._is_hyperband else 0

    def _finish(self, trial: Any, state: Any, loss: float | None) -> None:
        import optuna

        replaced = self._replaced.pop(trial.number, None)
        if replaced is None:
            self._study.tell(trial, loss, state=state)
            return
        # A running trial cannot change its parameters: it ends as failed, and another one stands for what was evaluated.
        reports = self._study.trials[trial.number].intermediate_values
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        if state is not optuna.trial.TrialState.FAIL:
            distributions = {name: self._distributions[name] for name in replaced}
            params = {name: self._parameter(name, value) for name, value in replaced.items()}
            stand_in = optuna.create_trial(state=state, value=loss, params=params, distributions=distributions, intermediate_values=reports)
            self._study.add_trial(stand_in)

    def _new_trial(self) -> Any:
        from optuna.trial import TrialState

        for _ in range(N_TRIES):
            trial = self._study.ask()
            n_known = self._n_known(trial)
            values: dict[str, Any] = {}
            for name, distribution in self._distributions.items():  # parents come before their children
                if all(_holds(condition, values) for condition in self._space.parent_conditions_of[name]):
                    values[name] = self._value(name, _suggested(trial, name, distribution))
            if self._is_legal(values):
                self._origins[trial.number] = "initial" if n_known < self._n_startup else "model"
                return trial
            self._study.tell(trial, state=TrialState.FAIL)
        raise RuntimeError(f"{N_TRIES} proposals in a row hit forbidden clauses of the space")

    def _n_known(self, trial: Any) -> int:
        """Trials that the sampler models for this one: the finished ones of its bracket."""
        from optuna.trial import TrialState

        finished = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return sum(self._bracket(known) == self._bracket(trial) for known in finished)

    def _is_legal(self, values: dict[str, Any]) -> bool:
        from ConfigSpace import Configuration
        from ConfigSpace.exceptions import ForbiddenValueError

        try:
            Configuration(self._space, values=values)
        except ForbiddenValueError:
            return False
        return True

    def _value(self, name: str, parameter: Any) -> Any:
        """Value of a hyperparameter; Optuna knows no ordinals, so they travel as their place in the order."""
        sequence = getattr(self._space[name], "sequence", None)
        return sequence[parameter] if sequence else parameter

    def _parameter(self, name: str, value: Any) -> Any:
        sequence = getattr(self._space[name], "sequence", None)
        return sequence.index(value) if sequence else value


def _suggested(trial: Any, name: str, distribution: Any) -> Any:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    suggest = trial.suggest_int if isinstance(distribution, IntDistribution) else trial.suggest_float
    return suggest(name, distribution.low, distribution.high, log=distribution.log)


def _distribution(hyperparameter: Any) -> Any:
    import ConfigSpace
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match hyperparameter:
        case ConfigSpace.CategoricalHyperparameter():
            return CategoricalDistribution(hyperparameter.choices)
        case ConfigSpace.OrdinalHyperparameter():
            return IntDistribution(0, len(hyperparameter.sequence) - 1)
        case ConfigSpace.Constant():
            return CategoricalDistribution([hyperparameter.value])
        case ConfigSpace.UniformIntegerHyperparameter():
            return IntDistribution(int(hyperparameter.lower), int(hyperparameter.upper), log=hyperparameter.log)
        case ConfigSpace.UniformFloatHyperparameter():
            return FloatDistribution(float(hyperparameter.lower), float(hyperparameter.upper), log=hyperparameter.log)
    raise NotImplementedError(f"has no distribution for {hyperparameter.name!r}, a {type(hyperparameter).__name__}")


def _holds(condition: Any, values: dict[str, Any]) -> bool:
    """Whether a condition holds, where only active hyperparameters have values."""
    parents = {parent.name for parent in getattr(condition, "parents", [getattr(condition, "parent", None)])}
    return parents <= values.keys() and condition.satisfied_by_value({name: values[name] for name in parents})


new = Study
