"""Coordinates in the space of a kernel, spanned by random training rows (Williams and Seeger, NIPS 2001)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcbench.task import Kind, TaskInfo
from pipeline.features.fraction import n_outputs
from pipeline.features.kernels import kernel_arguments, kernel_space

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_COMPONENTS = 1000
"""Spanning rows at most: the cost of the decomposition grows with their cube."""


def space(task: TaskInfo) -> ConfigurationSpace:
    """Kernels and ranges of Auto-PyTorch 0.2.1."""
    return kernel_space()


def build(settings: Mapping[str, Any], *, n_rows: int, n_columns: int, kind: Kind, seed: int) -> Any:
    """The unfitted projection, spanned by at most `MAX_COMPONENTS` rows."""
    from sklearn.kernel_approximation import Nystroem

    count = n_outputs(float(settings["fraction"]), n_columns, min(n_rows, MAX_COMPONENTS))
    return Nystroem(settings["kernel"], n_components=count, random_state=seed, **kernel_arguments(settings))
