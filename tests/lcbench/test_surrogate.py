"""Surrogates as a whole: honest numbers, laws of a benchmark, and a file that holds all of it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import spearmanr

from lcbench.surrogate import Surrogate, baselines, fit_surrogate, fitting, trees
from lcbench.surrogate.fitting import CANDIDATES
from lcbench.surrogate.quality import Truth, _spearman_of_the_best, assign_folds, best, nested_spearman, r_squared, ranks, spearman
from lcbench.surrogate.report import headline

RUNGS = (1, 4, 12, 99)
FAST = {"laplace": ("laplace",), "matern + laplace": ("matern", "laplace")}
points = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.just(4)), elements=st.floats(0, 1) | st.just(np.nan))


def accuracies(n=120, seed=0, noise=0.01):
    """Learning curves that depend smoothly on three of four hyperparameters; the third can be inactive."""
    rng = np.random.default_rng(seed)
    X = rng.random((n, 4))
    final = 0.6 + 0.3 * np.sin(3 * X[:, 0]) * X[:, 1]
    speed = 0.05 + X[:, 2]
    Y = final[:, None] - (final[:, None] - 0.5) * np.exp(-speed[:, None] * np.arange(13)) + noise * rng.normal(size=(n, 13))
    X[rng.random(n) < 0.2, 3] = np.nan
    return X, np.clip(Y, 0, 1)


def seconds(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n, 4))
    return X, np.cumsum(np.exp(3 * X[:, :1] - X[:, 1:2] + 0.1 * rng.normal(size=(n, 13))), axis=1)


@pytest.fixture(scope="module", autouse=True)
def short_trainings():
    """Fits of toy curves need no thorough training of what they are compared with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "N_ROW_STEPS", 60)
        patch.setattr(baselines, "N_TREES", 15)
        patch.setattr(trees, "N_TREES", 20)
        patch.setattr(fitting, "N_NETWORK_STEPS", 200)
        yield


@pytest.fixture(scope="module")
def accuracy():
    return fit_surrogate(*accuracies(), bounds=(0, 1), maximise=True, rungs=RUNGS)


@pytest.fixture(scope="module")
def clock():
    return fit_surrogate(*seconds(), bounds=(0, np.inf), maximise=False, rungs=RUNGS, increasing=True, candidates=FAST)


@pytest.fixture(scope="module", params=["accuracy", "clock"])
def surrogate(request):
    return request.getfixturevalue(request.param)


def test_a_smooth_function_is_learned(accuracy):
    X, truth = accuracies(seed=1, n=60, noise=0.0)
    predicted = accuracy.predict(X)
    assert predicted.shape == truth.shape
    train, curves = accuracies()
    nearest = np.nan_to_num((X[:, None] - train) ** 2, nan=0.25).sum(axis=2).argmin(axis=1)
    assert np.abs(predicted - truth).mean() < 0.7 * np.abs(curves[nearest] - truth).mean()
    assert spearman(predicted[:, -1], truth[:, -1]) > 0.95


def test_the_report_says_what_was_measured(accuracy):
    report = accuracy.report
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["candidates"].keys() == CANDIDATES.keys()
    assert report["baselines"].keys() == {"k-NN", "random forest", "row-wise network"}
    assert (report["n_configurations"], report["n_entries"], report["n_folds"], report["rungs"]) == (120, 13, 5, [1, 4, 12])
    chosen = report["candidates"][report["chosen"]]
    assert chosen["spearman_at"]["12"] == chosen["spearman_final"] > 0.85
    assert chosen["spearman_final"] >= max(b["spearman_final"] for b in report["baselines"].values()) - 0.01
    assert abs(report["nested_spearman_final"] - chosen["spearman_final"]) < 0.05
    for numbers in (*report["candidates"].values(), *report["baselines"].values()):
        assert numbers["coverage"]["80"] == pytest.approx(0.8, abs=0.1)


def test_the_headline_does_not_boast(accuracy):
    """The Spearman of the chosen model is the best of eight; that of the choice is told instead."""
    report = json.loads(json.dumps(accuracy.report)) | {"nested_spearman_final": 0.25}
    scores = headline(report)["scores"]
    chosen = report["candidates"][report["chosen"]]
    assert scores["Spearman"] == 0.25
    assert scores["best baseline"] == max(numbers["spearman_final"] for numbers in report["baselines"].values())
    assert {name: scores[name] for name in ("@1", "@4", "R²", "MAE", "in 80 %")} == {
        **{f"@{rung}": chosen["spearman_at"][str(rung)] for rung in (1, 4)},
        **{"R²": chosen["r2"], "MAE": chosen["mae"], "in 80 %": chosen["coverage"]["80"]},
    }


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_intervals_hold_as_many_new_values_as_they_say(accuracy, clock, level):
    for fitted, (X, Y) in ((accuracy, accuracies(seed=1, n=400)), (clock, seconds(seed=1, n=400))):
        low, high = fitted.interval(X, level)
        assert ((low <= Y) & (high >= Y)).mean() == pytest.approx(level, abs=0.1 if level < 0.9 else 0.04)


