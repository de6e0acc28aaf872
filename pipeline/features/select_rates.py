"""The columns whose relation to the target is significant, each column looked at alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import Kind, TaskInfo
from pipeline.features.selection import SCORES, Selection, score_function

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1; mutual information has no p-values, so there alpha is the share of the columns that are kept."""
    from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float

    part = ConfigurationSpace()
    score, mode = Categorical("score", SCORES, default="f"), Categorical("mode", ["fpr", "fdr", "fwe"], default="fpr")
    part.add(Float("alpha", (0.01, 0.5), default=0.1), score, mode)
    part.add(EqualsCondition(mode, score, "f"))
    return part


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted selection, by false positive rate, false discovery rate or family-wise error."""
    from sklearn.feature_selection import GenericUnivariateSelect

    score, alpha = settings["score"], float(settings["alpha"])
    mode, bound = (settings["mode"], alpha) if score == "f" else ("percentile", 100 * alpha)
    return Selection(GenericUnivariateSelect(score_function(score, kind, seed), mode=mode, param=bound), kind=kind, seed=seed)
