"""The learning rate of an epoch, by the schedule that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from pipeline.settings import under

FLOOR = 1e-8
"""No epoch is trained with a lower rate (the ``eta_min`` of the paper)."""


def learning_rate(settings: Mapping[str, Any], epoch: int, horizon: int, losses: Sequence[float] = ()) -> float:
    """The rate that epoch `epoch` trains with; entry 0 trains nothing, so its rate is 0, as in the published curves.

    Args:
        settings: complete settings of a pipeline (`pipeline.spaces.search_space`).
        epoch: the epoch that is about to be trained.
        horizon: epochs of a full training.
        losses: validation losses after the epochs 1, 2, …, epoch - 1.
    """
    if epoch == 0:
        return 0.0
    name = settings["schedule"]
    initial = float(settings[f"{settings['optimizer']}.learning_rate"])
    return FLOOR + (initial - FLOOR) * import_module(f"pipeline.schedules.{name}").factor(under(settings, name), epoch, horizon, losses)
