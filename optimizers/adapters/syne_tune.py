"""Syne Tune 0.16: asynchronous successive halving with random search, and with its kernel density model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimizers.adapters.peer import Peer


@dataclass(eq=False, kw_only=True)
class SyneTuneASHA(Peer):
    """Syne Tune's ASHA, the stopping variant (Li et al., MLSys 2020): a trial goes on if it is in the best 1 / eta of its rung so far.

    Its rungs are r * eta^k, and a trial counts for the highest that it has reached. Conditions and forbidden clauses are
    refused. Its bracket sampling uses numpy's global generator, which is seeded in the peer's process alone.

    Raises:
        ValueError: if `brackets` is below 1.
    """

    brackets: int = 1
    """Number of brackets, the later ones with later first rungs."""

    peer: ClassVar[str] = "syne_tune"
    method: ClassVar[str] = "asha"

    def __post_init__(self) -> None:
        if self.brackets < 1:
            raise ValueError(f"`brackets` is {self.brackets}, but must be at least 1")
        super().__post_init__()


@dataclass(eq=False, kw_only=True)
class SyneTuneBOHB(SyneTuneASHA):
    """Syne Tune's BOHB: its ASHA, and a kernel density model of each trial's last value whatever its epoch.

    It is not the method of Falkner et al. (ICML 2018): brackets are asynchronous, there is one model for all epochs, and
    the model's features are linear even where a hyperparameter is logarithmic.
    """

    method: ClassVar[str] = "bohb"
    costly: ClassVar[bool] = True
