"""Small benchmarks around benchmarks, one property each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace
from numpy.typing import NDArray

from lcbench.metric import Metric
from lcbench.query import Query, Result
from lcbench.space import cardinalities, nearest
from lcbench.tabular import TabularBenchmark
from lcbench.task import TaskInfo

BLOCK = 1 << 10
"""Points whose distances are computed together: they stay in the cache of a core."""


@dataclass(frozen=True)
class NearestRecorded:
    """Answers for any configuration with the recorded one that is nearest in the unit cube.

    So an optimizer can search the whole space on a table; the landscape is then piecewise constant, and what it
    proposes is judged by a neighbour. The distance is that of `lcbench.space.nearest`.
    """

    benchmark: TabularBenchmark
    """What was recorded."""
    _rows: dict[bytes, int] = field(default_factory=dict, repr=False, compare=False)
    """Rows that were looked for, by the vector of the configuration."""

    @property
    def task(self) -> TaskInfo:
        """The task of the table."""
        return self.benchmark.task

    @property
    def space(self) -> ConfigurationSpace:
        """The whole space; every configuration of it can be asked for."""
        return self.benchmark.space

    @property
    def epochs(self) -> int:
        """The largest epoch that can be asked for."""
        return self.benchmark.epochs

    @property
    def metric(self) -> Metric:
        """The metric whose validation loss is returned."""
        return self.benchmark.metric

    @property
    def best_loss(self) -> float:
        """The smallest loss in the table."""
        return self.benchmark.best_loss

    def row(self, configuration: Configuration) -> int:
        """Row of the nearest recorded configuration; an equal one is at distance 0."""
        name = configuration.get_array().tobytes()
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = nearest(configuration, self.benchmark.encoded, self.space)[0]
        return row

    def rows(self, points: NDArray[np.float64]) -> NDArray[np.int64]:  # (n, d) -> (n,)
        """Rows of the recorded configurations that are nearest to points of the unit cube, all active and none of them a category.

        Raises:
            ValueError: if the space has categories or conditions.
        """
        recorded = self.benchmark.encoded
        if np.isnan(recorded).any() or (cardinalities(self.space) > 0).any():
            raise ValueError(f"the space {self.space.name!r} has categories or conditions: ask for one configuration after the other")
        squares = (recorded**2).sum(axis=1)
        found = np.empty(len(points), np.int64)
        for start in range(0, len(points), BLOCK):
            block = slice(start, start + BLOCK)
            found[block] = np.argmin(squares - 2 * points[block] @ recorded.T, axis=1)
        return found

    def evaluate(self, query: Query) -> Result:
        """Answer with the curve of the nearest recorded configuration."""
        return self.benchmark.answer(query, self.row(query.configuration))
