"""The references: their scores against hand-made ones, against scikit-learn's own, and what is known of adult."""

import warnings

import numpy as np
import pandas as pd
import pytest

from lcbench.metric import METRICS
from pipeline.baselines import constant_baseline, linear_baseline
from pipeline.splits import resplit
from pipeline.tasks import BUNDLED, Task, bundled_task, file_task, openml_task


def baselines(task):
    return constant_baseline(task), linear_baseline(task)


@pytest.fixture
def make(tmp_path):
    """A task from a table with a column named y."""

    def make_task(frame: pd.DataFrame, **arguments) -> Task:
        frame.to_parquet(tmp_path / "table.parquet")
        return file_task(tmp_path / "table.parquet", "y", **arguments)

    return make_task


def messy(n: int = 120) -> pd.DataFrame:
    """Everything at once: missing numbers, categories with missing, rare and single values, a constant and an empty column."""
    rng = np.random.default_rng(1)
    size = rng.normal(size=n)
    colour = rng.choice(["red", "green", None], n).astype(object)
    colour[-1] = "only once"
    y = np.where(size + (colour == "red") > 0.3, "yes", "no")
    size[rng.random(n) < 0.2] = np.nan
    return pd.DataFrame({"size": size, "colour": colour, "constant": 3.0, "empty": np.full(n, np.nan), "y": y})


@pytest.mark.parametrize("name", BUNDLED)
def test_every_metric_is_scored_on_validation_and_test(name):
    task = bundled_task(name)
    for baseline in baselines(task):
        assert set(baseline.scores) == {f"{split}_{metric}" for split in ("val", "test") for metric in task.info.metrics}
        for column, value in baseline.scores.items():
            low, high = METRICS[column.split("_", 1)[1]].bounds
            assert isinstance(value, float) and low <= value <= high
        assert 0 < baseline.seconds < 60


@pytest.mark.parametrize("name", BUNDLED)
def test_the_linear_model_beats_the_constant(name):
    task = bundled_task(name)
    constant, linear = baselines(task)
    for split in ("val", "test"):
        for metric in task.info.metrics:
            column = f"{split}_{metric}"
            assert METRICS[metric].loss(linear.scores[column]) < METRICS[metric].loss(constant.scores[column]), column


def test_the_majority_class_by_hand(make):
    task = make(messy())
    train, test = task.y[task.train], task.y[task.test]
    majority, share = np.bincount(train).argmax(), np.bincount(train) / len(train)
    scores = constant_baseline(task).scores
    assert constant_baseline(task).name == "majority class"
    assert scores["test_accuracy"] == pytest.approx((test == majority).mean())
    assert scores["test_balanced_accuracy"] == 0.5
    assert scores["test_cross_entropy"] == pytest.approx(-np.log(share[test]).mean())


def test_the_mean_by_hand():
    task = bundled_task("diabetes")
    error = task.y[task.val] - task.y[task.train].mean()
    scores = constant_baseline(task).scores
    assert constant_baseline(task).name == "mean"
    assert scores["val_rmse"] == pytest.approx(np.sqrt((error**2).mean()))  # in the target's unit
    assert scores["val_mae"] == pytest.approx(np.abs(error).mean())
    assert scores["val_r2"] == pytest.approx(1 - (error**2).mean() / task.y[task.val].var())
    assert scores["val_r2"] < 0


def test_the_scores_are_those_of_scikit_learn():
    from sklearn import metrics
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    for name, model in (("wine", LogisticRegression(max_iter=1000)), ("diabetes", Ridge())):
        task = bundled_task(name)
        X = StandardScaler().fit(task.X.iloc[task.train]).transform(task.X)
        model.fit(X[task.train], task.y[task.train])
        y, predicted = task.y[task.test], model.predict(X[task.test])
        if name == "wine":
            expected = {
                "accuracy": metrics.accuracy_score(y, predicted),
                "balanced_accuracy": metrics.balanced_accuracy_score(y, predicted),
                "cross_entropy": metrics.log_loss(y, model.predict_proba(X[task.test])),
            }
        else:
            rmse = metrics.mean_squared_error(y, predicted) ** 0.5
            expected = {"rmse": rmse, "mae": metrics.mean_absolute_error(y, predicted), "r2": metrics.r2_score(y, predicted)}
        scores = linear_baseline(task).scores
        assert {column: scores[f"test_{column}"] for column in expected} == pytest.approx(expected, rel=1e-6)


def test_missing_cells_constants_and_unseen_categories_are_no_obstacle(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = make(messy())
        constant, linear = baselines(task)
    assert linear.name == "logistic regression"
    assert linear.scores["test_accuracy"] > constant.scores["test_accuracy"] + 0.1  # the category matters, and is seen


def test_a_missing_category_is_a_category_of_its_own(make):
    colour = np.resize(np.array(["red", None, "green"], object), 90)
    frame = pd.DataFrame({"colour": colour, "y": np.where(pd.isna(colour), "unknown", "known")})
    assert linear_baseline(make(frame)).scores["test_accuracy"] == 1.0


def test_a_class_without_training_rows_costs_much_and_breaks_nothing(make):
    frame = messy()
    lonely = resplit(np.arange(float(len(frame))), classes=False, name="t").test[0]  # one row of a class: not stratified
    frame["y"] = np.where(np.arange(len(frame)) == lonely, "rare", frame["y"])
    task = make(frame)
    assert lonely in task.test
    for baseline in baselines(task):
        assert np.isfinite(baseline.scores["test_cross_entropy"])
        assert baseline.scores["test_cross_entropy"] > 36 / task.info.n_test  # -log of the smallest probability of a double


def test_the_references_of_adult(openml_cache):
    constant, linear = baselines(openml_task(126025, "adult"))
    assert round(constant.scores["test_accuracy"], 4) == 0.7629
    assert constant.scores["test_balanced_accuracy"] == 0.5
    assert 0.845 < linear.scores["test_accuracy"] < 0.86  # 0.85 in every published comparison
    assert linear.seconds < 30


def test_the_references_of_house_prices_are_in_dollars(openml_cache):
    constant, linear = baselines(openml_task(359951, "house_prices_nominal"))
    assert 70_000 < constant.scores["test_rmse"] < 90_000
    assert linear.scores["test_rmse"] < 40_000 and linear.scores["test_r2"] > 0.8
