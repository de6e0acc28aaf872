"""Optuna 5: the tree-structured Parzen estimator, at full training and under the Hyperband pruner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimizers.adapters.peer import Peer


@dataclass(eq=False, kw_only=True)
class OptunaTPE(Peer):
    """Optuna's TPESampler (Bergstra et al., NIPS 2011; multivariate: Falkner et al., ICML 2018), every trial trained in full.

    A conditional hyperparameter is suggested only where it is active; a proposal that hits a forbidden clause is told as
    failed, and another one is asked for. Optuna 5 counts open asks as bad (its `constant_liar`).

    Raises:
        ValueError: if a hyperparameter of the method lies outside its range.
    """

    n_startup_trials: int = 10
    """Random trials before the first model."""
    n_candidates: int = 24
    """Draws from the good density, of which the best is proposed; `n_ei_candidates` in Optuna."""
    multivariate: bool = True
    """One density of all hyperparameters together, Optuna 5's choice for one objective; False: one density for each."""

    peer: ClassVar[str] = "optuna"
    method: ClassVar[str] = "tpe"
    costly: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.n_startup_trials < 1:
            raise ValueError(f"`n_startup_trials` is {self.n_startup_trials}, but must be at least 1")
        if self.n_candidates < 1:
            raise ValueError(f"`n_candidates` is {self.n_candidates}, but must be at least 1")
        super().__post_init__()


@dataclass(eq=False, kw_only=True)
class OptunaHyperband(OptunaTPE):
    """Optuna's TPESampler with its HyperbandPruner: a trial of bracket s is first told at rung s, and goes on until pruned.

    Optuna's brackets are not synchronous: each applies the rule of ASHA's stopping variant to the trials that a hash
    assigned to it, and a pruned trial is never resumed. TPE models each bracket from that bracket's trials alone.
    """

    method: ClassVar[str] = "hyperband"
