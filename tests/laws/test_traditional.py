"""The laws of the traditional learners: what every file of `pipeline.traditional` promises, on every kind of task."""

import os
import pickle
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from lcbench.task import TaskInfo
from pipeline.traditional import model as package
from pipeline.traditional.model import build, names

CLASSES = {"binary": 2, "multiclass": 4, "regression": 0}
ROUNDS = 25
"""Rounds and trees in these tests: enough to be better than a constant."""
FAR = float("inf")


def info(kind, n_train=300):
    regression = kind == "regression"
    return TaskInfo("law", "regression" if regression else "classification", None, 0, "drawn", n_train, 100, 100, 6, CLASSES[kind])


NAMES = names(info("binary"))


def table(kind, n, columns=6, seed=0):
    """Numbers and, in the last column, categories; a tenth missing; the target depends on the first two columns and the last."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, columns))
    X[:, -1] = rng.integers(5, size=n)
    signal = 2 * X[:, 0] + X[:, 1] + 1.5 * (X[:, -1] == 3) + 0.3 * rng.normal(size=n)
    X[rng.random(X.shape) < 0.1] = np.nan
    if kind == "regression":
        return X, 1000 + 50 * signal
    return X, np.searchsorted(np.quantile(signal, np.arange(1, CLASSES[kind]) / CLASSES[kind]), signal).astype(np.int64)


def nominal(columns=6):
    return np.arange(columns) == columns - 1


def loss(kind, p, y):
    """Brier score, or mean squared error."""
    if kind == "regression":
        return float(np.mean((p[:, 0] - y) ** 2))
    return float(np.square(p - np.eye(p.shape[1])[y]).sum(1).mean())


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_changes_what_varies_and_nothing_else(name):
    X, y = table("binary", 400)
    models = [build(name, info("binary"), nominal(), seed=seed, rounds=ROUNDS) for seed in (1, 2)]
    for model in models:
        model.fit(X, y, None, None, deadline=FAR)
    one, other = (model.predict(table("binary", 100, seed=1)[0]) for model in models)
    assert np.allclose(one, other, atol=1e-6) != models[0].varies


def constant(kind, y, rows):
    if kind == "regression":
        return np.full((rows, 1), y.mean())
    return np.tile(np.bincount(y, minlength=CLASSES[kind]) / len(y), (rows, 1))


def check(kind, p, rows):
    assert p.dtype == np.float32
    assert p.shape == (rows, CLASSES[kind] or 1)
    assert np.isfinite(p).all()
    if kind != "regression":
        assert p.min() >= 0
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)


def trained(name, kind, seed=1, deadline=FAR):
    X, y = table(kind, 500)
    model = build(name, info(kind), nominal(), seed, ROUNDS)
    model.fit(X[:300], y[:300], X[300:400], y[300:400], deadline=deadline)
    return model, X[400:], y[400:]


every = pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in NAMES for kind in CLASSES])


def global_randomness():
    """The states of both global generators, by value: equal ones need not have equal pickles."""
    name, words, *rest = np.random.get_state()  # noqa: NPY002
    return name, words.tolist(), rest, random.getstate()


@every
def test_it_learns_repeats_itself_survives_pickling_and_leaves_the_world_alone(name, kind, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    build(name, info(kind), nominal(), 1)  # a library may draw while it is loaded
    randomness = global_randomness()
    environment = dict(os.environ)
    with threadpool_limits(2):
        threads = [pool["num_threads"] for pool in threadpool_info()]
        model, X, y = trained(name, kind)
        assert [pool["num_threads"] for pool in threadpool_info()][: len(threads)] == threads
    rows = X.copy()
    p = model.predict(X)
    check(kind, p, 100)
    assert loss(kind, p, y) < 0.9 * loss(kind, constant(kind, table(kind, 500)[1][:300], 100), y)
    assert pickle.loads(pickle.dumps(model)).predict(X).tobytes() == p.tobytes()
    assert trained(name, kind)[0].predict(X).tobytes() == p.tobytes()
    assert np.array_equal(X, rows, equal_nan=True)
    assert model.name == name
    assert global_randomness() == randomness
    assert dict(os.environ) == environment
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@every
def test_a_refit_without_validation_rows_takes_the_rounds_it_is_given(name, kind):
    X, y = table(kind, 300)
    model = build(name, info(kind), nominal(), 1, 7)
    model.fit(X[:200], y[:200], None, None, deadline=FAR)
    check(kind, model.predict(X[200:]), 100)
    assert model.rounds_kept == (None if name in ("knn", "linear", "svm") else 7)


@every
def test_after_the_deadline_it_is_the_constant_at_once(name, kind):
    start = time.monotonic()
    model, X, _ = trained(name, kind, deadline=start - 1)
    p = model.predict(X)
    assert time.monotonic() - start < 1
    check(kind, p, 100)
    np.testing.assert_allclose(p, constant(kind, table(kind, 500)[1][:300], 100), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_a_deadline_is_kept(name, kind):
    X, y = table(kind, 24_000, columns=20)
    model = build(name, info(kind, 20_000), nominal(20), 1)
    start = time.monotonic()
    model.fit(X[:20_000], y[:20_000], X[20_000:], y[20_000:], deadline=start + 1)
    assert time.monotonic() - start < 2
    p = model.predict(X[20_000:20_500])
    check(kind, p, 500)
    assert loss(kind, p, y[20_000:20_500]) < (3 if kind == "multiclass" else 0.9 * y.var())  # a single tree is a poor model


@pytest.mark.parametrize("name", NAMES)
def test_the_predictions_that_follow_are_in_time_as_well(name):
    """Many rows to predict for every row to learn from; what is late is killed, and lost."""
    X, y = table("multiclass", 41_500)
    model = build(name, replace(info("multiclass", 1500), n_val=20_000, n_test=20_000), nominal(), 1, rounds=100_000)
    start = time.monotonic()
    model.fit(X[:1500], y[:1500], None, None, deadline=start + 2)
    p = model.predict(X[1500:])
    assert time.monotonic() - start < 4.5  # 5 to 11 where predictions do not count
    check("multiclass", p, 40_000)


@pytest.mark.parametrize("name", NAMES)
def test_everything_runs_in_the_thread_that_asks(name):
    X, y = table("multiclass", 2000)
    model = build(name, info("multiclass"), nominal(), 1, ROUNDS)
    others = time.process_time() - time.thread_time()
    own = time.thread_time()
    model.fit(X[:1500], y[:1500], X[1500:], y[1500:], deadline=FAR)
    model.predict(X)
    own = time.thread_time() - own
    assert time.process_time() - time.thread_time() - others < 0.1 * own + 0.05


def legal(kind):
    """Tables that are legal though hardly anybody would make them: (what, X, y, nominal columns)."""
    rng = np.random.default_rng(3)
    n = 60

    def target(n=n):
        return rng.normal(size=n) if kind == "regression" else rng.integers(CLASSES[kind], size=n)

    numbers = rng.normal(size=(n, 3))
    odd = np.column_stack([numbers, np.full(n, np.nan), np.ones(n), np.where(numbers[:, 0] > 0, 1, np.nan)])
    none = np.zeros(3, bool)
    yield "one column", numbers[:, :1], target(), none[:1]
    yield "missing and constant columns", odd, target(), np.zeros(6, bool)
    yield "missing and constant categories", np.where(np.isnan(odd), odd, np.floor(np.abs(odd))), target(), np.ones(6, bool)
    yield "nothing to see", odd[:, 3:5], target(), none[:2]
    yield "five rows", numbers[:5], target(5), none
    yield "one row", numbers[:1], target(1), none
    yield "one answer", numbers, np.zeros(n, target().dtype), none
    yield "huge numbers", numbers * 1e300, target(), none
    yield "far from zero", numbers + 1.7e9, target(), none
    yield "many columns", rng.normal(size=(n, 2000)), target(), np.arange(2000) % 50 == 0
    yield "many levels", rng.integers(5000, size=(2500, 2)).astype(float), target(2500), np.array([True, True])
    if kind == "multiclass":
        yield "a class with one row", numbers, np.repeat([0, 2, 3], [1, 29, 30]), none
        yield "a class absent", numbers, np.repeat([1, 3], 30), none


@every
def test_no_legal_table_is_too_odd(name, kind):
    for what, X, y, categories in legal(kind):
        model = build(name, info(kind), categories, 1, 3)
        strange = X[:4].copy()  # categories that nobody has seen, and missing cells where there were none
        strange[0], strange[1:2] = np.nan, 9999
        validation_y = np.arange(4) % CLASSES[kind] if CLASSES[kind] else np.arange(4.0)
        model.fit(X, y, strange, validation_y[: len(strange)], deadline=FAR)
        p = model.predict(strange)
        check(kind, p, len(strange))
        assert model.predict(X[:0]).shape == (0, CLASSES[kind] or 1), what
        absent = np.setdiff1d(np.arange(CLASSES[kind]), y) if CLASSES[kind] else []
        assert not p[:, absent].any() if len(absent) else True, what


@every
def test_what_lies_far_from_zero_is_told_apart_as_well(name, kind):
    """Seconds of an hour of today: as float32 there would be 5 of 600 left."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.permutation(600), rng.normal(size=600)]).astype(float)
    y = X[:, 0] // 60 % (CLASSES[kind] or 10) if CLASSES[kind] != 2 else X[:, 0] > 250
    answers = []
    for shift in (0.0, 1.7e9):
        moved = X + np.array([shift, 0.0])
        model = build(name, info(kind), np.zeros(2, bool), 1, 30)
        model.fit(moved, y.astype(int if CLASSES[kind] else float), None, None, deadline=FAR)
        answers.append(model.predict(moved))
    assert np.abs(answers[0] - answers[1]).mean() < 0.02 * answers[0].std()


def test_every_file_is_found_and_the_order_names_no_other():
    files = {path.stem for path in Path(package.__file__).parent.glob("*.py") if not path.stem.startswith("_")} - {"model"}
    for kind in CLASSES:
        assert set(names(info(kind))) == files
        assert names(info(kind)) == package.ORDER[info(kind).kind]
