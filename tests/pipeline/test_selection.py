"""By what an ensemble for accuracy is selected: cross-entropy, unless accuracy is the better guide on rows that did not choose."""

import numpy as np
import pytest

from lcbench.metric import METRICS
from pipeline.ensemble import EnsembleBuilder
from pipeline.metrics import losses
from pipeline.selection import FOLDS, ROWS, criterion, select

ACCURACY, CROSS_ENTROPY = METRICS["accuracy"], METRICS["cross_entropy"]


def _shy_and_sure(seed, n=1000):
    """A model that is right on 95 % of the rows and hardly says so, and one that is right on 80 % and knows it."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    models = []
    for right, rest in ((0.95, 0.33), (0.8, 0.1)):
        decided = np.where(rng.random(n) < right, y, (y + 1) % 3)
        models.append(np.eye(3)[decided] * (1 - 3 * rest) + rest)
    return y, np.stack(models).astype(np.float32)


@pytest.mark.parametrize("name", ["cross_entropy", "balanced_accuracy", "roc_auc", "rmse"])
def test_other_metrics_select_by_themselves(name):
    assert criterion([], np.zeros(100, int), METRICS[name], rng=np.random.default_rng(0)) is METRICS[name]


def test_too_few_rows_for_folds_select_by_the_metric():
    y, stack = _shy_and_sure(0)
    assert criterion(stack[:, : FOLDS - 1], y[: FOLDS - 1], ACCURACY, rng=np.random.default_rng(0)) is ACCURACY


def test_where_probabilities_mislead_accuracy_selects():
    for seed in range(5):
        y, stack = _shy_and_sure(seed)
        assert select(stack, y, CROSS_ENTROPY, rng=np.random.default_rng(0)).argmax() == 1
        assert criterion(stack, y, ACCURACY, rng=np.random.default_rng(seed)) is ACCURACY
        found = _built(y, stack)
        assert (found.selected_by, found.members[0]) == (ACCURACY, "0")


def test_where_both_choose_alike_or_the_rows_are_too_few_to_tell_cross_entropy_selects():
    y, stack = _shy_and_sure(0)
    assert _built(y, stack[:1]).selected_by is CROSS_ENTROPY
    for alone_right, by in ((52, CROSS_ENTROPY), (100, ACCURACY)):  # 52 against 50 is less than an error of √102, 100 more than √150
        y, stack = _disagreeing(alone_right, 50)
        assert (losses(ACCURACY, y, stack)[0] < losses(ACCURACY, y, stack)[1]) and (losses(CROSS_ENTROPY, y, stack).argmin() == 1)
        assert criterion(stack, y, ACCURACY, rng=np.random.default_rng(0)) is by


def test_rows_that_chose_do_not_judge():
    """Of sixty models that guess, rounds by accuracy find averages that are right on the very rows that they are chosen on."""
    by_luck = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        y, stack = rng.integers(0, 2, 300), rng.dirichlet(np.ones(2), (60, 300)).astype(np.float32)
        by_luck += criterion(stack, y, ACCURACY, rng=rng) is ACCURACY
    assert by_luck < 5  # of ten, one in six is beyond one standard error


def test_after_the_deadline_there_is_one_round_and_an_ensemble():
    y, stack = _shy_and_sure(0)
    assert select(stack, y, CROSS_ENTROPY, rng=np.random.default_rng(0), deadline=0.0).tolist() == [0, 1]
    builder = EnsembleBuilder(y, CROSS_ENTROPY)
    for name, predictions in zip("01", stack, strict=True):
        builder.add(name, predictions)
    cut, whole = builder.ensemble(0.0), builder.ensemble()
    assert (cut.members, cut.weights) == (("1",), (1.0,))
    assert sum(whole.weights) == pytest.approx(1)
    assert select(stack, y, CROSS_ENTROPY, rng=np.random.default_rng(0)).sum() == 50


def _disagreeing(first, second, n=500):
    """A shy model and a sure one on three classes, each alone right on so many rows; elsewhere both are."""
    y = np.random.default_rng(0).permutation(np.arange(n) % 3)
    wrong = [np.arange(first, first + second), np.arange(first)]
    models = []
    for rows, rest in zip(wrong, (0.33, 0.1), strict=True):
        decided = y.copy()
        decided[rows] = (y[rows] + 1) % 3
        models.append(np.eye(3)[decided] * (1 - 3 * rest) + rest)
    return y, np.stack(models).astype(np.float32)


def test_one_round_takes_the_best_model():
    y, stack = _shy_and_sure(0)
    found = _built(y, stack, size=1)
    assert found.members == (found.best_single,) == ("0",)


def _built(y, stack, size=10):
    builder = EnsembleBuilder(y, ACCURACY, size=size)
    for number, one in enumerate(stack):
        builder.add(str(number), one)
    return builder.ensemble()


def test_a_seed_decides_and_nothing_is_changed():
    y, stack = _shy_and_sure(7, n=ROWS + 100)
    before = stack.copy()
    names = {criterion(stack, y, ACCURACY, rng=np.random.default_rng(3)).name for _ in range(2)}
    assert len(names) == 1
    np.testing.assert_array_equal(stack, before)
