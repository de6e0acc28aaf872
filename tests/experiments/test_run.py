"""The main job through its own door: outcomes, resuming after kill -9, sweeps, and what a run leaves behind."""

import json
import random
import signal
import time

import h5py
import numpy as np
import pytest

from lcbench.journal import read_journal
from lcbench.rundir import read_run
from lcbench.store import read_curves

FAST = ("debug=fast",)
TIMES = ("seconds", "seconds_trained", "fit_seconds", "predict_seconds_per_1000")


def _without_times(value):
    if isinstance(value, dict):
        return {name: _without_times(part) for name, part in value.items() if name not in TIMES}
    return [_without_times(part) for part in value] if isinstance(value, list) else value


def _trials(directory):
    """Every told result without its seconds."""
    events = read_journal(directory / "events.journal").records
    return sorted((e["trial"], e["epoch"], e["status"], e["loss"]) for e in events if e["kind"] == "tell")


def test_a_run_leaves_a_summary_and_a_database_that_hold_every_epoch(door):
    answer = door(*FAST)
    assert answer.returncode == 0, answer.stderr
    (summary,), (directory,) = door.summaries(), answer.directories
    assert directory.relative_to(door.runs).as_posix() == "live/digits/lcbench/bohb/0"
    wanted = {
        "task",
        "optimizer",
        "space",
        "seed",
        "metric",
        "seconds",
        "n_trials",
        "n_failed",
        "epochs_trained",
        "incumbent",
        "baselines",
        "versions",
    }
    assert wanted <= summary.keys()
    assert summary["n_trials"] == 7
    assert {"config", "epoch", "validation_score", "test_score"} <= summary["incumbent"].keys()
    assert [baseline["name"] for baseline in summary["baselines"]] == ["majority class", "logistic regression"]
    (table,) = read_curves(directory / "curves.h5")
    assert sum(training.curve.last_epoch for training in table.trainings) == summary["epochs_trained"] == 18
    best = next(training for training in table.trainings if training.trial == summary["incumbent"]["trial"])
    assert best.curve.at(summary["incumbent"]["epoch"])["test_accuracy"] == pytest.approx(summary["incumbent"]["test_score"], abs=1e-6)
    with h5py.File(directory / "curves.h5") as file:
        curves = file["tables/digits/lcbench/curves"]
        assert curves.shape[1:] == (7, 5)
    for text in ("val_accuracy", "majority class", "logistic regression", "7 trials", str(directory)):
        assert text in answer.stdout


@pytest.mark.slow
def test_same_seed_in_two_processes_gives_the_same_summary(door):
    options = ("budget.trials=5", "executor=serial", "seed=3")
    for process in (door.start(*FAST, *options), door.start(*FAST, *options, f"runs={door.runs}/again")):
        _, stderr = process.communicate()
        assert process.returncode == 0, stderr
    one, other = door.summaries()
    assert _without_times(one) == _without_times(other)
    assert one["n_trials"] == 5


