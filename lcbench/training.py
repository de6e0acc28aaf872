"""One network that was trained, and everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lcbench.curve import LearningCurve
from lcbench.schema import STATUSES


@dataclass(frozen=True)
class Training:
    """One network that was trained: one row of a table.

    Raises:
        ValueError: if the status is unknown, or the curve leaves an epoch out.
    """

    trial: int
    """Number that names the training inside its run."""
    configuration: dict[str, Any]
    """Active hyperparameters as plain numbers, strings and booleans (`lcbench.space.plain`)."""
    key: str
    """Hash of the configuration (`lcbench.space.key`)."""
    seed: int
    """Seed of the training."""
    horizon: int
    """Annealing horizon in epochs; the curve may be shorter, if the training was stopped, or longer."""
    origin: str
    """Why the configuration was proposed, e.g. ``random``."""
    n_parameters: int
    """Trainable parameters of the network, -1 where not recorded."""
    status: str
    """One of `schema.STATUSES`: a `Status`, or ``unfinished``."""
    error: str
    """First lines of what went wrong, empty after a success; what UTF-8 cannot hold is replaced."""
    curve: LearningCurve
    """Epochs 0, 1, 2, … without a gap, as far as the training came; partial or empty after a failure."""
    results: dict[str, float] = field(default_factory=dict)
    """Further scalars of the training, under the names that their source gave them."""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"`status` is {self.status!r}, but must be one of {', '.join(STATUSES)}")
        if not np.array_equal(self.curve.epochs, np.arange(len(self.curve))):
            raise ValueError(f"a training must be recorded after every epoch, but `curve.epochs` is {self.curve.epochs.tolist()}")
        # A traceback can hold any bytes; it must never be the reason why a curve cannot be stored.
        object.__setattr__(self, "error", self.error.replace("\0", "\ufffd").encode("utf-8", "replace").decode())
