"""The protocol that live, tabular and surrogate benchmarks share: a query goes in, a result with a learning curve comes out."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ConfigSpace import ConfigurationSpace

from lcbench.metric import Metric
from lcbench.query import Query, Result
from lcbench.task import TaskInfo


@runtime_checkable
class CurveBenchmark(Protocol):
    """Answers queries with learning curves.

    Laws (tests/laws/test_benchmarks.py): the same query twice gives equal curves but for seconds; the curve of a
    smaller epoch is a prefix of the curve of a larger one; seconds never decrease; whatever the configuration
    does, `evaluate` returns a Result and does not raise.
    """

    @property
    def task(self) -> TaskInfo:
        """The task that configurations are trained on."""
        ...

    @property
    def space(self) -> ConfigurationSpace:
        """The configurations that can be asked for."""
        ...

    @property
    def epochs(self) -> int:
        """The largest epoch that can be asked for."""
        ...

    @property
    def metric(self) -> Metric:
        """The metric whose validation loss is optimised."""
        ...

    def evaluate(self, query: Query) -> Result:
        """Answer `query`; a failure is a Result with a status, not an exception."""
        ...
