"""The loop: ask, evaluate, tell; replayed from the record first, so that an unfinished run goes on where it stood.

Everything that decides what happens next is in the optimizer and in the order of asks and tells. The record keeps exactly that
order, so replaying it rebuilds the optimizer, and no state of any optimizer is ever written to disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from experiments.cost import Account, Clock
from experiments.executors import Executor
from lcbench.errors import UserError
from lcbench.machine import on_one_thread
from lcbench.query import Query, Result
from lcbench.space import key
from optimizers.optimizer import Optimizer


class Observer(Protocol):
    """Whoever wants to know what happens: the record, the display. What a subclass does not define is nothing to it."""

    def asked(self, query: Query, *, admitted: bool) -> None:
        """An optimizer proposed `query`; where the budget does not admit it, it is never evaluated."""
        return

    def told(self, result: Result) -> None:
        """An optimizer learnt `result`."""
        return


@dataclass(frozen=True)
class Asked:
    """A recorded ask."""

    query: Query
    """What the optimizer proposed."""
    admitted: bool = True
    """False if the budget did not allow it."""


@dataclass(frozen=True)
class Told:
    """A recorded tell."""

    result: Result
    """What the optimizer learnt."""


@dataclass
class Loop:
    """Holds an optimizer and an executor together until the budget ends.

    With `in_order`, results are told in the order of their asks, whichever ends first, and queries are asked ahead to keep the
    workers busy: the run is then the same on every machine. Without it, results are told as they come.
    """

    optimizer: Optimizer
    executor: Executor
    account: Account
    clock: Clock
    observers: tuple[Observer, ...]
    in_order: bool
    results: list[Result] = field(default_factory=list)
    _open: list[Query] = field(default_factory=list)
    _early: dict[tuple[int, int], Result] = field(default_factory=dict)
    _held: bool = False
    _refused: dict[tuple[int, int], Query] = field(default_factory=dict)

    def run(self, history: Iterable[Asked | Told] = ()) -> list[Result]:
        """Replay `history`, evaluate what it left open, and go on; returns every result in the order of tells.

        The optimizer computes on one thread: the cores are for the trainings.
        """
        with on_one_thread():
            self.replay(history)
            self._go_on()
        return self.results

    def _go_on(self) -> None:
        for query in self._open:
            self.executor.submit(query)
        self._reconsider()
        self._fill()
        while self._open and not self.clock.over:
            result = self.executor.next()
            if not self.clock.admits(result):
                break
            self._early[_name(result.query)] = result
            while ready := self._next_ready():
                told = self._tell(ready)
                for observer in self.observers:
                    observer.told(told)
                self._fill()  # after every single tell, or the order of asks and tells would depend on who ends first

    def _fill(self) -> None:
        """Ask until every worker has something to do, or the budget admits no more."""
        depth = self.executor.slots * (2 if self.in_order and self.executor.slots > 1 else 1)
        while len(self._open) < depth and not self._held and not self.clock.over:
            query = self.optimizer.ask()
            self._ask(query, admitted=self.account.admits(query))

    def _reconsider(self) -> None:
        """Ask again for what a smaller budget did not admit."""
        for query in list(self._refused.values()):
            if self.account.admits(query):
                self._ask(query, admitted=True)

    def _ask(self, query: Query, *, admitted: bool) -> None:
        """Say that `query` is asked for, and have it evaluated where the budget admits it."""
        self._take(query, admitted=admitted)
        for observer in self.observers:
            observer.asked(query, admitted=admitted)
        if admitted:
            self.executor.submit(query)

    def _take(self, query: Query, *, admitted: bool) -> None:
        """Open a query that the budget admits; one that it does not admit holds further asks until the next tell."""
        self._held = not admitted
        if admitted:
            self._refused.pop(_name(query), None)
            self.account.commit(query)
            self._open.append(query)
        else:
            self._refused[_name(query)] = query

    def _next_ready(self) -> Result | None:
        """The next result to tell: of the oldest open query, or of any if the order does not matter."""
        candidates = self._open[:1] if self.in_order else self._open
        return next((self._early.pop(_name(query)) for query in candidates if _name(query) in self._early), None)

    def _tell(self, result: Result) -> Result:
        """Tell a result with the very query that was asked: one that was read back may differ in the last bit of its vector."""
        i = next(i for i, query in enumerate(self._open) if _name(query) == _name(result.query))
        query = self._open.pop(i)
        result = self.clock.charge(result if result.query is query else replace(result, query=query))
        self.account.spent.add(result)
        self.optimizer.tell(result)
        self.results.append(result)
        self._held = False
        return result

    def replay(self, history: Iterable[Asked | Told]) -> None:
        """Bring optimizer, account and clock to where the record ends.

        Raises:
            UserError: if the optimizer does not ask what it asked then.
        """
        for event in history:
            if isinstance(event, Told):
                self._tell(event.result)
                continue
            query = self._refused.get(_name(event.query)) or self.optimizer.ask()
            if (_name(query), key(query.configuration)) != (_name(event.query), key(event.query.configuration)):
                raise asked_another(_name(event.query), _name(query))
            self._take(query, admitted=event.admitted)


def asked_another(was: tuple[int, int], now: tuple[int, int]) -> UserError:
    """What to say where the record holds another event than what happens now; both are (trial, epoch)."""
    return UserError(
        f"the record of this run asks for trial {was[0]} at epoch {was[1]}, but the optimizer now asks for trial {now[0]} at epoch "
        f"{now[1]}: another version of the code made it, or another portfolio; start again with another `seed` or `runs`, nothing "
        "recorded was changed"
    )


def _name(query: Query) -> tuple[int, int]:
    return query.trial, query.epoch
