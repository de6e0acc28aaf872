"""Integer schedules of the Hyperband family: ladders of epochs and sizes of brackets; pure functions, no state.

Notation (Li et al., JMLR 2018): R the largest epoch, eta the reduction factor, s the bracket, with s + 1 rungs.
Logarithms of floats lose rungs (1..243 at eta 3 has six, five tools find five), so everything here is integer arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Literal

Table = Literal["hpbandster", "li2018"]


@dataclass(frozen=True)
class Ladder:
    """The epochs at which trials are compared, from the lowest rung to full training.

    Raises:
        ValueError: if the epochs do not increase from at least 1, or `eta` is below 2.
    """

    epochs: tuple[int, ...]
    """Epochs of the rungs, strictly increasing; the last is R."""
    eta: int
    """Of every eta trials of a rung, one goes on to the next."""

    def __post_init__(self) -> None:
        if not self.epochs or self.epochs[0] < 1 or any(a >= b for a, b in zip(self.epochs, self.epochs[1:], strict=False)):
            raise ValueError(f"`epochs` is {self.epochs}, but must increase strictly from at least 1")
        if self.eta < 2:
            raise ValueError(f"`eta` is {self.eta}, but must be an integer of at least 2")

    @property
    def max(self) -> int:
        """R, the epoch of full training."""
        return self.epochs[-1]


def ladder(max_epochs: int, min_epochs: int, eta: int) -> Ladder:
    """The ladder R, R // eta, R // eta // eta, … down to the last value that is at least `min_epochs`.

    >>> ladder(50, 6, 2).epochs
    (6, 12, 25, 50)

    Raises:
        ValueError: if not 1 <= min_epochs <= max_epochs or eta < 2.
    """
    for name, value in (("max_epochs", max_epochs), ("min_epochs", min_epochs), ("eta", eta)):
        if not isinstance(value, Integral):
            raise ValueError(f"`{name}` is {value!r}, but must be an integer")
    if not 1 <= min_epochs <= max_epochs:
        raise ValueError(f"`min_epochs` is {min_epochs}, but must lie in 1..{max_epochs} (`max_epochs`)")
    if eta < 2:
        raise ValueError(f"`eta` is {eta}, but must be an integer of at least 2")
    max_epochs, min_epochs, eta = int(max_epochs), int(min_epochs), int(eta)  # NumPy's integers too
    rungs, epoch = [], max_epochs
    while epoch >= min_epochs:
        rungs.append(epoch)
        epoch //= eta
    return Ladder(tuple(reversed(rungs)), eta)


def rung_sizes(n: int, eta: int, n_rungs: int) -> tuple[int, ...]:
    """Trials per rung of one bracket of successive halving that starts with `n`: n, n // eta, …, never below 1."""
    return tuple(max(n // eta**j, 1) for j in range(n_rungs))


def first_rung_size(s: int, n_rungs: int, eta: int, table: Table) -> int:
    """Trials in the first rung of bracket s (it has s + 1 of the ladder's `n_rungs` rungs).

    Two tables are in use: ``hpbandster`` rounds down, floor(M / (s + 1)) * eta^s, and gives 27, 9, 6, 4 for four rungs
    at eta 3 (HpBandSter, DEHB, NePS); ``li2018`` rounds up, ceil(M * eta^s / (s + 1)), and gives 27, 12, 6, 4
    (Li et al. 2018 Alg. 1, SMAC3).
    """
    if table == "hpbandster":
        return n_rungs // (s + 1) * eta**s
    if table == "li2018":
        return -(-n_rungs * eta**s // (s + 1))
    raise ValueError(f"`table` is {table!r}, but must be 'hpbandster' or 'li2018'")


@dataclass(frozen=True)
class Bracket:
    """One bracket: how many trials stand on which rung."""

    sizes: tuple[int, ...]
    """Trials per rung."""
    epochs: tuple[int, ...]
    """Epochs per rung."""


def hyperband_bracket(iteration: int, ladder: Ladder, table: Table = "hpbandster") -> Bracket:
    """The bracket that Hyperband runs in its `iteration`-th place: s = M - 1 first, then M - 2, …, 0, and again."""
    m = len(ladder.epochs)
    s = m - 1 - iteration % m
    n = first_rung_size(s, m, ladder.eta, table)
    return Bracket(rung_sizes(n, ladder.eta, s + 1), ladder.epochs[m - 1 - s :])
