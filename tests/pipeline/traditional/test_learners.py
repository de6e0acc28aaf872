"""What single learners promise beyond the laws."""

import time

import numpy as np
import pytest

from lcbench.task import TaskInfo
from pipeline.preprocessing.encoding import MAX_INDICATORS
from pipeline.traditional import _forest
from pipeline.traditional._boosting import patience
from pipeline.traditional._indicators import FARTHEST, Indicators
from pipeline.traditional.model import build

FAR = float("inf")


def info(n_classes, n_val=100):
    return TaskInfo("one", "classification" if n_classes else "regression", None, 0, "drawn", 400, n_val, n_val, 3, n_classes)


def noise(n, n_classes, seed=0):
    """One telling column among three, and labels of which a third are wrong."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = np.searchsorted(np.quantile(X[:, 0], np.arange(1, n_classes) / n_classes), X[:, 0])
    return X, np.where(rng.random(n) < 0.33, rng.integers(n_classes, size=n), y)


def log_loss(model, X, y):
    return -np.log(np.maximum(model.predict(X)[np.arange(len(y)), y], 1e-12)).mean()


def test_patience_grows_on_small_tables():
    assert [patience(n) for n in (50_000, 10_001, 10_000, 5_000, 100, 5)] == [150, 150, 150, 300, 15_000, 300_000]


@pytest.mark.parametrize("name", ["lightgbm", "catboost"])
def test_a_booster_keeps_its_best_round(name):
    X, y = noise(800, 3)
    models = []
    for rounds in (600, None):
        models.append(build(name, info(3), np.zeros(3, bool), 1, rounds or models[0].rounds_kept))
        validation = (X[400:], y[400:]) if rounds else (None, None)
        models[-1].fit(X[:400], y[:400], *validation, deadline=FAR)
    best, refit = models
    assert 1 < best.rounds_kept < 600
    assert refit.rounds_kept == best.rounds_kept
    np.testing.assert_allclose(best.predict(X), refit.predict(X), atol=1e-5)
    longer = build(name, info(3), np.zeros(3, bool), 1, 600)
    longer.fit(X[:400], y[:400], None, None, deadline=FAR)
    assert longer.rounds_kept == 600
    assert log_loss(best, X[400:], y[400:]) < log_loss(longer, X[400:], y[400:])


@pytest.mark.parametrize("name", ["lightgbm", "catboost"])
def test_a_refit_of_few_rounds_is_the_beginning_of_what_was_searched(name):
    """Two classes and categories: what a library does otherwise where it is asked for few rounds would show."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(12, size=(800, 2)), rng.normal(size=800)]).astype(float)
    y = ((X[:, 0] + X[:, 1]) % 3 == 0).astype(int) ^ (rng.random(800) < 0.2)
    nominal = np.array([True, True, False])
    models = [build(name, info(2), nominal, 1, rounds) for rounds in (600, 40)]
    for model in models:
        model.fit(X[:400], y[:400], None, None, deadline=FAR)
    long, short = models
    assert short.rounds_kept == 40
    if name == "catboost":
        first = long._booster.predict(long._pool(X), prediction_type="Probability", ntree_end=40)
    else:
        first = long._booster.predict(X.astype(np.float32), num_iteration=40)
        first = np.column_stack([1 - first, first])
    np.testing.assert_allclose(short.predict(X), first, atol=1e-5)


def test_many_classes_and_categories_do_not_stop_catboost():
    rng = np.random.default_rng(0)
    X = rng.integers(50, size=(2000, 4)).astype(float)
    model = build("catboost", info(150), np.ones(4, bool), 1, 1)
    start = time.thread_time()
    model.fit(X, rng.integers(150, size=2000), None, None, deadline=FAR)
    assert time.thread_time() - start < 3  # 5 s with a statistic per class and category


