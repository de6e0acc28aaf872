"""Random forest: deep trees on bootstrap samples, each split the best of a random choice of columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from lcbench.task import TaskInfo
from pipeline.traditional._forest import SETTINGS, Forest
from pipeline.traditional.model import Model


def build(info: TaskInfo, nominal: NDArray[np.bool_], *, seed: int, rounds: int | None = None) -> Model:
    """A random forest, see `RandomForest`."""
    return RandomForest(info, nominal, seed=seed, rounds=rounds)


class RandomForest(Forest):
    """300 trees with `SETTINGS`; validation rows are not used. Auto-PyTorch grows 8 first for more than two classes, here one."""

    name = "random_forest"

    def _forest(self) -> Any:
        kind = RandomForestRegressor if self.info.kind == "regression" else RandomForestClassifier
        return kind(**SETTINGS, random_state=self.seed)
