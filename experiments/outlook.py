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
"""Configurations per task that a plan is made from, at most: times span two orders of magnitude, and a few long ones make the sum. So their
standard error is a rough one, and rather too small."""
PER_CHUNK = 8
"""Probes that one child makes, but for the first of every task, which shows how long they take."""
PROBE_EPOCHS = 2
PLAN_SECONDS = 60.0
"""No further probes begin after so long, once every task has had one."""


def status_table(path: Path, tasks: Sequence[str], space: str, wanted: Wanted, slots: int) -> Table:
    """What is recorded of every task, and how long the rest takes on so many cores."""
    table = _table(wanted, "recorded", "whole configurations", "failed", "s / training", f"hours left on {slots} cores")
    n_trials, n_left, n_failed, hours = len(list(wanted.trials())), 0, 0, 0.0
    for task in tasks:
        recording = Recording.of(task, path / task / space)
        left, failed, mean = wanted.n_missing(recording), len(recording.ended) - recording.n_good, recording.mean_seconds
        known = ("-", "-") if mean is None else (f"{mean:.2f}", f"{left * mean / slots / 3600:.2f}")
        table.add_row(task, f"{n_trials - left} of {n_trials}", str(wanted.n_whole(recording)), str(failed), *known)
        n_left, n_failed, hours = n_left + left, n_failed + failed, hours + left * (mean or math.nan) / slots / 3600 if left else hours
    table.add_section()
    n_all = n_trials * len(tasks)
    table.add_row("in all", f"{n_all - n_left} of {n_all}", "", str(n_failed), "", f"{hours:.2f}" if math.isfinite(hours) else "-")
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
        """Mean seconds of a training and their standard error; as many trainings that are recorded say it better than probes."""
        if recording.mean_seconds is not None and (recording.n_good >= PROBES or not self.seconds):
            return recording.mean_seconds, 0.0
        n = len(self.seconds)
        mean = float(np.mean(self.seconds)) if n else math.nan
        return mean, float(np.std(self.seconds, ddof=1)) / math.sqrt(n) if n > 1 else math.nan


def plan_table(sources: Mapping[str, Source], executor: Workers, wanted: Wanted, console: Console, *, retry: bool) -> Table:
    """What the rest of a collection would take, from short trainings of which nothing is recorded."""
    probes = _probe(sources, executor, wanted, console)
    for task, its in probes.items():
        if its.error:
            last = its.error.strip().splitlines()[-1]
            console.print(f"not every short training on {task} has ended well: {last}", highlight=False, soft_wrap=True)
    table = _table(wanted, "trainings left", "s / training", f"hours on {executor.slots} cores", "MB in the database")
    hours, error, megabytes, n_left = 0.0, 0.0, 0.0, 0
    for task, source in sources.items():
        left = wanted.n_missing(source.recording, retry=retry)
        mean, off = probes[task].per_training(source.recording)
        of_task, size = left / executor.slots / 3600, left * (wanted.epochs + 1) * (4 * probes[task].n_columns + 8) / 1e6
        known = (_give_or_take(mean, off), _give_or_take(of_task * mean, of_task * off), f"{size:.1f}")
        table.add_row(task, str(left), *(known if math.isfinite(mean) else ("-", "-", "-")))
        if math.isfinite(mean):
            hours, error, megabytes = hours + of_task * mean, error + of_task * off, megabytes + size  # the same configurations everywhere
        n_left += left
    table.add_section()
    whole = all(math.isfinite(its.per_training(sources[task].recording)[0]) for task, its in probes.items())
    table.add_row("in all", str(n_left), "", ("" if whole else "> ") + _give_or_take(hours, error), f"{megabytes:.1f}")
    return table


def _probe(sources: Mapping[str, Source], executor: Workers, wanted: Wanted, console: Console) -> dict[str, Probes]:
    """Train some configurations of every task for two epochs, task by task in rounds."""
    first, end = wanted.configs[0], min(wanted.configs[1], wanted.configs[0] + PROBES)
    left = [source for source in sources.values() if source.next_trial is not None]
    size = PER_CHUNK if all(source.live.device == "cpu" for source in left) else PROBES  # side by side, as they will be
    rounds = [range(first, first + 1), *(range(i, min(i + size, end)) for i in range(first + 1, end, size))]
    chunks = [Chunk(source.live, tuple(_query(source, wanted, i) for i in part)) for part in rounds for source in left]
    probes, started, given = {task: Probes() for task in sources}, time.monotonic(), 0
    with progress_bar(console) as show:
        for done in range(len(chunks)):
            show(done, len(chunks), "probing")
            while given < min(len(chunks), done + executor.slots):
                if given >= len(left) and time.monotonic() - started > PLAN_SECONDS:
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
    said = "" if error == 0 else f" ± {error:.2f}" if math.isfinite(error) else " ± ?"
    return f"{value:.2f}{said}"


def _table(wanted: Wanted, *columns: str) -> Table:
    n_configurations = wanted.configs[1] - wanted.configs[0]
    table = Table(title=f"{n_configurations} configurations x {len(wanted.seeds)} seeds, {wanted.epochs} epochs", title_justify="left")
    for name in ("task", *columns):
        table.add_column(name, justify="left" if name == "task" else "right")
    return table
