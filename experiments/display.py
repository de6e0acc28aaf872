"""What a person sees while a run goes on: a live picture in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from experiments.cost import WallClock
from experiments.loop import Observer
from experiments.progress import Progress
from lcbench.commands.words import spark
from lcbench.query import Result

PLAIN_SECONDS = 5.0
"""Without a terminal, a line about a result that is no improvement is printed at most this often."""


def clock_text(seconds: float) -> str:
    """Minutes and seconds.

    >>> clock_text(75.2)
    '1:15'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def left_text(progress: Progress) -> str:
    """How much time is left: by the clock, or from the epochs that the plan of the run still holds."""
    clock = progress.clock
    if clock.limit is not None:
        return f"{clock_text(max(clock.limit - clock.elapsed, 0))} left"
    done = progress.epochs_trained
    if not done or not progress.planned:
        return "time left unknown yet"
    return f"about {clock_text(clock.elapsed * max(progress.planned / done - 1, 0))} left"


class LiveDisplay(Observer):
    """The picture in a terminal, redrawn twice a second."""

    def __init__(self, progress: Progress, title: str) -> None:
        self.progress, self.title = progress, title

    def __rich__(self) -> RenderableType:
        self.progress.poll()
        rows: list[RenderableType] = [self._header(), self._rungs(), self._incumbent()]
        if self.progress.failures:
            reasons = " · ".join(f"{n} × {reason}" for reason, n in self.progress.failures.most_common(3))
            rows.append(Text(f"failures  {reasons}", style="red"))
        return Panel(Group(*rows), title=Text(self.title), title_align="left")

    def _header(self) -> RenderableType:
        clock, grid = self.progress.clock, Table.grid(padding=(0, 2))
        counts = " · ".join(f"{n} {status}" for status, n in self.progress.statuses.items()) or "no result yet"
        bar = ProgressBar(total=clock.limit or 1, completed=clock.elapsed if clock.limit else 0, width=30)
        epochs = f"{self.progress.epochs or self.progress.epochs_trained} epochs"
        texts = (clock_text(clock.elapsed), left_text(self.progress), counts, epochs)
        grid.add_row(*((bar,) if clock.limit else ()), *texts)
        return grid

    def _rungs(self) -> RenderableType:
        cells = [f"{epoch}: {done}" + (f" + {open_} open" if open_ else "") for epoch, done, open_ in self.progress.occupation()]
        return Text("epochs: results  " + " │ ".join(cells), style="cyan")

    def _incumbent(self) -> RenderableType:
        best = self.progress.best
        if best is None:
            return Text("incumbent none yet", style="dim")
        return Text(f"incumbent {describe(self.progress, best)}  {curve_text(self.progress, best)}", style="bold green")


class PlainDisplay(Observer):
    """One line per improvement, and now and then one about the state."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self.progress, self.console = progress, console
        self._best: Result | None = None
        self._last = WallClock(None)

    def told(self, result: Result) -> None:
        """Print a failure, an improvement, or that the run is alive."""
        best = self.progress.best
        improved = best is not None and best is not self._best
        if result.ok and not improved and self._last.elapsed < PLAIN_SECONDS:
            return
        self._last, self._best = WallClock(None), best
        state = f"{clock_text(self.progress.clock.elapsed)} gone, {left_text(self.progress)}, {len(self.progress.results)} results"
        news = f"incumbent {describe(self.progress, best)}" if improved and best else ""
        if not result.ok:
            news = f"trial {result.query.trial} {result.status}: {result.reason}"
        self.console.print(f"{state}{': ' if news else ''}{news}", highlight=False, soft_wrap=True)


def describe(progress: Progress, result: Result) -> str:
    """An incumbent in words."""
    return f"trial {result.query.trial} at epoch {result.query.epoch}: {progress.metric.on('val')} {progress.value(result):.4f}"


def curve_text(progress: Progress, result: Result) -> str:
    """The validation curve of a result as a sparkline."""
    return spark(result.curve.values.get(progress.metric.on("val"), np.empty(0)))


@contextmanager
def display(progress: Progress, title: str, console: Console) -> Iterator[LiveDisplay | PlainDisplay]:
    """Show a run while the block runs, as fits the console; yields an observer for the loop."""
    if not console.is_terminal:
        console.print(title, highlight=False, soft_wrap=True)
        yield PlainDisplay(progress, console)
        return
    shown = LiveDisplay(progress, title)
    with Live(shown, console=console, refresh_per_second=2, transient=True):
        yield shown
