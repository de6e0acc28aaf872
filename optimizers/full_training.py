"""The book that methods keep which train every trial in full: numbers, open asks, and the queries themselves."""

from __future__ import annotations

from ConfigSpace import Configuration

from lcbench.query import Origin, Query, Result
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
