"""Where queries are evaluated: one at a time, or as many at once as there are workers. The loop sees no difference."""

from __future__ import annotations

import os
import queue
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

from lcbench.benchmark import CurveBenchmark
from lcbench.errors import UserError
from lcbench.query import Query, Result


class Executor(Protocol):
    """Takes queries and gives results in the order in which they end."""

    slots: int
    """How many evaluations run at the same time."""

    def submit(self, query: Query) -> None:
        """Queue a query."""
        ...

    def next(self) -> Result:
        """Wait for the next result; an exception of the benchmark itself is raised here."""
        ...

    def close(self) -> None:
        """Release the workers; whatever is queued is dropped."""
        ...


class Workers(Executor, Protocol):
    """An executor whose workers are real, so that they can do other things as well."""

    def run(self, job: Callable[[], None]) -> None:
        """Do something else on a worker, as soon as one is free."""
        ...


class Serial:
    """One evaluation at a time, in the calling thread."""

    slots = 1

    def __init__(self, benchmark: CurveBenchmark) -> None:
        self._benchmark = benchmark
        self._queue: deque[Query] = deque()

    def submit(self, query: Query) -> None:
        """Queue a query."""
        self._queue.append(query)

    def run(self, job: Callable[[], None]) -> None:
        """Do it now."""
        job()

    def next(self) -> Result:
        """Evaluate the oldest query."""
        return self._benchmark.evaluate(self._queue.popleft())

    def close(self) -> None:
        """Drop what is queued."""
        self._queue.clear()


class Local:
    """One thread per worker, each of which supervises one child process at a time (pipeline/sandbox.py)."""

    def __init__(self, benchmark: CurveBenchmark, *, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise UserError(f"`executor.workers` is {workers}, but must be at least 1, or null for one per core")
        self.slots = workers or cores()
        self._benchmark = benchmark
        self._pool = ThreadPoolExecutor(self.slots, "worker")
        self._done: queue.SimpleQueue[Future[Result]] = queue.SimpleQueue()

    def submit(self, query: Query) -> None:
        """Queue a query."""
        self._pool.submit(self._benchmark.evaluate, query).add_done_callback(self._done.put)

    def run(self, job: Callable[[], None]) -> None:
        """Queue it like a query."""
        with suppress(RuntimeError):  # the run has ended
            self._pool.submit(job)

    def next(self) -> Result:
        """Wait for whichever evaluation ends first."""
        return self._done.get().result()

    def close(self) -> None:
        """Drop what is queued and wait for what runs (the sandbox ends it at the deadline)."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """Cores that this process may use (macOS knows only how many there are)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
