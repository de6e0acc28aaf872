"""SMAC3 2.4: Bayesian optimization with a random forest, under Hyperband and at full training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimizers.adapters.peer import Peer


@dataclass(eq=False, kw_only=True)
class SMAC(Peer):
    """SMAC3's multi-fidelity facade (Lindauer et al., JMLR 2022): Hyperband whose configurations a random forest proposes.

    The forest learns from the highest budget that has a result. SMAC does not say which bracket asks, so `Query.bracket` is
    0 and `Query.rung` the place on the ladder. It refuses configurations that it did not propose.

    Raises:
        ValueError: if `n_initial` is below 1.
    """

    n_initial: int = 25
    """Random configurations before the first model; SMAC's own number is a quarter of the trials, at most 10 d."""

    peer: ClassVar[str] = "smac"
    method: ClassVar[str] = "multi_fidelity"
    rank_based: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    takes_others: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.n_initial < 1:
            raise ValueError(f"`n_initial` is {self.n_initial}, but must be at least 1")
        super().__post_init__()


@dataclass(eq=False, kw_only=True)
class SMACFull(SMAC):
    """SMAC3's facade for hyperparameter optimization: the forest after a Sobol design, every trial trained in full."""

    method: ClassVar[str] = "full"
