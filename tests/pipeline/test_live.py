"""The benchmark that trains: how a training ends that does not end well."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from lcbench.errors import UserError
from lcbench.metric import METRICS
from lcbench.query import Query, Status
from pipeline.live import LiveBenchmark
from pipeline.spaces import lcbench
from pipeline.tasks import bundled_task
from pipeline.threads import one_thread
from pipeline.training import Training
from pipeline.turns import finished

TASK = bundled_task("iris")


@pytest.fixture
def live(tmp_path):
    benchmark = LiveBenchmark(TASK.info, lcbench.space(TASK.info), 4, METRICS["accuracy"], tmp_path)
    benchmark.set_up(TASK)
    return benchmark


@pytest.fixture
def recording(live):
    return replace(live, keep=False, continue_trials=False)


def _query(live, epoch=4):
    """All rows are one batch, so that an epoch is one step."""
    configuration = dict(live.space.get_default_configuration()) | {"batch_size": 512}
    return Query(type(live.space.get_default_configuration())(live.space, values=configuration), epoch, 0)


def test_what_the_very_last_step_breaks_is_no_success(live, monkeypatch):
    """The loss of the training rows is that of before the step; a network of NaN predicts no class, so that it has no accuracy either."""
    monkeypatch.setattr("pipeline.live.CHECKPOINT_SECONDS", 1e9)  # an epoch that waits for a compiler is a long one
    monkeypatch.setattr("pipeline.training.learning_rate", lambda settings, epoch, horizon, losses: 1e38 if epoch == 2 else 0.01)
    result = live.evaluate(_query(live, 2))
    assert result.status is Status.DIVERGED
    assert "val_loss is" in result.error
    assert "after epoch 2" in result.error
    assert np.isnan([result.curve.values[name][-1] for name in ("val_accuracy", "test_balanced_accuracy")]).all()
    assert not list(live.directory.rglob("*.pt"))


def test_a_recording_that_takes_too_long_ends_with_an_epoch_as_a_timeout(recording):
    ticks = iter(range(1000))
    *_, end = finished(recording.recording(_query(recording), lambda: float(next(ticks)), 1.5))
    assert (end["status"], end["error"]) == ("timeout", "ended after epoch 1, which was beyond the time limit of 1.5 s")
    records = finished(recording.recording(_query(recording), lambda: float(next(ticks)), 1.5))
    assert [record["epoch"] for record in records if "values" in record] == [0, 1]


def test_a_training_takes_one_thread_whatever_its_process_has(recording, live):
    before = torch.get_num_threads()
    try:
        for train in (lambda: finished(recording.recording(_query(recording, 1))), lambda: live.evaluate(_query(live, 1))):
            one_thread.cache_clear()  # as in a new process
            torch.set_num_threads(2)
            train()
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_one_that_is_done_when_it_is_over_its_time_is_a_success(recording):
    ticks = iter(range(1000))
    *_, end = finished(recording.recording(_query(recording, 1), lambda: float(next(ticks)), 1.5))
    assert end["status"] == "success"


@pytest.mark.parametrize("changed", [{"keep": False}, {"continue_trials": False}, {}])
def test_a_search_trains_on_the_processor(live, changed):
    with pytest.raises(UserError, match=r"`benchmark\.device` is 'cuda', but a search trains on cpu"):
        replace(live, device="cuda", **changed)


@pytest.mark.parametrize(("seconds", "n_saved"), [(0.0, 6), (2.5, 2), (1000.0, 1)])
def test_a_long_training_is_saved_on_its_way(live, monkeypatch, seconds, n_saved):
    """Every epoch takes a second; at the end it is saved in any case."""
    ticks, saved = iter(range(1000)), []
    save = Training.save
    monkeypatch.setattr("pipeline.live.CHECKPOINT_SECONDS", seconds)
    monkeypatch.setattr(Training, "save", lambda self, path: (saved.append(self.epoch), save(self, path)))
    begin = live._begin
    monkeypatch.setattr(LiveBenchmark, "_begin", lambda self, query: begin(query, lambda: float(next(ticks))))
    assert live.evaluate(_query(live)).ok
    assert len(saved) == n_saved
    assert saved[-1] == 4


def test_the_oldest_checkpoints_make_room(live, monkeypatch):
    """A trial whose checkpoint is gone is trained again, to the same network."""
    folder = live.directory / "checkpoints"
    first = live.evaluate(replace(_query(live, 2), trial=0))
    (size,) = [path.stat().st_size for path in folder.iterdir()]
    monkeypatch.setattr("pipeline.live.CHECKPOINT_BYTES", int(2.5 * size))
    for trial in (1, 2, 3):
        live.evaluate(replace(_query(live, 2), trial=trial))
    assert sorted(path.name[:5] for path in folder.iterdir()) == ["00002", "00003"]
    again = live.evaluate(replace(_query(live, 4), trial=0))
    np.testing.assert_array_equal(again.curve.values["val_loss"][:3], first.curve.values["val_loss"])
    assert sorted(path.name[:5] for path in folder.iterdir()) == ["00000", "00003"]


def test_a_network_whose_arrays_have_made_room_is_kept_all_the_same(live, monkeypatch):
    """Others need the room while it trains."""
    judge = Training.judge

    def with_room(self):
        for path in live.prepared.iterdir():
            if path.name != "raw":
                shutil.rmtree(path)
        return judge(self)

    monkeypatch.setattr(Training, "judge", with_room)
    assert live.evaluate(_query(live)).ok
    assert len(list((live.directory / "preprocessors").iterdir())) == 1
