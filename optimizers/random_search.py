"""Random search: every trial is a uniform draw that is trained in full. The model for every other file of this folder."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.query import Origin, Query, Result
from lcbench.space import sample
from optimizers.rungs import Ladder


@dataclass(eq=False)
class RandomSearch:
    """Independent uniform draws, each on the scale of its hyperparameter (Bergstra and Bengio, JMLR 2012)."""

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Only its last epoch is used."""
    rng: np.random.Generator
    """The only source of randomness."""
    _: KW_ONLY
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        self._n_trials = 0
        self._open: set[int] = set()

    def ask(self) -> Query:
        """A new trial at full training."""
        n = self._n_trials  # every trial is a bracket of its own, with one rung
        query = Query(sample(self.space, self.rng), self.ladder.max, n, self.trial_seed, Origin.RANDOM, bracket=n)
        self._open.add(query.trial)
        self._n_trials += 1
        return query

    def tell(self, result: Result) -> None:
        """Learn nothing; raise KeyError if the result answers no open ask."""
        trial = result.query.trial
        if trial not in self._open:
            raise KeyError(f"trial {trial} was told, but the open trials are {sorted(self._open)}: tell every ask once")
        self._open.remove(trial)
