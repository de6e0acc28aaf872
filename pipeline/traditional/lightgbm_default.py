"""LightGBM as the library has it: what anybody gets who fits it without a word, within a second or two."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lcbench.task import TaskInfo
from pipeline.traditional.lightgbm import LightGBM
from pipeline.traditional.model import Model, Part

ROUNDS = 100
"""The library's number."""


def build(info: TaskInfo, nominal: NDArray[np.bool_], *, seed: int, rounds: int | None = None) -> Model:
    """A LightGBM learner, see `Default`."""
    return Default(info, nominal, seed=seed, rounds=rounds)


class Default(LightGBM):
    """The library's defaults but for one thread and the deadline; nothing stops early. A step is a round."""

    name = "lightgbm_default"
    varies = False
    settings: ClassVar[dict[str, Any]] = {}

    def _learn(self, train: Part, validation: Part | None, deadline: float) -> None:
        self._boost(self.rounds or ROUNDS, train, None, deadline)
