"""The calls of Auto-PyTorch's tabular API, for scripts that were written for it; differences are in docs/auto-pytorch.md.

>>> from experiments.tabular_task import TabularClassificationTask  # was: from autoPyTorch.api.tabular_classification import …
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from experiments.command import quoted
from experiments.estimator import AutoTabular, AutoTabularClassifier, AutoTabularRegressor, Table
from experiments.leaderboard import statistics
from lcbench.errors import UserError
from lcbench.task import TaskInfo
from pipeline.metrics import metric_for, score

METRICS = {
    "mean_absolute_error": "mae",
    "root_mean_squared_error": "rmse",
    "mean_squared_error": "neg_mean_squared_error",
    "median_absolute_error": "neg_median_absolute_error",
    "mean_squared_log_error": "neg_mean_squared_log_error",
    "f1": "f1_macro",
}
"""Auto-PyTorch's names of metrics that have another one here."""
RESAMPLING = {"holdout_validation": None, "cross_validation": 5}
"""Resampling strategies with their folds."""
OF_PROBABILITIES = ("roc_auc", "roc_auc_ovo", "cross_entropy", "log_loss", "average_precision")
"""Metrics that labels alone say little about."""
FEATURE_TYPES = ("numerical", "categorical")


class TabularTask:
    """What the two tasks share; see `TabularClassificationTask`."""

    _estimator: ClassVar[type[AutoTabular]]
    _metric: ClassVar[str]

    def __init__(
        self,
        seed: int = 1,
        n_jobs: int | None = None,
        ensemble_size: int = 50,
        ensemble_nbest: int = 50,
        temporary_directory: str | Path | None = None,
        resampling_strategy: str = "holdout_validation",
        resampling_strategy_args: Mapping[str, Any] | None = None,
        search_space_updates: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare a search.

        Args:
            seed: of everything.
            n_jobs: trials at the same time; None: one per core.
            ensemble_size: rounds of ensemble selection; 0, as 1, keeps the best model alone.
            ensemble_nbest: only so many of the best networks can be members, and every traditional model.
            temporary_directory: where the run is kept; None: a temporary directory that goes with this object.
            resampling_strategy: ``holdout_validation`` (33 %) or ``cross_validation``.
            resampling_strategy_args: ``{"num_splits": 5}`` for cross-validation.
            search_space_updates: other ranges and choices, as ``space.updates`` of ``run.py`` takes them.

        Raises:
            UserError: for a strategy that is not known.
        """
        name, options = str(getattr(resampling_strategy, "name", resampling_strategy)), dict(resampling_strategy_args or {})
        if name not in RESAMPLING:
            raise UserError(f"`resampling_strategy` is {name!r}, but must be one of {', '.join(RESAMPLING)}")
        self.folds = RESAMPLING[name] and options.pop("num_splits", RESAMPLING[name])
        if options and options != {"val_share": 0.33}:
            raise UserError(f"`resampling_strategy_args` has {options}, but only num_splits of cross_validation can be chosen")
        self.seed, self.n_jobs, self.directory = seed, n_jobs, temporary_directory
        self.ensemble_size, self.ensemble_nbest = ensemble_size, ensemble_nbest
        self.metric = self._metric
        self.dataset_name: str | None = None
        self._fitted: AutoTabular | None = None
        self.search_space_updates = dict(search_space_updates or {})

    def search(  # noqa: PLR0913 (as Auto-PyTorch has it)
        self,
        optimize_metric: str | None = None,
        X_train: Table | None = None,
        y_train: ArrayLike | None = None,
        X_test: Table | None = None,
        y_test: ArrayLike | None = None,
        feat_types: Sequence[str] | None = None,
        min_budget: int = 5,
        max_budget: int = 50,
        total_walltime_limit: float = 100,
        func_eval_time_limit_secs: float | None = None,
        enable_traditional_pipeline: bool = True,
        memory_limit: int = 4096,
        portfolio_selection: str | None = None,
        dataset_name: str | None = None,
        budget_type: str = "epochs",
    ) -> TabularTask:
        """Search for networks, choose the ensemble, and keep it.

        Args:
            optimize_metric: Auto-PyTorch's name of a metric, or ours; None: accuracy or R2.
            X_train: rows to learn from.
            y_train: their targets.
            X_test: rows that every model is scored on for the record.
            y_test: their targets.
            feat_types: ``numerical`` or ``categorical`` for every column; None: as they look.
            min_budget: epochs of the lowest rung.
            max_budget: epochs of a full training.
            total_walltime_limit: seconds.
            func_eval_time_limit_secs: seconds of one training; None: half of all.
            enable_traditional_pipeline: fit the models beside the networks, too.
            memory_limit: mebibytes of one training.
            portfolio_selection: ``greedy``, the path of a portfolio, or None for what the optimizer uses by default.
            dataset_name: what `sprint_statistics` calls the table.
            budget_type: ``epochs``.
        """
        if X_train is None or y_train is None:
            raise UserError("`X_train` or `y_train` is None, but must be the table to learn from and its target")
        _check_budgets(total_walltime_limit, budget_type)
        overrides = [
            f"fidelity.min_epochs={min_budget}",
            f"fidelity.max_epochs={max_budget}",
            "fidelity.eta=3",
            f"ensemble.n_best={self.ensemble_nbest}",
            f"trial.seconds={func_eval_time_limit_secs or total_walltime_limit / 2}",
            *_portfolio(portfolio_selection),
            *([f"space.updates={_flow(self.search_space_updates)}"] if self.search_space_updates else []),
        ]
        self.metric = METRICS.get(optimize_metric, optimize_metric) if optimize_metric else self._metric
        estimator = self._estimator(
            total_walltime_limit,
            metric=self.metric,
            cross_validation=self.folds,
            traditional="all" if enable_traditional_pipeline else "none",
            ensemble_size=max(self.ensemble_size, 1),
            refit_at_end=False,  # `refit` is a call of its own
            n_jobs=self.n_jobs,
            memory_mb=memory_limit,
            random_state=self.seed,
            directory=self.directory,
            overrides=overrides,
        )
        self.dataset_name = dataset_name
        self._fitted = estimator.fit(
            _of_types(X_train, feat_types), y_train, None if X_test is None else _of_types(X_test, feat_types), y_test
        )
        return self

    @property
    def estimator(self) -> AutoTabular:
        """What was fitted.

        Raises:
            UserError: before `search`.
        """
        if self._fitted is None:
            raise UserError("nothing was searched yet: call `search(X_train=…, y_train=…)` first")
        return self._fitted

    def refit(self) -> TabularTask:
        """Train the ensemble again on all rows of `search`."""
        self.estimator.refit()
        return self

    def predict(self, X_test: Table) -> NDArray[Any]:  # (n,)
        """Labels or numbers."""
        return self.estimator.predict(X_test)

    def score(self, y_pred: ArrayLike, y_test: ArrayLike) -> dict[str, float]:
        """The optimised metric of predictions: ``{"accuracy": 0.97}``.

        Args:
            y_pred: what `predict` gave; or probabilities, (n, C) or of the second of two classes, for a metric that looks at them.
            y_test: the truth.  # (n,)
        """
        truth, predictions, info = self._scored(np.asarray(y_pred), np.asarray(y_test).reshape(len(np.asarray(y_test))))
        return {self.metric: score(metric_for(self.metric, info), truth, predictions)}

    def show_models(self) -> str:
        """The members of the ensemble as a table in Markdown."""
        return self.estimator.show_models()

    def sprint_statistics(self) -> str:
        """How the search went, in a few lines."""
        summary = self.estimator.summary_
        return statistics({**summary, "task": self.dataset_name or summary["task"]})

    def get_incumbent_results(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The best configuration of a network, and its scores."""
        return self.estimator.get_incumbent_results()

    def _scored(self, y_pred: NDArray[Any], y_test: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], TaskInfo]:
        """The truth and the predictions as the metrics want them, and a task that they fit."""
        info = TaskInfo("table", "regression", None, 0, "", 0, 0, len(y_test), 0, 0)
        return y_test.astype(np.float64), y_pred.reshape(len(y_test), 1), info


