"""A search space with what it leaves out: the settings that its configurations do not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ConfigSpace import Configuration, ConfigurationSpace

from lcbench.space import is_active, plain
from lcbench.task import TaskInfo
from pipeline.spaces.choices import choices, component


@dataclass(frozen=True)
class SearchSpace:
    """What is searched, and what stands fast.

    *Settings* are the canonical description of a pipeline, ``{name: value}`` with every choice and every hyperparameter of the chosen
    components; a configuration becomes settings by renaming, by adding what the space fixes, and then the defaults of the components.
    """

    space: ConfigurationSpace
    """What is searched."""
    task: TaskInfo
    """The task that it was made for."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Settings that are the same for every configuration."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The setting that a hyperparameter stands for, where it is called otherwise."""

    @property
    def name(self) -> str:
        """Name in paths and tables."""
        return str(self.space.name)

    def settings(self, configuration: Configuration | Mapping[str, Any]) -> dict[str, Any]:
        """The complete settings of a pipeline; inactive hyperparameters are absent."""
        given = {self.names.get(name, name): value for name, value in plain(configuration).items()}
        settings = DEFAULTS | TASK_DEFAULTS[self.task.kind] | dict(self.fixed) | given
        for choice in choices():
            settings |= self._completed(str(settings[choice]), choice, settings)
        return settings

    def _completed(self, chosen: str, choice: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The hyperparameters of a chosen component, defaults where nothing is given, as far as they are active."""
        module = component(choice, chosen)
        if module is None:
            return {}
        part: ConfigurationSpace = module.space(self.task)
        active: dict[str, Any] = {}
        for name, hyperparameter in part.items():  # parents come before their children
            if is_active(name, active, part):
                active[name] = settings.get(f"{chosen}.{name}", plain({name: hyperparameter.default_value})[name])
        return {f"{chosen}.{name}": value for name, value in active.items()}


DEFAULTS: dict[str, Any] = {
    "batch_size": 64,
    "imputer.numerical": "mean",
    "coalescer": "none",
    "encoder": "one_hot",
    "scaler": "standard",
    "preprocessor": "none",
    "embedding": "none",
    "over_sampling": "none",
    "under_sampling": "none",
    "target_size": "none",
    "network": "shaped_mlp",
    "initialisation": "default",
    "initialisation.bias": "default",
    "optimizer": "adam",
    "schedule": "cosine_annealing",
    "augmentation": "standard",
    "weight_averaging": "none",
}
"""Settings where neither a configuration nor its space says anything."""
TASK_DEFAULTS: dict[str, dict[str, Any]] = {
    "classification": {"loss": "cross_entropy_weighted"},
    "regression": {"loss": "squared"},
}
"""Settings that depend on the kind of task."""
