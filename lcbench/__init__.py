"""Floor 0, what is measured: the vocabulary of the project, the curve database, the cheap benchmarks."""

from typing import TYPE_CHECKING, Any

from lcbench.benchmark import CurveBenchmark as CurveBenchmark
from lcbench.curve import LearningCurve as LearningCurve
from lcbench.metric import Metric as Metric
from lcbench.query import Query as Query
from lcbench.query import Result as Result
from lcbench.query import Status as Status
from lcbench.task import TaskInfo as TaskInfo

if TYPE_CHECKING:
    from lcbench.formats.lcbench_api import Benchmark as Benchmark


def __getattr__(name: str) -> Any:
    """`Benchmark`, the interface that LCBench published, is loaded when it is asked for: `import lcbench` stays light."""
    if name == "Benchmark":
        from lcbench.formats.lcbench_api import Benchmark

        return Benchmark
    raise AttributeError(f"module 'lcbench' has no attribute {name!r}")
