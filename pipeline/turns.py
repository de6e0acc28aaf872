"""Many works that take turns in one thread: while one waits for a device, the others set it to work.

A work is a generator that yields once it is set up and then wherever it may wait, and returns its result.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
Work = Generator[None, None, T]


def finished(work: Work[T]) -> T:
    """The result of a work that is done alone."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


class Turns:
    """Does works side by side, at most so many at a time; the next one begins when one ends.

    Args:
        most: works at the same time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._active: deque[tuple[int, Work]] = deque()
        self._shared, self._looked = 0.0, time.perf_counter()

    def clock(self) -> float:
        """Seconds of which works that are done side by side have an equal share each: alone, those of any clock.

        While a work is set up, which is its first step, the clock stands still.
        """
        now = time.perf_counter()
        self._shared += (now - self._looked) / max(len(self._active), 1)
        self._looked = now
        return self._shared

    def results(self, works: Iterable[Work[T]]) -> Iterator[tuple[int, T]]:
        """Results with the place of their work, as they come."""
        waiting = enumerate(works)
        while True:
            while len(self._active) < self._most and (one := next(waiting, None)) is not None:
                self.clock()  # who is there shares until here
                end = _step(one[1])
                self._looked = time.perf_counter()
                if end is None:
                    self._active.append(one)
                else:
                    yield one[0], end.value
            if not self._active:
                return
            place, work = self._active[0]
            end = _step(work)
            if end is None:
                self._active.rotate(-1)
            else:
                self.clock()
                self._active.popleft()
                yield place, end.value


def _step(work: Work) -> StopIteration | None:
    """Go on to where a work waits next; how it ended, if it did."""
    try:
        next(work)
    except StopIteration as end:
        return end
    return None
