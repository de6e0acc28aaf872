"""Merging journals: first record counts, only the part without a gap, seconds never decrease, failures keep their curve."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcbench.errors import UserError
from lcbench.journal import Journal
from lcbench.query import Status
from lcbench.recording import end_record, epoch_record, nameless, training_record, trainings_from_journals
from lcbench.space import key, lcbench_space, plain

CONFIGURATION = plain(lcbench_space().get_default_configuration())


def begin(trial=0, horizon=50, seed=1, configuration=CONFIGURATION, origin="random", n_parameters=10):
    return training_record(trial=trial, horizon=horizon, seed=seed, configuration=configuration, origin=origin, n_parameters=n_parameters)


def epoch(e, seconds=None, trial=0, horizon=50, **values):
    seconds = float(e) if seconds is None else seconds
    return epoch_record(trial=trial, horizon=horizon, epoch=e, seconds=seconds, values=values or {"loss": e / 10})


def end(e, status=Status.SUCCESS, error="", trial=0, horizon=50):
    return end_record(trial=trial, horizon=horizon, status=status, error=error, epoch=e)


@pytest.fixture
def merged(tmp_path):
    """A function from journals, each a list of records, to trainings."""

    def merge(*journals):
        paths = []
        for i, records in enumerate(journals):
            paths.append(tmp_path / f"{i}.journal")
            paths[-1].unlink(missing_ok=True)
            with Journal(paths[-1]) as journal:
                for record in records:
                    journal.append(record)
        return trainings_from_journals(paths)

    return merge


def test_one_training_in_one_journal(merged):
    (training,) = merged([begin(), epoch(0, 0.25, a=1.5, b=-0.1), epoch(1, 1.1, a=2.5, b=0.1), end(1)])
    assert (training.trial, training.horizon, training.seed, training.origin, training.n_parameters) == (0, 50, 1, "random", 10)
    assert (training.status, training.error) == ("success", "")
    assert training.configuration == CONFIGURATION
    assert training.key == key(lcbench_space().get_default_configuration())
    assert training.curve.seconds.tolist() == [0.25, 1.1]
    assert {name: column.tolist() for name, column in training.curve.values.items()} == {"a": [1.5, 2.5], "b": [-0.1, 0.1]}


@given(st.integers(0, 2**32))
def test_any_distribution_over_journals_gives_the_same_trainings(tmp_path_factory, seed):
    """Trials of one session each: neither the file nor the order of the trials in it matters."""
    rng = random.Random(seed)
    scripts = {trial: [begin(trial), *(epoch(e, trial=trial) for e in range(4)), end(3, trial=trial)] for trial in range(4)}
    expected = _merge(tmp_path_factory, [record for script in scripts.values() for record in script])
    journals: list[list] = [[], [], []]
    for script in scripts.values():
        for record in script:  # an epoch goes to any journal, as if another process had gone on
            rng.choice(journals).append(record)
    for journal in journals:
        rng.shuffle(journal)
    found = _merge(tmp_path_factory, *journals)
    assert [t.curve.values["loss"].tolist() for t in found] == [t.curve.values["loss"].tolist() for t in expected]
    assert [(t.trial, t.status, t.key) for t in found] == [(t.trial, t.status, t.key) for t in expected]
    assert all(np.all(np.diff(t.curve.seconds) >= 0) for t in found)


def _merge(tmp_path_factory, *journals):
    directory = tmp_path_factory.mktemp("journals")
    for i, records in enumerate(journals):
        with Journal(directory / f"{i}.journal") as journal:
            for record in records:
                journal.append(record)
    return trainings_from_journals(sorted(directory.iterdir()))


def test_rows_are_sorted_by_trial_and_horizon(merged):
    rows = merged([begin(1, 50), begin(0, 50), begin(0, 6)])
    assert [(row.trial, row.horizon) for row in rows] == [(0, 6), (0, 50), (1, 50)]


def test_the_first_record_of_an_epoch_counts(merged):
    (training,) = merged([begin(), epoch(0, loss=1.0), epoch(1, loss=2.0)], [epoch(1, loss=3.0), epoch(2, loss=4.0)])
    assert training.curve.values["loss"].tolist() == [1.0, 2.0, 4.0]


def test_a_gap_ends_the_curve(merged):
    (training,) = merged([begin(), epoch(0), epoch(1), epoch(3), epoch(4), end(4)])
    assert training.curve.last_epoch == 1
    (training,) = merged([begin(), epoch(1), epoch(2)])
    assert len(training.curve) == 0


def test_a_column_that_begins_late_is_nan_before(merged):
    (training,) = merged([begin(), epoch(0, loss=1.0), epoch(1, loss=2.0, extra=3.0)])
    np.testing.assert_array_equal(training.curve.values["extra"], [np.nan, 3.0])


RESUMED = {  # what a second session records after epochs 0, 1, 2 at 0, 1, 2 seconds, and the seconds of the merged curve
    "epoch 2 again: what counts is the time inside the new session, 7.5 - 7 and 9 - 7.5": (
        [(2, 7.0), (3, 7.5), (4, 9.0)],
        [0.0, 1.0, 2.0, 2.5, 4.0],
    ),
    "everything again, faster": ([(0, 0.5), (1, 0.6), (2, 0.75), (3, 1.75)], [0.0, 1.0, 2.0, 3.0]),
    "nothing again, its clock goes on: it is believed": ([(3, 2.75), (4, 3.25)], [0.0, 1.0, 2.0, 2.75, 3.25]),
    "nothing again, its clock runs behind: it is set forward": ([(3, 0.5), (4, 1.5)], [0.0, 1.0, 2.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("case", RESUMED)
def test_seconds_go_on_in_a_resumed_training(merged, case):
    resumed, expected = RESUMED[case]
    first, second = [begin(), epoch(0), epoch(1), epoch(2)], [epoch(e, seconds) for e, seconds in resumed]
    assert merged(first, second)[0].curve.seconds.tolist() == expected
    if "again" in case and "nothing" not in case:  # going back shows a new session inside one journal, too
        assert merged(first + second)[0].curve.seconds.tolist() == expected


sessions = st.lists(st.tuples(st.integers(0, 5), st.lists(st.floats(0, 100), min_size=1, max_size=6)), min_size=1, max_size=4)


@given(sessions)
def test_seconds_never_decrease_whatever_the_clocks_say(tmp_path_factory, drawn):
    journals = [[epoch(start + i, seconds) for i, seconds in enumerate(clock)] for start, clock in drawn]
    (training,) = _merge(tmp_path_factory, [begin()], *journals)
    assert np.all(np.diff(training.curve.seconds) >= 0)
    recorded = {start + i for start, clock in drawn for i in range(len(clock))}
    assert len(training.curve) == next(e for e in range(99) if e not in recorded)


def test_a_training_without_end_is_unfinished(merged):
    assert merged([begin(), epoch(0)])[0].status == "unfinished"


def test_a_failure_keeps_its_partial_curve(merged):
    (training,) = merged([begin(), epoch(0), epoch(1), end(6, Status.TIMEOUT, "too slow")])
    assert (training.status, training.error, training.curve.last_epoch) == ("timeout", "too slow", 1)


def test_the_end_of_the_largest_epoch_counts_and_of_equal_ones_the_last(merged):
    assert merged([begin(), end(12, Status.CRASHED, "x"), end(6)])[0].status == "crashed"
    assert merged([begin(), end(6, Status.CRASHED, "x"), end(6)])[0].status == "success"
    assert merged([begin(), end(6)], [end(6, Status.MEMOUT, "x")])[0].status == "memout"


def test_repeated_names_agree(merged):
    (training,) = merged([begin(origin="promotion", n_parameters=-1)], [begin(origin="model", n_parameters=7)], [begin(origin="promotion")])
    assert (training.origin, training.n_parameters) == ("model", 10)


@pytest.mark.parametrize("change", [{"seed": 2}, {"configuration": {**CONFIGURATION, "momentum": 0.5}}])
def test_contradicting_names_are_refused(merged, change):
    with pytest.raises(
        UserError, match=r"record 1 of .*1\.journal .* its (seed|configuration) is .* these journals belong to different runs"
    ):
        merged([begin()], [begin(**change)])


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"kind": "trainign", "trial": 0, "horizon": 1}, "its kind is 'trainign', but must be training, epoch or end"),
        ({"kind": "epoch", "horizon": 1}, "it lacks 'trial'"),
        ({**epoch(0), "values": None}, "NoneType"),
        ({**epoch(0), "seconds": float("nan")}, "`seconds` is nan, but both must be 0 or larger, and finite"),
        ({**epoch(0), "epoch": -1}, "`epoch` is -1"),
        ({**end(0), "status": "fine"}, "'fine' is not a valid Status"),
        ({**begin(), "configuration": 3}, "not iterable"),
    ],
)
def test_a_foreign_record_is_refused_by_its_number(merged, record, message):
    with pytest.raises(UserError, match=rf"record 2 of .*0\.journal is not one of a training: .*{message}"):
        merged([begin(), record])


def test_epochs_without_a_configuration_are_named(merged, tmp_path):
    assert [row.trial for row in merged([epoch(0, trial=3), epoch(1, trial=3), begin(4), end(0, Status.MEMOUT, trial=5)])] == [4]
    found = nameless([tmp_path / "0.journal"])
    assert found == ["trial 3 with horizon 50 has 2 recorded epochs, but the record of its configuration is lost"]
