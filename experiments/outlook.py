"""What a collection has and what the rest of it would take: the tables of `status=true` and `plan=true`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.collection import Recording, Wanted
from experiments.executors import Workers
from lcbench.commands.progress import progress_bar
from lcbench.query import Origin, Query
from pipeline.recorder import Chunk, Recorded

if TYPE_CHECKING:
    from experiments.collect import Source

PROBES = 64
"""Configurations per task that a plan is made from, at most: times span two orders of magnitude, and a few long ones make the sum."""
PER_CHUNK = 8
PROBE_EPOCHS = 2
PLAN_SECONDS = 60.0
"""No task gets further probes after so long."""


def status_table(path: Path, tasks: Sequence[str], space: str, wanted: Wanted) -> Table:
    """What is recorded of every task, and how long the rest takes on one core."""
    table = _table(wanted, "recorded", "whole configurations", "failed", "s / training", "hours left, one core")
    n_trials = len(list(wanted.trials()))
    for task in tasks:
        recording = Recording.of(task, path / task / space)
        n_left, mean = wanted.n_missing(recording), recording.mean_seconds
        table.add_row(
            task,
            f"{n_trials - n_left} of {n_trials}",
            str(wanted.n_whole(recording)),
            str(len(recording.ended) - recording.n_good),
            "-" if mean is None else f"{mean:.2f}",
            "-" if mean is None else f"{n_left * mean / 3600:.2f}",
        )
    return table


@dataclass
class Probes:
    """What short trainings on one task say of whole ones."""

    seconds: list[float] = field(default_factory=list)
    """Of a whole training, one entry per probe."""
    n_columns: int = 0
    error: str = ""
    """Why one of them did not end well."""

    def add(self, recorded: Recorded, epochs: int) -> None:
        """Take over what a child has found."""
        self.error = recorded.failure.error if recorded.failure else self.error
        for records in recorded.trainings:
            self.error = records[-1]["error"] or self.error
            entries = [record for record in records if record["kind"] == "epoch"]
            if len(entries) > 1:  # the first is the untrained network, which is only measured
                first, *after = entries
                self.seconds.append(first["seconds"] + epochs * (after[-1]["seconds"] - first["seconds"]) / len(after))
                self.n_columns = max(self.n_columns, len(after[-1]["values"]))

    def per_training(self, recording: Recording) -> tuple[float, float]:
        """Mean seconds of a training and their standard error: what is recorded says it better than probes."""
        if recording.mean_seconds is not None:
            return recording.mean_seconds, 0.0
        n = len(self.seconds)
        return (float(np.mean(self.seconds)), float(np.std(self.seconds) / math.sqrt(n))) if n else (math.nan, 0.0)


def plan_table(sources: Mapping[str, Source], executor: Workers, wanted: Wanted, console: Console) -> Table:
    """What the rest of a collection would take, from short trainings of which nothing is recorded."""
    probes = _probe(sources, executor, wanted, console)
    for task, its in probes.items():
        if its.error:
            last = its.error.strip().splitlines()[-1]
            console.print(f"not every short training on {task} has ended well: {last}", highlight=False, soft_wrap=True)
    table = _table(wanted, "trainings left", "s / training", f"hours on {executor.slots} cores", "MB in the database")
    hours, error, megabytes, n_left = 0.0, 0.0, 0.0, 0
    for task, source in sources.items():
        left = wanted.n_missing(source.recording)
        mean, off = probes[task].per_training(source.recording)
        of_task, size = left / executor.slots / 3600, left * (wanted.epochs + 1) * (4 * probes[task].n_columns + 8) / 1e6
        known = (_give_or_take(mean, off), _give_or_take(of_task * mean, of_task * off), f"{size:.1f}")
        table.add_row(task, str(left), *(known if math.isfinite(mean) else ("-", "-", "-")))
        if math.isfinite(mean):
            hours, error, megabytes = hours + of_task * mean, math.hypot(error, of_task * off), megabytes + size
        n_left += left
    table.add_section()
    table.add_row("in all", str(n_left), "", _give_or_take(hours, error), f"{megabytes:.1f}")
    return table


def _probe(sources: Mapping[str, Source], executor: Workers, wanted: Wanted, console: Console) -> dict[str, Probes]:
    """Train some configurations of every task for two epochs, task by task in rounds."""
    first, end = wanted.configs
    rounds = range(first, min(end, first + PROBES), PER_CHUNK)
    chunks = [
        Chunk(source.live, tuple(_query(source, wanted, i) for i in range(start, min(start + PER_CHUNK, end))))
        for start in rounds
        for source in sources.values()
    ]
    probes, started, given = {task: Probes() for task in sources}, time.monotonic(), 0
    with progress_bar(console) as show:
        for done in range(len(chunks)):
            show(done, len(chunks), "probing")
            while given < min(len(chunks), done + 2 * executor.slots):
                if given >= len(sources) and time.monotonic() - started > PLAN_SECONDS:
                    break
                executor.submit(chunks[given])
                given += 1
            if done == given:
                break
            recorded: Any = executor.next()
            probes[recorded.chunk.live.directory.parent.name].add(recorded, wanted.epochs)
    return probes


def _query(source: Source, wanted: Wanted, i: int) -> Query:
    """A training that ends early, on a schedule that does not."""
    return Query(source.draws.configuration(i), min(PROBE_EPOCHS, wanted.epochs), i, seed=0, origin=Origin.RANDOM)


def _give_or_take(value: float, error: float) -> str:
    return f"{value:.2f} ± {error:.2f}" if error else f"{value:.2f}"


def _table(wanted: Wanted, *columns: str) -> Table:
    n_configurations = wanted.configs[1] - wanted.configs[0]
    table = Table(title=f"{n_configurations} configurations x {len(wanted.seeds)} seeds, {wanted.epochs} epochs", title_justify="left")
    for name in ("task", *columns):
        table.add_column(name, justify="left" if name == "task" else "right")
    return table