class TabularClassificationTask(TabularTask):
    """Auto-PyTorch's classification: ``search(X_train=…, y_train=…)``, then ``predict(X)`` and ``score(y_pred, y_test)``."""

    _estimator = AutoTabularClassifier
    _metric = "accuracy"

    def predict_proba(self, X_test: Table) -> NDArray[np.float64]:  # (n, C)
        """Class probabilities in the order of the sorted labels."""
        return self.estimator.predict_proba(X_test)

    def _scored(self, y_pred: NDArray[Any], y_test: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], TaskInfo]:
        classes: NDArray[Any] = self.estimator.classes_
        unknown = np.setdiff1d(y_test, classes)
        if len(unknown):
            raise UserError(f"`y_test` has the class {unknown.tolist()[0]!r}, but the classes are {', '.join(map(str, classes))}")
        labels = y_pred.reshape(len(y_pred)) if y_pred.size == len(y_pred) else y_pred  # a column is as good as a row
        predictions = y_pred if labels.ndim == 2 else self._probabilities(labels, classes)
        if predictions.shape[1] != len(classes):
            raise UserError(
                f"`y_pred` has {predictions.shape[1]} columns, but there are {len(classes)} classes: give `predict_proba(X_test)`"
            )
        info = TaskInfo("table", "classification", None, 0, "", 0, 0, len(y_test), 0, len(classes))
        return np.searchsorted(classes, y_test), predictions, info

    def _probabilities(self, y_pred: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.float64]:  # (n,) -> (n, C)
        """What labels, or probabilities of the second of two classes, say of every class."""
        unknown = np.setdiff1d(y_pred, classes)
        if len(unknown) and len(classes) == 2 and np.issubdtype(y_pred.dtype, np.floating) and 0 <= y_pred.min() <= y_pred.max() <= 1:
            return np.stack([1 - y_pred, y_pred], axis=1)
        if len(unknown):
            raise UserError(
                f"`y_pred` has {unknown.tolist()[0]!r}, but must be labels ({', '.join(map(str, classes))}) or probabilities (n, C)"
            )
        if self.metric in OF_PROBABILITIES:
            warnings.warn(f"{self.metric} of labels says little: give `predict_proba(X_test)` to `score`", UserWarning, stacklevel=4)
        return np.eye(len(classes))[np.searchsorted(classes, y_pred)]


