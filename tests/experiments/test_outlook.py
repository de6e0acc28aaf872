"""What a collection would take: the mean of short trainings with its error, in the time that a plan may take."""

import io
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from experiments import outlook
from experiments.collection import Recording
from experiments.outlook import PER_CHUNK, PROBES, Probes, plan_table, status_table
from lcbench.query import Status
from lcbench.recording import end_record, epoch_record, training_record
from lcbench.space import lcbench_space, sample
from pipeline.recorder import Recorded
from pipeline.sandbox import Failure

SPACE = lcbench_space()
N_METRICS = 3


def records(query, seconds):
    """A training of `seconds` per epoch, whose untrained network took one more second to measure."""
    values = {f"val_{i}": 0.5 for i in range(N_METRICS)}
    epochs = [epoch_record(trial=query.trial, horizon=50, epoch=e, seconds=1 + e * seconds, values=values) for e in range(query.epoch + 1)]
    first = training_record(trial=query.trial, horizon=50, seed=0, configuration={}, origin="random")
    return [first, *epochs, end_record(trial=query.trial, horizon=50, status=Status.SUCCESS, error="", epoch=query.epoch)]


class Executor:
    """Answers at once; a chunk takes as long as the clock is told."""

    slots = 2

    def __init__(self, per_epoch, dies=()):
        self.per_epoch, self.dies, self.given, self.waiting = per_epoch, dies, [], deque()

    def submit(self, chunk):
        self.given.append(chunk)
        self.waiting.append(chunk)

    def next(self):
        chunk = self.waiting.popleft()
        task = chunk.live.directory.parent.name
        if task in self.dies:
            return Recorded(chunk, (), Failure(Status.MEMOUT, "it took\ntoo much memory"))
        return Recorded(chunk, tuple(records(query, self.per_epoch(query.trial)) for query in chunk.queries))


def source(task, folder, left=True):
    recording = Recording.of(task, folder / task)
    live = SimpleNamespace(directory=Path(folder) / task / "lcbench", device="cpu")
    draws = SimpleNamespace(configuration=lambda i: sample(SPACE, np.random.default_rng(i)))
    return SimpleNamespace(live=live, draws=draws, recording=recording, next_trial=0 if left else None)


def wanted(n):
    return SimpleNamespace(configs=(0, n), seeds=(1,), epochs=50, n_missing=lambda _: n)


def cells(table):
    return list(zip(*(column.cells for column in table.columns), strict=True))


def quiet():
    return Console(quiet=True)


def test_the_mean_of_the_probes_has_their_standard_error(tmp_path):
    executor = Executor(lambda trial: 0.01 if trial % 8 else 0.4)
    rows = cells(plan_table({"vehicle": source("vehicle", tmp_path)}, executor, wanted(1000), quiet()))
    seconds = np.array([1 + 50 * (0.01 if trial % 8 else 0.4) for trial in range(PROBES)])
    mean, error = seconds.mean(), seconds.std(ddof=1) / PROBES**0.5
    hours = 1000 / 2 / 3600
    size = 1000 * 51 * (4 * N_METRICS + 8) / 1e6
    assert rows[0] == ("vehicle", "1000", f"{mean:.2f} ± {error:.2f}", f"{hours * mean:.2f} ± {hours * error:.2f}", f"{size:.1f}")
    assert sorted(query.trial for chunk in executor.given for query in chunk.queries) == list(range(PROBES))
    assert {len(chunk.queries) for chunk in executor.given} <= {1, PER_CHUNK, (PROBES - 1) % PER_CHUNK}


def test_no_more_probes_than_configurations_and_one_has_no_error(tmp_path):
    executor = Executor(lambda _: 0.1)
    rows = cells(plan_table({"vehicle": source("vehicle", tmp_path)}, executor, wanted(1), quiet()))
    assert rows[0][2] == "6.00 ± ?"
    assert sum(len(chunk.queries) for chunk in executor.given) == 1


def test_what_takes_too_long_gets_one_probe_of_every_task(tmp_path, monkeypatch):
    clock = iter(range(0, 100_000, 100))
    monkeypatch.setattr(outlook.time, "monotonic", lambda: next(clock))
    executor = Executor(lambda _: 0.1)
    tasks = {name: source(name, tmp_path) for name in ("vehicle", "car", "adult")}
    rows = cells(plan_table(tasks, executor, wanted(1000), quiet()))
    assert [len(chunk.queries) for chunk in executor.given] == [1, 1, 1]
    assert [row[2] for row in rows[:3]] == ["6.00 ± ?"] * 3


def test_what_is_recorded_in_full_is_not_probed_and_what_dies_is_said(tmp_path):
    executor, console = Executor(lambda _: 0.1, dies=("car",)), Console(record=True, width=200, file=io.StringIO())
    tasks = {"vehicle": source("vehicle", tmp_path, left=False), "car": source("car", tmp_path)}
    rows = cells(plan_table(tasks, executor, wanted(3), console))
    assert {chunk.live.directory.parent.name for chunk in executor.given} == {"car"}
    assert "not every short training on car has ended well: too much memory" in console.export_text()
    assert rows[1][2:] == ("-", "-", "-")
    assert rows[-1][3].startswith("> ")


def test_recorded_trainings_say_it_once_there_are_as_many(tmp_path):
    probes = Probes(seconds=[1.0, 3.0])
    few = SimpleNamespace(mean_seconds=7.0, n_good=PROBES - 1)
    many = SimpleNamespace(mean_seconds=7.0, n_good=PROBES)
    assert probes.per_training(few) == (2.0, pytest.approx(1.0))
    assert probes.per_training(many) == (7.0, 0.0)
    assert Probes().per_training(few) == (7.0, 0.0)


def test_the_status_sums_up(tmp_path):
    counts = SimpleNamespace(configs=(0, 10), seeds=(1,), epochs=50, trials=lambda: range(10), n_missing=lambda _: 10, n_whole=lambda _: 0)
    rows = cells(status_table(tmp_path, ["vehicle", "car"], "lcbench", counts, 2))
    assert rows[-1] == ("in all", "0 of 20", "", "0", "", "-")
