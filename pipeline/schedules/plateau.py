"""A rate that drops by a factor when the validation loss has not improved for some epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """The factor and the patience of Auto-PyTorch's first generation."""
    from ConfigSpace import ConfigurationSpace, Float, Integer

    part = ConfigurationSpace()
    part.add(Float("factor", (0.05, 0.5), default=0.1), Integer("patience", (3, 10), default=5))
    return part


def factor(settings: Mapping[str, Any], epoch: int, horizon: int, losses: Sequence[float]) -> float:
    """Share of the initial rate in epoch `epoch` (1, 2, …), computed from all validation losses so far, so that nothing has to be kept."""
    best, waited, share = float("inf"), 0, 1.0
    for loss in losses:
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited > int(settings["patience"]):
            waited, share = 0, share * float(settings["factor"])
    return share
