"""The columns that extremely randomised trees use more than the average one (Geurts, Ernst and Wehenkel, Machine Learning 2006)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import Kind, TaskInfo
from pipeline.features.selection import Selection

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

CRITERIA: dict[Kind, list[str]] = {"classification": ["gini", "entropy"], "regression": ["squared_error", "absolute_error"]}
"""What a split lowers."""


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1; its friedman_mse is left out, because scikit-learn has made it another name of squared_error."""
    from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer

    part = ConfigurationSpace()
    part.add(
        Integer("n_estimators", (10, 100), default=10 if task.kind == "classification" else 100),
        Float("max_features", (0.0, 1.0), default=0.5),
        Categorical("criterion", CRITERIA[task.kind]),
        Categorical("bootstrap", [True, False], default=False),
        Integer("min_samples_split", (2, 20), default=2),
        Integer("min_samples_leaf", (1, 20), default=1),
    )
    return part


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted selection; a split looks at d ** max_features of the d columns."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.feature_selection import SelectFromModel

    trees = (ExtraTreesClassifier if kind == "classification" else ExtraTreesRegressor)(
        n_estimators=int(settings["n_estimators"]),
        max_features=max(1, int(n_columns ** float(settings["max_features"]))),
        criterion=settings["criterion"],
        bootstrap=bool(settings["bootstrap"]),
        min_samples_split=int(settings["min_samples_split"]),
        min_samples_leaf=int(settings["min_samples_leaf"]),
        random_state=seed,
    )
    return Selection(SelectFromModel(trees, threshold="mean"), kind=kind, seed=seed)
