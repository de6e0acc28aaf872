"""The constant model: class frequencies, or the mean of the target. It is always there, so no run ends without a model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lcbench.task import TaskInfo


class Constant:
    """Answers every row with the same: the honest reference for all others."""

    name = "constant"

    def __init__(self, info: TaskInfo) -> None:
        self._info = info
        self._answer: NDArray[np.float32] = np.zeros(info.n_outputs, np.float32)

    def fit(
        self,
        raw: NDArray[np.float64],
        y: NDArray[np.int64] | NDArray[np.float64],
        validation_raw: NDArray[np.float64] | None,
        validation_y: NDArray[np.int64] | NDArray[np.float64] | None,
        *,
        deadline: float,
    ) -> None:
        """Count."""
        classify = self._info.kind == "classification"
        answer = np.bincount(y.astype(np.int64), minlength=self._info.n_classes) / len(y) if classify else np.array([y.mean()])
        self._answer = answer.astype(np.float32)

    def predict(self, raw: NDArray[np.float64]) -> NDArray[np.float32]:
        """Class frequencies (n, C), or the mean (n, 1)."""
        return np.tile(self._answer, (len(raw), 1))
