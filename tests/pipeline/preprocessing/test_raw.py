"""A task as arrays: what a fold sees, what a refit sees, and the way to disk and back."""

from dataclasses import replace

import numpy as np
import pytest

from lcbench.errors import UserError
from pipeline.preprocessing.cache import make
from pipeline.preprocessing.raw import SPLITS, RawTable
from pipeline.spaces.search_space import DEFAULTS, TASK_DEFAULTS
from pipeline.tasks import bundled_task, cross_validated

WINE = bundled_task("wine")


@pytest.fixture(scope="module")
def held_out():
    return RawTable.of(WINE)


@pytest.fixture(scope="module")
def folds():
    return RawTable.of(cross_validated(WINE, 3))


def test_a_fold_validates_its_own_rows_and_trains_on_the_others(folds):
    assert folds.n_folds == 3
    rest, parts = np.sort(folds.rows["val"]), [folds.fold(number) for number in range(3)]
    for part, size in zip(parts, folds.folds, strict=True):
        assert len(part.rows["val"]) == size
        assert np.array_equal(np.sort(np.concatenate([part.rows["train"], part.rows["val"]])), rest)
        assert np.array_equal(part.rows["test"], folds.rows["test"])
        assert part.n_folds == 1
    assert np.array_equal(np.concatenate([part.rows["val"] for part in parts]), folds.rows["val"])


def test_the_only_fold_of_a_hold_out_is_the_table_itself(held_out):
    assert held_out.n_folds == 1
    assert held_out.fold(0) is held_out


def test_a_whole_table_trains_on_the_rows_that_are_named_and_tests_on_the_others_of_the_test_rows(held_out, folds):
    rest, every = held_out.whole("train", "val"), held_out.whole(*SPLITS)
    assert np.array_equal(np.sort(rest.rows["train"]), WINE.rest)
    assert np.array_equal(np.sort(every.rows["train"]), np.arange(len(WINE.X)))
    assert np.array_equal(held_out.whole("train").rows["train"], WINE.train)
    cut = folds.whole("train", "val")
    assert np.array_equal(np.sort(cut.rows["train"]), WINE.rest)
    for table in (rest, every, cut):
        assert table.n_folds == 1
        assert len(table.target("val")) == 0
    assert [len(table.target("test")) for table in (rest, every, cut)] == [len(WINE.test), 0, len(WINE.test)]


@pytest.mark.parametrize("made", ["held_out", "folds"])
def test_saved_and_loaded_it_is_the_same(made, tmp_path, request):
    raw = request.getfixturevalue(made)
    for table in (raw, raw.fold(0), raw.whole("train", "val")):
        table.save(tmp_path)
        loaded = RawTable.load(tmp_path, table.info)
        assert (loaded.columns, loaded.classes, loaded.folds, loaded.n_folds) == (table.columns, table.classes, table.folds, table.n_folds)
        for split in SPLITS:
            assert np.array_equal(loaded.rows[split], table.rows[split])
            assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(loaded.part(split), table.part(split), strict=True))
        assert loaded.checksum() == table.checksum()


def test_the_checksum_notices_other_folds_of_the_same_rows(folds):
    sizes = (folds.folds[0] + 1, folds.folds[1] - 1, folds.folds[2])
    assert replace(folds, folds=sizes).checksum() != folds.checksum()


def test_a_target_that_is_constant_outside_the_test_rows_is_refused_under_cross_validation():
    task = bundled_task("diabetes")
    y = task.y.copy()
    y[task.rest] = 7.0
    with pytest.raises(UserError, match=r"the target of task 'diabetes' is constant \(7\.0\) in the training rows"):
        RawTable.of(cross_validated(replace(task, y=y), 3))


def test_a_fold_with_a_constant_target_is_standardised_all_the_same():
    task = bundled_task("diabetes")
    y = np.full(len(task.y), 3.0)
    y[task.rest[0]] = 4.0
    raw = RawTable.of(cross_validated(replace(task, y=y), 3))
    for number in range(3):
        data, _ = make(raw.fold(number), DEFAULTS | TASK_DEFAULTS["regression"], 0)
        assert np.isfinite(data.y["train"]).all() and np.isfinite(data.y["val"]).all()
