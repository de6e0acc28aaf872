"""The book that methods keep which train every trial in full: numbers, open asks, and the queries themselves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace
from numpy.typing import NDArray

from lcbench.query import Origin, Query, Result
from lcbench.space import decode, key, sample
from optimizers.rungs import Ladder


class FullTrainings:
    """Numbers trials 0, 1, 2, … and knows which of them are open; every trial is a bracket of its own, with one rung."""

    def __init__(self, ladder: Ladder, trial_seed: int) -> None:
        self._epoch = ladder.max
        self._seed = trial_seed
        self.n = 0
        """Trials so far."""
        self.open: dict[int, Query] = {}
        """The asks that wait for a result, by trial."""
        self._told: set[str] = set()  # keys of configurations

    def query(self, configuration: Configuration, origin: Origin) -> Query:
        """A new trial."""
        query = Query(configuration, self._epoch, self.n, self._seed, origin, bracket=self.n)
        self.open[self.n] = query
        self.n += 1
        return query

    def close(self, result: Result) -> None:
        """Note that a trial has ended; raise KeyError if it is not open."""
        trial = result.query.trial
        if trial not in self.open:
            raise KeyError(f"trial {trial} was told, but the open trials are {sorted(self.open)}: tell every ask once")
        del self.open[trial]
        self._told.add(key(result.query.configuration))

    def first_new(
        self, points: Iterable[NDArray[np.float64]], space: ConfigurationSpace, rng: np.random.Generator
    ) -> tuple[Configuration, Origin]:
        """The first of the legal points (d,) whose configuration was neither told nor is open, else a random draw: seeds are fixed, so
        that a repetition says nothing.
        """
        known = self._told | {key(query.configuration) for query in self.open.values()}
        for point in points:
            if key(configuration := decode(point, space)[0]) not in known:
                return configuration, Origin.MODEL
        return sample(space, rng), Origin.RANDOM
