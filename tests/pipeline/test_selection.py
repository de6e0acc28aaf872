"""By what an ensemble for accuracy is selected: cross-entropy, unless accuracy is the better guide on rows that did not choose."""

import numpy as np
import pytest

from lcbench.metric import METRICS
from pipeline.ensemble import EnsembleBuilder
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
    copies = np.repeat(stack[1:], 2, axis=0)
    copies[1, :3] = np.eye(3)[y[:3]]  # is right on three rows more, which lie in one fold or in others
    assert criterion(copies, y, ACCURACY, rng=np.random.default_rng(0)) is CROSS_ENTROPY


def _built(y, stack):
    builder = EnsembleBuilder(y, ACCURACY, size=10)
    for number, one in enumerate(stack):
        builder.add(str(number), one)
    return builder.ensemble()


def test_a_seed_decides_and_nothing_is_changed():
    y, stack = _shy_and_sure(7, n=ROWS + 100)
    before = stack.copy()
    names = {criterion(stack, y, ACCURACY, rng=np.random.default_rng(3)).name for _ in range(2)}
    assert len(names) == 1
    np.testing.assert_array_equal(stack, before)
