"""Workers whose trainings take recorded seconds: an event queue, which is executor and clock at once.

Notation: `elapsed` is the time of the last event; a training that is submitted then ends at elapsed + its seconds. Ends are handed
out in order of time, equal ones in the order of submission, so that a run is the same to the last bit on every machine.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lcbench.benchmark import CurveBenchmark
from lcbench.errors import UserError
from lcbench.query import Query, Result
from optimizers.optimizer import Optimizer


class Simulated:
    """An `Executor` of any number of workers and the `Clock` of their run; O(log workers) for a training.

    Raises:
        UserError: if there is no worker.
    """

    def __init__(
        self,
        benchmark: CurveBenchmark,
        *,
        workers: int = 1,
        counts_overhead: bool = False,
        limit: float | None = None,
        continues: bool = True,
        overhead: Callable[[], float] | None = None,
    ) -> None:
        """Simulate the trainings of a benchmark.

        Args:
            benchmark: answers at once; `Result.seconds` is what a training from scratch took.
            workers: trainings that run at the same time.
            counts_overhead: True if a training begins only after the real seconds that its ask took.
            limit: seconds of the run, None for no limit.
            continues: True if a trial continues from its last epoch, so that only the new epochs take time.
            overhead: real seconds that the optimizer took so far.
        """
        if workers < 1:
            raise UserError(f"`executor.workers` is {workers}, but must be at least 1")
        self.slots = workers
        self.limit = limit
        self.elapsed = 0.0
        self._benchmark = benchmark
        self._continues = continues
        self._overhead = overhead if counts_overhead else None
        self._counted = 0.0
        self._ends: list[tuple[float, int, Result]] = []  # a heap
        self._n = 0
        self._now = 0.0  # end of the training that was handed out last
        self._reached: dict[int, int] = {}

    # ------------------------------------------------------------------------------------------------------- executor

    def submit(self, query: Query) -> None:
        """Begin a training."""
        if self._overhead:
            spent = self._overhead()
            self.elapsed += spent - self._counted
            self._counted = spent
        result = self._charged(self._benchmark.evaluate(query))
        heapq.heappush(self._ends, (self.elapsed + result.seconds, self._n, result))
        self._n += 1

    def next(self) -> Result:
        """The training that ends next; the clock goes there once the result is charged."""
        self._now, _, result = heapq.heappop(self._ends)
        return result

    def close(self) -> None:
        """Forget the trainings that still run."""
        self._ends.clear()

    def _charged(self, result: Result) -> Result:
        """Seconds(e) - seconds(e_prev) where the trial continues, else all of seconds(e)."""
        reached = self._reached.get(result.query.trial) if self._continues else None
        if reached is None:
            return result
        curve = result.curve  # a failure may have ended before the epoch that an earlier answer reached
        last = int(np.searchsorted(curve.epochs, reached, side="right")) - 1
        return replace(result, seconds=result.seconds - float(curve.seconds[last])) if last >= 0 else result

    # ---------------------------------------------------------------------------------------------------------- clock

    @property
    def over(self) -> bool:
        """True once the run's time has ended; what ends at that very moment still counts."""
        return self.limit is not None and self.elapsed > self.limit

    def admits(self, result: Result) -> bool:
        """False if the result that was handed out last is there only after the run has ended."""
        return self.limit is None or self._now <= self.limit

    def charge(self, result: Result) -> Result:
        """Let time pass until the end of the result that was handed out last."""
        self.elapsed = max(self.elapsed, self._now)  # an optimizer that thinks is told late
        if len(result.curve):
            trial = result.query.trial
            self._reached[trial] = max(result.curve.last_epoch, self._reached.get(trial, 0))
        return result


class Timed:
    """An optimizer and the real seconds that its asks and tells take."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self.seconds = 0.0
        """Seconds so far."""

    def ask(self) -> Query:
        """The next query of the optimizer."""
        start = time.perf_counter()
        query = self._optimizer.ask()
        self.seconds += time.perf_counter() - start
        return query

    def tell(self, result: Result) -> None:
        """Hand a result on; raise KeyError if it answers no open ask."""
        start = time.perf_counter()
        self._optimizer.tell(result)
        self.seconds += time.perf_counter() - start
