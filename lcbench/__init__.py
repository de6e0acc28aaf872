"""Floor 0, what is measured: the vocabulary of the project, the curve database, the cheap benchmarks."""

from lcbench.benchmark import CurveBenchmark
from lcbench.curve import LearningCurve
from lcbench.metric import Metric
from lcbench.query import Query, Result, Status
from lcbench.task import TaskInfo

__all__ = ["CurveBenchmark", "LearningCurve", "Metric", "Query", "Result", "Status", "TaskInfo"]
