"""The process of a peer: JSON lines in, JSON lines out. Started as ``python -P protocol.py PEER``; imports nothing of ours.

The file ``PEER.py`` beside this one has a function ``new(method, space, epochs, eta, seed, settings)``, whose answer has

    ask()                           -> job, proposal       the job is the library's own object, the proposal is plain
    tell(job, loss, configuration)  -> None                loss None: failed; configuration None: the one proposed

A proposal has the keys configuration {name: value}, budget (the epoch, may be fractional), key (what it continues, if it
was seen), origin, bracket, rung. Requests hold one verb each, and the id of one of many optimizers:

    {"new": {"id", "method", "space", "epochs", "eta", "seed", "settings"}}
    {"ask": {"id"}}   {"tell": {"id", "job", "loss", "configuration"}}   {"drop": {"id"}}

Answers are {"answer": …} or {"error": text, "unsupported": bool}. Whatever a library prints goes to stderr.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import random
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np


class Foreign(Protocol):
    """A library's optimizer behind two functions."""

    def ask(self) -> tuple[Any, dict[str, Any]]:
        """The next job, and what it says."""
        ...

    def tell(self, job: Any, loss: float | None, configuration: dict[str, Any] | None) -> None:
        """The answer to a job."""
        ...


class GlobalGenerators:
    """The global generators of Python, numpy and torch as one optimizer left them: libraries draw from them unasked."""

    def __init__(self, seed: int) -> None:
        self._kinds: list[tuple[Callable[[], Any], Callable[[Any], Any], Callable[[int], Any]]] = [
            (random.getstate, random.setstate, random.seed),
            (np.random.get_state, np.random.set_state, np.random.seed),
        ]
        if torch := sys.modules.get("torch"):  # where the library has loaded it
            self._kinds.append((torch.get_rng_state, torch.set_rng_state, torch.manual_seed))
        self._seed = seed
        self._states: list[Any] = []

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the generators in place, the first time from the seed, and take them away again."""
        if self._states:
            for (_, restore, _), state in zip(self._kinds, self._states, strict=True):
                restore(state)
        else:
            for _, _, start in self._kinds:
                start(self._seed)
        try:
            yield
        finally:
            self._states = [state() for state, _, _ in self._kinds]


class Session:
    """One optimizer of the library, with its open jobs."""

    def __init__(self, build: Callable[..., Foreign], order: dict[str, Any]) -> None:
        self._epochs: Sequence[int] = order["epochs"]
        self._generators = GlobalGenerators(order["seed"])
        with self._generators.in_place():
            self._optimizer = build(**order)
        self._jobs: dict[int, Any] = {}
        self._n_asked = 0

    def ask(self) -> dict[str, Any]:
        """The next proposal, its budget rounded to the nearest epoch of the ladder."""
        with self._generators.in_place():
            job, proposal = self._optimizer.ask()
        self._jobs[self._n_asked] = job
        self._n_asked += 1
        budget = proposal.pop("budget")
        return {**proposal, "epoch": min(self._epochs, key=lambda epoch: abs(epoch - budget)), "job": self._n_asked - 1}

    def tell(self, job: int, loss: float | None, configuration: dict[str, Any] | None) -> None:
        """The answer to the job of this number."""
        with self._generators.in_place():
            self._optimizer.tell(self._jobs.pop(job), loss, configuration)


class Server:
    """All optimizers of one library, by id."""

    def __init__(self, build: Callable[..., Foreign]) -> None:
        self._build = build
        self._sessions: dict[int, Session] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what the one verb of a request says; what is raised becomes the answer."""
        try:
            (verb, order), *_ = request.items()
            name = order.pop("id")
            if verb == "new":
                self._sessions[name] = Session(self._build, order)
                return {"answer": None}
            if verb == "drop":
                del self._sessions[name]
                return {"answer": None}
            return {"answer": getattr(self._sessions[name], verb)(**order)}
        except NotImplementedError as error:
            return {"error": str(error), "unsupported": True}
        except Exception:  # noqa: BLE001 - anything that a library raises is for the caller to read
            return {"error": traceback.format_exc(), "unsupported": False}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__} is not plain")


def _builder(peer: str) -> Callable[..., Foreign]:
    importlib.import_module(peer)  # now, so that a broken installation is told at once, and torch is there to be seeded
    file = Path(__file__).with_name(f"{peer}.py")
    specification = importlib.util.spec_from_file_location(f"server_of_{peer}", file)
    if specification is None or specification.loader is None:
        raise FileNotFoundError(file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.new


def serve(peer: str, requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more; libraries that write files do it in a folder that is removed."""
    with tempfile.TemporaryDirectory(prefix=f"{peer}-") as folder:
        os.chdir(folder)
        server = Server(_builder(peer))
        for line in requests:
            answers.write(json.dumps(server.answer(json.loads(line)), default=_plain) + "\n")
            answers.flush()
        os.chdir("/")


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)  # below Python, so that compiled code cannot write between our lines either
        serve(sys.argv[1], sys.stdin, out)
