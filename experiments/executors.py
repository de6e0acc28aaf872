"""Where queries are evaluated: one at a time, or as many at once as there are workers. The loop sees no difference.

What is asked is a query and what comes is a result, or whatever else the benchmark takes and gives (`pipeline.recorder`).
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

from lcbench.errors import UserError
from lcbench.machine import cores


class Evaluator(Protocol):
    """What answers: a benchmark."""

    def evaluate(self, query: Any) -> Any:
        """Answer one query."""
        ...


class Executor(Protocol):
    """Takes queries and gives results in the order in which they end."""

    slots: int
    """How many evaluations run at the same time."""

    def submit(self, query: Any) -> None:
        """Queue a query."""
        ...

    def next(self) -> Any:
        """Wait for the next result; an exception of the benchmark itself is raised here."""
        ...

    def close(self) -> None:
        """Release the workers; whatever is queued is dropped."""
        ...


class Workers(Executor, Protocol):
    """An executor whose workers are real, so that they can do other things as well."""

    def run(self, job: Callable[[], None]) -> None:
        """Do something else on a worker, as soon as one is free; what it raises is raised by `next`, or by `settle`."""
        ...

    def settle(self) -> None:
        """Do what is left of the other things, where nobody asks for results any more."""
        ...


class Serial:
    """One evaluation at a time, in the calling thread."""

    slots = 1

    def __init__(self, benchmark: Evaluator) -> None:
        self._benchmark = benchmark
        self._queue: deque[Any] = deque()
        self._jobs: deque[Callable[[], None]] = deque()

    def submit(self, query: Any) -> None:
        """Queue a query."""
        self._queue.append(query)

    def run(self, job: Callable[[], None]) -> None:
        """Queue it: one job comes before every evaluation."""
        self._jobs.append(job)

    def settle(self) -> None:
        """Do the queued jobs, and those that they queue."""
        while self._jobs:
            self._jobs.popleft()()

    def next(self) -> Any:
        """Do one job, if there is one, and evaluate the oldest query."""
        if self._jobs:
            self._jobs.popleft()()
        return self._benchmark.evaluate(self._queue.popleft())

    def close(self) -> None:
        """Drop what is queued."""
        self._queue.clear()
        self._jobs.clear()


class Local:
    """One thread per worker, each of which supervises one child process at a time (pipeline/sandbox.py)."""

    def __init__(self, benchmark: Evaluator, *, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise UserError(f"`executor.workers` is {workers}, but must be at least 1, or null for one per core")
        self.slots = workers or cores()
        self._benchmark = benchmark
        self._pool = ThreadPoolExecutor(self.slots, "worker")
        self._done: queue.SimpleQueue[Future[Any] | BaseException] = queue.SimpleQueue()  # evaluations, and what jobs have raised

    def submit(self, query: Any) -> None:
        """Queue a query."""
        self._pool.submit(self._benchmark.evaluate, query).add_done_callback(self._done.put)

    def run(self, job: Callable[[], None]) -> None:
        """Queue it like a query."""
        with suppress(RuntimeError):  # the run has ended
            self._pool.submit(job).add_done_callback(self._raise_later)

    def _raise_later(self, job: Future[None]) -> None:
        if not job.cancelled() and (error := job.exception()) is not None:
            self._done.put(error)

    def settle(self) -> None:
        """Raise what a job has raised since the last result; the jobs themselves go on, and results that lie ready are dropped."""
        raise_first(self._done)

    def next(self) -> Any:
        """Wait for whichever evaluation ends first."""
        done = self._done.get()
        if isinstance(done, BaseException):
            raise done
        return done.result()

    def close(self) -> None:
        """Drop what is queued and wait for what runs (the sandbox ends it at the deadline)."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def raise_first(done: queue.SimpleQueue[Any]) -> None:
    """Empty a queue, and raise the first exception in it."""
    with suppress(queue.Empty):
        while True:
            if isinstance(item := done.get_nowait(), BaseException):
                raise item
