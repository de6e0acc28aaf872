"""The run directory as a value, without the door: identity, lock, events there and back."""

import json
import math
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace

from experiments.cost import Spent, WallClock
from experiments.loop import Asked, Told
from experiments.records import RunDirectory, TrainingLog, run_path
from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.journal import Journal, read_journal
from lcbench.query import Origin, Query, Result, Status
from lcbench.recording import epoch_record, training_record
from lcbench.space import lcbench_space, plain, sample

SPACE = lcbench_space()
CONFIG = {"seed": 0, "optimizer": {"name": "bohb", "eta": 2}, "budget": {"trials": 4}, "plan": False}


def _query(trial=0, epoch=2):
    return Query(sample(SPACE, np.random.default_rng(trial)), epoch, trial, 7, Origin.MODEL, bracket=1, rung=2)


def _curve(n):
    return LearningCurve.from_entries((e, float(e), {"val_accuracy": 0.1 * e, "test_accuracy": 0.2, "train_loss": 1.0}) for e in range(n))


def _record(directory, query, curve):
    about = {"seed": query.seed, "configuration": plain(query.configuration), "origin": "model", "n_parameters": 3}
    with Journal(directory / "journals" / "worker-0.journal") as journal:
        journal.append(training_record(trial=query.trial, horizon=50, **about))
        for epoch, seconds in zip(curve.epochs, curve.seconds, strict=True):
            journal.append(epoch_record(trial=query.trial, horizon=50, epoch=int(epoch), seconds=seconds, values=curve.at(epoch)))


@pytest.fixture
def log(tmp_path):
    with RunDirectory(tmp_path / "run", CONFIG) as directory:
        directory.begin()
        log = TrainingLog(directory.path, WallClock(None), Spent(), lambda query: 50)
        yield directory.path, log
        log.close()


@contextmanager
def _reopened(path, config=CONFIG):
    """The run as a later process finds it; moved, because this one still holds its lock."""
    with RunDirectory(shutil.copytree(path, path.with_name("copy"), dirs_exist_ok=True), config) as directory:
        yield directory


def test_asks_and_tells_come_back_in_order_and_equal(log):
    path, events = log
    good, bad = _query(0), _query(1)
    _record(path, good, _curve(3))
    results = [Result(good, _curve(3), 0.8, 2.0), Result.failure(bad, Status.CRASHED, "boom\nKeyError: 'x'", seconds=1.5)]
    for query in (good, bad):
        events.asked(query, admitted=True)
    for result in results:
        events.told(result)
    with _reopened(path) as directory:
        again = list(directory.history(SPACE))
    assert [type(event) for event in again] == [Asked, Asked, Told, Told]
    assert [(e.query.trial, e.query.epoch, e.query.origin, e.query.bracket, e.query.rung, e.query.seed) for e in again[:2]] == [
        (0, 2, Origin.MODEL, 1, 2, 7),
        (1, 2, Origin.MODEL, 1, 2, 7),
    ]
    assert [event.result for event in again[2:]] == results
    assert again[3].result.error == "boom\nKeyError: 'x'"


def test_a_failed_trial_is_a_row_even_if_its_child_wrote_nothing(log):
    from lcbench.recording import trainings_from_journals
    from lcbench.rundir import journals

    path, events = log
    events.asked(_query(1), admitted=True)
    events.told(Result.failure(_query(1), Status.MEMOUT, "too much"))
    (training,) = trainings_from_journals(journals(path))
    assert (training.trial, training.status, training.error, len(training.curve)) == (1, "memout", "too much", 0)


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_result_whose_curve_was_lost_keeps_its_scores(log, kept):
    path, events = log
    query = _query()
    _record(path, query, _curve(kept))
    events.asked(query, admitted=True)
    events.told(Result(query, _curve(3), 0.8, 2.0))
    with _reopened(path) as directory:
        told = list(directory.history(SPACE))[-1].result
    assert told.curve.at(2)["val_accuracy"] == 0.2
    assert math.isnan(told.curve.at(2)["train_loss"]) if kept else "train_loss" not in told.curve.at(2)