class TabularRegressionTask(TabularTask):
    """Auto-PyTorch's regression, with the calls of `TabularClassificationTask`."""

    _estimator = AutoTabularRegressor
    _metric = "r2"


def _of_types(X: Table, feat_types: Sequence[str] | None) -> Table:
    """A table whose columns are what the user says they are.

    Raises:
        UserError: if there is not one known type for each column.
    """
    if feat_types is None:
        return X
    frame = pd.DataFrame(X)
    unknown = sorted(set(feat_types) - set(FEATURE_TYPES))
    if unknown or len(feat_types) != frame.shape[1]:
        raise UserError(f"`feat_types` is {list(feat_types)}, but must be numerical or categorical for each of {frame.shape[1]} columns")
    wanted = zip(frame.columns, feat_types, strict=True)
    try:
        return frame.astype({name: "category" if kind == "categorical" else "float64" for name, kind in wanted})
    except (ValueError, TypeError) as error:
        raise UserError(f"`feat_types` says numerical of a column that holds something else ({error}): say categorical") from None


def _check_budgets(total_walltime_limit: Any, budget_type: str) -> None:
    if not (isinstance(total_walltime_limit, int | float) and total_walltime_limit > 0):
        raise UserError(f"`total_walltime_limit` is {total_walltime_limit}, but must be seconds above 0")
    if budget_type != "epochs":
        raise UserError(f"`budget_type` is {budget_type!r}, but must be epochs: `min_budget` and `max_budget` count them")


def _portfolio(selection: str | None) -> list[str]:
    """The words for a portfolio: none for the default of the optimizer."""
    if selection is None:
        return []
    return ["portfolio=greedy2021"] if selection == "greedy" else ["portfolio=file", f"portfolio.path={quoted(Path(selection).resolve())}"]


def _flow(value: Any) -> str:
    """Nested mappings and lists as the command line of Hydra reads them.

    >>> _flow({"batch_size": [32, 128], "network": ["shaped_resnet"]})
    "{batch_size: [32, 128], network: ['shaped_resnet']}"
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_flow(one)}" for name, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return quoted(value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
