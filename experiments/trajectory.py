"""What happened in a simulated run, as columns, and how the incumbent changed in it under a policy.

Notation: n results of one run in the order of their tells; the incumbent after a result is the best so far by the policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.cost import Clock, Spent
from experiments.incumbent import at_its_best, check_policy
from experiments.loop import Observer
from lcbench.metric import Metric
from lcbench.query import Result

COLUMNS: dict[str, type] = {
    "trial": np.int32,
    "epoch": np.int16,
    "val_loss": np.float64,
    "test_loss": np.float64,
    "train_seconds": np.float64,
    "best_epoch": np.int16,
    "best_val_loss": np.float64,
    "best_test_loss": np.float64,
    "best_train_seconds": np.float64,
    "seconds": np.float64,
    "epochs_continued": np.int64,
    "epochs_from_scratch": np.int64,
    "overhead": np.float64,
}
"""Columns of a run, one entry per result.

`val_loss` is +inf for a failure, `test_loss` NaN where nothing was measured on test rows, `train_seconds` what the training took
from scratch. Those with ``best_`` say the same of the best epoch that this training went through on its way. The others are what the
run had spent by then: `seconds` on the simulated clock, epochs on both axes, and `overhead`, real seconds inside the optimizer.
"""

_OF_A_RESULT = ("epoch", "val_loss", "test_loss", "train_seconds")

Columns = dict[str, NDArray[Any]]


@dataclass
class Trajectory(Observer):
    """An observer of the loop that keeps a row per result."""

    clock: Clock
    spent: Spent
    metric: Metric
    overhead: Callable[[], float]
    """Real seconds inside the optimizer so far."""
    _rows: list[tuple[Any, ...]] = field(default_factory=list)

    def told(self, result: Result) -> None:
        """Keep a result."""
        best, spent = at_its_best(result, self.metric) if result.ok else result, self.spent
        measured = (result.query.trial, *self._measured(result), *self._measured(best))
        self._rows.append((*measured, self.clock.elapsed, spent.continued, spent.from_scratch, self.overhead()))

    def _measured(self, result: Result) -> tuple[int, float, float, float]:
        curve = result.curve
        test = curve.values.get(self.metric.on("test"))
        test_loss = self.metric.loss(float(test[-1])) if result.ok and test is not None else np.nan
        return result.query.epoch, result.loss, test_loss, curve.seconds[-1] if len(curve) else 0.0

    def columns(self) -> Columns:  # {column: (n,)}
        """The results so far."""
        rows = zip(*self._rows, strict=True) if self._rows else [()] * len(COLUMNS)
        return {name: np.array(values, kind) for (name, kind), values in zip(COLUMNS.items(), rows, strict=True)}


def judged(columns: Columns, policy: str) -> Columns:
    """The columns with what a policy compares as `epoch`, `val_loss`, `test_loss` and `train_seconds`."""
    if check_policy(policy) != "every_epoch":
        return columns
    return {**columns, **{name: columns[f"best_{name}"] for name in _OF_A_RESULT}}


def incumbents(columns: Columns, policy: str, max_epoch: int) -> NDArray[np.int64]:  # (n,)
    """Index of the incumbent after every result, -1 while there is none; of equals the earliest, as `incumbent` says of `judged` columns.

    Raises:
        UserError: if the policy is unknown.
    """
    losses, epochs = columns["val_loss"], columns["epoch"].astype(np.int64)
    eligible = np.isfinite(losses)
    level = np.zeros(len(losses), np.int64)
    if check_policy(policy) == "max_budget":
        eligible &= epochs == max_epoch
    elif policy == "highest_seen":
        level = np.maximum.accumulate(np.where(eligible, epochs, 0)) if len(losses) else level
        eligible &= epochs == level
    best = np.full(len(losses), -1, np.int64)
    for value in np.unique(level):  # a level is a stretch of results, and the incumbent begins anew with it
        stretch = np.flatnonzero(level == value)
        loss = np.where(eligible[stretch], losses[stretch], np.inf)
        lowest = np.minimum.accumulate(loss)
        improves = eligible[stretch] & (loss < np.concatenate([[np.inf], lowest[:-1]]))
        best[stretch] = np.maximum.accumulate(np.where(improves, stretch, -1))
    return best


def changes(columns: Columns, best: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """After which results another configuration or epoch became the incumbent, and which; the last result is always there."""
    if not len(best):
        return best, best
    at = np.flatnonzero(np.diff(best, prepend=-1) != 0)
    if not len(at) or at[-1] != len(best) - 1:
        at = np.append(at, len(best) - 1)
    return at, best[at]
