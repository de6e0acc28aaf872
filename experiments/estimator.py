"""The system as scikit-learn estimators: ``AutoTabularClassifier(seconds=60).fit(X, y).predict(X_new)``.

`fit` writes the table to a file and starts ``run.py`` on it in a process of its own (`experiments.command`). So it works in notebooks, in
scripts without a main guard and inside of `cross_val_score`; the run directory is like any other and can be looked into, continued and
refitted; only the fitted ensemble comes back.

Notation: n rows, d columns, C classes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import warnings
import weakref
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from experiments import command
from experiments.leaderboard import leaderboard, models_table, statistics
from experiments.records import run_path
from lcbench.errors import UserError
from lcbench.files import replacing
from lcbench.task import Kind
from pipeline.constant import Constant
from pipeline.predictor import Predictor
from pipeline.splits import SMALLEST
from pipeline.table import stacked, typed

FITTED = ("predictor_", "summary_", "directory_")
"""What a finished run gives an estimator."""
STARTING_SHARE, STARTING_SECONDS = 0.1, 3.0
"""Of the seconds this share, and at most so many, are not the run's: the process starts, torch and the model are loaded."""
NAMES = {
    "`budget.seconds`": "`seconds` (less a tenth, 3 at most)",
    "`seed` is": "`random_state` is",
    "`budget.trials`": "`trials`",
    "extend=true goes": "overrides=('extend=true',) goes",
    "another `runs`": "another `directory`",
    "another `seed` or `runs`": "another `random_state` or `directory`",
    "`executor.workers`": "`n_jobs`",
    "`size` of the ensemble": "`ensemble_size`",
    "`memory_mb` of a trial": "`memory_mb`",
}
"""What the parameters are called in the sentences of ``run.py``, and here."""
TASK = "table"
"""Name of the task in the run directory."""
FILES = ("train.parquet", "test.parquet")
"""What is handed over."""
Table: TypeAlias = ArrayLike
"""A data frame, or anything that numpy makes a table of, (n, d)."""


