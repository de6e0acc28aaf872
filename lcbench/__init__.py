"""Floor 0, what is measured: the vocabulary of the project, the curve database, the cheap benchmarks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lcbench.benchmark import CurveBenchmark as CurveBenchmark
    from lcbench.curve import LearningCurve as LearningCurve
    from lcbench.formats.lcbench_api import Benchmark as Benchmark
    from lcbench.metric import Metric as Metric
    from lcbench.query import Query as Query
    from lcbench.query import Result as Result
    from lcbench.query import Status as Status
    from lcbench.task import TaskInfo as TaskInfo

_HOMES = {
    "Benchmark": "formats.lcbench_api",
    "CurveBenchmark": "benchmark",
    "LearningCurve": "curve",
    "Metric": "metric",
    "Query": "query",
    "Result": "query",
    "Status": "query",
    "TaskInfo": "task",
}


def __getattr__(name: str) -> Any:
    """The vocabulary is loaded when it is asked for: a saved model needs files and errors of this package, but no search space."""
    if name in _HOMES:
        return getattr(import_module(f"lcbench.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lcbench' has no attribute {name!r}")
