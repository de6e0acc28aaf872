"""Arrays are made once per preprocessing, seed and fold, and then mapped."""

import multiprocessing
import os
import shutil

import numpy as np
import pytest

from pipeline.preprocessing import cache
from pipeline.preprocessing.raw import RawTable
from pipeline.spaces.search_space import DEFAULTS
from pipeline.tasks import bundled_task, cross_validated


@pytest.fixture
def raw(tmp_path):
    table = RawTable.of(cross_validated(bundled_task("iris"), 3))
    table.save(tmp_path / "raw")
    return table


def test_what_is_there_is_mapped_and_not_made_again(raw, tmp_path, monkeypatch):
    made, _ = cache.make(raw.fold(1), DEFAULTS, 5)
    first = cache.prepared(tmp_path, DEFAULTS, 5, raw.info, 1)
    monkeypatch.setattr(cache, "make", None)  # nothing could be made with it
    again = cache.prepared(tmp_path, DEFAULTS | {"batch_size": 7}, 5, raw.info, 1)  # of the training, not of the arrays
    for split in ("train", "val", "test"):
        assert isinstance(again.X[split], np.memmap)
        for one in (first, again):
            np.testing.assert_array_equal(one.X[split], made.X[split])
            np.testing.assert_array_equal(one.y[split], made.y[split])
    for settings, seed, fold in ((DEFAULTS | {"scaler": "none"}, 5, 1), (DEFAULTS, 6, 1), (DEFAULTS, 5, 2)):
        with pytest.raises(TypeError, match="not callable"):
            cache.prepared(tmp_path, settings, seed, raw.info, fold)


CHOICES = ("coalescer", "encoder", "scaler", "preprocessor", "embedding", "over_sampling", "under_sampling", "target_size")


@pytest.mark.parametrize("name", [*CHOICES, "imputer.numerical"])
def test_every_setting_of_the_arrays_makes_another_folder(name, tmp_path):
    changed = DEFAULTS | {name: "other"}
    assert cache.folder(tmp_path, changed, 5) != cache.folder(tmp_path, DEFAULTS, 5)
    if name in CHOICES:
        one, other = (cache.folder(tmp_path, changed | {"other.strength": value}, 5) for value in (1, 2))
        assert one != other


def _ask(barrier, directory, info):
    barrier.wait()
    cache.prepared(directory, DEFAULTS, 5, info, 0)


def test_processes_that_ask_at_once_leave_one_folder_and_no_rubbish(raw, tmp_path):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    children = [context.Process(target=_ask, args=(barrier, tmp_path, raw.info)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4
    assert {path.name for path in tmp_path.iterdir()} == {"raw", cache.folder(tmp_path, DEFAULTS, 5).name}
    made, _ = cache.make(raw.fold(0), DEFAULTS, 5)
    np.testing.assert_array_equal(cache.prepared(tmp_path, DEFAULTS, 5, raw.info).X["train"], made.X["train"])


def test_the_arrays_that_were_used_longest_ago_make_room(raw, tmp_path, monkeypatch):
    settings = [DEFAULTS | {"scaler": scaler} for scaler in ("none", "standard", "min_max", "max_abs")]
    paths = [cache.folder(tmp_path, one, 5) for one in settings]
    first = cache.prepared(tmp_path, settings[0], 5, raw.info)
    size = sum(file.stat().st_size for file in paths[0].iterdir())
    monkeypatch.setattr(cache, "MOST_BYTES", int(2.5 * size))
    cache.prepared(tmp_path, settings[1], 5, raw.info)
    for path in paths[:2]:
        os.utime(path, (0, path.stat().st_mtime - 2 * cache.RECENT_SECONDS))
    cache.prepared(tmp_path, settings[0], 5, raw.info)  # so that the second was asked for longest ago
    cache.prepared(tmp_path, settings[2], 5, raw.info)
    assert [path.exists() for path in paths] == [True, False, True, False]
    monkeypatch.setattr(cache, "MOST_BYTES", 0)
    os.utime(paths[0], (0, paths[0].stat().st_mtime - 2 * cache.RECENT_SECONDS))
    last = cache.prepared(tmp_path, settings[3], 5, raw.info)
    assert [path.exists() for path in paths] == [False, False, True, True]  # the third was asked for a moment ago
    assert not list(tmp_path.glob(".*"))
    made, _ = cache.make(raw.fold(0), settings[0], 5)
    np.testing.assert_array_equal(first.X["train"], made.X["train"])  # what is mapped stays
    assert isinstance(last.X["train"], np.memmap)
    again = cache.prepared(tmp_path, settings[0], 5, raw.info)
    np.testing.assert_array_equal(again.X["train"], made.X["train"])


def test_arrays_that_are_taken_away_at_once_serve_all_the_same(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_make_room", lambda directory: shutil.rmtree(cache.folder(directory, DEFAULTS, 5)))
    found = cache.prepared(tmp_path, DEFAULTS, 5, raw.info)
    made, _ = cache.make(raw.fold(0), DEFAULTS, 5)
    np.testing.assert_array_equal(found.X["val"], made.X["val"])
