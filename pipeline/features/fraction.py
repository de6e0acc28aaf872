"""How many outputs a feature preprocessor has, as a fraction of the columns it sees; shared by those that count so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ConfigSpace.hyperparameters import UniformFloatHyperparameter


def fraction_hyperparameter() -> UniformFloatHyperparameter:
    """Range of Auto-PyTorch 0.2.1 (``frac``), which computes bounds of a number from it for every table."""
    from ConfigSpace import Float

    return Float("fraction", (0.5, 0.9), default=0.7)


def n_outputs(fraction: float, n_columns: int, at_most: int) -> int:
    """The fraction of the columns, rounded down, but at least 1 and at most what the table or the memory allows.

    >>> n_outputs(0.5, 9, at_most=100), n_outputs(0.9, 1, at_most=100), n_outputs(0.9, 1000, at_most=30)
    (4, 1, 30)
    """
    return max(1, min(int(fraction * n_columns), at_most))
