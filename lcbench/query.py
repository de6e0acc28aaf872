"""What an optimizer asks and what a benchmark answers: a query, and a result that may be a failure but is never silent."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from ConfigSpace import Configuration

from lcbench.curve import LearningCurve

AT_THE_END = "killed at the end of the run's budget"
"""Error of a timeout that says nothing about its configuration."""


class Status(StrEnum):
    """How the evaluation of a query ended."""

    SUCCESS = "success"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    MEMOUT = "memout"
    DIVERGED = "diverged"


class Origin(StrEnum):
    """Why an optimizer proposed a configuration; a random draw is always labelled as such."""

    RANDOM = "random"
    """Drawn uniformly, by design of the method."""
    INITIAL = "initial"
    """Drawn uniformly because the method has no model yet."""
    MODEL = "model"
    """Proposed by the method's model."""
    PROMOTION = "promotion"
    """An earlier trial that goes on to a higher rung."""
    PORTFOLIO = "portfolio"
    """A member of a portfolio, tried before the method proposes anything."""
    PRIOR = "prior"
    """Drawn from what the user believes."""


@dataclass(frozen=True)
class Query:
    """Train this configuration up to this epoch.

    Raises:
        ValueError: if `epoch` is below 1 or `trial` is negative.
    """

    configuration: Configuration
    """The configuration, legal in the space of the benchmark."""
    epoch: int
    """Fidelity: number of epochs trained when the answer is read."""
    trial: int
    """Names the training: two queries with one trial are one network at two fidelities, so it can continue."""
    seed: int = 0
    """Seed of the training (initial weights, batches, dropout)."""
    origin: Origin = Origin.RANDOM
    """Where the configuration comes from."""
    bracket: int = 0
    """Number of the bracket that asks, counted from 0; 0 for methods without brackets."""
    rung: int = 0
    """Rung inside the bracket, 0 is the lowest."""

    def __post_init__(self) -> None:
        if self.epoch < 1:
            raise ValueError(f"`epoch` is {self.epoch}, but must be at least 1: entry 0 of a curve is the untrained network")
        if self.trial < 0:
            raise ValueError(f"`trial` is {self.trial}, but must be 0 or larger")


@dataclass(frozen=True)
class Result:
    """The answer to a query.

    Raises:
        ValueError: if a success has no finite loss, or a failure another one than +inf.
    """

    query: Query
    """The query that this answers."""
    curve: LearningCurve
    """Everything measured so far in this training, from entry 0; partial or empty after a failure."""
    loss: float
    """Loss of the optimised metric on the validation part at `query.epoch`; +inf after a failure."""
    seconds: float
    """Seconds charged for this answer (only the new epochs where a trial continues)."""
    status: Status = Status.SUCCESS
    """How the evaluation ended."""
    error: str = field(default="", compare=False)
    """First lines of what went wrong, empty after a success."""

    def __post_init__(self) -> None:
        if (self.status is Status.SUCCESS) != math.isfinite(self.loss):
            raise ValueError(f"`status` is {self.status}, so `loss` must {'' if self.ok else 'not '}be finite, but it is {self.loss}")
        if not self.ok and self.loss != math.inf:
            raise ValueError(f"`loss` is {self.loss}, but that of a failure is +inf")

    @property
    def ok(self) -> bool:
        """True after a success."""
        return self.status is Status.SUCCESS

    @property
    def reason(self) -> str:
        """The last line of the error, which names the cause."""
        return self.error.strip().rpartition("\n")[2]

    @classmethod
    def measured(cls, query: Query, curve: LearningCurve, loss: float, seconds: float) -> Result:
        """What a training that came to its end says of itself: a success, or diverged if its loss is not finite."""
        if math.isfinite(loss):
            return cls(query, curve, loss, seconds)
        return cls.failure(query, Status.DIVERGED, f"the loss is {loss} after epoch {curve.last_epoch}", curve=curve, seconds=seconds)

    @classmethod
    def failure(cls, query: Query, status: Status, error: str, *, curve: LearningCurve | None = None, seconds: float = 0.0) -> Result:
        """A failed evaluation: loss +inf, with its reason and whatever part of the curve was reached."""
        return cls(query, curve if curve is not None else LearningCurve.empty(), math.inf, seconds, status, error)
