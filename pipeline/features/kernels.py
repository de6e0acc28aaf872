"""The kernels of `kernel_pca` and `nystroem`: their part of the space, and their arguments as scikit-learn calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.features.fraction import fraction_hyperparameter

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def kernel_space() -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1; its chi2 kernel is left out, because the columns are signed."""
    from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float, InCondition, Integer

    part = ConfigurationSpace()
    kernel = Categorical("kernel", ["poly", "rbf", "sigmoid", "cosine"], default="rbf")
    gamma = Float("gamma", (3.0517578125e-05, 8.0), log=True, default=0.01)
    degree = Integer("degree", (2, 5), log=True, default=3)
    coef0 = Float("coef0", (-1.0, 1.0), default=0.0)
    part.add(fraction_hyperparameter(), kernel, gamma, degree, coef0)
    part.add(
        InCondition(gamma, kernel, ["poly", "rbf", "sigmoid"]),
        EqualsCondition(degree, kernel, "poly"),
        InCondition(coef0, kernel, ["poly", "sigmoid"]),
    )
    return part


def kernel_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters that the chosen kernel has."""
    kinds = {"gamma": float, "degree": int, "coef0": float}
    return {name: kind(settings[name]) for name, kind in kinds.items() if name in settings}
