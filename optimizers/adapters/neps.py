"""NePS 0.17: Hyperband as the library of the AutoML groups runs it today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimizers.adapters.peer import Peer


@dataclass(eq=False, kw_only=True)
class NePSHyperband(Peer):
    """NePS's Hyperband (Li et al., JMLR 2018) with uniform draws; which bracket asks it does not say.

    Each ask builds the table of all trials anew, so it takes longer the more there are. Conditions, forbidden clauses,
    ordinals and ladders of one rung are refused.
    """

    peer: ClassVar[str] = "neps"
    method: ClassVar[str] = "hyperband"
    costly: ClassVar[bool] = True
