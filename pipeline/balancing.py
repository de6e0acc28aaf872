"""Class balancing: rows of the training part are drawn again, made up or left out until the classes have the wished sizes.

The methods are those of imbalanced-learn; the sizes follow Auto-PyTorch's first generation: every class is moved toward a target,
the classes below it by over-sampling and those above it by under-sampling, each only if a method for it is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lcbench.task import TaskInfo

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

TARGETS: dict[str, Callable[[NDArray[np.int64]], Any]] = {"upsample": np.max, "downsample": np.min, "average": np.mean, "median": np.median}
"""The wished size of every class, from the sizes that there are."""


def space(task: TaskInfo) -> ConfigurationSpace:
    """Neighbours of SMOTE (Chawla et al., JAIR 2002)."""
    from ConfigSpace import ConfigurationSpace, Integer

    part = ConfigurationSpace()
    part.add(Integer("k_neighbors", (3, 7), default=5))
    return part


def balanced(
    X: NDArray[np.float32], y: NDArray[np.int64], settings: Mapping[str, Any], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:  # (n, d), (n,)
    """The training rows with their classes moved toward the target size of the settings; the very arrays where there is nothing to do.

    A class of which SMOTE finds too few rows for its neighbours is drawn again at random instead.
    """
    if settings["target_size"] == "none":
        return X, y
    classes, sizes = np.unique(y, return_counts=True)
    target = int(TARGETS[settings["target_size"]](sizes))
    if settings["under_sampling"] == "random" and (sizes > target).any():
        X, y = _under_sampled(X, y, {c: min(n, target) for c, n in zip(classes, sizes, strict=True)}, seed)
    if settings["over_sampling"] == "none":
        return X, y
    sizes = np.unique(y, return_counts=True)[1]
    return _over_sampled(X, y, dict(zip(classes, sizes, strict=True)), target, settings, seed)


def changes(before: NDArray[np.int64], now: NDArray[np.int64], n_classes: int) -> tuple[float, ...]:  # (n,), (m,) -> (C,)
    """How many times as many rows of each class there are now, 1 for a class without rows; empty if nothing has changed.

    >>> changes(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 1, 1, 1]), 3)
    (1.0, 3.0, 1.0)
    """
    old, new = (np.maximum(np.bincount(y, minlength=n_classes), 1) for y in (before, now))
    return () if (old == new).all() else tuple(map(float, new / old))


def _under_sampled(X: NDArray[np.float32], y: NDArray[np.int64], wished: dict[int, int], seed: int) -> Any:
    from imblearn.under_sampling import RandomUnderSampler

    return RandomUnderSampler(sampling_strategy=wished, random_state=seed).fit_resample(X, y)


def _over_sampled(
    X: NDArray[np.float32], y: NDArray[np.int64], sizes: dict[int, int], target: int, settings: Mapping[str, Any], seed: int
) -> Any:
    from imblearn.over_sampling import SMOTE, RandomOverSampler

    smote = settings["over_sampling"] == "smote"
    neighbours = int(settings["smote.k_neighbors"]) if smote else 0
    wished = {c: max(n, target) for c, n in sizes.items() if not smote or n <= neighbours}
    if wished:
        X, y = RandomOverSampler(sampling_strategy=wished, random_state=seed).fit_resample(X, y)
    made_up = {c: max(n, target) for c, n in sizes.items() if smote and n > neighbours}
    if any(sizes[c] < n for c, n in made_up.items()):
        X, y = SMOTE(sampling_strategy=made_up, k_neighbors=neighbours, random_state=seed).fit_resample(X, y)
    return X.astype(np.float32, copy=False), y
