"""Extremely randomised trees: deep trees on all rows, each split the best of random thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from lcbench.task import TaskInfo
from pipeline.traditional._forest import SETTINGS, Forest
from pipeline.traditional.model import Model


def build(info: TaskInfo, nominal: NDArray[np.bool_], *, seed: int, rounds: int | None = None) -> Model:
    """A forest of extremely randomised trees, see `ExtraTrees`."""
    return ExtraTrees(info, nominal, seed=seed, rounds=rounds)


class ExtraTrees(Forest):
    """300 trees with `SETTINGS`; validation rows are not used. Auto-PyTorch grows 8 first for more than two classes, here one."""

    name = "extra_trees"

    def _forest(self) -> Any:
        kind = ExtraTreesRegressor if self.info.kind == "regression" else ExtraTreesClassifier
        return kind(**SETTINGS, random_state=self.seed)
