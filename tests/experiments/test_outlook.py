"""What a collection would take: an estimate from short trainings that has no bias, with its error, in the time that a plan may take."""

import io
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from experiments import outlook
from experiments.collection import Recording, Wanted
from experiments.outlook import PER_CHUNK, plan_table, status_table
from experiments.probes import POOL, PROBES, Probes, pool, work
from lcbench.database import Database
from lcbench.query import Status
from lcbench.recording import end_record, epoch_record, training_record
from lcbench.schema import PER_SEED
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


def source(task, folder):
    live = SimpleNamespace(directory=Path(folder) / task / "lcbench", device="cpu")
    draws = SimpleNamespace(configuration=lambda i: sample(SPACE, np.random.default_rng(i)))
    return SimpleNamespace(live=live, draws=draws, recording=Recording.of(task, folder / task))


def wanted(n):
    return Wanted(0, (0, n), (1,), 50)


def plan(tasks, executor, n, console=None):
    return cells(plan_table(tasks, executor, wanted(n), console or Console(quiet=True), retry=False))


def cells(table):
    return list(zip(*(column.cells for column in table.columns), strict=True))


@pytest.fixture(scope="module")
def recorded():
    """Configurations that ship, and what their trainings took: two orders of magnitude."""
    table = Database().table("vehicle")
    rows = np.flatnonzero(table.columns["length"] == table.n_entries)
    seconds = table.seconds[rows, -1]
    assert seconds.max() / np.median(seconds) > 10
    return dict(enumerate(map(work, table.configurations(rows)))), dict(enumerate(seconds.tolist()))


def _probe(probes, numbers, seconds):
    probes.seconds = {i: seconds[i] for i in numbers}
    probes.tried = set(numbers)


def test_the_estimate_has_no_bias_and_its_error_is_what_it_says(recorded):
    works, seconds = recorded
    truth, found = np.mean(list(seconds.values())), []
    for seed in range(400):
        probes = Probes.drawn(list(works), works, np.random.default_rng(seed))
        assert len(probes.draws) == PROBES
        _probe(probes, probes.order, seconds)
        found.append(probes.per_training)
    means, errors = np.array(found).T
    assert means.mean() == pytest.approx(truth, abs=3 * means.std() / 20)
    assert (np.abs(means - truth) < 2 * errors).mean() > 0.9
    assert means.std() < 0.6 * np.std(list(seconds.values())) / np.sqrt(PROBES)  # that of uniform draws


def test_seeds_that_are_missing_count_and_a_wrong_count_of_work_does_no_harm():
    seconds = {i: float(1 + i % 7) for i in range(200)}
    missing = [i for i in seconds for _ in range(1 + i % 3)]
    truth, found = np.mean([seconds[i] for i in missing]), []
    for seed in range(400):
        probes = Probes.drawn(missing, {i: 10.0 ** (i % 5) for i in seconds}, np.random.default_rng(seed))
        assert max(probes.share.values()) <= 2
        _probe(probes, probes.order[:-3], seconds)  # the last ones were not reached
        found.append(probes.per_training[0])
    assert np.mean(found) == pytest.approx(truth, abs=3 * np.std(found) / 20)


def test_few_configurations_are_all_probed_and_then_there_is_no_error():
    missing = [0, 0, 1, 2]
    probes = Probes.drawn(missing, dict.fromkeys(range(3), 1.0), np.random.default_rng(0))
    assert sorted(probes.draws) == [0, 1, 2]
    _probe(probes, probes.order, {0: 4.0, 1: 2.0, 2: 6.0})
    assert probes.per_training == (pytest.approx(4.0), 0.0)
    assert pool(missing, np.random.default_rng(0)) == [0, 1, 2]
    assert len(pool(range(2 * POOL), np.random.default_rng(0))) == POOL


