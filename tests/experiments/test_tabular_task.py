"""Auto-PyTorch's calls: the classification example of its README line by line, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
import sklearn.model_selection
from sklearn.metrics import roc_auc_score

from experiments.tabular_task import TabularClassificationTask, TabularRegressionTask
from lcbench.errors import UserError
from lcbench.rundir import read_header


def test_the_example_of_auto_pytorch_works_line_by_line():
    X, y = sklearn.datasets.load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = sklearn.model_selection.train_test_split(X, y, random_state=1)
    api = TabularClassificationTask()
    api.search(
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=y_test,
        optimize_metric="accuracy",
        total_walltime_limit=30,
        func_eval_time_limit_secs=5,
        dataset_name="digits",
    )
    y_pred = api.predict(X_test)
    score = api.score(y_pred, y_test)
    assert score == {"accuracy": pytest.approx(np.mean(y_pred == y_test))}
    assert score["accuracy"] > 0.9
    assert api.score(api.predict_proba(X_test), y_test) == score
    assert "Weight" in api.show_models() and "Optimisation metric: accuracy" in api.sprint_statistics()
    assert "Dataset name: digits" in api.sprint_statistics()


@pytest.mark.slow
def test_a_regression_with_types_updates_and_cross_validation():
    X, y = sklearn.datasets.load_diabetes(return_X_y=True, as_frame=True)
    api = TabularRegressionTask(
        resampling_strategy="cross_validation",
        resampling_strategy_args={"num_splits": 3},
        search_space_updates={"batch_size": [64, 128], "network": ["shaped_mlp"]},
    )
    types = ["categorical" if name == "sex" else "numerical" for name in X.columns]
    api.search("mean_absolute_error", X, y, feat_types=types, total_walltime_limit=15)
    assert api.estimator.summary_["metric"]["name"] == "mae"
    assert api.estimator.predictor_.columns.nominal.tolist() == [name == "sex" for name in X.columns]
    assert api.score(api.predict(X), y) == {"mae": pytest.approx(np.abs(api.predict(X) - y).mean(), rel=1e-6)}
    space = read_header(api.estimator.directory_).space
    assert (space["batch_size"].lower, space["batch_size"].upper) == (64, 128)
    assert "network" not in space or list(space["network"].choices) == ["shaped_mlp"]


def test_what_has_no_meaning_here_is_refused():
    X = pd.DataFrame({"a": range(9)})
    with pytest.raises(UserError, match="`resampling_strategy` is 'bootstrap', but must be one of holdout_validation, cross_validation"):
        TabularClassificationTask(resampling_strategy="bootstrap")
    with pytest.raises(UserError, match=r"`resampling_strategy_args` has \{.val_share.: 0\.2\}"):
        TabularClassificationTask(resampling_strategy_args={"val_share": 0.2})
    with pytest.raises(UserError, match=r"`feat_types` is .* for each of 1 columns"):
        TabularClassificationTask().search(X_train=X, y_train=range(9), feat_types=["ordinal"])
    with pytest.raises(UserError, match="`X_train` or `y_train` is None"):
        TabularClassificationTask().search(X_train=X)
    with pytest.raises(UserError, match="`total_walltime_limit` is -4"):
        TabularClassificationTask().search(X_train=X, y_train=range(9), total_walltime_limit=-4)
    with pytest.raises(UserError, match="`budget_type` is 'runtime', but must be epochs"):
        TabularClassificationTask().search(X_train=X, y_train=range(9), budget_type="runtime")
    with pytest.raises(UserError, match="nothing was searched yet"):
        TabularClassificationTask().predict(X)


class Searched(TabularClassificationTask):
    """After a search for a metric among the classes 0 and 1, without one."""

    def __init__(self, metric):
        super().__init__()
        self.metric = metric
        self._fitted = SimpleNamespace(classes_=np.array([0, 1]))


def test_areas_under_curves_want_probabilities_in_either_shape():
    truth, p = np.array([0, 1, 1, 0, 1]), np.array([0.1, 0.55, 0.9, 0.52, 0.6])
    area = roc_auc_score(truth, p)
    expected = {"roc_auc": pytest.approx(area)}
    assert Searched("roc_auc").score(np.stack([1 - p, p], axis=1), truth) == expected
    assert Searched("roc_auc").score(p, truth) == expected
    with pytest.warns(UserWarning, match="roc_auc of labels says little"):
        assert Searched("roc_auc").score((p > 0.5).astype(int), truth)["roc_auc"] < area
    assert Searched("accuracy").score((p > 0.5).astype(int), truth) == {"accuracy": 0.8}
    with pytest.raises(UserError, match="`y_pred` has 7"):
        Searched("accuracy").score(np.full(5, 7), truth)


def test_columns_of_labels_are_labels_and_too_few_probabilities_are_refused():
    truth = np.array([0, 1, 1, 0, 1])
    column = np.array([[0], [1], [0], [0], [1]])
    assert Searched("accuracy").score(column, truth[:, None]) == {"accuracy": 0.8}
    with pytest.raises(UserError, match="`y_pred` has 3 columns, but there are 2 classes"):
        Searched("accuracy").score(np.full((5, 3), 1 / 3), truth)
