"""Quasi-random search: a scrambled Sobol sequence fills the cube more evenly than independent draws."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np
from ConfigSpace import ConfigurationSpace
from scipy.stats import qmc

from lcbench.cube import cube
from lcbench.query import Origin, Query, Result
from lcbench.space import decode, is_legal
from optimizers.full_training import FullTrainings
from optimizers.rungs import Ladder


@dataclass(eq=False)
class SobolSearch:
    """Points of a Sobol sequence (Sobol', 1967), scrambled by the seed (a random linear matrix scramble and a digital
    shift: Matousek, J. Complexity 1998), each trained in full.

    Whole numbers and categories get cells of equal share. A point that is forbidden is passed over. An ask takes O(d).
    """

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
        self._trials = FullTrainings(self.ladder, self.trial_seed)
        self._sequence = qmc.Sobol(len(self.space), scramble=True, rng=self.rng)

    def ask(self) -> Query:
        """The next legal point of the sequence."""
        while True:
            point = cube(self.space).fair(self._sequence.random(1))[0]
            if cube(self.space).simple or is_legal(point, self.space):
                return self._trials.query(decode(point, self.space)[0], Origin.RANDOM)

    def tell(self, result: Result) -> None:
        """Learn nothing; raise KeyError if the result answers no open ask."""
        self._trials.close(result)
