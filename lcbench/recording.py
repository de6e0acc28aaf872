"""What a training process writes down, and how the journals of many processes become trainings.

Three kinds of records name their training by (trial, horizon):

* ``training``: it begins, with this configuration and seed; a training of which nobody wrote this has no row;
* ``epoch``: after this number of epochs, this many cumulative seconds and these values;
* ``end``: it ended with this status after this epoch; a promoted trial ends once per rung.

Merging (`trainings_from_journals`) reads the journals in the order given and follows these rules:

1. *Values.* The first record of an epoch counts; an epoch that was trained again after a crash is not taken twice.
2. *Gaps.* The curve is the part without a gap: epochs 0, 1, …, e.
3. *Seconds.* A session is a stretch of one journal in which the epochs of a training increase. Every session has a clock
   of its own, so where the curve goes over from one session to the next, what counts is the time that passed inside the
   new session since the epoch before; where the new session did not record that epoch, its clock is believed, unless it
   runs behind, then it is set forward. Hence seconds never decrease, and a training of one session keeps its own exactly.
4. *Status.* Of several ends that of the largest epoch counts, of equal ones the last read; without any, the training is
   ``unfinished``: it is running, or its process died without a word. A failure keeps the curve that it reached.
5. *Name.* The first record of a training may be repeated by any process that knows it. Why the trial was begun counts, not
   that it was promoted later; a number of parameters counts, not the -1 of a process that does not know it; of further scalars the last.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.journal import iter_records
from lcbench.query import Origin, Status
from lcbench.schema import UNFINISHED
from lcbench.space import key
from lcbench.training import Training


def training_record(
    *,
    trial: int,
    horizon: int,
    seed: int,
    configuration: Mapping[str, Any],
    origin: str,
    n_parameters: int = -1,
    results: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The record of a training that begins or is resumed.

    Args:
        trial: number of the training in its run.
        horizon: annealing horizon in epochs.
        seed: seed of the training.
        configuration: in plain values (`lcbench.space.plain`).
        origin: why it was proposed.
        n_parameters: of the network, -1 where it is not known.
        results: further scalars of the training by name.
    """
    about: dict[str, Any] = {"seed": seed, "configuration": dict(configuration), "origin": str(origin), "n_parameters": n_parameters}
    about["results"] = dict(results or {})
    return {"kind": "training", "trial": trial, "horizon": horizon, **about}


def epoch_record(*, trial: int, horizon: int, epoch: int, seconds: float, values: Mapping[str, float]) -> dict[str, Any]:
    """The record of what was measured after `epoch` epochs and `seconds` cumulative seconds."""
    return {"kind": "epoch", "trial": trial, "horizon": horizon, "epoch": epoch, "seconds": seconds, "values": dict(values)}


def end_record(*, trial: int, horizon: int, status: Status, error: str, epoch: int) -> dict[str, Any]:
    """The record of the end of a training, or of one rung of it, after `epoch` epochs (-1 if there was not even entry 0)."""
    return {"kind": "end", "trial": trial, "horizon": horizon, "status": str(status), "error": error, "epoch": epoch}


def trainings_from_journals(paths: Iterable[str | PathLike[str]]) -> list[Training]:
    """Merge journals into trainings, sorted by (trial, horizon); damaged stretches and trainings without configuration are left out.

    Raises:
        FileNotFoundError: if a journal is missing.
        UserError: if a record is not one of the three kinds, or two records of one training contradict each other.
    """
    drafts = read_drafts(paths)
    return [draft.training(trial, horizon) for (trial, horizon), draft in sorted(drafts.items()) if draft.about is not None]


def nameless(paths: Iterable[str | PathLike[str]]) -> list[str]:
    """Sentences about trainings whose epochs are recorded, but whose configuration is not (its record is damaged)."""
    return [
        f"trial {trial} with horizon {horizon} has {draft.n_epochs} recorded epochs, but the record of its configuration is lost"
        for (trial, horizon), draft in sorted(read_drafts(paths).items())
        if draft.about is None and draft.sessions
    ]


class _Entry(NamedTuple):
    seconds: float
    names: tuple[str, ...]
    numbers: NDArray[np.float64]  # (len(names),)


_Session = dict[int, _Entry]
"""What one process recorded in one go, by epoch, increasing."""


