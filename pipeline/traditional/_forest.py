"""What the two forests share: cells made numbers, and trees added in batches until they are enough or the time is up."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.traditional.model import Model, Part

SETTINGS: dict[str, Any] = {"n_jobs": 1, "warm_start": True}
"""One thread, trees in batches; all else is the library's default, as in Auto-PyTorch."""
TREES = 300
"""Trees of a whole forest (Auto-PyTorch)."""
BATCH_SECONDS = 0.5
"""Trees are added in batches of about this length, because a batch has to check all rows anew and cannot be stopped."""
MAX_BYTES = 2**29
"""Largest forest: every node of every tree holds a number per class, so that many classes and rows would fill any memory."""
NODE_BYTES = 64
"""Size of a node without its values, as scikit-learn stores it."""


class Forest(Model):
    """A forest that grows by warm start, which gives the same trees whatever the batches are. A step is a tree.

    Categories are their codes, in order. A missing cell lies below all others of its column if training rows miss some, so that one
    split tells them apart (Auto-PyTorch puts 0, which may lie in the midst of the others), else it becomes the training median.
    """

    @abstractmethod
    def _forest(self) -> Any:
        """The untrained scikit-learn forest with `warm_start`."""

    def _learn(self, train: Part, validation: Part | None, deadline: float) -> None:
        self._fill = _fill(train.X)
        X = self._filled(train.X)
        self._trees = self._forest()
        most, grown, seconds, left = self.rounds or TREES, 0, 0.0, np.inf
        while grown < most and (grown == 0 or left > seconds):
            start = time.monotonic()
            batch = 1 if grown == 0 else int(np.clip(min(BATCH_SECONDS, left) / seconds, 1, most - grown))
            grown += batch
            self._trees.set_params(n_estimators=grown).fit(X, train.y)
            seconds = (time.monotonic() - start) / batch
            most = min(most, max(1, MAX_BYTES // _bytes(self._trees.estimators_[0])))
            left = deadline - time.monotonic()
            if seconds < left < np.inf:  # the trees have to predict as well
                predicting = self._seconds_to_predict(train.X)
                seconds, left = seconds + predicting / grown, left - predicting
        self.rounds_kept = grown

    def _answer(self, X: NDArray[np.float64]) -> NDArray[Any]:
        predict = self._trees.predict if self.info.kind == "regression" else self._trees.predict_proba
        return np.asarray(predict(self._filled(X)))

    def _filled(self, X: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.where(np.isnan(X), self._fill, X).astype(np.float32)


def _fill(X: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, d) -> (d,)
    """What a missing cell of each column becomes."""
    low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    return np.where(np.isnan(X).any(axis=0), low - (high - low) - 1, np.nanmedian(X, axis=0))


def _bytes(tree: Any) -> int:
    return int(tree.tree_.node_count * NODE_BYTES + tree.tree_.value.nbytes)
