"""The estimators: scikit-learn's own checks, tables as they come, and the same model as the run directory holds."""

import copy
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator

from experiments.estimator import AutoTabularClassifier, AutoTabularRegressor, _is_forgotten, _tables
from lcbench.errors import UserError
from pipeline.predictor import Predictor
from pipeline.table import typed

SMALL = {
    "seconds": None,
    "trials": 1,
    "refit_at_end": False,
    "space": "tiny",
    "traditional": ["linear"],
    "cross_validation": None,
    "overrides": ("fidelity.max_epochs=4", "fidelity.min_epochs=2"),
}
"""Seconds per fit, and the same model every time."""
QUICK = ("check_fit2d_1sample", "check_supervised_y_no_nan")
"""Checks that run every time, beside those that do not fit at all."""
UNDEFINED = {"check_fit2d_1feature": "three validation rows with one value of the target, on which R2 is undefined: refused in a sentence"}
"""Of the regressor."""
FITLESS = ("check_estimator_cloneable", "check_parameters_default_constructible", "check_get_params_invariance", "check_set_params")


def _checks():
    for estimator in (AutoTabularClassifier(**SMALL), AutoTabularRegressor(**SMALL)):
        known = UNDEFINED if isinstance(estimator, AutoTabularRegressor) else {}
        for number, (one, check) in enumerate(estimator_checks_generator(estimator)):
            name = getattr(check, "func", check).__name__
            marks = [] if name in QUICK + FITLESS else [pytest.mark.slow]
            marks += [pytest.mark.xfail(reason=known[name], strict=True)] if name in known else []
            yield pytest.param(one, check, id=f"{type(one).__name__}-{number}-{name}", marks=marks)


@pytest.mark.parametrize(("estimator", "check"), list(_checks()))
@pytest.mark.filterwarnings("default")
def test_scikit_learn_has_no_objection(estimator, check):
    check(estimator)


def _mixed(n=120):
    """Numbers, text, categories, dates and booleans, with gaps, and two targets."""
    rng = np.random.default_rng(0)
    size, colour = rng.normal(size=n), rng.choice(["red", "green", "blue"], n).astype(object)
    frame = pd.DataFrame(
        {
            "size": np.where(np.arange(n) % 9, size, np.nan),
            "colour": np.where(np.arange(n) % 11, colour, None),
            "grade": pd.Categorical(rng.choice([1, "two", 3.5], n)),
            "when": pd.date_range("2020-01-01", periods=n),
            "target": rng.random(n) > 0.5,
        }
    )
    return frame, np.where(size + (colour == "red") > 0.2, "yes", "no"), 3 * size + 1


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    frame, labels, _ = _mixed()
    model = AutoTabularClassifier(**SMALL, directory=tmp_path_factory.mktemp("kept"))
    return model.fit(frame[:90], labels[:90], frame[90:], labels[90:]), frame, labels


def test_the_estimator_answers_what_the_predictor_of_its_run_answers(fitted):
    model, frame, labels = fitted
    saved = Predictor.load(model.directory_)
    np.testing.assert_array_equal(model.predict_proba(frame), saved.predict_proba(frame))
    assert model.predict(frame).tolist() == [model.classes_[int(code)] for code in saved.predict(frame)]
    assert model.score(frame[:90], labels[:90]) > 0.7
    assert list(model.classes_) == ["no", "yes"]


def test_columns_are_found_by_their_names(fitted):
    model, frame, _ = fitted
    shuffled = frame[frame.columns[::-1]].assign(extra=1.0)
    np.testing.assert_array_equal(model.predict_proba(shuffled), model.predict_proba(frame))
    with pytest.raises(UserError, match="the table has no column 'colour'"):
        model.predict(frame.drop(columns="colour"))


def test_test_rows_are_for_the_record(fitted):
    model, frame, labels = fitted
    assert model.summary_["split"] == {"rule": model.summary_["split"]["rule"], "n_train": 60, "n_val": 30, "n_test": 30}
    accuracy = np.mean(model.predict(frame[90:]) == labels[90:])
    assert model.summary_["ensemble"]["scores"]["test_accuracy"] == pytest.approx(accuracy)