def test_a_plan_says_hours_and_size(tmp_path):
    rows = plan({"vehicle": source("vehicle", tmp_path)}, Executor(lambda _: 72.0), 30)
    assert (1 + 50 * 72) * 30 / Executor.slots / 3600 == pytest.approx(15.004, abs=1e-3)
    assert rows[0] == ("vehicle", "30", "3601.00", "15.00", f"{30 * 51 * (4 * N_METRICS + 8) / 1e6:.1f}")
    many = Executor(lambda trial: 0.1 + 0.1 * (trial % 2))
    rows = plan({"vehicle": source("vehicle", tmp_path)}, many, 1000)
    assert " ± 0." in rows[0][2]
    assert {len(chunk.queries) for chunk in many.given} <= set(range(1, PER_CHUNK + 1))
    assert sum(len(chunk.queries) for chunk in many.given) <= PROBES


def test_errors_of_tasks_are_drawn_apart(tmp_path):
    tasks = {name: source(name, tmp_path) for name in ("vehicle", "car")}
    executor = Executor(lambda trial: 10.0 + 10 * (trial % 2))
    rows = plan(tasks, executor, 1000)
    one, other, both = (float(row[3].partition(" ± ")[2]) for row in rows)
    assert both == pytest.approx(np.hypot(one, other), abs=0.02)
    probed = {name: {q.trial for c in executor.given for q in c.queries if c.live.directory.parent.name == name} for name in tasks}
    assert probed["vehicle"] != probed["car"]


def test_what_takes_too_long_gets_one_probe_of_every_task(tmp_path, monkeypatch):
    clock = iter(range(0, 100_000, 100))
    monkeypatch.setattr(outlook.time, "monotonic", lambda: next(clock))
    executor = Executor(lambda _: 0.1)
    tasks = {name: source(name, tmp_path) for name in ("vehicle", "car", "adult")}
    rows = plan(tasks, executor, 1000)
    assert [len(chunk.queries) for chunk in executor.given] == [1, 1, 1]
    assert [row[2].endswith("± ?") for row in rows[:3]] == [True] * 3


def test_what_is_recorded_in_full_is_not_probed_and_what_dies_is_said(tmp_path):
    executor, console = Executor(lambda _: 0.1, dies=("car",)), Console(record=True, width=200, file=io.StringIO())
    tasks = {"vehicle": source("vehicle", tmp_path), "car": source("car", tmp_path)}
    tasks["vehicle"].recording.ended = dict.fromkeys(range(PER_SEED, PER_SEED + 3), "success")
    rows = plan(tasks, executor, 3, console)
    assert {chunk.live.directory.parent.name for chunk in executor.given} == {"car"}
    assert "not every short training on car has ended well: too much memory" in console.export_text()
    assert [row[2:] for row in rows[:2]] == [("-", "-", "-")] * 2
    assert rows[-1][3].startswith("> ")


def test_the_status_sums_up(tmp_path):
    counts = SimpleNamespace(configs=(0, 10), seeds=(1,), epochs=50, trials=lambda: range(10))
    vars(counts).update(n_missing=lambda _: 10, n_failed=lambda _: 0, n_whole=lambda _: 0)
    rows = cells(status_table(tmp_path, ["vehicle", "car"], "lcbench", counts, 2))
    assert rows[-1] == ("in all", "0 of 20", "", "0", "", "-")


def test_the_status_says_the_hours_that_are_left(tmp_path, monkeypatch):
    seconds = {"vehicle": 1800.0, "car": 900.0}
    monkeypatch.setattr(outlook.Recording, "of", lambda task, folder: SimpleNamespace(mean_seconds=seconds[task]))
    counts = SimpleNamespace(configs=(0, 10), seeds=(1,), epochs=50, trials=lambda: range(10))
    vars(counts).update(n_missing=lambda _: 4, n_failed=lambda _: 0, n_whole=lambda _: 6)
    rows = cells(status_table(tmp_path, ["vehicle", "car"], "lcbench", counts, 2))
    assert [row[-2:] for row in rows] == [("1800.00", "1.00"), ("900.00", "0.50"), ("", "1.50")]
