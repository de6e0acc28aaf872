"""What an answer costs, in epochs and in seconds, when a trial continues from where it stood and when it starts again."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from experiments.config import Budget
from lcbench.query import Query


@dataclass
class Clock:
    """Wall-clock seconds of a run, counted over all its sessions."""

    limit: float | None
    """Seconds that the run may take, None for no limit."""
    spent: float = 0.0
    """Seconds that earlier sessions of this run took."""
    start: float = field(default_factory=time.monotonic)
    """`time.monotonic()` when this session began."""

    @property
    def elapsed(self) -> float:
        """Seconds of the run so far."""
        return self.spent + time.monotonic() - self.start

    @property
    def deadline(self) -> float:
        """`time.monotonic()` at which the run ends."""
        return float("inf") if self.limit is None else self.start + self.limit - self.spent

    @property
    def over(self) -> bool:
        """True once the run's time has ended."""
        return time.monotonic() >= self.deadline


@dataclass
class Account:
    """Epochs that were committed so far, and whether the budget admits one more query."""

    budget: Budget
    """The budget of the run."""
    continues: bool
    """True if a trial continues from its last epoch, False if it is trained again from scratch."""
    extra_epochs: int = 0
    """Epochs that every training goes beyond its query (`benchmark.published_defects`)."""
    epochs: int = 0
    """Epochs committed."""
    _reached: dict[int, int] = field(default_factory=dict)

    def cost(self, query: Query) -> int:
        """Epochs that answering `query` trains."""
        return query.epoch + self.extra_epochs - (self._reached.get(query.trial, 0) if self.continues else 0)

    def admits(self, query: Query) -> bool:
        """True if trials and epochs left allow `query`."""
        if self.budget.trials is not None and query.trial >= self.budget.trials:
            return False
        return self.budget.epochs is None or self.epochs + self.cost(query) <= self.budget.epochs

    def commit(self, query: Query) -> None:
        """Charge an admitted query."""
        self.epochs += self.cost(query)
        self._reached[query.trial] = max(query.epoch + self.extra_epochs, self._reached.get(query.trial, 0))


def process_age() -> float:
    """Seconds since this process was started, interpreter and imports included; 0 where the system does not tell (macOS)."""
    stat = Path("/proc/self/stat")
    if not stat.exists():
        return 0.0
    ticks = int(stat.read_text().rpartition(")")[2].split()[19])  # field 22: start in clock ticks since boot
    return max(time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"), 0.0)