def test_what_was_found_can_be_looked_at(fitted):
    model, _, _ = fitted
    board = model.leaderboard()
    assert set(board["name"]) == {"00000-002", "00000-004", "linear"} & set(board["name"]) and len(board) >= 2
    assert board["validation_score"].is_monotonic_decreasing and board["weight"].sum() == pytest.approx(1)
    lines = model.show_models().splitlines()
    assert len(lines) == 2 + (board["weight"] > 0).sum()
    assert "Number of successful trainings: 1" in model.sprint_statistics()
    configuration, about = model.get_incumbent_results()
    assert "batch_size" in configuration and 0 <= about["validation_score"] <= 1


def test_a_copy_and_a_pickle_answer_the_same_without_the_run(fitted):
    model, frame, _ = fitted
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict_proba(frame), model.predict_proba(frame))
    assert not hasattr(clone(model), "predictor_")


def test_a_refit_trains_on_all_rows_and_keeps_the_weights():
    frame, labels, _ = _mixed()
    model = AutoTabularClassifier(**SMALL).fit(frame, labels)
    before = model.predictor_
    run = model.directory_
    assert model.refit().predictor_.weights == before.weights
    assert not np.array_equal(model.predictor_.answer(before.columns.read(frame)), before.answer(before.columns.read(frame)))
    del model
    assert not run.exists()


@pytest.mark.slow
def test_unless_told_otherwise_fit_ends_with_a_refit():
    frame, labels, _ = _mixed()
    model = AutoTabularClassifier(**{**SMALL, "refit_at_end": True}).fit(frame, labels)
    assert AutoTabularClassifier().refit_at_end
    assert model.summary_["ensemble"]["refit"]["rows"] == "train"
    kept = Predictor.load(model.directory_ / "refitted")
    np.testing.assert_array_equal(model.predict_proba(frame), kept.predict_proba(frame))


@pytest.mark.slow
def test_a_directory_keeps_a_run_per_table_and_the_same_table_goes_on(fitted, tmp_path):
    frame, labels, _ = _mixed()
    first = AutoTabularClassifier(**SMALL, directory=tmp_path).fit(frame, labels)
    before = (first.directory_ / "events.journal").read_bytes()
    other = AutoTabularClassifier(**SMALL, directory=tmp_path).fit(frame[:100], labels[:100])
    again = AutoTabularClassifier(**SMALL, directory=tmp_path).fit(frame, labels)
    assert other.directory_ != first.directory_ == again.directory_
    assert (first.directory_ / "events.journal").read_bytes() == before
    np.testing.assert_array_equal(again.predict_proba(frame), first.predict_proba(frame))


@pytest.mark.slow
def test_rows_without_a_target_are_left_out_with_a_warning():
    frame, _, amounts = _mixed()
    amounts[:10] = np.nan
    with pytest.warns(UserWarning, match="10 of 120 rows have no target and are left out"):
        model = AutoTabularRegressor(**{**SMALL, "cross_validation": 3}).fit(frame, amounts)
    assert model.summary_["split"]["n_val"] == 110
    assert model.score(frame[10:], amounts[10:]) > 0.5


@pytest.mark.slow
def test_a_model_that_only_counts_is_said():
    frame, labels, _ = _mixed()
    few = {**SMALL, "overrides": (*SMALL["overrides"], "trial.seconds=0.001")}
    with pytest.warns(UserWarning, match="no model was trained in time"):
        model = AutoTabularClassifier(**few).fit(frame, labels)
    assert model.predictor_.names == ("constant",) and "constant" in model.show_models()


@pytest.mark.slow
def test_ctrl_c_ends_the_run_before_it_is_raised_and_fit_goes_on_from_there(tmp_path):
    options = {"seconds": None, "trials": 12, "traditional": "none", "directory": str(tmp_path)}
    script = (
        "from sklearn.datasets import load_digits\nfrom experiments.estimator import AutoTabularClassifier\n"
        f"AutoTabularClassifier(**{options!r}).fit(*load_digits(return_X_y=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (found := list(tmp_path.rglob("worker-*.journal"))):
        time.sleep(0.1)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]
    recorded = {path: path.stat().st_size for path in found}
    model = AutoTabularClassifier(**options).fit(*load_digits(return_X_y=True))
    assert model.summary_["n_trials"] == 12
    assert len(list(tmp_path.rglob("DONE"))) == 1
    assert all(path.stat().st_size >= size for path, size in recorded.items())


