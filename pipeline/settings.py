"""Settings of a pipeline: one flat ``{name: value}``, in which the hyperparameters of a component stand under its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def under(settings: Mapping[str, Any], component: str) -> dict[str, Any]:
    """The settings of one component, under their own names.

    >>> under({"sgd.momentum": 0.9, "batch_size": 16}, "sgd")
    {'momentum': 0.9}
    """
    prefix = f"{component}."
    return {name.removeprefix(prefix): value for name, value in settings.items() if name.startswith(prefix)}
