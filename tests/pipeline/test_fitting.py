"""Traditional models of a run: under cross-validation one per fold, none of which sees the rows that it predicts."""

from dataclasses import replace

import numpy as np
import pytest

from lcbench.metric import METRICS
from pipeline.fitting import fit
from pipeline.members import read_kept
from pipeline.predictor import load_parts
from pipeline.preprocessing.raw import RawTable
from pipeline.tasks import bundled_task, cross_validated

ACCURACY = METRICS["accuracy"]


def saved(task, folder):
    raw = RawTable.of(task)
    raw.save(folder / "prepared" / "raw")
    return raw


def accuracy(predictions, y):
    return float((predictions.argmax(1) == y).mean())


@pytest.mark.parametrize("name", ["extra_trees", "knn", "lightgbm"])
def test_labels_without_a_signal_are_not_foreseen_out_of_fold(name, tmp_path):
    task = bundled_task("wine")
    raw = saved(cross_validated(replace(task, y=np.random.default_rng(0).permutation(task.y)), 3), tmp_path)
    told = fit(tmp_path, raw.info, name, ACCURACY, 3.0, 0)
    kept, parts = read_kept(tmp_path, name), load_parts(tmp_path, name)
    assert accuracy(kept.val, raw.target("val")) < 0.55  # the largest class has 0.4
    assert told["scores"]["val_accuracy"] == pytest.approx(accuracy(kept.val, raw.target("val")))
    if name == "extra_trees":  # whoever has seen a row knows its label by heart
        trained = [raw.fold(i).part("train") for i in range(3)]
        assert min(accuracy(part.model.predict(X), y) for part, (X, y) in zip(parts, trained, strict=True)) > 0.9


def test_a_target_reaches_every_model_but_the_one_that_it_judges(tmp_path):
    raw = RawTable.of(cross_validated(bundled_task("wine"), 3))
    rows, y = raw.fold(1).rows["val"], raw.y.copy()
    y[rows] = (y[rows] + 1) % 3
    answers = []
    for number, table in enumerate((raw, replace(raw, y=y))):
        table.save(tmp_path / str(number) / "prepared" / "raw")
        fit(tmp_path / str(number), raw.info, "extra_trees", ACCURACY, 20.0, 0)
        answers.append([part.model.predict(raw.values) for part in load_parts(tmp_path / str(number), "extra_trees")])
    assert [np.array_equal(one, other) for one, other in zip(*answers, strict=True)] == [False, True, False]


def test_every_fold_has_its_part_of_the_time(tmp_path):
    raw = saved(cross_validated(bundled_task("digits"), 3), tmp_path)
    fit(tmp_path, raw.info, "lightgbm", ACCURACY, 1.2, 0)  # boosts for many seconds where it may
    rounds = [part.model.rounds_kept for part in load_parts(tmp_path, "lightgbm")]
    assert None not in rounds
    assert min(rounds) > 1


def test_the_constant_of_a_fold_counts_the_other_folds(tmp_path):
    raw = saved(cross_validated(bundled_task("wine"), 3), tmp_path)
    fit(tmp_path, raw.info, "constant", ACCURACY, 1.0, 0)
    kept, start = read_kept(tmp_path, "constant"), 0
    for number, size in enumerate(raw.folds):
        y = raw.fold(number).target("train")
        np.testing.assert_allclose(kept.val[start : start + size], np.tile(np.bincount(y) / len(y), (size, 1)), rtol=1e-6)
        start += size


@pytest.mark.parametrize("name", ["constant", "linear", "extra_trees"])
def test_without_test_rows_only_their_scores_are_missing(name, tmp_path):
    task = bundled_task("wine")
    bare = replace(task, train=np.concatenate([task.train, task.test]), test=task.test[:0])
    raw = saved(bare, tmp_path)
    told = fit(tmp_path, raw.info, name, ACCURACY, 20.0, 0)
    assert {column.partition("_")[0] for column in told["scores"]} == {"val"}
    assert read_kept(tmp_path, name).test.shape == (0, 3)
    assert len(read_kept(tmp_path, name).val) == len(task.val)
