"""What an answer costs, in epochs and in seconds, when a trial continues from where it stood and when it starts again.

Two clocks, one protocol: the wall clock goes by itself, the simulated clock (simulated.py) by what every answer is charged.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

from experiments.config import Budget
from lcbench.query import AT_THE_END, Query, Result, Status


class Clock(Protocol):
    """The seconds of a run: what the loop, the record and the display need of them."""

    limit: float | None
    """Seconds that the run may take, None for no limit."""

    @property
    def elapsed(self) -> float:
        """Seconds of the run so far."""
        ...

    @property
    def over(self) -> bool:
        """True once the run's time has ended."""
        ...

    def admits(self, result: Result) -> bool:
        """False if the run ended before `result` was there, so that it does not count."""
        ...

    def charge(self, result: Result) -> Result:
        """Take the seconds of an admitted result; returns it with the seconds that it was charged."""
        ...


@dataclass
class WallClock:
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

    def admits(self, result: Result) -> bool:
        """False for an evaluation that the end of the run has cut, which says nothing about its configuration."""
        cut = self.over or result.error == AT_THE_END  # by the clock of another machine
        return not (cut and result.status is Status.TIMEOUT)

    def charge(self, result: Result) -> Result:
        """Nothing to take: time passes by itself, and whoever trained has measured it."""
        return result


@dataclass
class Spent:
    """Epochs behind the results so far, on both axes: every comparison of methods has to say on which."""

    continued: int = 0
    """Epochs if every trial continues from its last one."""
    from_scratch: int = 0
    """Epochs if every query is trained from scratch."""
    _reached: dict[int, int] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Count what was trained for a result; of a failure, the epochs that it reached."""
        last, reached = max(result.curve.last_epoch, 0), self._reached.get(result.query.trial, 0)
        self.continued += max(last - reached, 0)
        self.from_scratch += last
        self._reached[result.query.trial] = max(last, reached)


@dataclass
class Account:
    """Epochs that were committed so far, and whether the budget admits one more query; and what the results took."""

    budget: Budget
    """The budget of the run."""
    continues: bool
    """True if a trial continues from its last epoch, False if it is trained again from scratch."""
    extra_epochs: int = 0
    """Epochs that every training goes beyond its query (`benchmark.published_defects`)."""
    epochs: int = 0
    """Epochs committed."""
    spent: Spent = field(default_factory=Spent)
    """Epochs behind the results that were told."""
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
