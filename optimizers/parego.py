"""ParEGO: Bayesian optimization of two objectives, one random weighting per ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lcbench.query import Result
from optimizers.bayesian import GaussianProcessSearch
from optimizers.candidates import Floats
from optimizers.pareto import objectives

RHO = 0.05
"""Weight of the sum beside the maximum (Knowles, 2006, Eq. 2)."""


@dataclass(eq=False)
class ParEGO(GaussianProcessSearch):
    """Knowles (IEEE TEC 2006): the process of `bo` on max_j(w_j f_j) + 0.05 sum_j w_j f_j, with new weights w for every ask.

    The objectives f are the validation loss and the logarithm of the training seconds, each scaled to 0..1 over what was seen; w is
    uniform on the simplex, so every part of the front is worked on. Costs are those of `bo`, whose kernel is fitted anew for
    every ask, O(n³).
    """

    steps: ClassVar[int] = 5  # for every ask
    objectives: ClassVar[tuple[str, ...]] = ("loss", "seconds")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._values: list[tuple[float, float]] = []

    def tell(self, result: Result) -> None:
        """Note a result; raise KeyError if it answers no open ask."""
        super().tell(result)
        self._values.append(objectives(result))

    def _targets(self) -> Floats:
        loss, seconds = np.array(self._values).T
        scaled = np.stack([_unit(self._seen.standardised()), _unit(np.log(np.where(np.isfinite(loss), seconds, np.inf) + 1e-9))])
        weight, self._n_fitted = self.rng.random(), 0  # what the kernel has learnt is of another weighting
        weighted = np.array([[weight], [1 - weight]]) * scaled
        values = weighted.max(axis=0) + RHO * weighted.sum(axis=0)
        return (values - values.mean()) / (values.std() or 1.0)


def _unit(values: Floats) -> Floats:
    """Finite values on 0..1, the others at 1."""
    finite = values[np.isfinite(values)]
    spread = np.ptp(finite) or 1.0
    return np.minimum(np.where(np.isfinite(values), (values - finite.min()) / spread, 1.0), 1.0)
