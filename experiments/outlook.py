"""What a collection has and what the rest of it would take: the tables of `status=true` and `plan=true`."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.collection import Recording, Wanted
from experiments.executors import Workers
from experiments.probes import PROBES, Probes, pool, work
from experiments.source import Source
from lcbench.commands.progress import progress_bar
from lcbench.query import Origin, Query
from lcbench.schema import PER_SEED
from lcbench.space import plain
from pipeline.recorder import Chunk

PER_CHUNK = 8
"""Probes that one child makes, but for the first of every task, which shows how long they take."""
PROBE_EPOCHS = 2
PLAN_SECONDS = 60.0
"""No further probes begin after so long, once every task has had one."""


def status_table(path: Path, tasks: Sequence[str], space: str, wanted: Wanted, slots: int) -> Table:
    """What is recorded of every task, and how long the rest takes on so many cores; below, what else the collection holds."""
    table = _table(wanted, "recorded", "whole configurations", "failed", "s / training", f"hours left on {slots} cores")
    n_trials, n_left, n_failed, hours = len(list(wanted.trials())), 0, 0, 0.0
    for task in tasks:
        recording = Recording.of(task, path / task / space)
        left, failed, mean = wanted.n_missing(recording), wanted.n_failed(recording), recording.mean_seconds
        known = ("-", "-") if mean is None else (f"{mean:.2f}", f"{left * mean / slots / 3600:.2f}")
        table.add_row(task, f"{n_trials - left} of {n_trials}", str(wanted.n_whole(recording)), str(failed), *known)
        n_left, n_failed, hours = n_left + left, n_failed + failed, hours + left * (mean or math.nan) / slots / 3600 if left else hours
    for task in sorted({header.parent.parent.name for header in path.glob(f"*/{space}/table.json")} - set(tasks)):
        recording = Recording.of(task, path / task / space)
        mean = recording.mean_seconds
        table.add_row(task, f"{len(recording.ended)}, not asked for", "", "", "-" if mean is None else f"{mean:.2f}", "")
    table.add_section()
    n_all = n_trials * len(tasks)
    table.add_row("in all", f"{n_all - n_left} of {n_all}", "", str(n_failed), "", f"{hours:.2f}" if math.isfinite(hours) else "-")
    return table


def plan_table(sources: Mapping[str, Source], executor: Workers, wanted: Wanted, console: Console, *, retry: bool) -> Table:
    """What the rest of a collection would take, from short trainings of which nothing is recorded."""
    missing = {task: list(wanted.missing(source.recording, retry=retry)) for task, source in sources.items()}
    probes = _probe(sources, executor, wanted, missing, console)
    for task, its in probes.items():
        if its.error:
            last = its.error.strip().splitlines()[-1]
            console.print(f"not every short training on {task} has ended well: {last}", highlight=False, soft_wrap=True)
    table = _table(wanted, "trainings left", "s / training", f"hours on {executor.slots} cores", "MB in the database")
    hours, variance, megabytes, unknown = 0.0, 0.0, 0.0, False
    for task, trials in missing.items():
        left, (mean, off) = len(trials), probes[task].per_training
        of_task, size = left / executor.slots / 3600, left * (wanted.epochs + 1) * (4 * probes[task].n_columns + 8) / 1e6
        known = (_give_or_take(mean, off), _give_or_take(of_task * mean, of_task * off), f"{size:.1f}")
        table.add_row(task, str(left), *(known if math.isfinite(mean) else ("-", "-", "-")))
        if math.isfinite(mean):
            hours, variance, megabytes = hours + of_task * mean, variance + (of_task * off) ** 2, megabytes + size  # drawn task by task
        unknown |= left > 0 and not math.isfinite(mean)
    table.add_section()
    total = ("> " if unknown else "") + _give_or_take(hours, math.sqrt(variance))
    table.add_row("in all", str(sum(map(len, missing.values()))), "", total, f"{megabytes:.1f}")
    return table


def _probe(
    sources: Mapping[str, Source], executor: Workers, wanted: Wanted, missing: Mapping[str, Sequence[int]], console: Console
) -> dict[str, Probes]:
    """Train some configurations of every task for two epochs, task by task in rounds."""
    probes = _drawn(sources, wanted, missing)
    size = PER_CHUNK if all(source.live.device == "cpu" for source in sources.values()) else PROBES  # side by side, as they will be
    parts = {task: [its.order[:1], *(its.order[i : i + size] for i in range(1, len(its.order), size))] for task, its in probes.items()}
    rounds = [(task, part) for n in range(1 + PROBES) for task, its in parts.items() for part in its[n : n + 1] if part]
    chunks = [Chunk(sources[task].live, tuple(_query(sources[task], wanted, i) for i in part)) for task, part in rounds]
    started, given = time.monotonic(), 0
    with progress_bar(console) as show:
        for done in range(len(chunks)):
            show(done, len(chunks), "probing")
            while given < min(len(chunks), done + executor.slots):
                if given >= len(sources) and time.monotonic() - started > PLAN_SECONDS:
                    break
                executor.submit(chunks[given])
                given += 1
            if done == given:
                break
            recorded: Any = executor.next()
            probes[recorded.chunk.live.directory.parent.name].add(recorded, wanted.epochs)
    return probes


def _drawn(sources: Mapping[str, Source], wanted: Wanted, missing: Mapping[str, Sequence[int]]) -> dict[str, Probes]:
    """What to probe of every task; configurations that tasks share are looked at once, because they share what the work is counted from."""
    works: dict[int, float] = {}
    probes = {}
    for task, source in sources.items():
        numbers = [trial % PER_SEED for trial in missing[task]]
        looked_at = pool(numbers, np.random.default_rng(wanted.draw))
        works |= {i: work(plain(source.draws.configuration(i))) for i in looked_at if i not in works}
        rng = np.random.default_rng([wanted.draw, zlib.crc32(task.encode())])
        probes[task] = Probes.drawn(numbers, {i: works[i] for i in looked_at}, rng)
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