def test_pure_noise_is_reported_as_such():
    rng = np.random.default_rng(0)
    fitted = fit_surrogate(rng.random((120, 3)), rng.random((120, 6)), bounds=(0, 1), maximise=True, rungs=(1,), candidates=FAST)
    chosen = fitted.report["candidates"][fitted.report["chosen"]]
    assert abs(chosen["spearman_final"]) < 0.25
    assert chosen["r2"] < 0.1
    assert chosen["coverage"]["80"] == pytest.approx(0.8, abs=0.05)
    low, high = fitted.interval(rng.random((50, 3)), 0.8)
    assert np.mean(high - low) > 0.5


def test_one_configuration_is_a_row_of_many(surrogate):
    X = np.random.default_rng(5).random((40, 4))
    X[::5, 3] = np.nan
    many = surrogate.predict(X)
    np.testing.assert_allclose(np.stack([surrogate.predict_one(x) for x in X]), many, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(surrogate.predict(X), many)
    np.testing.assert_array_equal(surrogate.predict_one(X[0]), surrogate.predict_one(X[0].copy()))
    assert surrogate.predict(X[:0]).shape == surrogate.sample(X[:0], np.random.default_rng(0)).shape == (0, 13)


def test_a_file_holds_all_of_it(surrogate):
    X = np.random.default_rng(6).random((300, 4))
    arrays, meta = surrogate.to_arrays()
    again = Surrogate.from_arrays(arrays, json.loads(json.dumps(meta, allow_nan=False)))
    np.testing.assert_array_equal(again.predict(X), surrogate.predict(X))
    np.testing.assert_array_equal(again.predict_one(X[0]), surrogate.predict_one(X[0]))
    np.testing.assert_array_equal(*(s.sample(X, np.random.default_rng(0)) for s in (again, surrogate)))
    assert again.report == surrogate.report and again.bounds == surrogate.bounds
    assert surrogate.n_bytes < 60_000
    with pytest.raises(ValueError, match="`format` of the stored surrogate is 0, but this code reads"):
        Surrogate.from_arrays(arrays, meta | {"format": 0})


@pytest.mark.parametrize("parts", [("networks", "laplace", "matern"), ("laplace", "matern"), ("trees",)])
def test_parts_come_back_in_any_order(parts):
    X, Y = accuracies(60)
    fitted = fit_surrogate(X, Y, bounds=(0, 1), maximise=True, rungs=(), candidates={"only": parts}, n_folds=2)
    again = Surrogate.from_arrays(*fitted.to_arrays())
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert len(again.model.parts) == len(parts)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(X=points)
def test_any_configuration_has_a_possible_curve(accuracy, clock, X):
    rng = np.random.default_rng(0)
    for Y in (accuracy.predict(X), accuracy.sample(X, rng), *accuracy.interval(X, 0.9)):
        assert Y.shape == (len(X), 13) and (Y >= 0).all() and (Y <= 1).all()
    for Y in (clock.predict(X), clock.sample(X, rng), clock.predict_one(X[0])[None]):
        assert np.isfinite(Y).all() and (Y[:, 0] >= 0).all()
        assert (np.diff(Y, axis=1) >= 0).all()


def test_samples_scatter_around_the_prediction_as_records_do(accuracy):
    X, Y = accuracies(seed=1)
    drawn = np.stack([accuracy.sample(X, np.random.default_rng(seed)) for seed in range(40)])
    assert np.abs(drawn.mean(axis=0) - accuracy.predict(X)).mean() < 0.02
    low, high = np.quantile(drawn, [0.1, 0.9], axis=0)
    assert ((low <= Y) & (high >= Y)).mean() == pytest.approx(0.8, abs=0.1)


def test_the_same_seed_gives_the_same_surrogate():
    X, Y = accuracies(60)
    first, second, other = (fit_surrogate(X, Y, bounds=(0, 1), maximise=True, rungs=RUNGS, candidates=FAST, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert first.report["candidates"]["laplace"]["mae"] != other.report["candidates"]["laplace"]["mae"]


def test_diverged_trainings_are_predicted_to_be_bad():
    X = np.random.default_rng(0).random((150, 2))
    Y = np.tile(1 + X[:, :1], (1, 8)) * 0.9 ** np.arange(8)
    Y[X[:, 0] > 0.6, 3:] = np.nan
    Y[X[:, 0] > 0.8, 2] = 1e30
    fitted = fit_surrogate(X, Y, bounds=(0, np.inf), maximise=False, rungs=(1,), candidates=FAST)
    assert fitted.report["n_diverged"] == int((X[:, 0] > 0.6).sum())
    good, bad = fitted.predict(np.array([[0.2, 0.5], [0.9, 0.5]]))[:, -1]
    assert bad > 5 * good
    assert np.isfinite(fitted.predict(X)).all()


def test_of_what_is_maximised_the_largest_are_the_best():
    final = np.arange(10.0)
    predicted = np.where(final >= 5, final, -final)
    assert _spearman_of_the_best(final, predicted, maximise=True) == 1
    assert _spearman_of_the_best(final, predicted, maximise=False) == -1


def test_progress_is_told():
    lines = []
    fit_surrogate(*accuracies(30), bounds=(0, 1), maximise=True, rungs=(), candidates=FAST, n_folds=3, progress=lines.append)
    assert lines[-1].startswith("chosen: ") and any(line.startswith("random forest: 3 folds") for line in lines)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Y": np.zeros((3, 2))}, r"`X` and `Y` must be \(n, d\) and \(n, T\), but are \(20, 2\) and \(3, 2\)"),
        ({"bounds": (1.0, 0.0)}, r"`bounds` is \(1.0, 0.0\), but must be \(low, high\)"),
        ({"X": np.full((20, 2), 1.5)}, r"every row of `X` must lie in \[0, 1\]\^d"),
        ({"X": np.zeros((20, 2))}, "`n_folds` is 5 for 1 different configurations"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, message):
    legal = {"X": np.random.default_rng(0).random((20, 2)), "Y": np.ones((20, 3)), "bounds": (0.0, 1.0), "maximise": True, "rungs": ()}
    arguments = legal | change
    with pytest.raises(ValueError, match=message):
        fit_surrogate(arguments.pop("X"), arguments.pop("Y"), **arguments)


@given(hnp.arrays(np.float64, (20, 2), elements=st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, np.nan])), st.integers(0, 9))
def test_no_configuration_is_in_two_folds(X, seed):
    distinct = len({tuple(np.nan_to_num(x, nan=-1)) for x in X})
    if distinct < 4:
        return
    fold = assign_folds(X, 2, np.random.default_rng(seed))
    seen = {}
    for row, f in zip(np.nan_to_num(X, nan=-1).tolist(), fold, strict=True):
        assert seen.setdefault(tuple(row), f) == f
    assert set(fold) == {0, 1}


@given(hnp.arrays(np.float64, 15, elements=st.integers(0, 6).map(float)))
def test_ranks_are_means_for_ties(values):
    expected = [np.sum(values < v) + (np.sum(values == v) - 1) / 2 for v in values]
    np.testing.assert_allclose(ranks(values), expected)
    varies = float(len(set(values.tolist())) > 1)
    assert spearman(values, np.exp(values)) == pytest.approx(varies)
    assert spearman(values, -(values**3)) == pytest.approx(-varies)


def test_spearman_is_that_of_the_textbook():
    from scipy.stats import spearmanr

    a, b = np.random.default_rng(0).integers(5, size=(2, 40)).astype(float)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b)[0])
    assert spearman(a, np.ones(40)) == 0.0


