"""CatBoost as the library has it: what anybody gets who fits it without a word, and a hard reference to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lcbench.task import TaskInfo
from pipeline.traditional.catboost import OrderedBoosting
from pipeline.traditional.model import Model, Part

ROUNDS = 1000
"""The library's number. Its learning rate depends on the number that is planned, so a shorter refit plans as many and stops sooner."""


def build(info: TaskInfo, nominal: NDArray[np.bool_], *, seed: int, rounds: int | None = None) -> Model:
    """A CatBoost learner, see `Default`."""
    return Default(info, nominal, seed=seed, rounds=rounds)


class Default(OrderedBoosting):
    """The library's defaults but for one thread, categories of many classes (`catboost.PLAIN`) and the deadline; nothing stops early.

    On small tables its learning rate is a tenth of that of `catboost`. A step is a round.
    """

    name = "catboost_default"

    def _learn(self, train: Part, validation: Part | None, deadline: float) -> None:
        self._boost({"iterations": ROUNDS}, self.rounds or ROUNDS, train, None, deadline)
