"""How rows are dealt out: folds of a cross-validation, and shares to test on other than LCBench's."""

import numpy as np
import pytest

from lcbench.errors import UserError
from pipeline.splits import folded, resplit, validated


@pytest.mark.parametrize("k", [2, 3, 10])
@pytest.mark.parametrize("classes", [True, False])
def test_every_row_of_the_rest_lies_in_one_fold_and_folds_are_of_one_size(k, classes):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 97) if classes else rng.normal(size=97)
    rest = rng.permutation(97)[:83]
    folds = folded(rest, y, k, classes=classes)
    assert len(folds) == k
    assert np.array_equal(np.sort(np.concatenate(folds)), np.sort(rest))
    sizes = [len(fold) for fold in folds]
    assert max(sizes) - min(sizes) <= (3 if classes else 1)  # stratified, each class is dealt on its own


def test_folds_have_the_shares_of_the_classes():
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 24, 5]))
    rest = np.flatnonzero(np.arange(89) % 9)
    counts = np.array([np.bincount(y[fold], minlength=3) for fold in folded(rest, y, 4, classes=True)])
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= 1


def test_where_a_class_has_too_few_rows_for_the_folds_they_are_only_shuffled():
    y = np.repeat([0, 1], [38, 2])
    rare = folded(np.arange(40), y, 4, classes=True)
    plain = folded(np.arange(40), y, 4, classes=False)
    assert [fold.tolist() for fold in rare] == [fold.tolist() for fold in plain]
    assert [fold.tolist() for fold in rare] != [list(range(start, start + 10)) for start in range(0, 40, 10)]


def test_rows_that_are_tested_on_do_not_count_for_the_folds():
    y = np.repeat([0, 1, 2], [30, 28, 1])  # the single row of class 2 is a test row
    counts = [np.bincount(y[fold]).tolist() for fold in folded(np.arange(58), y, 2, classes=True)]
    assert counts == [[15, 14], [15, 14]]


def test_folds_depend_neither_on_the_order_of_the_rows_nor_on_the_global_seed():
    y, rest, found = np.resize([0, 1], 50), np.arange(5, 45), []
    for seed in (0, 1):
        np.random.seed(seed)  # noqa: NPY002 (the point of the test)
        order = np.random.default_rng(seed).permutation(rest)
        found.append([fold.tolist() for fold in folded(order, y, 3, classes=True)])
    assert found[0] == found[1]


@pytest.mark.parametrize(("share", "n_test"), [(0.001, 1), (0.2, 20), (0.5, 50), (0.33, 33), (0.9, 90)])
def test_another_share_of_the_rows_is_tested_on(share, n_test):
    rows = resplit(np.resize([0, 1], 100), classes=True, name="t", share=share)
    assert len(rows.test) == n_test
    assert len(rows.train) == int((100 - n_test) * 0.67)
    assert np.array_equal(np.sort(np.concatenate([rows.train, rows.val, rows.test])), np.arange(100))
    assert rows.words.startswith(f"{100 * share:.3g} % test with seed 42")


def test_a_share_of_nothing_leaves_all_rows_to_train_and_validate():
    rows, same = resplit(np.arange(50.0), classes=False, name="t", share=0), validated(np.arange(50), np.arange(0), "")
    assert rows.test.tolist() == []
    assert (rows.train.tolist(), rows.val.tolist()) == (same.train.tolist(), same.val.tolist())
    assert rows.words.startswith("no test rows, then 33 %")


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(UserError, match=rf"`test_share` is {share}, but must be a share of the rows below 1, or 0 for no test rows"):
        resplit(np.arange(50.0), classes=False, name="t", share=share)


@pytest.mark.parametrize(("n", "share"), [(60, 0.99), (60, 0.97), (5, 0.9), (3, 0.5)])
@pytest.mark.parametrize("classes", [True, False])
def test_a_share_that_leaves_nothing_to_train_or_validate_is_refused(n, share, classes):
    with pytest.raises(UserError, match=r"the test rows leave [01] to train and validate, but at least 2 are needed: give more"):
        resplit(np.resize([0, 1], n), classes=classes, name="t", share=share)