def test_what_is_told_again_took_as_long_as_it_was_told_first(log):
    """A training that was killed and made again is one curve in the journals, whose first epochs are those of the first session."""
    path, events = log
    query, curve = _query(), _curve(3)
    slow = LearningCurve(curve.epochs, 3 * curve.seconds + 1, curve.values)
    _record(path, query, _curve(2))
    _record(path, query, slow)
    events.asked(query, admitted=True)
    events.told(Result(query, slow, 0.8, 7.0))
    with _reopened(path) as directory:
        told = list(directory.history(SPACE))[-1].result.curve
    assert told.seconds[-1] == slow.seconds[-1] == 7
    assert (np.diff(told.seconds) >= 0).all()
    assert told.at(2) == slow.at(2)


def test_a_lost_event_is_noticed(log):
    path, events = log
    for trial in range(3):
        events.asked(_query(trial), admitted=True)
    events.close()
    lines = (path / "events.journal").read_bytes().splitlines(keepends=True)
    (path / "events.journal").write_bytes(lines[0] + lines[2])
    with pytest.raises(UserError, match="has lost records in a repair"), _reopened(path):
        pass


def test_seconds_of_earlier_sessions_count(log):
    path, events = log
    events._clock.spent = 100.0
    events.note("session")
    with _reopened(path) as directory:
        assert 100 < directory.seconds < 101


def test_only_one_process_may_work_in_a_run(log):
    path, _ = log
    with pytest.raises(UserError, match="another process is working in"):
        RunDirectory(path, CONFIG)


def test_identity_ignores_how_a_run_is_made_and_nothing_else(log):
    path, events = log
    events.note("session")
    with _reopened(path, CONFIG | {"plan": True, "runs": "elsewhere"}) as directory:
        assert directory.events
    with (
        pytest.raises(UserError, match=r"`optimizer\.eta` was 2 and is now 3"),
        _reopened(path, CONFIG | {"optimizer": {"name": "bohb", "eta": 3}}),
    ):
        pass


def test_a_finished_run_stays_one_until_its_extension_begins(log):
    path, events = log
    events.note("session")
    copy, larger = shutil.copytree(path, path.with_name("copy")), CONFIG | {"budget": {"trials": 9}}
    with RunDirectory(copy, CONFIG) as directory:
        directory.finish({"n_trials": 4})
    with RunDirectory(copy, larger, extend=True) as directory:  # and then its table cannot be loaded
        assert not directory.finished
    with RunDirectory(copy, CONFIG) as directory:
        assert directory.finished
    with RunDirectory(copy, larger, extend=True) as directory:
        directory.begin()
    with RunDirectory(copy, larger) as directory:
        assert not directory.finished
    with pytest.raises(UserError, match=r"`budget\.trials` was 9 and is now 4"):
        RunDirectory(copy, CONFIG)


def test_a_recorded_configuration_that_is_legal_no_more_is_one_sentence(log):
    path, events = log
    events.asked(_query(), admitted=True)
    narrow = ConfigurationSpace(space={"batch_size": (1, 2)})
    with _reopened(path) as directory, pytest.raises(UserError, match="the configuration has 'learning_rate'"):
        list(directory.history(narrow))


def test_a_directory_in_which_nothing_was_recorded_takes_any_configuration(tmp_path):
    for config in (CONFIG, CONFIG | {"seed": 5}):
        with RunDirectory(tmp_path / "run", config) as directory:
            assert directory.events == []


def test_the_summary_is_written_before_the_mark_that_ends_a_run(tmp_path):
    with RunDirectory(tmp_path / "run", CONFIG) as directory:
        assert not directory.finished
        directory.finish({"n_trials": 3, "loss": math.nan})
        assert directory.finished
        assert json.loads((tmp_path / "run/summary.json").read_text())["n_trials"] == directory.summary["n_trials"] == 3


def test_paths_come_from_choices(tmp_path):
    names = {"optimizer": "bohb", "task": "adult", "space": "lcbench", "benchmark": "live"}
    assert run_path(tmp_path, names, 3) == tmp_path / "live/adult/lcbench/bohb/3"


def test_events_carry_their_number(log):
    path, events = log
    events.note("session")
    events.asked(_query(), admitted=True)
    assert [event["n"] for event in read_journal(path / "events.journal").records] == [0, 1]
