"""Tasks: a table, what is predicted, and one fixed split, from OpenML, from scikit-learn's bundled tables, or from a file.

Notation: n rows, C classes. Importing this module is light: scikit-learn and the OpenML client are loaded by what needs them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lcbench.errors import UserError
from lcbench.task import Kind, TaskInfo
from pipeline.openml_cache import Problem, read_folds, read_problem, read_table, use_openml_cache
from pipeline.openml_download import fetch
from pipeline.splits import Rows, resplit, validated
from pipeline.table import SUFFIXES, named, read_file, text_columns, typed
from pipeline.target import kind_of, target_values

__all__ = ["BUNDLED", "Task", "bundled_task", "file_task", "openml_task", "task_name", "use_openml_cache"]

BUNDLED = ("digits", "breast_cancer", "wine", "iris", "diabetes")
"""Tables that scikit-learn brings along: no download, no cache."""
Split = Literal["official", "resplit"]


@dataclass(frozen=True, eq=False)
class Task:
    """A table with one fixed split; refuses rows that overlap or do not exist.

    Raises:
        ValueError: if the parts are not disjoint row numbers of the table, or `y` has another length.
    """

    info: TaskInfo
    """What is known about it without the table."""
    X: pd.DataFrame  # (n, columns)
    """Features: int64, float64 (NaN where missing), or category (missing where missing)."""
    y: NDArray[np.int64] | NDArray[np.float64]  # (n,)
    """Class codes 0..C-1, or the target in its own unit."""
    classes: tuple[str, ...]  # (C,)
    """Class labels in the order of their codes; empty for regression."""
    train: NDArray[np.int64]
    """Rows to train on."""
    val: NDArray[np.int64]
    """Rows on which configurations are compared."""
    test: NDArray[np.int64]
    """Rows on which the incumbent is reported."""
    notes: tuple[str, ...] = ()
    """What the reader should know about how the table was read and split."""

    def __post_init__(self) -> None:
        rows = np.concatenate([self.train, self.val, self.test])
        n = len(self.X)
        if len(self.y) != n or len(np.unique(rows)) != len(rows) or rows.min() < 0 or rows.max() >= n:
            raise ValueError(f"task {self.info.name!r}: train, val and test must be disjoint rows of one table with {n} rows")


def openml_task(id: int, name: str, fold: int = 0, split: Split = "official") -> Task:
    """Load an OpenML task, from the cache or by downloading it into the cache.

    Args:
        id: number of the OpenML task, classification or regression.
        name: its name in paths and tables.
        fold: fold of OpenML's own split; 0 for a hold-out split and for ``resplit``.
        split: ``official`` tests on OpenML's own test rows; ``resplit`` on 33 % chosen with seed 42, as LCBench did for tasks that
            OpenML cross-validates. Either way 33 % of the remaining rows validate.

    Raises:
        UserError: if an argument is out of range, or the task is neither in the cache nor reachable, or cannot be read.
    """
    _check_openml(id, fold, split)
    root = fetch(id, hint=f", or use a task that needs no download: {', '.join(BUNDLED)}")
    problem = read_problem(id, root)
    table = read_table(problem, root).reset_index(drop=True)
    X = table.drop(columns=problem.target)
    X, notes = typed(X, categorical=text_columns(X))  # OpenML says which columns are numbers
    y, classes = target_values(table[problem.target], problem.kind, f"target {problem.target!r} of OpenML task {id}")
    rows = resplit(y, classes=bool(classes), name=name) if split == "resplit" else _official(problem, root, len(y), fold)
    return _task(name, problem.kind, X, (y, classes), rows, notes, id=id, fold=fold)


def _check_openml(id: object, fold: object, split: object) -> None:
    if not isinstance(id, int) or id < 1:
        raise UserError(f"`id` is {id!r}, but must be the number of an OpenML task, e.g. task=openml task.id=31 for credit-g")
    if split not in get_args(Split):
        raise UserError(f"`split` is {split!r}, but must be official (OpenML's own) or resplit (33 % test rows, seed 42)")
    if not isinstance(fold, int) or fold < 0:
        raise UserError(f"`fold` is {fold!r}, but must be 0 or a larger number")
    if split == "resplit" and fold != 0:
        raise UserError(f"`fold` is {fold}, but split=resplit has one fold only: use fold=0, or split=official")


def _official(problem: Problem, root: Path, n: int, fold: int) -> Rows:
    folds = read_folds(problem, root, n)
    if fold not in folds:
        law = f"has folds 0..{max(folds)}" if len(folds) > 1 else "has one hold-out split, which is fold 0"
        raise UserError(f"`fold` is {fold}, but OpenML task {problem.task} {law}: use a fold that it has")
    rest, test = folds[fold]
    return validated(rest, test, f"OpenML's own fold {fold} of {len(folds)}" if len(folds) > 1 else "OpenML's own hold-out split")


def bundled_task(name: str) -> Task:
    """Load a table that scikit-learn brings along: four classifications, and the regression ``diabetes``.

    Raises:
        UserError: if there is no such table.
    """
    from sklearn import datasets

    if name not in BUNDLED:
        near = difflib.get_close_matches(str(name), BUNDLED, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"`name` is {name!r}, but the bundled tasks are {', '.join(BUNDLED)}{hint}")
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    kind: Kind = "regression" if name == "diabetes" else "classification"
    X, notes = typed(bunch.data)
    y, classes = target_values(bunch.target, kind, f"target of {name}")
    labels = tuple(str(label) for label in bunch.target_names) if classes else ()
    return _task(name, kind, X, (y, labels), resplit(y, classes=bool(classes), name=name), notes)


def file_task(
    path: str | Path,
    target: str,
    name: str | None = None,
    kind: Kind | None = None,
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
) -> Task:
    """Load a table from a CSV or Parquet file and split it 45 / 22 / 33 % with seed 42.

    Args:
        path: the file.
        target: the column to predict.
        name: name in paths and tables; None for the file's name without its suffix.
        kind: None to decide by the target: numbers with fractions or more than 20 values are a regression.
        numeric: columns that are numbers, whatever they look like.
        categorical: columns that are categories, whatever they look like.

    Raises:
        UserError: if the file or a column is not what it should be.
    """
    path = Path(path).expanduser()
    if kind not in (None, *get_args(Kind)):
        raise UserError(f"`kind` is {kind!r}, but must be classification, regression, or null to decide by the target")
    table, notes = read_file(path)
    target = named(target, table, "target", str(path))
    X = table.drop(columns=target)
    if X.shape[1] == 0:
        raise UserError(f"{path} has no column beside the target {target!r}: give a table with features")
    numeric, categorical = _listed_columns("numeric", numeric, X, path), _listed_columns("categorical", categorical, X, path)
    both = sorted(set(numeric) & set(categorical))
    if both:
        raise UserError(f"column {both[0]!r} is named in `numeric` and in `categorical`, but can be only one of them: leave it out of one")
    X, more = typed(X, numeric, categorical)
    kind = kind or kind_of(table[target])
    y, classes = target_values(table[target], kind, f"target {target!r} of {path}")
    name = task_name({"name": name, "path": path})
    return _task(name, kind, X, (y, classes), resplit(y, classes=bool(classes), name=name), (*notes, *more))


def _listed_columns(argument: str, columns: Sequence[str], X: pd.DataFrame, path: Path) -> list[str]:
    columns = [columns] if isinstance(columns, str) else list(columns)
    return [named(column, X, argument, f"the features of {path}") for column in columns]


def _task(
    name: str,
    kind: Kind,
    X: pd.DataFrame,
    target: tuple[NDArray[np.int64] | NDArray[np.float64], tuple[str, ...]],
    rows: Rows,
    notes: tuple[str, ...],
    *,
    id: int | None = None,
    fold: int = 0,
) -> Task:
    y, classes = target
    if classes and len(np.unique(y[rows.train])) < 2:
        only = classes[int(y[rows.train][0])]
        raise UserError(f"all {len(rows.train)} training rows of task {name!r} are of class {only!r}, but two are needed: give more rows")
    n_categorical = sum(isinstance(dtype, pd.CategoricalDtype) for dtype in X.dtypes)
    sizes = (len(rows.train), len(rows.val), len(rows.test))
    info = TaskInfo(name, kind, id, fold, rows.words, *sizes, X.shape[1], len(classes), n_categorical)
    return Task(info, X, y, classes, rows.train, rows.val, rows.test, (*notes, *rows.notes))


def task_name(node: Mapping[str, Any]) -> str:
    """The name of a task in paths, from the fields of its YAML and without loading it.

    >>> task_name({"name": "car", "fold": 0}), task_name({"name": "openml-31", "fold": 3}), task_name({"name": None, "path": "a/b.csv"})
    ('car', 'openml-31-fold3', 'b')
    """
    name = node.get("name") or _stem(Path(str(node["path"])).name)
    fold = node.get("fold", 0)
    return f"{name}-fold{fold}" if fold else str(name)


def _stem(file: str) -> str:
    return next((file[: -len(suffix)] for suffix in SUFFIXES if file.lower().endswith(suffix)), file)
