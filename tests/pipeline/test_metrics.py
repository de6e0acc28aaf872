"""Metrics of stored predictions equal scikit-learn's, many models at once equal one at a time, and what does not fit is refused."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from lcbench.errors import UserError
from lcbench.metric import CLASSIFICATION_METRICS, METRICS, REGRESSION_METRICS
from lcbench.task import TaskInfo
from pipeline.metrics import Judge, check_target, losses, metric_for, score, scores
from pipeline.scores import ClassificationScores, RegressionScores

BINARY = TaskInfo("two", "classification", None, 0, "by hand", 9, 9, 9, 4, n_classes=2)
MULTI = replace(BINARY, name="four", n_classes=4)
NUMBERS = replace(BINARY, name="line", kind="regression", n_classes=0)
CLASSES = ("accuracy", "balanced_accuracy", "cross_entropy", "roc_auc", "roc_auc_ovo", "f1_macro", "f1_micro", "f1_weighted", "mcc")
REGRESSION = ("rmse", "mae", "r2", "rmsle")


def _classified(rng, n, n_classes, m=None, dtype=np.float64):
    """Class codes in which every class occurs, and probabilities with ties."""
    y = rng.permutation(np.arange(n) % n_classes)
    p = rng.dirichlet(np.ones(n_classes), (n,) if m is None else (m, n)).round(2) + 0.01
    return y, (p / p.sum(-1, keepdims=True)).astype(dtype)


def _predicted(rng, n, m=None, dtype=np.float64):
    y = rng.gamma(2.0, 3.0, n)
    return y, (y + rng.normal(0, 2, (n,) if m is None else (m, n)))[..., None].astype(dtype)


def _reference(name, y, p):
    """The same metric by scikit-learn's own function."""
    n_classes, binary = p.shape[1], p.shape[1] == 2
    labels, decided = np.arange(n_classes), p.argmax(1)
    if name.startswith("f1"):
        return sk.f1_score(y, decided, average=name.removeprefix("f1_"), zero_division=0.0)
    area = {"multi_class": "ovr" if name == "roc_auc" else "ovo", "average": "macro", "labels": labels}
    return {
        "accuracy": lambda: sk.accuracy_score(y, decided),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(y, decided),
        "cross_entropy": lambda: sk.log_loss(y, p, labels=labels),
        "roc_auc": lambda: sk.roc_auc_score(y, p[:, 1]) if binary else sk.roc_auc_score(y, p, **area),
        "roc_auc_ovo": lambda: sk.roc_auc_score(y, p[:, 1]) if binary else sk.roc_auc_score(y, p, **area),
        "mcc": lambda: sk.matthews_corrcoef(y, decided),
        "rmse": lambda: sk.root_mean_squared_error(y, p[:, 0]),
        "mae": lambda: sk.mean_absolute_error(y, p[:, 0]),
        "r2": lambda: sk.r2_score(y, p[:, 0]),
        "rmsle": lambda: sk.root_mean_squared_log_error(y, np.maximum(p[:, 0], 0)),
    }[name]()


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("info", [BINARY, MULTI], ids=["binary", "multi"])
def test_classification_equals_scikit_learn(name, info):
    rng = np.random.default_rng(1)
    for n in (8, 9, 40, 200):
        y, p = _classified(rng, n, info.n_classes)
        assert score(metric_for(name, info), y, p) == pytest.approx(_reference(name, y, p), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", REGRESSION)
def test_regression_equals_scikit_learn(name):
    rng = np.random.default_rng(2)
    for n in (2, 9, 200):
        y, p = _predicted(rng, n)
        assert score(metric_for(name, NUMBERS), y, p) == pytest.approx(_reference(name, y, p), rel=1e-12)


def _all_cases():
    extra = {
        BINARY: ("average_precision", "neg_brier_score"),
        MULTI: ("top_k_accuracy", "roc_auc_ovr"),
        NUMBERS: ("neg_median_absolute_error",),
    }
    return [(info, name) for info in extra for name in (*(REGRESSION if info is NUMBERS else CLASSES), *extra[info])]


@pytest.mark.parametrize(("info", "name"), _all_cases())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_models_at_once_equal_one_at_a_time(info, name, dtype):
    rng, metric = np.random.default_rng(3), metric_for(name, info)
    y, stack = _predicted(rng, 60, 7, dtype) if info is NUMBERS else _classified(rng, 60, info.n_classes, 7, dtype)
    before = stack.copy()
    expected = [metric.loss(score(metric, y, p)) for p in stack]
    np.testing.assert_allclose(losses(metric, y, stack), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(stack, before)
    stack[2, 5] = np.nan
    stack[4, 1] = np.inf
    bad = losses(metric, y, stack)
    assert np.isnan(bad[[2, 4]]).all()
    np.testing.assert_allclose(np.delete(bad, [2, 4]), np.delete(expected, [2, 4]), rtol=1e-12, atol=1e-15)
    assert math.isnan(score(metric, y, stack[2]))
    assert metric.direction == "minimize" or math.isnan(metric.loss(score(metric, y, stack[2])))


@pytest.mark.parametrize(("info", "name"), _all_cases())
def test_what_a_metric_sees_is_linear_in_the_predictions(info, name):
    rng = np.random.default_rng(4)
    y, stack = _predicted(rng, 30, 3) if info is NUMBERS else _classified(rng, 30, info.n_classes, 3)
    judge, weights = Judge(metric_for(name, info), y), np.array([0.5, 0.2, 0.3])
    np.testing.assert_allclose(judge.seen(np.tensordot(weights, stack, 1)), np.tensordot(weights, judge.seen(stack), 1), atol=1e-12)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("info", [BINARY, MULTI], ids=["binary", "multi"])
def test_a_perfect_classifier_has_the_best_value(name, info):
    y = np.arange(12) % info.n_classes
    metric = metric_for(name, info)
    assert metric.loss(score(metric, y, np.eye(info.n_classes)[y])) == 0.0


def test_a_tie_goes_to_the_first_class_as_in_argmax():
    y, p = np.array([0, 1]), np.full((2, 2), 0.5)
    assert score(METRICS["accuracy"], y, p) == 0.5
    assert score(METRICS["accuracy"], y[:1], p[:1]) == 1.0


def test_classes_without_rows_are_left_out_of_areas():
    rng = np.random.default_rng(5)
    y = rng.integers(0, 3, 50)  # class 3 has no rows
    p = rng.dirichlet(np.ones(4), 50)
    present = [sk.roc_auc_score(y == c, p[:, c]) for c in range(3)]
    assert score(METRICS["roc_auc"], y, p) == pytest.approx(np.mean(present))
    pairs = [sk.roc_auc_score(y[(y == a) | (y == b)] == a, p[(y == a) | (y == b), a]) for a in range(3) for b in range(3) if a != b]
    assert score(METRICS["roc_auc_ovo"], y, p) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("name", ["roc_auc", "roc_auc_ovo"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_an_area_of_one_class_is_undefined(name, n_classes):
    assert math.isnan(score(METRICS[name], np.ones(5, int), np.full((5, n_classes), 1 / n_classes)))


def test_r2_of_a_constant_target_is_undefined():
    assert math.isnan(score(METRICS["r2"], np.ones(5), np.arange(5.0)[:, None]))


@given(st.integers(1, 30), st.integers(2, 5), st.integers(0, 1000))
@settings(max_examples=60)
def test_counts_equal_scikit_learn_whatever_classes_occur(n, n_classes, seed):
    rng = np.random.default_rng(seed)
    y, p = rng.integers(0, n_classes, n), rng.dirichlet(np.ones(n_classes), n)
    decided = p.argmax(1)
    for average in ("macro", "micro", "weighted"):
        expected = sk.f1_score(y, decided, average=average, zero_division=0.0)
        assert score(METRICS[f"f1_{average}"], y, p) == pytest.approx(expected, abs=1e-12)
    recalls = sk.recall_score(y, decided, labels=np.unique(y), average="macro", zero_division=0.0)
    assert score(METRICS["balanced_accuracy"], y, p) == pytest.approx(recalls, abs=1e-12)
    if len({*y, *decided}) > 1:  # else scikit-learn warns
        assert score(METRICS["mcc"], y, p) == pytest.approx(sk.matthews_corrcoef(y, decided), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "info", "expected"),
    [
        ("average_precision", BINARY, lambda y, p: sk.average_precision_score(y, p[:, 1])),
        ("top_k_accuracy", MULTI, lambda y, p: sk.top_k_accuracy_score(y, p, k=2)),
        ("roc_auc_ovr_weighted", MULTI, lambda y, p: sk.roc_auc_score(y, p, multi_class="ovr", average="weighted")),
        ("matthews_corrcoef", MULTI, lambda y, p: sk.matthews_corrcoef(y, p.argmax(1))),
        ("neg_log_loss", MULTI, lambda y, p: -sk.log_loss(y, p)),
        ("precision", BINARY, lambda y, p: sk.precision_score(y, p.argmax(1))),
        ("neg_median_absolute_error", NUMBERS, lambda y, p: -sk.median_absolute_error(y, p[:, 0])),
        ("explained_variance", NUMBERS, lambda y, p: sk.explained_variance_score(y, p[:, 0])),
    ],
)
def test_a_scorer_of_scikit_learn_judges_stored_predictions(name, info, expected):
    rng = np.random.default_rng(6)
    y, p = _predicted(rng, 80) if info is NUMBERS else _classified(rng, 80, info.n_classes)
    metric = metric_for(name, info)
    assert (metric.name, metric.direction) == (name, "maximize")
    assert score(metric, y, p) == pytest.approx(expected(y, p), rel=1e-9)
    rounded = score(metric, y, p.astype(np.float32))  # probabilities that do not quite sum to 1
    assert rounded == pytest.approx(expected(y, p), rel=1e-4)
    assert metric.loss(expected(y, p)) == pytest.approx(-expected(y, p))


def test_every_scorer_fits_at_most_one_kind_of_task():
    """Which scorers fit is found by trying; so that nothing is let through that only happens not to raise."""
    fits = {info.name: {name for name in sk.get_scorer_names() if _fits(name, info)} for info in (BINARY, MULTI, NUMBERS)}
    assert fits["line"] >= {"neg_mean_squared_error", "neg_max_error", "neg_mean_gamma_deviance", "r2", "explained_variance"}
    assert not fits["line"] & (fits["two"] | fits["four"])
    assert fits["two"] >= {"f1", "precision", "roc_auc", "average_precision", "neg_brier_score", "jaccard", "positive_likelihood_ratio"}
    assert fits["four"] >= {"f1_macro", "top_k_accuracy", "roc_auc_ovr", "neg_log_loss", "jaccard_macro", "recall_weighted"}
    assert not fits["four"] & {"f1", "precision", "f1_samples", "positive_likelihood_ratio"}


def _fits(name, info):
    try:
        metric_for(name, info)
    except UserError:
        return False
    return True


def test_defaults_and_aliases():
    assert metric_for(None, MULTI) is METRICS["accuracy"]
    assert metric_for(None, NUMBERS) is METRICS["r2"]
    assert metric_for("log_loss", MULTI) is METRICS["cross_entropy"]


@pytest.mark.parametrize(
    ("name", "info", "words"),
    [
        ("acuracy", MULTI, r"`metric` is 'acuracy', but task 'four' is a classification task: choose one of accuracy, .*'accuracy'"),
        ("rmse", MULTI, r"`metric` is 'rmse', but task 'four' is a classification task: choose one of accuracy, "),
        ("log_loss", NUMBERS, r"'cross_entropy', but task 'line' is a regression task: choose one of rmse, mae, r2, rmsle, or a scorer"),
        ("loss", NUMBERS, r"choose one of rmse"),
        ("precision", MULTI, r"does not fit task 'four', a 4-class classification \(Target is multiclass"),
        ("average_precision", NUMBERS, r"does not fit task 'line', a regression \("),
        ("neg_max_error", BINARY, r"does not fit task 'two', a 2-class classification \(it compares numbers, not classes\)"),
        ("rand_score", NUMBERS, r"does not fit task 'line', a regression \(Clustering metrics"),
    ],
)
def test_an_unfit_metric_is_refused_with_the_reason(name, info, words):
    with pytest.raises(UserError, match=words):
        metric_for(name, info)


def test_targets_that_a_metric_cannot_judge_are_refused_once():
    with pytest.raises(UserError, match=r"'rmsle', which cannot judge task 'line': its smallest target is -1, but RMSLE needs"):
        check_target(METRICS["rmsle"], np.array([-1.0, 2.0]), NUMBERS)
    with pytest.raises(UserError, match="cannot judge task 'two': it is undefined"):
        check_target(METRICS["roc_auc"], np.zeros(5, int), BINARY)
    with pytest.raises(UserError, match=r"cannot judge task 'line': .*strictly positive"):
        check_target(metric_for("neg_mean_gamma_deviance", NUMBERS), np.array([-1.0, 2.0]), NUMBERS)
    for name in ("rmsle", "neg_mean_gamma_deviance", "r2"):
        check_target(metric_for(name, NUMBERS), np.array([1.0, 2.0]), NUMBERS)
    for name in (*CLASSES, "top_k_accuracy"):
        check_target(metric_for(name, MULTI), np.arange(8) % 4, MULTI)


def test_a_network_is_judged_by_rmsle_where_a_target_of_zero_is_rounded():
    """Standardised in float32 by rows that are far larger, a 0 comes back as a little less."""
    scale, rounded = 3e5, []
    for mean in np.arange(1e6, 1e6 + 100):
        y = torch.tensor((np.array([0.0, 0.5]) - mean) / scale, dtype=torch.float32)
        rounded.append(float(y[0]) * scale + mean)
        assert np.isfinite(RegressionScores(scale, mean, METRICS["rmsle"])(torch.zeros(2, 1), y)["rmsle"])
    assert min(rounded) < -0.01


def test_rmsle_refuses_targets_below_zero_but_not_their_rounding():
    with pytest.raises(UserError, match=r"a target is -0\.5"):
        score(METRICS["rmsle"], np.array([-0.5, 2.0]), np.ones((2, 1)))
    assert score(METRICS["rmsle"], np.array([-1e-9, 2.0]), np.array([[0.0], [2.0]])) == 0.0


def test_a_scorer_is_undefined_where_it_lacks_a_class():
    p = np.full((6, 4), 0.25)
    assert math.isnan(score(metric_for("roc_auc_ovr", MULTI), np.arange(6) % 3, p))


def test_scores_are_the_recorded_metrics_and_one_more():
    rng = np.random.default_rng(7)
    y, p = _classified(rng, 40, 4)
    assert tuple(scores(MULTI, y, p)) == CLASSIFICATION_METRICS
    found = scores(MULTI, y, p, METRICS["mcc"])
    assert found == {name: score(METRICS[name], y, p) for name in (*CLASSIFICATION_METRICS, "mcc")}
    assert scores(MULTI, y, p, METRICS["accuracy"]) == scores(MULTI, y, p)
    assert tuple(scores(NUMBERS, *_predicted(rng, 9))) == REGRESSION_METRICS


def test_training_scores_take_one_more_metric():
    rng = np.random.default_rng(8)
    y, logits = torch.from_numpy(rng.integers(0, 4, 50)), torch.from_numpy(rng.normal(0, 2, (50, 4)).astype(np.float32))
    plain, more = (ClassificationScores(torch.ones(4), extra) for extra in (None, METRICS["mcc"]))
    p = plain.predictions(logits)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, torch.softmax(logits, 1).numpy())
    assert more(logits, y) == plain(logits, y) | {"mcc": score(METRICS["mcc"], y.numpy(), p)}
    assert ClassificationScores(torch.ones(4), METRICS["accuracy"])(logits, y) == plain(logits, y)
    for name, value in scores(MULTI, y.numpy(), p).items():
        assert plain(logits, y)[name] == pytest.approx(value, rel=1e-5)


def test_training_scores_of_a_regression_are_in_the_unit_of_the_target():
    rng = np.random.default_rng(9)
    target = np.append(rng.gamma(2.0, 3.0, 50), 0.0)
    mean, scale = target.mean(), target.std()
    y = torch.from_numpy(((target - mean) / scale).astype(np.float32))
    outputs = (y + 0.1)[:, None]
    plain, more = (RegressionScores(scale, mean, extra) for extra in (None, METRICS["rmsle"]))
    p = plain.predictions(outputs.clone().requires_grad_())
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, (target + 0.1 * scale)[:, None], rtol=1e-5, atol=1e-5)
    assert more(outputs, y)["rmsle"] == pytest.approx(score(METRICS["rmsle"], target, p), rel=1e-5)
    assert more(outputs, y).items() >= plain(outputs, y).items() == RegressionScores(scale)(outputs, y).items()
    for name, value in scores(NUMBERS, target, p).items():
        assert plain(outputs, y)[name] == pytest.approx(value, rel=1e-4)


def test_metrics_load_neither_scikit_learn_nor_torch_before_they_are_needed():
    code = "import sys, pipeline.metrics, pipeline.ensemble; print([m for m in ('sklearn', 'torch') if m in sys.modules])"
    root = Path(__file__).resolve().parents[2]
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