def test_r_squared_is_relative_to_the_mean_curve():
    Y = np.random.default_rng(0).random((9, 4))
    assert r_squared(Y, Y) == 1
    assert r_squared(Y, np.tile(Y.mean(axis=0), (9, 1))) == pytest.approx(0)


def test_equals_in_rank_are_told_apart_by_their_error():
    assert best(["a", "b", "c"], [0.900, 0.901, 0.5], [0.1, 0.2, 0.0]) == "a"
    assert best(["a", "b", "c"], [0.890, 0.901, 0.5], [0.1, 0.2, 0.0]) == "b"


def test_importing_is_light():
    code = "import sys, lcbench.surrogate; sys.exit(bool({'torch', 'sklearn', 'pandas', 'matplotlib', 'h5py'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_nested_correlation_is_that_of_what_the_other_folds_choose():
    """By hand: `sly` ranks fold 0 backwards and everything else well, `dull` is fair everywhere."""
    n, rng = 60, np.random.default_rng(0)
    fold, final = np.arange(n) % 3, rng.random(n)
    sly = np.where(fold == 0, -final, final)
    dull = final + 0.25 * rng.normal(size=n)
    truth = Truth(final[:, None], final[:, None], fold, (None,) * 3, (0.0, 1.0), True, ())
    judged = {name: (scores[:, None], scores[:, None]) for name, scores in (("sly", sly), ("dull", dull))}
    chosen = np.empty(n)
    for f in range(3):
        rest = fold != f
        by_rank = {name: spearmanr(final[rest], scores[rest]).statistic for name, scores in (("sly", sly), ("dull", dull))}
        chosen[~rest] = {"sly": sly, "dull": dull}[max(by_rank, key=by_rank.get)][~rest]
    assert np.array_equal(chosen[fold == 0], sly[fold == 0])  # where it is bad nobody has seen it
    assert np.array_equal(chosen[fold != 0], dull[fold != 0])
    assert nested_spearman(judged, truth) == pytest.approx(spearmanr(final, chosen).statistic)
