"""The columns that a sparse linear model uses: a support vector machine, or for regression the lasso."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import Kind, TaskInfo
from pipeline.features.selection import ROWS, Selection

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_ITERATIONS = 100
"""Steps at most: with a large C on raw columns the machine hardly converges, and which columns it uses shows long before."""
SMALLEST_WEIGHT = 1e-5
"""A column is used if its weight is at least this, scikit-learn's bound for sparse models."""


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1; the loss is squared, because liblinear has no hinge loss with an l1 penalty."""
    from ConfigSpace import ConfigurationSpace, Float

    part = ConfigurationSpace()
    part.add(Float("C", (0.03125, 32768.0), log=True, default=1.0), Float("tol", (1e-5, 1e-1), log=True, default=1e-4))
    return part


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted selection.

    For regression there is no l1-penalised support vector machine, so squared errors take the place of its loss: C * sum of squares +
    |w|_1, on the standardised target.
    """
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.feature_selection import SelectFromModel
    from sklearn.linear_model import Lasso
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    C, tol = float(settings["C"]), float(settings["tol"])
    if kind == "classification":
        machine = LinearSVC(penalty="l1", dual=False, C=C, tol=tol, max_iter=MAX_ITERATIONS, random_state=seed)
        return Selection(SelectFromModel(machine, threshold=SMALLEST_WEIGHT), kind=kind, seed=seed)
    lasso = Lasso(1 / (2 * C * min(n_rows, ROWS)), tol=tol, max_iter=MAX_ITERATIONS)
    model = TransformedTargetRegressor(lasso, transformer=StandardScaler())
    selector = SelectFromModel(model, threshold=SMALLEST_WEIGHT, importance_getter="regressor_.coef_")
    return Selection(selector, kind=kind, seed=seed)
