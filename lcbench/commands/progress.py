"""The time left, for whatever takes longer than a few seconds: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lcbench.commands.words import duration

LINE_SECONDS = 30.0
"""Without a terminal, a line is printed at most this often, and none before so long has passed."""


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[int, int, str], None]]:
    """Give a function that takes (done, in all, what is being done) and shows it."""
    if not console.is_terminal:
        yield _Lines(console).show
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("gone,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=None)

        def show(done: int, in_all: int, what: str) -> None:
            progress.update(bar, completed=done, total=in_all or None, description=what)

        yield show


class _Lines:
    """What a log file holds of the bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = self._last = time.monotonic()

    def show(self, done: int, in_all: int, what: str) -> None:
        """Print a line if the last one is old enough."""
        now = time.monotonic()
        if now - self._last < LINE_SECONDS:
            return
        self._last, gone = now, now - self._started
        left = f", about {duration(gone * (in_all - done) / done)} left" if done and in_all else ""
        state = f"{duration(gone)} gone{left}: {done:,} of {in_all:,}" if in_all else f"{duration(gone)} gone: {done:,}"
        self._console.print(f"{state}, {what}" if what else state, highlight=False, markup=False, soft_wrap=True)