@pytest.mark.usefixtures("finished")
def test_the_same_command_reports_a_finished_run_and_does_not_repeat_it(door):
    before = {path: path.read_bytes() for path in door.runs.rglob("*") if path.is_file()}
    answer = door(*FAST)
    assert answer.returncode == 0
    assert "this run is finished" in answer.stdout
    assert "best configurations" in answer.stdout
    assert {path: path.read_bytes() for path in door.runs.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("finished")
def test_a_differing_configuration_is_refused_with_the_difference(door):
    answer = door(*FAST, "optimizer.random_fraction=0.5", "budget.trials=9")
    assert answer.returncode == 2
    assert "`budget.trials` was 7 and is now 9, `optimizer.random_fraction` was 0.333" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


@pytest.mark.usefixtures("finished")
def test_a_larger_budget_extends_a_run_when_asked(door):
    refused = door(*FAST, "budget.trials=9")
    assert "extend=true goes on with it under a larger budget" in refused.stderr
    answer = door(*FAST, "budget.trials=9", "extend=true")
    assert answer.returncode == 0, answer.stderr
    assert door.summaries()[0]["n_trials"] == 9


@pytest.mark.parametrize(
    ("executor", "kills", "more"),
    [
        pytest.param("serial", 2, ("budget.trials=5", "fidelity.max_epochs=6"), id="serial"),
        pytest.param("local", 5, ("budget.trials=12",), id="local", marks=pytest.mark.slow),
        pytest.param("serial", 1, ("budget.trials=4", "cross_validation=3"), id="cross-validated", marks=pytest.mark.slow),
    ],
)
def test_killed_at_random_moments_it_ends_with_the_trials_of_an_uninterrupted_run(door, executor, kills, more):
    options = ("task=breast_cancer", f"executor={executor}", "fidelity.max_epochs=24", "fidelity.min_epochs=3", *more)
    most = 10 if "fidelity.max_epochs=6" in more else 25  # entries between two kills
    whole = door(*options, f"runs={door.runs}/whole")
    assert whole.returncode == 0, whole.stderr
    rng, acknowledged, killed = random.Random(0), {}, 0
    directory = door.runs / "killed/live/breast_cancer/lcbench/bohb/0"
    while not (directory / "DONE").exists():
        process = door.start(*options, f"runs={door.runs}/killed")
        if killed < kills:
            _wait_for_epochs(directory, sum(acknowledged.values()) + rng.randint(1, most), process)
            assert process.poll() is None, "the run had ended before it was killed"
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        recorded = {training.trial: len(training.curve) for training in read_run(directory).trainings}
        assert all(recorded[trial] >= n for trial, n in acknowledged.items()), "an acknowledged epoch was lost"
        acknowledged = recorded
    assert killed == kills
    assert _trials(directory) == _trials(whole.directories[0])
    one, other = (json.loads((path / "summary.json").read_text()) for path in (directory, whole.directories[0]))
    assert _without_times(one) == _without_times(other)


def _wait_for_epochs(directory, n, process):
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if (directory / "table.json").exists() and sum(len(training.curve) for training in read_run(directory).trainings) >= n:
            return
        time.sleep(0.02)


@pytest.mark.slow
def test_a_reader_sees_the_epochs_of_a_running_experiment(door):
    process = door.start("task=digits", "budget.seconds=60")
    directory = door.runs / "live/digits/lcbench/bohb/0"
    _wait_for_epochs(directory, 3, process)
    assert process.poll() is None
    table = read_run(directory)
    assert any(len(training.curve) > 1 and np.isfinite(training.curve.values["val_accuracy"]).all() for training in table.trainings)
    process.kill()
    process.communicate()


def test_a_sweep_goes_on_after_a_failing_job_and_says_so(door):
    answer = door("-m", *FAST, "task=adult,car,iris", OPENML_CACHE_DIR=str(door.runs / "none"))
    assert answer.returncode == 2
    assert len(answer.directories) == 1
    assert answer.stderr.count(" is not in the cache") >= 2
    assert "2 jobs failed" in answer.stderr


def test_a_sweep_lands_in_the_tree_of_single_runs(door):
    answer = door("-m", *FAST, "task=iris,diabetes", "optimizer=random", "ensemble.size=0")
    assert answer.returncode == 0, answer.stderr
    names = {directory.relative_to(door.runs).as_posix() for directory in answer.directories}
    assert names == {f"live/{task}/lcbench/random/0" for task in ("iris", "diabetes")}
    regression = next(summary for summary in door.summaries() if summary["task"] == "diabetes")
    assert regression["metric"]["name"] == "r2"
    assert [baseline["name"] for baseline in regression["baselines"]] == ["mean", "ridge regression"]


def test_a_budget_of_seconds_is_kept_by_the_whole_command(door):
    process = door.start("task=digits", "budget.seconds=15")
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    (summary,) = door.summaries()
    assert 11.25 < summary["seconds"] < 16.5  # counted from the start of the process; tests/perf measures the whole command
    assert summary["n_trials"] >= 1


def test_divergence_in_a_real_child_is_a_status_and_the_run_goes_on(door):
    answer = door(*FAST, "space._target_=tests.fakes.wild_space", "space.name=wild", "task=diabetes", "budget.trials=4")
    assert answer.returncode == 0, answer.stderr
    (summary,) = door.summaries()
    assert summary["n_failed"]["diverged"] >= 1
    assert summary["n_trials"] == 4
    (table,) = read_curves(answer.directories[0] / "curves.h5")
    assert {training.status for training in table.trainings} >= {"diverged"}


def test_baselines_survive_an_interruption(door, finished):
    baselines = door.summaries()[0]["baselines"]
    (finished / "DONE").unlink()
    door(*FAST)
    assert door.summaries()[0]["baselines"] == baselines


def test_a_plan_prints_every_rung_with_its_cost_and_runs_nothing(door):
    answer = door("plan=true", "optimizer=hyperband", "fidelity=default")
    assert answer.returncode == 0, answer.stderr
    rows = [[int(cell) for cell in line.strip("│ ").split("│")] for line in answer.stdout.splitlines() if line.startswith("│")]
    assert [row[:4] for row in rows[:4]] == [[0, 0, 6, 8], [0, 1, 12, 4], [0, 2, 25, 2], [0, 3, 50, 1]]
    assert [row[4] for row in rows[:4]] == [8 * 6, 4 * 6, 2 * 13, 25]
    assert [row[5] for row in rows[:4]] == [48, 48, 50, 50]
    assert rows[-1][6] == sum(row[4] for row in rows)
    assert not door.runs.exists()
