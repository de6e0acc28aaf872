"""From a table with a split to arrays that a network can train on, as LCBench did it: codes, mean imputation, standardising.

Notation: n rows of a split, d columns after preprocessing. Everything is fitted on the training rows alone.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lcbench.errors import UserError
from lcbench.task import TaskInfo
from pipeline.tasks import Task

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Prepared:
    """A task as arrays; the rows of each split are contiguous and may be memory-mapped."""

    info: TaskInfo
    """The task that this is."""
    X: dict[SplitName, NDArray[np.float32]]  # {split: (n, d)}
    """Inputs, standardised by the training rows."""
    y: dict[SplitName, NDArray[Any]]  # {split: (n,)}
    """Class codes, or the target standardised by the training rows."""
    y_scale: float
    """Standard deviation of the training target, to turn errors back into its unit; 1 for classification."""

    def save(self, directory: Path) -> None:
        """Write one .npy file per array, for workers to map instead of copy."""
        directory.mkdir(parents=True, exist_ok=True)
        for split in SPLITS:
            np.save(directory / f"X_{split}.npy", self.X[split])
            np.save(directory / f"y_{split}.npy", self.y[split])
        np.save(directory / "y_scale.npy", self.y_scale)

    def checksum(self) -> int:
        """CRC-32 of every array, to notice that a table has changed."""
        crc = 0
        for split in SPLITS:
            crc = zlib.crc32(self.y[split].tobytes(), zlib.crc32(self.X[split].tobytes(), crc))
        return crc

    @classmethod
    def load(cls, directory: Path, info: TaskInfo) -> Prepared:
        """Map the arrays that `save` wrote (copy on write, because torch asks for writable memory); nothing is read until it is used."""
        X = {split: np.load(directory / f"X_{split}.npy", mmap_mode="c") for split in SPLITS}
        y = {split: np.load(directory / f"y_{split}.npy", mmap_mode="c") for split in SPLITS}
        return cls(info, X, y, float(np.load(directory / "y_scale.npy")))


def prepare(task: Task) -> Prepared:
    """Preprocess a task as LCBench did.

    Categories become their codes and are then treated as numbers (the generator handed over no categorical flags); columns
    without a single training value are dropped; missing cells become the training mean; every column is standardised, a
    constant one becomes zero.

    Raises:
        UserError: if no column has a value in the training rows.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X = numbers(task.X)
    X = X[:, ~np.isnan(X[task.train]).all(axis=0)]
    if X.shape[1] == 0:
        raise UserError(f"task {task.info.name!r} has no column with a value in its training rows: give a table with features")
    transform = make_pipeline(SimpleImputer(strategy="mean"), StandardScaler())
    transform.fit(X[task.train])
    rows = {"train": task.train, "val": task.val, "test": task.test}
    y, scale = _target(task)
    targets: dict[SplitName, Any] = {split: np.ascontiguousarray(y[rows[split]]) for split in SPLITS}
    return Prepared(
        task.info,
        {split: np.ascontiguousarray(transform.transform(X[rows[split]]), np.float32) for split in SPLITS},
        targets,
        scale,
    )


def numbers(X: pd.DataFrame) -> NDArray[np.float64]:  # (n, columns)
    """Every column as numbers: codes for categories, NaN (also for infinities) where a cell is missing."""
    columns = []
    for name in X.columns:
        column = X[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy().astype(np.float64)
            columns.append(np.where(codes < 0, np.nan, codes))
        else:
            values = column.to_numpy(np.float64, na_value=np.nan)
            columns.append(np.where(np.isfinite(values), values, np.nan))
    return np.column_stack(columns)


def _target(task: Task) -> tuple[NDArray[np.int64] | NDArray[np.float32], float]:
    if task.info.kind == "classification":
        return task.y.astype(np.int64), 1.0
    mean, scale = float(task.y[task.train].mean()), float(task.y[task.train].std())
    if scale == 0:
        raise UserError(f"the target of task {task.info.name!r} is constant ({mean}) in the training rows: there is nothing to learn")
    return ((task.y - mean) / scale).astype(np.float32), scale


def class_weights(y: NDArray[np.int64], n_classes: int) -> NDArray[np.float32]:  # (n_classes,)
    """Weights of the classes in the loss: N / (C * max(n_c, 1)) on the training rows.

    >>> class_weights(np.repeat([0, 1], [90, 10]), 2).round(4).tolist()
    [0.5555999875068665, 5.0]
    """
    counts = np.bincount(y, minlength=n_classes)
    return (len(y) / (n_classes * np.maximum(counts, 1))).astype(np.float32)