class AutoTabular(BaseEstimator):
    """What the two estimators share.

    Args:
        seconds: time of `fit`, of which a tenth, 3 s at most, is for starting and loading; a quarter of a minute is the least that trains
            something. None together with `trials`.
        trials: configurations to train; without `seconds` it makes `fit` repeat exactly.
        metric: what is optimised and ensembled, a name that ``metric=`` knows; None: accuracy or R2.
        optimizer: which method searches.
        space: which search space.
        cross_validation: number of folds; None: 33 % of the rows are held out for validation; ``auto``: five folds with 50 to 1,999 rows.
        traditional: ``all``, ``none``, or names of the models beside the networks.
        ensemble_size: rounds of ensemble selection.
        refit_at_end: train the ensemble again on all rows of `fit`, held-out ones included, in a fifth of the time.
        n_jobs: trials at the same time; None or -1: one per core.
        memory_mb: limit of one trial.
        random_state: seed.
        directory: where the run is kept, in a folder per table, to look into it or to continue it; None: a temporary one, which goes with
            the estimator.
        overrides: further words of the command line of ``run.py``, e.g. ``("fidelity=paper",)``, ``("extend=true",)`` to go on for longer.
        verbose: print what the run prints.

    ``score`` is accuracy or R2, whatever `metric` is, as everywhere in scikit-learn. After `fit` there are ``predictor_`` (the ensemble),
    ``summary_`` (content of summary.json) and ``directory_`` (the run directory).
    """

    _kind: ClassVar[Kind]
    by_name_: bool
    names_: list[str]
    directory_: Path
    predictor_: Predictor
    summary_: dict[str, Any]

    def __init__(  # noqa: PLR0913 (scikit-learn: every parameter is an argument of its own)
        self,
        seconds: float | None = 60.0,
        *,
        trials: int | None = None,
        metric: str | None = None,
        optimizer: str = "bohb",
        space: str = "apt2021",
        cross_validation: int | str | None = "auto",
        traditional: str | Sequence[str] = "all",
        ensemble_size: int = 50,
        refit_at_end: bool = True,
        n_jobs: int | None = None,
        memory_mb: int = 4096,
        random_state: int | np.random.RandomState | None = 0,
        directory: str | Path | None = None,
        overrides: Sequence[str] = (),
        verbose: bool = False,
    ) -> None:
        self.seconds = seconds
        self.trials = trials
        self.metric = metric
        self.optimizer = optimizer
        self.space = space
        self.cross_validation = cross_validation
        self.traditional = traditional
        self.ensemble_size = ensemble_size
        self.refit_at_end = refit_at_end
        self.n_jobs = n_jobs
        self.memory_mb = memory_mb
        self.random_state = random_state
        self.directory = directory
        self.overrides = overrides
        self.verbose = verbose

    def fit(self, X: Table, y: ArrayLike, X_test: Table | None = None, y_test: ArrayLike | None = None) -> AutoTabular:
        """Search, choose the ensemble, and keep it.

        Args:
            X: numbers, text, categories, dates; missing cells are fine.  # (n, d)
            y: classes or numbers; rows where it is missing are left out with a warning.  # (n,)
            X_test: rows that every model is scored on for the record, and that nothing is chosen by.
            y_test: their targets.

        Raises:
            UserError: if something of the input is not what it should be (it is a ValueError).
        """
        self._check_parameters()
        seed = self.random_state
        self._seed = int(seed) if isinstance(seed, int | np.integer) else int(check_random_state(seed).randint(2**31))
        for name in FITTED:  # what an earlier `fit` has left does not go with the names and classes of this one
            if hasattr(self, name):
                delattr(self, name)
        parts = [self._checked(X, y, learn=True)]
        if (X_test is None) != (y_test is None):
            raise UserError("of `X_test` and `y_test` one is None: give both, or neither")
        if X_test is not None:
            parts.append(self._checked(X_test, y_test, learn=False))
            if lacking := [name for name in parts[0][0].columns if name not in parts[1][0].columns]:
                raise UserError(f"`X_test` has no column {lacking[0]!r}, which `X` has: give both the same columns")
        target, tables = _tables(parts)
        directory = self._new_directory(tables)
        words = ["task=file", f"task.name={TASK}", f"task.kind={self._kind}", f"task.target={command.quoted(target)}", "task.test_share=0"]
        nominal = [name for name, column in tables[0].items() if _is_forgotten(column)]
        words.append(f"task.categorical=[{', '.join(map(command.quoted, nominal))}]")
        for table, file, key in zip(tables, FILES, ("path", "test_path"), strict=False):
            with replacing(directory / file) as temporary:  # another fit may be reading it
                table.to_parquet(temporary, index=False)
            words.append(f"task.{key}={command.quoted(directory / file)}")
        try:
            command.run([command.RUN, *_beside([*words, *self._words(directory)], self.overrides)], echo=self.verbose)
        except UserError as error:
            raise UserError(_translated(str(error))) from None
        names = {"benchmark": "live", "task": TASK, "space": self.space, "optimizer": self.optimizer}
        self._take_up(run_path(directory, names, self._seed))
        if set(self.predictor_.names) == {Constant.name}:
            warnings.warn(f"no model was trained in time ({self.seconds} s): every row gets the same answer", UserWarning, stacklevel=2)
        return self

    def refit(self) -> AutoTabular:
        """Train the ensemble again on all rows that `fit` was given, those included that it had held out for validation.

        Raises:
            UserError: if the run directory is gone, because the estimator was copied or loaded, or no member could be trained again.
        """
        check_is_fitted(self)
        if not self.directory_.exists():
            raise UserError(f"the run in {self.directory_} is gone: call `fit` again, with `directory` to keep it")
        command.run(["-m", "experiments.refit", str(self.directory_), "--rows", "train"], echo=self.verbose)
        self.predictor_ = Predictor.load(self.directory_)
        return self

    def leaderboard(self) -> pd.DataFrame:
        """One row per model, the best first: name, validation and test score, fit seconds, prediction seconds per 1,000 rows, weight."""
        check_is_fitted(self)
        return leaderboard(self.summary_)

    def show_models(self) -> str:
        """The members of the ensemble as a table in Markdown: preprocessing, estimator and weight."""
        check_is_fitted(self)
        return models_table(self.predictor_)

    def sprint_statistics(self) -> str:
        """What the search did, in a few lines: metric, best score, and how many trainings ended how."""
        check_is_fitted(self)
        return statistics(self.summary_)

    def get_incumbent_results(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The best configuration of a network, and its scores; two empty ones where no network was trained in time."""
        check_is_fitted(self)
        found = self.summary_["incumbent"] or {}
        return dict(found.get("config", {})), {name: value for name, value in found.items() if name != "config"}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "predictor_")

    def _check_parameters(self) -> None:
        """Refuse what would not come back from the run as a sentence."""
        if self.ensemble_size < 1:
            raise UserError(f"`ensemble_size` is {self.ensemble_size}, but must be at least 1: then the best model alone is kept")
        if self.seconds is None and self.trials is None:
            raise UserError("`seconds` and `trials` are both None, but one of them has to end the search: give seconds=60")
        if self.seconds is not None and not self.seconds > 0:
            raise UserError(f"`seconds` is {self.seconds}, but must be above 0: give 30 or more")
        if not isinstance(self.refit_at_end, bool):
            raise UserError(f"`refit_at_end` is {self.refit_at_end!r}, but must be True or False")
        if isinstance(self.overrides, str):
            raise UserError(f"`overrides` is {self.overrides!r}, but must be a tuple of words: overrides=({self.overrides!r},)")

    def _checked(self, X: Table, y: ArrayLike | None, *, learn: bool) -> tuple[pd.DataFrame, NDArray[Any]]:
        """A table with its target, without the rows that have none."""
        if y is None:
            raise UserError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        frame, target = self._frame(X, learn=learn), pd.Series(column_or_1d(y, warn=True))
        check_consistent_length(frame, target)
        known = target.notna().to_numpy()
        if not known.any():
            raise UserError(f"Input y contains NaN only: none of the {len(known)} rows has a target")
        if not known.all():
            warnings.warn(f"{(~known).sum()} of {len(known)} rows have no target and are left out", UserWarning, stacklevel=3)
        if learn and known.sum() < SMALLEST:
            raise UserError(f"the table has n_samples={known.sum()} rows with a target, but at least {SMALLEST} are needed")
        return frame[known], self._encoded(target[known].infer_objects().to_numpy(), learn=learn)

    @abstractmethod
    def _encoded(self, y: NDArray[Any], *, learn: bool) -> NDArray[Any]:  # (n,)
        """The target as class codes, or as numbers."""

    def _frame(self, X: Table, *, learn: bool) -> pd.DataFrame:
        """Rows as a data frame with text as names: its own, x0, x1, … of an array, or those of `fit` by position."""
        by_name = isinstance(X, pd.DataFrame) and (learn or self.by_name_)
        if isinstance(X, pd.DataFrame) and by_name:
            frame = X.set_axis([str(name) for name in X.columns], axis=1).reset_index(drop=True)
            twice = frame.columns[frame.columns.duplicated()]
            if len(twice):
                raise UserError(f"the table has more than one column named {twice[0]!r}: give every column a name of its own")
            if learn:
                validate_data(self, X, skip_check_array=True)
            check_array(np.broadcast_to(0.0, X.shape))  # as scikit-learn says that there are no rows or columns
        else:
            values = validate_data(self, X, reset=learn, dtype=None, ensure_all_finite="allow-nan")
            names = [f"x{i}" for i in range(values.shape[1])] if learn else self.names_
            frame = pd.DataFrame(values, columns=names).infer_objects()
        if learn:
            self.by_name_, self.names_ = by_name, list(frame.columns)
        return frame

    def _words(self, directory: Path) -> list[str]:
        """The parameters as words of the command line."""
        traditional = self.traditional if isinstance(self.traditional, str) else f"[{','.join(self.traditional)}]"
        starting = 0.0 if self.seconds is None else min(STARTING_SECONDS, STARTING_SHARE * self.seconds)
        settings = {
            "budget.seconds": None if self.seconds is None else self.seconds - starting,
            "budget.trials": self.trials,
            "metric": self.metric,
            "optimizer": self.optimizer,
            "space": self.space,
            "cross_validation": self.cross_validation,
            "traditional": traditional,
            "ensemble.size": self.ensemble_size,
            "refit": "train" if self.refit_at_end else None,
            "trial.memory_mb": self.memory_mb,
            "seed": self._seed,
            "runs": command.quoted(directory),
        }
        words = [f"{name}={'null' if value is None else value}" for name, value in settings.items()]
        return [*words, *([] if self.n_jobs in (None, -1) else [f"executor.workers={self.n_jobs}"])]

    def _new_directory(self, tables: Sequence[pd.DataFrame]) -> Path:
        """The folder of the run: one for every table, so that another one never harms it; a temporary one goes with this estimator."""
        if self.directory is not None:
            rows = pd.util.hash_pandas_object(pd.concat(tables), index=False).to_numpy()
            name = hashlib.sha256(rows.tobytes() + str((list(tables[0].columns), len(tables[0]))).encode()).hexdigest()[:12]
            directory = Path(self.directory).expanduser().resolve() / name
            directory.mkdir(parents=True, exist_ok=True)
            return directory
        directory = Path(tempfile.mkdtemp(prefix="lcbench-"))
        weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        return directory

    def _take_up(self, directory: Path) -> None:
        self.directory_ = directory
        self.predictor_ = Predictor.load(directory)
        self.summary_ = json.loads((directory / "summary.json").read_text(encoding="utf-8"))

    def _answer(self, X: Table) -> NDArray[np.float64]:  # (n, C) or (n, 1)
        check_is_fitted(self)
        return self.predictor_.answer(self.predictor_.columns.read(self._frame(X, learn=False)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        tags.non_deterministic = self.seconds is not None
        return tags


class AutoTabularClassifier(ClassifierMixin, AutoTabular):
    """A classifier; see `AutoTabular` for the parameters. ``classes_`` holds the labels in the order of the probabilities."""

    _kind = "classification"

    def _encoded(self, y: NDArray[Any], *, learn: bool) -> NDArray[np.int64]:  # (n,)
        check_classification_targets(y)
        if learn:
            self.classes_ = np.unique(y)
            if len(self.classes_) < 2:
                raise UserError(f"the target has one class only ({self.classes_[0]}), but a classifier needs at least two")
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise UserError(f"`y_test` has the class {unknown.tolist()[0]!r}, which `y` has not: leave its rows out")
        return np.searchsorted(self.classes_, y)

    def predict_proba(self, X: Table) -> NDArray[np.float64]:  # (n, C)
        """Class probabilities in the order of ``classes_``."""
        return self._answer(X)

    def predict(self, X: Table) -> NDArray[Any]:  # (n,)
        """Labels."""
        answer = self._answer(X)
        return self.classes_[answer.argmax(1)]


class AutoTabularRegressor(RegressorMixin, AutoTabular):
    """A regressor; see `AutoTabular` for the parameters."""

    _kind = "regression"

    def _encoded(self, y: NDArray[Any], *, learn: bool) -> NDArray[np.float64]:  # (n,)
        return check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")

    def predict(self, X: Table) -> NDArray[np.float64]:  # (n,)
        """Numbers in the target's unit."""
        return self._answer(X)[:, 0]


def _beside(words: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """Both, unless one of the overrides says again what the parameters say: the run would be made elsewhere, or otherwise."""
    decided = {word.partition("=")[0] for word in words} | {"task", "benchmark"}
    for word in overrides:
        if (key := word.lstrip("+~").partition("=")[0]) in decided:
            raise UserError(f"`overrides` has {word!r}, but {key} is decided by the parameters and the table: leave this word out")
    return [*words, *overrides]


def _is_forgotten(column: pd.Series) -> bool:
    """Whether a column of categories comes back from Parquet as one of numbers."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return False
    return pd.api.types.infer_dtype(column.cat.categories, skipna=False) != "string"


def _translated(sentence: str) -> str:
    """A sentence of ``run.py`` with the names of the parameters, the longer phrases first."""
    for theirs in sorted(NAMES, key=len, reverse=True):
        sentence = sentence.replace(theirs, NAMES[theirs])
    return sentence


def _tables(parts: Sequence[tuple[pd.DataFrame, NDArray[Any]]]) -> tuple[str, list[pd.DataFrame]]:
    """The name of the target's column, and tables with their targets that Parquet can hold.

    What every column is, is decided here and on all rows at once, because a file cannot hold every object.
    """
    frames = [frame for frame, _ in parts]
    table, notes = typed(stacked(*frames) if len(frames) == 2 else frames[0])
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=3)
    target = "target"
    while target in table.columns:
        target += "_"
    table = table.apply(_storable).assign(**{target: np.concatenate([y for _, y in parts])})
    ends = np.cumsum([len(frame) for frame, _ in parts])
    return target, [table[end - len(frame) : end] for (frame, _), end in zip(parts, ends, strict=True)]


def _storable(column: pd.Series) -> pd.Series:
    """A column whose categories are all of one sort, or text."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column
    categories = column.cat.categories
    alike = pd.api.types.infer_dtype(categories, skipna=False) in ("string", "integer", "floating", "boolean")
    return column if alike else column.cat.rename_categories([str(value) for value in categories])
