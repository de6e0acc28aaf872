"""What a curve database holds: trainings, and tables of trainings of one space on one task."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.curve import LearningCurve
from lcbench.schema import STATUSES
from lcbench.task import TaskInfo


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

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"`status` is {self.status!r}, but must be one of {', '.join(STATUSES)}")
        if not np.array_equal(self.curve.epochs, np.arange(len(self.curve))):
            raise ValueError(f"a training must be recorded after every epoch, but `curve.epochs` is {self.curve.epochs.tolist()}")
        # A traceback can hold any bytes; it must never be the reason why a curve cannot be stored.
        object.__setattr__(self, "error", self.error.replace("\0", "\ufffd").encode("utf-8", "replace").decode())


@dataclass(frozen=True)
class CurveTable:
    """Every training of one space on one task. All its curves have the same columns: a missing one is filled with NaN.

    Raises:
        ValueError: if the space has no name, or a configuration has a hyperparameter that the space does not have.
    """

    task: TaskInfo
    """The task."""
    space: ConfigurationSpace
    """The space, with a name."""
    objective: str
    """Name of the column that the recording run optimised, e.g. ``val_accuracy``."""
    trainings: tuple[Training, ...] = ()
    """The rows."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where the table comes from, in JSON types; `schema.ATTRIBUTES` names the usual keys, any other is kept too."""

    def __post_init__(self) -> None:
        if not self.space.name:
            raise ValueError("the space of a table needs a name: ConfigurationSpace(name=…)")
        for training in self.trainings:
            if unknown := training.configuration.keys() - self.space.keys():
                raise ValueError(
                    f"trial {training.trial} has the hyperparameters {sorted(unknown)}, but the space has {sorted(self.space)}"
                )
        names = tuple(dict.fromkeys(name for training in self.trainings for name in training.curve.values))
        object.__setattr__(self, "trainings", tuple(_with_columns(training, names) for training in self.trainings))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the recorded columns, in the order in which they first appear."""
        return tuple(self.trainings[0].curve.values) if self.trainings else ()

    @property
    def n_entries(self) -> int:
        """T, the length of the longest curve."""
        return max((len(training.curve) for training in self.trainings), default=0)


def _with_columns(training: Training, names: tuple[str, ...]) -> Training:
    curve = training.curve
    if tuple(curve.values) == names:
        return training
    missing = np.full(len(curve), np.nan)
    values = {name: curve.values.get(name, missing) for name in names}
    return dataclasses.replace(training, curve=LearningCurve(curve.epochs, curve.seconds, values))
