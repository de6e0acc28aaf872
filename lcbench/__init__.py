"""Floor 0, what is measured: the vocabulary of the project, the curve database, the cheap benchmarks."""

from lcbench.benchmark import CurveBenchmark as CurveBenchmark
from lcbench.curve import LearningCurve as LearningCurve
from lcbench.metric import Metric as Metric
from lcbench.query import Query as Query
from lcbench.query import Result as Result
from lcbench.query import Status as Status
from lcbench.task import TaskInfo as TaskInfo
