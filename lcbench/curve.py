"""A learning curve: what was measured after every epoch of one training.

Notation: T is the number of entries. Entry 0 is the untrained network, entry e the network after e epochs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Values of every recorded column at increasing epochs; immutable, and refuses to be wrong.

    Raises:
        ValueError: if epochs do not increase from 0, seconds go backwards, or a column has another length.
    """

    epochs: NDArray[np.int64]  # (T,)
    """Number of epochs trained, strictly increasing from 0."""
    seconds: NDArray[np.float64]  # (T,)
    """Cumulative wall-clock seconds of training and evaluation; never decreasing."""
    values: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  # {column: (T,)}
    """One array per recorded column, e.g. ``val_accuracy``; NaN where a column does not apply."""

    def __post_init__(self) -> None:
        epochs, seconds = np.asarray(self.epochs, np.int64), np.asarray(self.seconds, np.float64)
        if epochs.ndim != 1 or seconds.shape != epochs.shape:
            raise ValueError(f"`epochs` and `seconds` must be vectors of one length, but are {epochs.shape} and {seconds.shape}")
        if len(epochs) and (epochs[0] != 0 or np.any(np.diff(epochs) <= 0)):
            raise ValueError(f"`epochs` must increase strictly from 0, but is {epochs.tolist()}")
        if np.any(np.diff(seconds) < 0):
            raise ValueError("`seconds` must never decrease along a curve")
        columns = {name: np.asarray(column, np.float64) for name, column in self.values.items()}
        for name, column in columns.items():
            if column.shape != epochs.shape:
                raise ValueError(f"column {name!r} has shape {column.shape}, but the curve has {len(epochs)} entries")
        object.__setattr__(self, "epochs", epochs)
        object.__setattr__(self, "seconds", seconds)
        object.__setattr__(self, "values", columns)

    @classmethod
    def empty(cls) -> LearningCurve:
        """The curve of a training that did not reach its first entry."""
        return cls(np.empty(0, np.int64), np.empty(0), {})

    @classmethod
    def from_entries(cls, entries: Iterable[tuple[int, float, Mapping[str, float]]]) -> LearningCurve:
        """Build a curve from (epoch, seconds, values) entries in order; a missing column becomes NaN."""
        rows = list(entries)
        names = dict.fromkeys(name for _, _, values in rows for name in values)
        return cls(
            np.array([epoch for epoch, _, _ in rows], np.int64),
            np.array([seconds for _, seconds, _ in rows], np.float64),
            {name: np.array([values.get(name, np.nan) for _, _, values in rows], np.float64) for name in names},
        )

    def __len__(self) -> int:
        return len(self.epochs)

    def __eq__(self, other: object) -> bool:
        """Equal in every entry and every column, NaN equal to NaN."""
        return (
            isinstance(other, LearningCurve)
            and np.array_equal(self.epochs, other.epochs)
            and np.array_equal(self.seconds, other.seconds)
            and self.values.keys() == other.values.keys()
            and all(np.array_equal(column, other.values[name], equal_nan=True) for name, column in self.values.items())
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def last_epoch(self) -> int:
        """Number of epochs trained at the last entry, -1 for an empty curve."""
        return int(self.epochs[-1]) if len(self) else -1

    def prefix(self, epoch: int) -> LearningCurve:
        """The part of the curve up to and including `epoch`."""
        n = int(np.searchsorted(self.epochs, epoch, side="right"))
        return LearningCurve(self.epochs[:n], self.seconds[:n], {name: column[:n] for name, column in self.values.items()})

    def at(self, epoch: int) -> dict[str, float]:
        """All columns after `epoch` epochs.

        Raises:
            KeyError: if the curve has no entry for `epoch`, with the epochs that it has.
        """
        i = int(np.searchsorted(self.epochs, epoch))
        if i == len(self) or self.epochs[i] != epoch:
            recorded = f"0..{self.last_epoch}" if len(self) else "none"
            raise KeyError(f"`epoch` is {epoch}, but this curve has entries for {recorded}")
        return {name: float(column[i]) for name, column in self.values.items()}
