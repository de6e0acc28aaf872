"""The client of every peer: our ask/tell protocol on one side, a conversation with the peer's process on the other."""

from __future__ import annotations

import os
import weakref
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np
from ConfigSpace import ConfigurationSpace

from lcbench.query import Origin, Query, Result
from lcbench.space import key
from optimizers.adapters.errors import PeerError
from optimizers.adapters.process import Process, process_of
from optimizers.adapters.wire import configuration_from_wire, configuration_to_wire, space_to_wire
from optimizers.rungs import Ladder


@dataclass(eq=False)
class Peer:
    """Somebody else's optimizer, which runs in its own process (servers/protocol.py).

    A subclass says which library and which of its methods; the subclass's own fields are the settings of that method.
    An ask is a round trip of one line of JSON, some 0.1 ms beside what the library takes. The library's state cannot be
    pickled, so a pickle holds the conversation, and is told it again where it is unpickled.

    Raises:
        PeerMissingError: if the library is not installed, with the command that installs it.
        UnsupportedError: if the library cannot search this space or run on this ladder; from `tell` see there.
        PeerError: from `ask` and `tell`, if the library raises or its process dies.
    """

    space: ConfigurationSpace
    """Where configurations are drawn from."""
    ladder: Ladder
    """Epochs of the rungs, and eta; a library's own budgets are rounded to the nearest rung."""
    rng: np.random.Generator
    """Draws the one seed that the library gets."""
    _: KW_ONLY
    trial_seed: int = 0
    """Seed of every training."""

    peer: ClassVar[str]
    """Name of the library's module."""
    method: ClassVar[str]
    """Which of the library's methods."""
    rank_based: ClassVar[bool] = True
    """False if the library reads losses, not only ranks."""
    costly: ClassVar[bool] = False
    """True if an ask takes many milliseconds."""

    def __post_init__(self) -> None:
        self._order: dict[str, Any] = {
            "method": self.method,
            "space": space_to_wire(self.space),
            "epochs": list(self.ladder.epochs),
            "eta": self.ladder.eta,
            "seed": int(self.rng.integers(2**31)),
            "settings": {f.name: getattr(self, f.name) for f in fields(self)[len(fields(Peer)) :]},
        }
        self._said: list[tuple[str, dict[str, Any], Any]] = []  # the whole conversation: verb, order, answer
        self._numbers: dict[str, int] = {}  # the library's key of a training -> our number of its latest trial
        self._latest: list[Query] = []  # by trial: what was asked last, with the configuration that was told last
        self._open: dict[tuple[int, int], _Asked] = {}  # (trial, epoch) -> the ask that waits
        self._line: _Line | None = None
        self._connected()

    def ask(self) -> Query:
        """The library's next proposal: a continuation if it names a training that it knows, else a new trial."""
        said = self._say("ask")
        trial = self._numbers.get(said["key"])
        place = {"bracket": said["bracket"], "rung": said["rung"]}
        if trial is not None and self._continues(trial, said["epoch"]):
            query = replace(self._latest[trial], epoch=said["epoch"], origin=Origin.PROMOTION, **place)
            self._latest[trial] = query
        else:
            configuration = configuration_from_wire(said["configuration"], self.space)
            query = Query(configuration, said["epoch"], len(self._latest), self.trial_seed, Origin(said["origin"]), **place)
            self._numbers[said["key"]] = query.trial
            self._latest.append(query)
        self._open[query.trial, query.epoch] = _Asked(said["job"], query)
        return query

    def tell(self, result: Result) -> None:
        """Pass a result on; raise KeyError if it answers no open ask.

        A failure is told in the library's own way. A configuration that somebody put in the proposal's place goes along;
        some libraries learn from it, the others refuse.

        Raises:
            UnsupportedError: if the library cannot learn from a configuration that it did not propose.
        """
        query = result.query
        if (query.trial, query.epoch) not in self._open:
            raise KeyError(f"trial {query.trial} was told at epoch {query.epoch}, but this ask is not open: tell every ask once")
        asked = self._open[query.trial, query.epoch]
        replaced = key(query.configuration) != key(asked.query.configuration)
        configuration = configuration_to_wire(query.configuration, self._order["space"]) if replaced else None
        self._say("tell", job=asked.job, loss=result.loss if result.ok else None, configuration=configuration)
        del self._open[query.trial, query.epoch]
        self._latest[query.trial] = replace(self._latest[query.trial], configuration=query.configuration)

    def _continues(self, trial: int, epoch: int) -> bool:
        """False if the library repeats what it knows, or wants two trainings of one trial at once: then it is a new trial."""
        latest = self._latest[trial]
        return epoch > latest.epoch and (trial, latest.epoch) not in self._open

    def _say(self, verb: str, **order: Any) -> Any:
        answer = self._connected().request(verb, order)
        self._said.append((verb, order, answer))
        return answer

    def _connected(self) -> _Line:
        """The line to the library; in another process than before it is a new one, which is told everything again."""
        if self._line is None or self._line.pid != os.getpid():
            self._line = _Line(process_of(self.peer), self._order)
            for verb, order, answer in self._said:
                if (repeated := self._line.request(verb, order)) != answer:
                    raise PeerError(f"{self.peer} did not repeat itself: it said {answer}, and then {repeated} to the same `{verb}`")
        return self._line

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the line to the library's process."""
        return {**self.__dict__, "_line": None}


@dataclass(frozen=True)
class _Asked:
    """An open ask."""

    job: int
    """Its number in the library's process."""
    query: Query
    """What was asked."""


@dataclass(eq=False)
class _Line:
    """One optimizer in a peer's process, which forgets it when nobody here holds the line any more."""

    process: Process
    """The peer's process."""
    order: dict[str, Any]
    """What the optimizer is built from."""
    pid: int = field(default_factory=os.getpid)
    """The process whose line this is."""

    def __post_init__(self) -> None:
        self._id = self.process.new(**self.order)
        weakref.finalize(self, self.process.drop, self._id).atexit = False

    def request(self, verb: str, order: dict[str, Any]) -> Any:
        return self.process.request(verb, id=self._id, **order)
