"""A task as the arrays that a network trains on.

Notation: n rows of a split, d columns after preprocessing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.task import TaskInfo
from pipeline.preprocessing.raw import SPLITS, SplitName


@dataclass(frozen=True)
class Prepared:
    """A preprocessed task; the rows of each split are contiguous and may be memory-mapped."""

    info: TaskInfo
    """The task that this is."""
    X: dict[SplitName, NDArray[np.float32]]  # {split: (n, d + number of embedded columns)}
    """Inputs; the codes of embedded columns come last."""
    y: dict[SplitName, NDArray[Any]]  # {split: (n,)}
    """Class codes, or the target standardised by the training rows."""
    y_mean: float = 0.0
    """Mean of the training target, 0 for classification."""
    y_scale: float = 1.0
    """Standard deviation of the training target, to turn predictions back into its unit; 1 for classification."""
    cardinalities: tuple[int, ...] = ()
    """Number of codes of every embedded column."""
    balanced: tuple[float, ...] = ()  # (C,)
    """How many times as many training rows balancing has made of each class; empty where it has changed nothing."""
    ms: float = 0.0
    """Milliseconds that preprocessing takes per 1,000 rows."""

    def save(self, directory: Path) -> None:
        """Write one .npy file per array, for workers to map instead of copy."""
        directory.mkdir(parents=True, exist_ok=True)
        for split in SPLITS:
            np.save(directory / f"X_{split}.npy", np.ascontiguousarray(self.X[split]))
            np.save(directory / f"y_{split}.npy", np.ascontiguousarray(self.y[split]))
        about = {name: getattr(self, name) for name in ("y_mean", "y_scale", "cardinalities", "balanced", "ms")}
        (directory / "about.json").write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, info: TaskInfo) -> Prepared:
        """Map the arrays that `save` wrote (copy on write, because torch asks for writable memory); nothing is read until it is used."""
        X = {split: np.load(directory / f"X_{split}.npy", mmap_mode="c") for split in SPLITS}
        y = {split: np.load(directory / f"y_{split}.npy", mmap_mode="c") for split in SPLITS}
        about = json.loads((directory / "about.json").read_text(encoding="utf-8"))
        return cls(info, X, y, **about | {name: tuple(about.get(name, ())) for name in ("cardinalities", "balanced")})


def class_weights(y: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:  # (n_classes,)
    """Weights of the classes in the loss: N / (C * max(n_c, 1)) on the training rows.

    >>> class_weights(np.repeat([0, 1], [90, 10]), 2).round(4).tolist()
    [0.5555999875068665, 5.0]
    """
    counts = np.bincount(y, minlength=n_classes)
    return (len(y) / (n_classes * np.maximum(counts, 1))).astype(np.float32)