@pytest.mark.parametrize("name", ["random_forest", "extra_trees"])
@pytest.mark.parametrize("n_classes", [3, 0])
def test_a_forest_is_the_same_in_batches_and_in_one_go(name, n_classes, monkeypatch):
    X, y = noise(300, 3)
    X[::7, 0] = np.nan
    answers = []
    for seconds in (1e-9, 100.0):
        monkeypatch.setattr(_forest, "BATCH_SECONDS", seconds)
        model = build(name, info(n_classes), np.zeros(3, bool), 1, 12)
        model.fit(X[:200], y[:200] * (1.0 if n_classes == 0 else 1), None, None, deadline=FAR)
        answers.append(model.predict(X).tobytes())
    assert answers[0] == answers[1]


def test_a_forest_has_fewer_trees_where_they_would_fill_the_memory(monkeypatch):
    X, y = noise(300, 3)
    monkeypatch.setattr(_forest, "MAX_BYTES", 100_000)
    model = build("extra_trees", info(3), np.zeros(3, bool), 1, 100)
    model.fit(X, y, None, None, deadline=FAR)
    assert 1 <= model.rounds_kept < 10


def test_a_forest_tells_missing_cells_apart():
    X = np.random.default_rng(0).normal(size=(200, 1))
    X[::2] = np.nan
    y = np.isnan(X[:, 0]).astype(np.int64)
    model = build("random_forest", info(2), np.array([False]), 1, 10)
    model.fit(X, y, None, None, deadline=FAR)
    assert (model.predict(X).argmax(1) == y).all()


def test_indicators_are_limited_and_rare_ones_shared():
    codes = np.concatenate([np.repeat(np.arange(126.0), 5), np.arange(126.0, 1000.0), [np.nan] * 9])
    indicators = Indicators(np.array([True]))
    inputs = indicators.fit_transform(codes[:, None])
    assert inputs.shape == (len(codes), MAX_INDICATORS)
    assert inputs.dtype == np.float32
    missing, frequent, rare, unknown = indicators.transform(np.array([[np.nan], [5.0], [999.0], [5000.0]])).toarray()
    assert missing.sum() == frequent.sum() == rare.sum() == unknown.sum() == 1
    assert np.array_equal(rare, unknown)
    assert not np.array_equal(rare, missing)


def test_numbers_are_standardised_filled_and_kept_within_reach():
    X = np.array([[1.0, 0], [2, 1], [3, 0], [np.nan, 1]])
    indicators = Indicators(np.array([False, True]))
    inputs = indicators.fit_transform(X)
    assert inputs[:3, 0] == pytest.approx(np.array([-1, 0, 1]) / np.std([1, 2, 3, 2]))
    assert inputs[3, 0] == 0
    assert indicators.transform(np.array([[1e9, 0]]))[0, 0] == FARTHEST


def test_neighbours_are_fewer_where_predicting_would_take_too_long():
    X, y = noise(6000, 3)
    model = build("knn", info(3, n_val=10**8), np.zeros(3, bool), 1)
    model.fit(X, y, None, None, deadline=time.monotonic() + 30)
    assert model._neighbours.n_samples_fit_ == 2000
    assert model.predict(X[:5]).shape == (5, 3)


def test_a_class_that_cannot_be_calibrated_is_left_out_of_the_support_vector_machine():
    X, y = noise(200, 2)
    y[:2] = 2
    model = build("svm", info(3), np.zeros(3, bool), 1)
    model.fit(X, y, None, None, deadline=FAR)
    assert (model.predict(X)[:, 2] == 0).all()


def test_probabilities_of_the_support_vector_machine_are_calibrated():
    X, y = noise(1200, 2)
    model = build("svm", info(2), np.zeros(3, bool), 1)
    model.fit(X[:600], y[:600], None, None, deadline=FAR)
    p = model.predict(X[600:])[:, 1]
    for low in (0.0, 0.5):
        bin = (p >= low) & (p < low + 0.5)
        assert p[bin].mean() == pytest.approx(y[600:][bin].mean(), abs=0.08)


def test_the_linear_model_stops_in_the_midst_of_its_iterations():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 400))
    y = rng.integers(40, size=1500)
    model = build("linear", info(40), np.zeros(400, bool), 1)
    start = time.monotonic()
    model.fit(X, y, None, None, deadline=start + 0.2)
    assert time.monotonic() - start < 1
    assert model._linear.n_iter_.max() >= 1
