"""Zero mean and unit variance in every column; a constant column becomes zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Nothing to choose."""
    from ConfigSpace import ConfigurationSpace

    return ConfigurationSpace()


def build(settings: Mapping[str, Any], *, seed: int) -> Any:
    """The unfitted scaler."""
    from sklearn.preprocessing import StandardScaler

    return StandardScaler()
