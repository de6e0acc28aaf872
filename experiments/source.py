"""One task of a collection: what trains on it, what is recorded of it, and what is done next."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import build
from experiments.collection import Draws, Recording, Wanted
from lcbench.errors import UserError
from lcbench.header import provenance_now
from lcbench.merge import OF_PARTS, provenance_of_parts
from lcbench.query import Query
from lcbench.rundir import HEADER, journals, read_header, write_header
from lcbench.schema import PER_SEED
from lcbench.space import plain
from lcbench.task import UNKNOWN, is_same_task
from pipeline.live import LiveBenchmark
from pipeline.recorder import RESIDENT, Chunk

if TYPE_CHECKING:
    from omegaconf import DictConfig

CHUNK_SECONDS = 5.0
"""Trainings that one child does take about so long together."""
LONGEST_CHUNK = 64


@dataclass
class Source:
    """One task of a collection: what trains on it, what is recorded, what is missing."""

    live: LiveBenchmark
    draws: Draws
    recording: Recording
    missing: Iterator[Query]
    waiting: deque[Query] = field(default_factory=deque)
    """The next ones; what has to be done again stands in front."""
    alone: int = 0
    """So many of those in front are done one at a time, because a child died of one of them."""
    room: int = 4 * RESIDENT
    """So many are given to a device together: half as many after a child died of them, all again once it is known of which one."""
    endings: Counter[str] = field(default_factory=Counter)
    """How the trainings of this command have ended: those of an earlier one may have failed for what has been mended."""

    @property
    def next_trial(self) -> int | None:
        """Number of the configuration that comes next, None if there is none."""
        if not self.waiting:
            self.waiting.extend(islice(self.missing, 1))
        return self.waiting[0].trial % PER_SEED if self.waiting else None

    def chunk(self, most: int = LONGEST_CHUNK) -> Chunk:
        """The next trainings, as many as `_size` says; on a processor at most so many."""
        size = self._size(most)
        self.alone = max(self.alone - 1, 0)
        self.waiting.extend(islice(self.missing, max(0, size - len(self.waiting))))
        return Chunk(self.live, tuple(self.waiting.popleft() for _ in range(min(size, len(self.waiting)))))

    def _size(self, most: int) -> int:
        """About `CHUNK_SECONDS` of trainings, on a device as many as it has room for; one before it is known how long one takes."""
        mean = self.recording.mean_seconds
        if mean is None or self.alone:
            return 1
        return max(1, min(most, int(CHUNK_SECONDS / max(mean, 1e-3)))) if self.live.device == "cpu" else self.room

    def again(self, queries: Sequence[Query]) -> None:
        """Put trainings in front again, because a child died of one of them, or of all together."""
        self.waiting.extendleft(reversed(queries))
        if self.live.device == "cpu":
            self.alone += len(queries)
        else:
            self.room = max(1, len(queries) // 2)


def source_of(config: DictConfig, path: Path, collection: DictConfig, wanted: Wanted) -> Source:
    """Load a task and set up what trains on it; only once its table is the one that its curves are curves of.

    Raises:
        UserError: if the table has changed since the recording began.
    """
    task = build.build_task(config)
    live = replace(
        build.build_benchmark(config, task, build.build_ladder(config), path), epochs=wanted.epochs, keep=False, device=collection.device
    )
    provenance = provenance_now(licence="not stated") | {"table_crc32": live.set_up(task)} | live.stated
    recording = Recording.of(task.info.name, path)
    more = not collection.plan and wanted.n_missing(recording, retry=collection.retry) > 0
    _describe_table(path, live, provenance, more=more)
    draws = Draws(live.space, build.build_space(config, replace(task.info, n_categorical=UNKNOWN)).space, wanted.draw)
    _check_first(recording, draws, wanted)
    return Source(live, draws, recording, wanted.queries(draws, recording, retry=collection.retry))


def _check_first(recording: Recording, draws: Draws, wanted: Wanted) -> None:
    """The first training that is recorded tells what collection.json cannot, if it was lost or deleted, or other code draws otherwise.

    Raises:
        UserError: if it is of another horizon, or of another configuration than has its number now.
    """
    if not recording.first:
        return
    trial, horizon = recording.first["trial"], recording.first["horizon"]
    if horizon != wanted.epochs:
        raise UserError(
            f"{recording.path} holds trainings of {horizon} epochs, not {wanted.epochs}: say epochs={horizon}, or choose another `name`"
        )
    if recording.first["configuration"] != plain(draws.configuration(trial % PER_SEED)):
        raise UserError(
            f"configuration {trial % PER_SEED} of {recording.path} is not the one that draw={wanted.draw} gives: say the `draw` that it "
            "began with, or choose another `name`"
        )


def _describe_table(path: Path, live: LiveBenchmark, provenance: dict[str, Any], *, more: bool) -> None:
    """Write what the curves of a task are curves of; where other code or another machine records more, it says so of each part.

    Raises:
        UserError: if the table or the space is another one than that of the curves that are there.
    """
    about: dict[str, Any] = {"task": live.task, "space": live.space, "objective": live.metric.on("val")}
    if not (path / HEADER).exists() or not journals(path):  # what a plan has left says when and where it was planned
        write_header(path, **about, provenance=provenance)
    header = read_header(path)
    if not is_same_task(header.task, live.task) or header.provenance.get("table_crc32") != provenance["table_crc32"]:
        raise UserError(f"the table of task {live.task.name!r} has changed since {path} began: choose another `name`")
    if header.space != live.space:
        raise UserError(f"the space {live.space.name!r} of task {live.task.name!r} has changed since {path} began: choose another `name`")
    of_parts = provenance_of_parts([header, replace(header, provenance=provenance)])
    if more and any(f"{name}{OF_PARTS}" in of_parts for name in ("versions", "host")):
        write_header(path, **about, provenance=of_parts)
