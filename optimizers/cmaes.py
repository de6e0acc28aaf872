"""CMA-ES: a normal distribution that follows the best of each generation, on full trainings."""

from __future__ import annotations

from collections import deque
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.cube import cube
from lcbench.query import Origin, Query, Result
from lcbench.space import decode, encode, is_legal, sample
from optimizers.candidates import Floats
from optimizers.full_training import FullTrainings
from optimizers.rungs import Ladder

TRIES = 100
"""Draws that may be forbidden before one from the space takes their place."""


@dataclass(eq=False)
class CMAES:
    """CMA-ES (Hansen, 2016) of the library `cmaes`, on the unit cube with bounds, every trial trained in full.

    Categories are cells of the cube, and a whole number is told where it lies; an inactive hyperparameter keeps the coordinate that was
    drawn. One hyperparameter alone is more than the library takes: there every ask is a random draw. A generation of
    4 + 3 log d is updated as soon as so many results are there, whichever they are; a failure ranks last, equal losses share a rank. When
    the distribution has shrunk to a point, or sees equal losses only, it begins anew around a random one (IPOP without growth), and what
    was drawn before tells it nothing. An ask takes O(d²).

    Raises:
        ValueError: if `sigma` is not above 0.
    """

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Only its last epoch is used."""
    rng: np.random.Generator
    """The only source of randomness."""
    _: KW_ONLY
    sigma: float = 0.3
    """Standard deviation at the start, as a share of every range."""
    trial_seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"`sigma` is {self.sigma}, but must be above 0")
        self._trials = FullTrainings(self.ladder, self.trial_seed)
        self._drawn: dict[int, Floats] = {}  # trial -> coordinates
        self._told: deque[tuple[Floats, float]] = deque()
        self._strategy = self._begin(np.full(len(self.space), 0.5))

    def ask(self) -> Query:
        """A draw from the distribution."""
        for _ in range(TRIES if self._strategy else 0):
            point = np.clip(self._strategy.ask(), 0, 1)
            if cube(self.space).simple or is_legal(point, self.space):
                query = self._trials.query(decode(point, self.space)[0], Origin.MODEL)
                self._drawn[query.trial] = point
                return query
        query = self._trials.query(sample(self.space, self.rng), Origin.RANDOM)
        self._drawn[query.trial] = self.rng.random(len(self.space))
        return query

    def tell(self, result: Result) -> None:
        """Note a result, and update the distribution with a whole generation; raise KeyError if it answers no open ask."""
        self._trials.close(result)
        drawn = self._drawn.pop(result.query.trial, None)
        if drawn is None:  # of a distribution before
            return
        point = encode([result.query.configuration], self.space)[0]
        cells = cube(self.space).levels > 0
        same = np.isnan(point) | (cells & (decode_cell(point, self.space) == decode_cell(drawn, self.space)))
        self._told.append((np.where(same, drawn, point), result.loss))
        if len(self.space) > 1 and len(self._told) >= self._strategy.population_size:
            generation = [self._told.popleft() for _ in range(self._strategy.population_size)]
            losses = np.array([loss for _, loss in generation])
            if np.isfinite(losses).any():  # ranks are all that counts, and the library refuses what is not finite
                ranks = np.unique(losses, return_inverse=True)[1]
                self._strategy.tell([(x, float(rank)) for (x, _), rank in zip(generation, ranks, strict=True)])
            if self._strategy.should_stop():
                self._strategy = self._begin(self.rng.random(len(self.space)))
                self._drawn.clear()
                self._told.clear()

    def __getstate__(self) -> dict[str, Any]:
        """The library leaves a matrix out of its pickles and computes it again, with another last bit; here it is kept."""
        return {**vars(self), "_strategy": self._strategy and dict(vars(self._strategy))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from cmaes import CMA

        vars(self).update(state)
        if self._strategy is not None:
            strategy = object.__new__(CMA)
            vars(strategy).update(state["_strategy"])
            self._strategy = strategy

    def _begin(self, mean: Floats) -> Any:
        from cmaes import CMA

        if len(self.space) < 2:
            return None
        bounds = np.tile([0.0, 1.0], (len(self.space), 1))
        return CMA(mean=mean, sigma=self.sigma, bounds=bounds, seed=int(self.rng.integers(2**31)))


def decode_cell(point: Floats, space: ConfigurationSpace) -> Floats:
    """The cell of every entry of a category or ordinal; 0 for the others."""
    levels = cube(space).levels
    return np.minimum(np.floor(np.nan_to_num(point) * levels), np.maximum(levels - 1, 0))
