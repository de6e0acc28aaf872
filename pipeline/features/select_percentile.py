"""The percentage of the columns with the highest scores, each column looked at alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import Kind, TaskInfo
from pipeline.features.selection import SCORES, Selection, score_function

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1."""
    from ConfigSpace import Categorical, ConfigurationSpace, Integer

    part = ConfigurationSpace()
    part.add(Integer("percentile", (1, 99), default=50), Categorical("score", SCORES, default="f"))
    return part


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted selection."""
    from sklearn.feature_selection import SelectPercentile

    score = score_function(settings["score"], kind, seed)
    return Selection(SelectPercentile(score, percentile=int(settings["percentile"])), kind=kind, seed=seed)