@dataclass
class Draft:
    """Everything that the journals say about one training, not yet merged."""

    about: dict[str, Any] | None = None
    sessions: list[_Session] = field(default_factory=list)
    ends: list[dict[str, Any]] = field(default_factory=list)

    @property
    def n_epochs(self) -> int:
        """Number of different epochs with a record."""
        return len(set().union(*self.sessions))

    def training(self, trial: int, horizon: int) -> Training:
        """Merge by the rules of this module."""
        if self.about is None:
            raise AssertionError("this is a bug: a training without a configuration cannot be merged")
        status, error = self._outcome()
        configuration = self.about["configuration"]
        return Training(
            trial=trial,
            configuration=configuration,
            key=key(configuration),
            seed=self.about["seed"],
            horizon=horizon,
            origin=self.about["origin"],
            n_parameters=self.about["n_parameters"],
            status=status,
            error=error,
            curve=_merged(self.sessions),
            results=self.about["results"],
        )

    def _outcome(self) -> tuple[str, str]:
        if not self.ends:
            return UNFINISHED, ""
        _, end = max(enumerate(self.ends), key=lambda pair: (pair[1]["epoch"], pair[0]))
        return end["status"], end["error"]


def read_drafts(paths: Iterable[str | PathLike[str]]) -> dict[tuple[int, int], Draft]:
    """Collect the records of several journals by (trial, horizon).

    Raises:
        UserError: as `trainings_from_journals`.
    """
    drafts: dict[tuple[int, int], Draft] = {}
    known_names: dict[tuple[str, ...], tuple[str, ...]] = {}  # thousands of entries share one tuple of names
    for path in paths:
        running: dict[tuple[int, int], _Session] = {}
        for number, record in enumerate(iter_records(path), start=1):
            try:
                at = (int(record["trial"]), int(record["horizon"]))
                draft = drafts.setdefault(at, Draft())
                match record["kind"]:
                    case "training":
                        draft.about = _agreed(draft.about, record)
                    case "epoch":
                        running[at] = _add_entry(draft, running.get(at), record, known_names)
                    case "end":
                        draft.ends.append(_checked_end(record))
                    case kind:
                        raise ValueError(f"its kind is {kind!r}, but must be training, epoch or end")
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
                raise UserError(f"record {number} of {path} is not one of a training: {reason}") from error
    return drafts


def _agreed(about: dict[str, Any] | None, record: dict[str, Any]) -> dict[str, Any]:
    found = {
        "configuration": dict(record["configuration"]),
        "seed": int(record["seed"]),
        "origin": str(record["origin"]),
        "n_parameters": int(record["n_parameters"]),
        "results": {str(name): float(value) for name, value in record["results"].items()},
    }
    if about is None:
        return found
    for name in ("configuration", "seed"):
        if about[name] != found[name]:
            raise ValueError(
                f"its {name} is {found[name]}, but an earlier record has {about[name]}; these journals belong to different runs"
            )
    origin = found["origin"] if about["origin"] == Origin.PROMOTION else about["origin"]
    count, results = max(about["n_parameters"], found["n_parameters"]), about["results"] | found["results"]
    return {**about, "origin": origin, "n_parameters": count, "results": results}


def _checked_end(record: dict[str, Any]) -> dict[str, Any]:
    return {"status": Status(record["status"]).value, "error": str(record["error"]), "epoch": int(record["epoch"])}


def _add_entry(
    draft: Draft, session: _Session | None, record: dict[str, Any], known_names: dict[tuple[str, ...], tuple[str, ...]]
) -> _Session:
    epoch, seconds = int(record["epoch"]), float(record["seconds"])
    if epoch < 0 or not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"`epoch` is {epoch} and `seconds` is {seconds}, but both must be 0 or larger, and finite")
    if session is None or epoch <= next(reversed(session)):
        session = {}
        draft.sessions.append(session)
    names = tuple(record["values"])
    numbers = np.fromiter(record["values"].values(), np.float64, len(names))
    session[epoch] = _Entry(seconds, known_names.setdefault(names, names), numbers)
    return session


def _merged(sessions: list[_Session]) -> LearningCurve:
    first: dict[int, _Session] = {}
    for session in sessions:
        for epoch in session:
            first.setdefault(epoch, session)
    entries: list[_Entry] = []
    clock, shift, current = 0.0, 0.0, None
    for epoch in count():
        if epoch not in first:
            return _curve(entries)
        session = first[epoch]
        entry = session[epoch]
        if epoch > 0 and session is not current:
            before = session.get(epoch - 1)
            shift = clock - before.seconds if before else max(0.0, clock - entry.seconds)
        current, clock = session, max(clock, entry.seconds + shift)
        entries.append(entry._replace(seconds=clock))
    raise AssertionError("this is a bug: the loop above has no end")


def _curve(entries: list[_Entry]) -> LearningCurve:
    if len({entry.names for entry in entries}) != 1:
        return LearningCurve.from_entries((e, x.seconds, dict(zip(x.names, x.numbers, strict=True))) for e, x in enumerate(entries))
    columns = np.stack([entry.numbers for entry in entries], axis=1)  # (M, T)
    seconds = np.array([entry.seconds for entry in entries])
    return LearningCurve(np.arange(len(entries)), seconds, dict(zip(entries[0].names, columns, strict=True)))
