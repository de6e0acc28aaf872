"""The choices of the joint space: which hyperparameter names a component, and where that component lives.

A choice is a categorical hyperparameter whose value names a module, e.g. ``scaler = robust`` names `pipeline.scalers.robust`. The
module brings its own part of the space, `space(task)`, which joins the whole under the name of the component: ``robust.q_min``.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from importlib import import_module
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
    return import_module(name) if name else None


def values(choice: str) -> list[str]:
    """Every value of a choice that a package holds, alphabetically behind ``none``; files without a space are no values."""
    found = (info.name for info in pkgutil.iter_modules(import_module(PACKAGES[choice]).__path__))
    return sorted((name for name in found if hasattr(component(choice, name), "space")), key=lambda name: (name != NOTHING, name))


def add_choice(space: ConfigurationSpace, choice: str, offered: Iterable[str], task: TaskInfo, default: str | None = None) -> None:
    """Add a choice to a space, with the part of every component that it offers."""
    from ConfigSpace import Categorical

    offered = list(offered)
    parent = Categorical(choice, offered, default=default or offered[0])
    space.add(parent)
    for value in offered:
        module = component(choice, value)
        part = module.space(task) if module else ()
        if len(part):
            under = {"parent": parent, "value": value}
            space.add_configuration_space(value, part, delimiter=".", parent_hyperparameter=under)
