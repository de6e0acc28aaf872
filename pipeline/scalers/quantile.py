"""Every column by its ranks among the training rows, evenly or normally distributed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace


def space(task: TaskInfo) -> ConfigurationSpace:
    """Ranges of Auto-PyTorch 0.2.1; there are never more quantiles than training rows."""
    from ConfigSpace import Categorical, ConfigurationSpace, Integer

    part = ConfigurationSpace()
    part.add(
        Integer("n_quantiles", (10, 2000), default=1000),
        Categorical("output_distribution", ["uniform", "normal"], default="uniform"),
    )
    return part


def build(settings: Mapping[str, Any], *, seed: int) -> Any:
    """The unfitted scaler, which looks at no more than 10,000 random training rows."""
    from sklearn.preprocessing import QuantileTransformer

    return QuantileTransformer(
        n_quantiles=int(settings["n_quantiles"]), output_distribution=settings["output_distribution"], random_state=seed
    )
