"""Every row divided by its own size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """What size is: the sum of absolute values, the root of the sum of squares, or the largest absolute value."""
    from ConfigSpace import Categorical, ConfigurationSpace

    part = ConfigurationSpace()
    part.add(Categorical("norm", ["l1", "l2", "max"], default="l2"))
    return part


def build(settings: Mapping[str, Any], *, seed: int) -> Any:
    """The scaler; there is nothing to fit."""
    from sklearn.preprocessing import Normalizer

    return Normalizer(norm=settings["norm"])
