"""Stored models: every prediction that is kept is that of a model that has not seen the row, and can be made again."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline import fitting, members
from pipeline.ensemble import mean
from pipeline.members import FOLDER, PREPROCESSORS, TIMED_ROWS, drop, drop_preprocessors, model_file, read_kept
from pipeline.predictor import load_parts
from pipeline.preprocessing.cache import preprocessor_at
from pipeline.preprocessing.raw import RawTable


@pytest.fixture(scope="module", params=[("label", None), ("amount", None), ("label", 3), ("amount", 3)], ids=str)
def run(request, small_run):
    return small_run(*request.param)


def seen(folder, part, values):
    return preprocessor_at(folder / "prepared" / part.view).transform(values) if part.view else values


def test_validation_rows_are_predicted_by_the_part_that_has_not_seen_them(run):
    folder, task, names = run
    raw = RawTable.load(folder / "prepared" / "raw", task.info)
    for name in names:
        kept, parts = read_kept(folder, name), load_parts(folder, name)
        assert len(parts) == raw.n_folds
        own = [part.model.predict(seen(folder, part, raw.fold(i).part("val")[0])) for i, part in enumerate(parts)]
        assert np.array_equal(np.concatenate(own), kept.val)
        if raw.n_folds > 1:
            others = [part.model.predict(seen(folder, part, raw.fold(i - 1).part("val")[0])) for i, part in enumerate(parts)]
            assert not np.allclose(np.concatenate(others[1:]), kept.val[: -raw.folds[-1]])


def test_test_rows_are_predicted_by_the_mean_of_the_parts(run):
    folder, task, names = run
    raw = RawTable.load(folder / "prepared" / "raw", task.info)
    for name in names:
        parts = load_parts(folder, name)
        predictions = [part.model.predict(seen(folder, part, raw.part("test")[0])) for part in parts]
        assert np.array_equal(read_kept(folder, name).test, mean(predictions))
        assert len({one.tobytes() for one in predictions}) == raw.n_folds


def test_what_a_network_sees_is_fitted_on_its_own_training_rows(run):
    folder, task, names = run
    raw = RawTable.load(folder / "prepared" / "raw", task.info)
    views = [part.view for part in load_parts(folder, names[0])]
    assert tuple(views) == read_kept(folder, names[0]).arrays
    assert len(set(views)) == raw.n_folds
    assert {part.view for part in load_parts(folder, names[2])} == {""}
    assert read_kept(folder, names[2]).arrays == ()


def test_a_dropped_model_leaves_nothing(run, tmp_path):
    folder, _, names = run
    shutil.copytree(folder / "members", tmp_path / "members")
    for name in names[1:3]:
        drop(tmp_path, name)
        assert read_kept(tmp_path, name) is None
        assert not list((tmp_path / "members").glob(f"{name}.*"))
    assert model_file(tmp_path, names[0]).exists()


def test_preprocessors_that_no_network_needs_are_removed(run, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / "copy")
    names = [path.stem for path in (folder / FOLDER).glob("*.npz")]
    kept = [one for name in names if (one := read_kept(folder, name)).arrays]
    before = {path.stem for path in (folder / PREPROCESSORS).glob("*.pkl")}
    drop_preprocessors(folder, kept)
    assert {path.stem for path in (folder / PREPROCESSORS).glob("*.pkl")} == before == {key for one in kept for key in one.arrays}
    drop_preprocessors(folder, kept[:1])
    assert {path.stem for path in (folder / PREPROCESSORS).glob("*.pkl")} == {*kept[0].arrays}


@pytest.mark.parametrize("n", [250, 4000])
def test_the_time_of_a_prediction_is_in_milliseconds_per_1000_rows(monkeypatch, n):
    """Both clocks are told that what they time takes half a second."""
    ticks = iter([0.0, 0.5, 0.0, 0.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    learner = SimpleNamespace(X={"val": torch.zeros(n, 2)}, judged=lambda rows: rows)
    timed = min(n, TIMED_ROWS)
    assert members._milliseconds(learner) == pytest.approx(500 / timed * 1000)
    assert fitting._milliseconds(SimpleNamespace(predict=lambda rows: rows), np.zeros((timed, 2))) == pytest.approx(500 / timed * 1000)
