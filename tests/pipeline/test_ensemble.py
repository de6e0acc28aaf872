"""Greedy selection takes the best addition in every round, respects its caps, and depends on models and seed alone."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcbench.errors import UserError
from lcbench.metric import METRICS
from lcbench.task import TaskInfo
from pipeline.ensemble import Ensemble, EnsembleBuilder, combine
from pipeline.metrics import losses, metric_for, score
from pipeline.selection import select

BINARY = TaskInfo("two", "classification", None, 0, "by hand", 9, 9, 9, 4, n_classes=2)
CLASSES = ("accuracy", "balanced_accuracy", "cross_entropy", "roc_auc", "roc_auc_ovo", "f1_macro", "f1_micro", "f1_weighted", "mcc")
REGRESSION = ("rmse", "mae", "r2", "rmsle")


def _problem(seed, m=5, n=60, n_classes=3):
    """Models that are better than chance, each in its own way; regression if there are no classes."""
    rng = np.random.default_rng(seed)
    if not n_classes:
        y = rng.gamma(2.0, 2.0, n)
        return y, (y + rng.normal(0, rng.uniform(0.5, 2, (m, 1)), (m, n)))[..., None].astype(np.float32)
    y = rng.permutation(np.arange(n) % n_classes)
    p = rng.dirichlet(np.ones(n_classes), (m, n)) + rng.uniform(0.1, 0.5, (m, 1, 1)) * np.eye(n_classes)[y]
    return y, (p / p.sum(-1, keepdims=True)).astype(np.float32)


def _loss(metric, y, stack, counts):
    """Loss of a multiset by the definition: the plain mean of its predictions."""
    members = [stack[j] for j, count in enumerate(counts) for _ in range(count)]
    return metric.loss(score(metric, y, np.mean(np.asarray(members, np.float64), axis=0)))


CASES = [(name, 3) for name in CLASSES] + [(name, 2) for name in CLASSES] + [(name, 0) for name in REGRESSION]


@pytest.mark.parametrize(("name", "n_classes"), CASES)
def test_every_round_adds_the_best_and_the_first_is_the_best_single(name, n_classes):
    """Brute force over all multisets of up to 4 of 5 models: each prefix is the best among those that extend the one before."""
    y, stack = _problem(3, n_classes=n_classes)
    metric = METRICS[name]
    table = {
        tuple(np.bincount(chosen, minlength=5)): _loss(metric, y, stack, np.bincount(chosen, minlength=5))
        for size in range(1, 5)
        for chosen in itertools.combinations_with_replacement(range(5), size)
    }
    prefixes = [select(stack, y, metric, size=size, rng=np.random.default_rng(7)) for size in range(1, 5)]
    before = np.zeros(5, np.int64)
    for counts in prefixes:
        extensions = [tuple(before + one) for one in np.eye(5, dtype=np.int64)]
        assert tuple(counts) in extensions
        assert table[tuple(counts)] == pytest.approx(min(table[e] for e in extensions), abs=1e-9)
        before = counts
    assert table[tuple(prefixes[0])] == pytest.approx(losses(metric, y, stack).min(), abs=1e-9)


def test_scorers_of_scikit_learn_select_too():
    y, stack = _problem(4, n_classes=2)
    metric = metric_for("average_precision", BINARY)
    counts = select(stack, y, metric, size=5, rng=np.random.default_rng(0))
    assert counts.sum() == 5
    assert _loss(metric, y, stack, counts) < losses(metric, y, stack).min()


def test_of_equals_the_better_model_is_added():
    """Rows 0..5; a and b are right on five, c on three: once a is in, adding a, or c beside it, leaves the same five right."""
    y = np.zeros(6, int)
    right = np.array([[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]])
    stack = np.where(right[..., None] == 1, [0.9, 0.1], [0.45, 0.55])
    counts = select(stack, y, METRICS["accuracy"], size=20, rng=np.random.default_rng(0))
    assert counts.tolist() == [20, 0]


def test_of_equals_the_one_with_the_smaller_cross_entropy_of_the_average_is_added():
    """Both are right everywhere, alone and together; b is surer, so every round takes b, though a comes first."""
    y = np.array([0, 1, 2, 0])
    a, b = 0.4 * np.eye(3)[y] + 0.2, 0.7 * np.eye(3)[y] + 0.1
    assert select([a, b], y, METRICS["accuracy"], size=10, rng=np.random.default_rng(0)).tolist() == [0, 10]
    assert select([a[:, :1], a[:, :1]], a[:, 0], METRICS["rmse"], size=10, rng=np.random.default_rng(0)).sum() == 10


def test_ties_are_broken_uniformly():
    y, stack = _problem(5, m=1)
    same = np.repeat(stack, 4, axis=0)
    picks = [int(select(same, y, METRICS["accuracy"], size=1, rng=np.random.default_rng(seed)).argmax()) for seed in range(400)]
    assert np.bincount(picks, minlength=4).min() > 60


def test_a_copy_of_a_model_changes_no_score():
    y, stack = _problem(6)
    metric = METRICS["cross_entropy"]
    plain = select(stack, y, metric, size=20, rng=np.random.default_rng(0))
    doubled = select(np.concatenate([stack, stack]), y, metric, size=20, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(doubled[:5] + doubled[5:], plain)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_model_with_predictions_that_are_not_finite_is_never_chosen(bad):
    y, stack = _problem(7)
    for name in CLASSES:
        broken = stack.copy()
        broken[1, 3, 0] = bad
        counts = select(broken, y, METRICS[name], size=10, rng=np.random.default_rng(0))
        rest = select(np.delete(stack, 1, axis=0), y, METRICS[name], size=10, rng=np.random.default_rng(0))
        assert counts[1] == 0
        np.testing.assert_array_equal(np.delete(counts, 1), rest)
    with pytest.raises(ValueError, match="no model can be chosen"):
        select(np.full((2, 60, 3), bad), y, METRICS["accuracy"], rng=np.random.default_rng(0))


def test_only_the_n_best_are_chosen_and_the_first_of_equals():
    y, stack = _problem(8)
    order = np.argsort(losses(METRICS["cross_entropy"], y, stack))
    counts = select(stack, y, METRICS["cross_entropy"], n_best=2, rng=np.random.default_rng(0))
    assert set(np.flatnonzero(counts)) <= set(order[:2])
    same = np.repeat(stack[:1], 3, axis=0)
    np.testing.assert_array_equal(select(same, y, METRICS["accuracy"], n_best=1, rng=np.random.default_rng(0)), [50, 0, 0])


def test_one_model_gets_all_the_weight():
    y, stack = _problem(9, m=1)
    np.testing.assert_array_equal(select(stack, y, METRICS["accuracy"], rng=np.random.default_rng(0)), [50])


def test_fewer_rows_are_drawn_by_the_seed_and_only_beyond_the_limit():
    y, stack = _problem(10, n=200)
    metric = METRICS["cross_entropy"]

    def chosen(seed, **options):
        return select(stack, y, metric, rng=np.random.default_rng(seed), **options)

    np.testing.assert_array_equal(chosen(0, max_rows=200), chosen(1))
    np.testing.assert_array_equal(chosen(0, max_rows=30), chosen(0, max_rows=30))
    assert len({tuple(chosen(seed, max_rows=30)) for seed in range(5)}) > 1


def test_inputs_are_not_changed():
    y, stack = _problem(11)
    copies = y.copy(), stack.copy()
    stack.flags.writeable = y.flags.writeable = False
    select(list(stack), y, METRICS["accuracy"], rng=np.random.default_rng(0))
    combined = combine([0.0, 0.25, 0.75], list(stack[:3]))
    np.testing.assert_array_equal(y, copies[0])
    np.testing.assert_array_equal(stack, copies[1])
    assert combined.dtype == np.float32
    np.testing.assert_allclose(combined, 0.25 * stack[1] + 0.75 * stack[2], rtol=1e-6)
    assert not np.shares_memory(combine([1.0], [stack[0]]), stack)


def test_weights_must_fit():
    with pytest.raises(ValueError, match="as many weights that sum to 1"):
        combine([0.5, 0.4], [np.ones((2, 2))] * 2)
    with pytest.raises(ValueError, match="as many weights that sum to 1"):
        combine([1.0], [np.ones((2, 2))] * 2)


def _built(y, stack, metric, names=None, costs=None, **options):
    builder = EnsembleBuilder(y, metric, **options)
    names = names or [f"m{j}" for j in range(len(stack))]
    for j, (name, p) in enumerate(zip(names, stack, strict=True)):
        builder.add(name, p, None if costs is None else costs[j])
    return builder.ensemble()


@pytest.mark.parametrize(("name", "n_classes"), CASES)
def test_an_ensemble_says_what_its_weights_give(name, n_classes):
    y, stack = _problem(12, m=8, n_classes=n_classes)
    metric = METRICS[name]
    found = _built(y, stack, metric, size=10)
    assert sum(found.weights) == pytest.approx(1.0)
    assert list(found.weights) == sorted(found.weights, reverse=True)
    together = combine(found.weights, [stack[int(member[1:])] for member in found.members])
    assert found.loss == metric.loss(score(metric, y, together))
    single = losses(metric, y, stack)
    assert (found.best_single, found.best_single_loss) == (f"m{single.argmin()}", single.min())
    assert found.cost_ms is None


@given(st.permutations(range(7)), st.sampled_from(["accuracy", "cross_entropy", "roc_auc"]), st.integers(1, 7), st.integers(0, 3))
@settings(max_examples=40)
def test_the_order_of_arrival_changes_nothing(order, name, n_best, seed):
    """Neither with many ties (15 rows), nor at the boundary of the n best, nor under a cap."""
    y, stack = _problem(13, m=7, n=15)
    stack[5] = stack[6]
    costs = [5.0, 1.0, 4.0, 2.0, 8.0, 3.0, 3.0]
    options = {"size": 12, "n_best": n_best, "seed": seed, "max_latency": 7.0}
    names = [f"m{j}" for j in range(7)]
    expected = _built(y, stack, METRICS[name], names, costs, **options)
    found = _built(y, stack[list(order)], METRICS[name], [names[j] for j in order], [costs[j] for j in order], **options)
    assert found == expected


def test_one_at_a_time_equals_from_scratch_after_every_arrival():
    y, stack = _problem(14, m=12)
    metric = METRICS["cross_entropy"]
    builder = EnsembleBuilder(y, metric, size=15, n_best=4, seed=3)
    dropped = set()
    for j, p in enumerate(stack):
        dropped |= {*builder.add(f"m{j:02}", p)}
        found = builder.ensemble()
        counts = select(stack[: j + 1], y, metric, size=15, n_best=4, rng=np.random.default_rng(3))
        assert dict(zip(found.members, found.weights, strict=True)) == {f"m{i:02}": counts[i] / 15 for i in np.flatnonzero(counts)}
        assert {*builder.names} | dropped == {f"m{i:02}" for i in range(j + 1)}
        assert not {*builder.names} & dropped
    order = np.argsort(losses(metric, y, stack))[:4]
    assert builder.names == tuple(sorted(f"m{j:02}" for j in order))


def test_of_equals_at_the_boundary_the_surer_stay():
    """All are right everywhere; what is surer stays, whatever its name."""
    y = np.array([0, 1, 2, 0])
    builder = EnsembleBuilder(y, METRICS["accuracy"], n_best=2)
    predictions = {name: sure * np.eye(3)[y] + (1 - sure) / 3 for name, sure in (("a", 0.3), ("b", 0.9), ("c", 0.6))}
    assert [builder.add(name, one) for name, one in predictions.items()] == [(), (), ("a",)]
    counts = select(list(predictions.values()), y, METRICS["accuracy"], n_best=2, rng=np.random.default_rng(0))
    assert set(np.flatnonzero(counts)) <= {1, 2}


@given(st.permutations(range(7)), st.integers(1, 3))
@settings(max_examples=20)
def test_what_always_stays_is_kept_beside_the_n_best(order, n_best):
    y, stack = _problem(13, m=7, n=15)
    metric = METRICS["accuracy"]
    always = set(np.argsort(losses(metric, y, stack))[-2:].tolist())
    builder = EnsembleBuilder(y, metric, n_best=n_best)
    for j in order:
        assert not {f"m{k}" for k in always} & {*builder.add(f"m{j}", stack[j], always=j in always)}
    rest = EnsembleBuilder(y, metric, n_best=n_best)
    for j in set(range(7)) - always:
        rest.add(f"m{j}", stack[j])
    assert {*builder.names} == {*rest.names, *(f"m{k}" for k in always)}


def test_of_equals_at_the_boundary_the_first_in_the_alphabet_stay():
    y, stack = _problem(15, m=1)
    builder = EnsembleBuilder(y, METRICS["accuracy"], n_best=2)
    assert [builder.add(name, stack[0]) for name in ("c", "a", "b", "d")] == [(), (), ("c",), ("d",)]
    assert builder.names == ("a", "b")


@pytest.mark.parametrize("cap", [3.0, 5.0, 9.0, 100.0])
def test_the_cap_on_latency_is_kept(cap):
    y, stack = _problem(16, m=8)
    rng = np.random.default_rng(0)
    costs = rng.uniform(1, 6, 8).round(1)
    found = _built(y, stack, METRICS["cross_entropy"], costs=costs, max_latency=cap)
    paid = sum(costs[int(member[1:])] for member in found.members)
    assert found.cost_ms == pytest.approx(paid)
    assert paid <= cap + 1e-6
    if cap == 100.0:
        assert found == _built(y, stack, METRICS["cross_entropy"], costs=costs)


def test_costs_that_fill_the_cap_exactly_fit():
    y = np.array([1.0, 2.0, 3.0])
    apart = [(y + 10 * one)[:, None] for one in np.eye(3)]  # only all three together are good
    for cap, n_members in ((0.3, 3), (0.29, 2)):
        assert len(_built(y, apart, METRICS["rmse"], costs=[0.1, 0.1, 0.1], max_latency=cap).members) == n_members


def test_what_can_never_be_a_member_is_dropped_at_once():
    y, stack = _problem(18)
    builder = EnsembleBuilder(y, METRICS["accuracy"], max_latency=2.0)
    assert builder.add("slow", stack[0], 2.1) == ("slow",)
    assert builder.add("broken", np.full_like(stack[0], np.nan), 1.0) == ("broken",)
    with pytest.raises(UserError, match=r"there is no ensemble: .* takes at most 2\.0 ms"):
        builder.ensemble()
    with pytest.raises(ValueError, match="has no cost"):
        builder.add("unmeasured", stack[0])
    assert builder.add("fine", stack[0], 2.0) == ()
    with pytest.raises(ValueError, match="needs a new name"):
        builder.add("fine", stack[1], 1.0)
    with pytest.raises(ValueError, match=r"predictions \(60, C\), but has \(3, 3\)"):
        builder.add("short", stack[1, :3], 1.0)
    assert builder.ensemble().members == ("fine",)


@pytest.mark.parametrize("option", [{"size": -1}, {"n_best": 0}, {"max_latency": 0.0}, {"max_latency": math.nan}])
def test_options_out_of_range_are_refused(option):
    with pytest.raises(UserError, match=f"`{next(iter(option))}`"):
        EnsembleBuilder(np.zeros(3, int), METRICS["accuracy"], **option)


@pytest.mark.parametrize("option", [{"size": 0}, {"max_rows": 0}])
def test_a_builder_needs_something_to_choose(option):
    with pytest.raises(ValueError, match=f"`{next(iter(option))}`"):
        EnsembleBuilder(np.zeros(3, int), METRICS["accuracy"], **option)


def test_the_words_say_when_an_ensemble_brings_nothing():
    y, stack = _problem(19)
    one = _built(y, stack[:1], METRICS["accuracy"])
    assert one.words == f"the ensemble is m0 alone: accuracy {1 - one.loss:.4g} on the validation rows"
    many = _built(y, stack, METRICS["cross_entropy"])
    assert many.better
    assert f"is better than {many.best_single} alone: cross_entropy {many.loss:.4g} against" in many.words
    accuracy = METRICS["accuracy"]
    for loss in (0.1, 0.2, 0.1 - 1e-9):
        found = Ensemble(accuracy, METRICS["cross_entropy"], ("a", "b"), (0.5, 0.5), loss, "a", 0.1, None)
        assert not found.better
        assert f"is NOT better than its best single model, a alone: accuracy {1 - loss:.4g} against 0.9" in found.words
        assert found.words.endswith("on the validation rows, whose cross_entropy chose its members")


def test_regression_averages_in_the_unit_of_the_target():
    y = np.array([1.0, 2.0, 3.0])
    low, high = (y - 1)[:, None], (y + 1)[:, None]
    found = _built(y, [low, high], METRICS["rmse"], size=10)
    assert (found.members, found.weights, found.loss) == (("m0", "m1"), (0.5, 0.5), 0.0)
