"""HpBandSter 0.7.4: the reference implementation of BOHB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optimizers.adapters.peer import Peer


@dataclass(eq=False, kw_only=True)
class HpBandSter(Peer):
    """BOHB (Falkner, Klein and Hutter, ICML 2018, Alg. 2) as its authors published it.

    Its model and its brackets are its own; only the master with its name server is left out, and its order kept. Its
    categorical bandwidths can be illegal (see `BOHB.hpbandster_exact`). It refuses ordinal hyperparameters.
    """

    top_n_percent: int = 15
    """Share of the observations that counts as good."""
    num_samples: int = 64
    """Draws from the good density, of which the best is proposed."""
    random_fraction: float = 1 / 3
    """Share of new trials that are drawn at random although there is a model."""
    bandwidth_factor: float = 3.0
    """Candidates are drawn this much wider than the density is."""
    min_bandwidth: float = 1e-3
    """No kernel is narrower."""

    peer: ClassVar[str] = "hpbandster"
    method: ClassVar[str] = "bohb"
    costly: ClassVar[bool] = True