@pytest.mark.slow
def test_it_works_inside_of_a_pipeline_and_of_cross_validation():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(FunctionTransformer(lambda X: 2 * X), AutoTabularClassifier(**SMALL))
    assert cross_val_score(model, X, y, cv=2, error_score="raise").mean() > 0.8


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"metric": "accuracyy"}, "`metric` is 'accuracyy'.*did you mean"),
        ({"optimizer": "bohp"}, "`optimizer` is 'bohp', but must be one of"),
        ({"cross_validation": 1000}, r"`cross_validation` is 1000, but must be 2\.\.120 folds"),
        ({"n_jobs": -3}, "`n_jobs` is -3, but must be at least 1"),
        ({"trials": None}, "`seconds` and `trials` are both None"),
        ({"seconds": -3}, "`seconds` is -3, but must be above 0"),
        ({"random_state": -1}, "`random_state` is -1"),
        ({"ensemble_size": 0}, "`ensemble_size` is 0, but must be at least 1"),
        ({"refit_at_end": "yes"}, "`refit_at_end` is 'yes', but must be True or False"),
        ({"overrides": ("seed=3",)}, "`overrides` has 'seed=3', but seed is decided by the parameters and the table"),
        ({"overrides": ("task.name=mine",)}, r"`overrides` has 'task\.name=mine', but task\.name is decided"),
        ({"overrides": "fidelity=paper"}, r"`overrides` is 'fidelity=paper', but must be a tuple of words"),
    ],
)
def test_what_is_refused_is_said_in_the_words_of_the_run(options, sentence):
    frame, labels, _ = _mixed()
    with pytest.raises(ValueError, match=sentence):
        AutoTabularClassifier(**{**SMALL, **options}).fit(frame, labels)


def test_two_columns_of_one_name_and_unknown_classes_are_refused():
    frame, labels, _ = _mixed()
    with pytest.raises(UserError, match="more than one column named 'size'"):
        AutoTabularClassifier(**SMALL).fit(pd.concat([frame, frame[["size"]]], axis=1), labels)
    with pytest.raises(UserError, match="`y_test` has the class 'maybe'"):
        AutoTabularClassifier(**SMALL).fit(frame, labels, frame[:2], ["yes", "maybe"])


def test_test_rows_have_the_columns_and_the_categories_of_the_others():
    X = pd.DataFrame({"x": [1.5, 2.5, 3.5], "month": pd.Categorical([1, 2, 12])})
    more = pd.DataFrame({"id": ["a"], "month": pd.Categorical([3]), "x": [4.5]})
    _, (train, test) = _tables([(X, np.array([0, 1, 1])), (more, np.array([0]))])
    assert list(train) == list(test) == ["x", "month", "target"]
    assert train["month"].tolist() == [1, 2, 12] and test["month"].tolist() == [3]
    assert list(train["month"].cat.categories) == [1, 2, 12, 3]
    with pytest.raises(UserError, match="`X_test` has no column 'month', which `X` has"):
        AutoTabularClassifier(**SMALL).fit(pd.concat([X] * 9), [0, 1, 1] * 9, more.drop(columns="month"), [0])
    with pytest.raises(UserError, match="of `X_test` and `y_test` one is None"):
        AutoTabularClassifier(**SMALL).fit(pd.concat([X] * 9), [0, 1, 1] * 9, X_test=more)


def test_a_fit_that_fails_leaves_no_model_of_other_classes(fitted):
    model, frame, labels = copy.deepcopy(fitted[0]), *fitted[1:]
    model.metric = "accuracyy"
    with pytest.raises(UserError):
        model.fit(frame, np.where(labels == "yes", "a", "b"))
    with pytest.raises(NotFittedError):
        model.predict(frame)


def test_only_categories_that_parquet_forgets_are_named(tmp_path):
    frame = pd.DataFrame({"text": ["a", "b"], "number": pd.Categorical([1, 2]), "truth": pd.Categorical([True, False]), "x": [1.0, 2.0]})
    table, _ = typed(frame)
    named = [name for name, column in table.items() if _is_forgotten(column)]
    table.to_parquet(tmp_path / "t.parquet", index=False)
    back, _ = typed(pd.read_parquet(tmp_path / "t.parquet"), categorical=named)
    assert named == ["number", "truth"]
    assert [isinstance(dtype, pd.CategoricalDtype) for dtype in back.dtypes] == [True, True, True, False]
