"""Small benchmarks around benchmarks, one property each."""

from __future__ import annotations

from dataclasses import dataclass

from ConfigSpace import ConfigurationSpace

from lcbench.metric import Metric
from lcbench.query import Query, Result
from lcbench.space import key, nearest, plain
from lcbench.tabular import TabularBenchmark
from lcbench.task import TaskInfo


@dataclass(frozen=True)
class NearestRecorded:
    """Answers for any configuration with the recorded one that is nearest in the unit cube.

    So an optimizer can search the whole space on a table; the landscape is then piecewise constant, and what it
    proposes is judged by a neighbour. The distance is that of `lcbench.space.nearest`.
    """

    benchmark: TabularBenchmark
    """What was recorded."""

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

    def evaluate(self, query: Query) -> Result:
        """Answer with the curve of the nearest recorded configuration; an equal one is at distance 0."""
        row = self.benchmark.keys.get(key(query.configuration))
        if row is None:  # plain values, because a vector that was read back from a record can differ in its last bit
            row, _ = nearest(plain(query.configuration), self.benchmark.encoded, self.space)
        return self.benchmark.answer(query, row)
