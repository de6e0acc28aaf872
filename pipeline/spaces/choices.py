"""The choices of the joint space: which hyperparameter names a component, and where that component lives.

A choice is a categorical hyperparameter whose value names a module, e.g. ``scaler = robust`` names `pipeline.scalers.robust`. The
module brings its own part of the space, `space(task)`, which joins the whole under the name of the component: ``robust.q_min``.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

PACKAGES = {
    "scaler": "pipeline.scalers",
    "preprocessor": "pipeline.features",
    "network": "pipeline.networks",
    "optimizer": "pipeline.descent",
    "schedule": "pipeline.schedules",
}
"""Choices whose values are the modules of a package."""
MODULES = {
    ("coalescer", "minority"): "pipeline.preprocessing.coalescer",
    ("embedding", "learned"): "pipeline.preprocessing.encoding",
    ("augmentation", "mixup"): "pipeline.augmentation",
    ("over_sampling", "smote"): "pipeline.balancing",
    ("weight_averaging", "moving_average"): "pipeline.averaging",
}
"""Values of other choices that bring hyperparameters."""
NOTHING = "none"
"""The value of a choice that stands for no component at all."""


def choices() -> tuple[str, ...]:
    """Names of all choices."""
    return tuple(dict.fromkeys([*PACKAGES, *(choice for choice, _ in MODULES)]))


def component(choice: str, value: str) -> ModuleType | None:
    """The module that `value` of a choice names, None if it brings no hyperparameters."""
    name = f"{PACKAGES[choice]}.{value}" if choice in PACKAGES else MODULES.get((choice, value))
    if name is None or (value == NOTHING and find_spec(name) is None):
        return None
    return import_module(name)


def values(choice: str, task: TaskInfo) -> list[str]:
    """Every value of a choice that a package holds, for this kind of task, alphabetically behind ``none``."""
    found = (info.name for info in pkgutil.iter_modules(import_module(PACKAGES[choice]).__path__))
    named = [name for name in found if name != NOTHING and _serves(choice, name, task)]
    return [NOTHING, *sorted(named)] if choice in ("scaler", "preprocessor", "schedule") else sorted(named)


def _serves(choice: str, name: str, task: TaskInfo) -> bool:
    module = import_module(f"{PACKAGES[choice]}.{name}")
    return hasattr(module, "space") and task.kind in getattr(module, "KINDS", ("classification", "regression"))


def add_choice(space: ConfigurationSpace, choice: str, offered: Iterable[str], task: TaskInfo, default: str | None = None) -> None:
    """Add a choice to a space, with the part of every component that it offers."""
    from ConfigSpace import Categorical

    offered = list(offered)
    parent = Categorical(choice, offered, default=default or offered[0])
    space.add(parent)
    for value in offered:
        module = component(choice, value)
        if module is not None and len(module.space(task)):
            under = {"parent": parent, "value": value}
            space.add_configuration_space(value, module.space(task), delimiter=".", parent_hyperparameter=under)
