"""What is known about a task without loading its table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from lcbench.metric import CLASSIFICATION_METRICS, REGRESSION_METRICS

Kind = Literal["classification", "regression"]
UNKNOWN = -1
"""Of a number of columns: not recorded."""


@dataclass(frozen=True)
class TaskInfo:
    """A supervised problem on one table with one fixed split."""

    name: str
    """Name that is used in paths and tables, e.g. ``adult``."""
    kind: Kind
    """Classification or regression."""
    openml_task_id: int | None
    """Number of the OpenML task, None for bundled tables and local files."""
    fold: int
    """Fold of the task's own split; 0 for hold-out tasks."""
    split: str
    """How train, validation and test rows were chosen, in words."""
    n_train: int
    """Rows to train on."""
    n_val: int
    """Rows on which configurations are compared."""
    n_test: int
    """Rows on which the incumbent is reported."""
    n_features: int
    """Columns of the table without the target, before preprocessing."""
    n_classes: int
    """Number of classes, 0 for regression."""
    n_categorical: int = UNKNOWN
    """Columns of categories among the features; where `UNKNOWN`, spaces hold everything that categories need."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that are measured after every epoch on this kind of task, whatever is optimised."""
        return CLASSIFICATION_METRICS if self.kind == "classification" else REGRESSION_METRICS

    @property
    def n_outputs(self) -> int:
        """Width of the last layer: one logit per class, or one number."""
        return self.n_classes if self.kind == "classification" else 1


def is_same_task(one: TaskInfo, other: TaskInfo) -> bool:
    """Whether two descriptions agree in what both know; how rows were split they may say in other words."""
    if UNKNOWN in (one.n_categorical, other.n_categorical):
        one, other = replace(one, n_categorical=UNKNOWN), replace(other, n_categorical=UNKNOWN)
    return replace(one, split="") == replace(other, split="")
