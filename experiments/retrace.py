"""A simulated run that goes on: it is simulated again from its start, and what it asks and is told must be what the record says.

Looking up again is quicker than bringing an optimizer, an event queue and its clock to where they stood, and cannot go wrong unnoticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from experiments.loop import Observer, asked_another
from experiments.records import RunDirectory
from lcbench.query import Query, Result
from lcbench.space import key, plain


class Retrace:
    """An observer that compares with the record as long as there is one, and then writes on."""

    def __init__(self, directory: RunDirectory, log: Observer) -> None:
        self._directory = directory
        self._log = log
        self._left = deque(event for event in directory.events if event["kind"] in ("ask", "tell"))

    def asked(self, query: Query, *, admitted: bool) -> None:
        """Compare or write an ask.

        Raises:
            UserError: if the record holds another one.
        """
        if not self._left:
            self._log.asked(query, admitted=admitted)
            return
        event = self._left.popleft()
        name = (event["trial"], event["epoch"])
        if event["kind"] != "ask" or name != (query.trial, query.epoch) or key(event["configuration"]) != key(plain(query.configuration)):
            raise asked_another(name, (query.trial, query.epoch))

    def told(self, result: Result) -> None:
        """Compare or write a tell.

        Raises:
            UserError: if the record holds another one.
        """
        if not self._left:
            self._log.told(result)
            return
        event, query = self._left.popleft(), result.query
        if event["kind"] != "tell" or (event["trial"], event["epoch"]) != (query.trial, query.epoch):
            raise asked_another((event["trial"], event["epoch"]), (query.trial, query.epoch))
        self._directory.check_answer(event, result)


def before_the_end(events: Sequence[dict[str, Any]]) -> int:
    """How many events a larger budget leaves as they are: those before the first ask that the old one did not admit."""
    return next((n for n, event in enumerate(events) if event["kind"] == "ask" and not event["admitted"]), len(events))
