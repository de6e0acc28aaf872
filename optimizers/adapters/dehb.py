"""DEHB 0.1.2: the authors' differential evolution under Hyperband."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimizers.adapters.peer import Peer


@dataclass(eq=False, kw_only=True)
class DEHBAutoML(Peer):
    """DEHB (Awad, Mallik and Hutter, IJCAI 2021) as its authors published it (automl/DEHB).

    Inactive hyperparameters evolve along with their defaults; forbidden clauses and ladders of one rung are refused.
    """

    mutation_factor: float = 0.5
    """F: how far a mutant goes along the difference of two others."""
    crossover_prob: float = 0.5
    """Probability that an entry comes from the mutant."""
    strategy: str = "rand1_bin"
    """How mutants are made and crossed, in DEHB's own words."""

    peer: ClassVar[str] = "dehb"
    method: ClassVar[str] = "dehb"
