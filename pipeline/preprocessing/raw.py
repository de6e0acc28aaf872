"""A task as plain arrays on disk: what every trial's preprocessing starts from, shared by all workers.

Notation: n rows of the whole table, columns as the user gave them.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lcbench.errors import UserError
from lcbench.files import replacing
from lcbench.task import TaskInfo
from pipeline.preprocessing.columns import Columns
from pipeline.tasks import Task

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class RawTable:
    """Numbers and codes of categories, the target, and which rows are for what."""

    info: TaskInfo
    """The task that this is."""
    columns: Columns
    """What the columns are."""
    classes: tuple[str, ...]  # (C,)
    """Class labels in the order of their codes; empty for regression."""
    values: NDArray[np.float64]  # (n, columns)
    """Numbers, NaN where missing; categories as codes."""
    y: NDArray[Any]  # (n,)
    """Class codes, or the target in its own unit."""
    rows: dict[SplitName, NDArray[np.int64]]
    """Row numbers of every split; under cross-validation all validation rows, one fold behind the other, and no training rows."""
    folds: tuple[int, ...] = ()
    """Sizes of the folds of a cross-validation; empty for one hold-out."""

    @classmethod
    def of(cls, task: Task) -> RawTable:
        """The arrays of a loaded task.

        Raises:
            UserError: if there is nothing to learn from: no column with a value in the training rows, or a constant target.
        """
        training = task.val if task.folds else task.train
        y = task.y[training]
        if task.info.kind == "regression" and y.std() == 0:
            raise UserError(f"the target of task {task.info.name!r} is constant ({y[0]}) in the training rows: there is nothing to learn")
        columns = Columns.of(task.X)
        rows: dict[SplitName, NDArray[np.int64]] = {"train": task.train, "val": task.val, "test": task.test}
        values = columns.read(task.X)
        if np.isnan(values[training]).all():
            raise UserError(f"task {task.info.name!r} has no column with a value in its training rows: give a table with features")
        return cls(task.info, columns, task.classes, values, task.y, rows, task.folds)

    @property
    def n_folds(self) -> int:
        """How many networks one trial trains."""
        return max(len(self.folds), 1)

    def fold(self, number: int) -> RawTable:
        """The table of one fold: its own validation rows, and all others but the test rows to train on."""
        if not self.folds:
            return self
        parts = np.split(self.rows["val"], np.cumsum(self.folds)[:-1])
        others = np.concatenate([part for i, part in enumerate(parts) if i != number])
        return replace(self, rows=self.rows | {"train": others, "val": parts[number]}, folds=())

    def whole(self, *splits: SplitName) -> RawTable:
        """The table with all rows of some splits to train on, none to validate, and the test rows unless they are trained on."""
        none: NDArray[np.int64] = np.zeros(0, np.int64)
        rows = np.concatenate([self.rows[split] for split in splits])
        return replace(self, rows={"train": rows, "val": none, "test": none if "test" in splits else self.rows["test"]}, folds=())

    def part(self, split: SplitName) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Values (n_split, columns) and target (n_split,) of one split."""
        return self.values[self.rows[split]], self.target(split)

    def target(self, split: SplitName) -> NDArray[Any]:
        """Target (n_split,) of one split."""
        return self.y[self.rows[split]]

    def checksum(self) -> int:
        """CRC-32 of the table, the target and the splits, to notice that a task has changed."""
        crc = zlib.crc32(np.ascontiguousarray(self.values).tobytes())
        for array in (self.y, *(self.rows[split] for split in SPLITS), np.array(self.folds, np.int64)):
            crc = zlib.crc32(np.ascontiguousarray(array).tobytes(), crc)
        return crc

    def save(self, directory: Path) -> None:
        """Write one .npy file per array, for workers to map instead of copy."""
        directory.mkdir(parents=True, exist_ok=True)
        arrays = {"values": self.values, "y": self.y} | {f"rows_{split}": self.rows[split] for split in SPLITS}
        for name, array in arrays.items():
            with replacing(directory / f"{name}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, array)
        about = {"columns": self.columns.to_plain(), "classes": list(self.classes), "folds": list(self.folds)}
        with replacing(directory / "columns.json") as temporary:
            temporary.write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, info: TaskInfo) -> RawTable:
        """Map the arrays that `save` wrote; nothing is read until it is used."""
        about = json.loads((directory / "columns.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(directory / f"{name}.npy", mmap_mode="r") for name in ("values", "y")}
        rows = {split: np.load(directory / f"rows_{split}.npy") for split in SPLITS}
        columns, classes, folds = Columns.from_plain(about["columns"]), tuple(about["classes"]), tuple(about["folds"])
        return cls(info, columns, classes, arrays["values"], arrays["y"], rows, folds)
