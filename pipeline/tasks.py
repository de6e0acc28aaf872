"""Tasks: a table, what is predicted, and one fixed split, from OpenML, from scikit-learn's bundled tables, or from a file.

Notation: n rows, C classes. Importing this module is light: scikit-learn and the OpenML client are loaded by what needs them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lcbench.errors import UserError
from lcbench.task import Kind, TaskInfo
from pipeline.openml_cache import Problem, read_folds, read_problem, read_table, use_openml_cache
from pipeline.openml_download import fetch
from pipeline.preprocessing.encoding import MAX_INDICATORS
from pipeline.splits import FEW_ROWS, FOLDS, FRACTION, VALIDATION, Rows, folded, resplit, validated
from pipeline.table import (
    SUFFIXES,
    is_time,
    is_truth,
    listed,
    named,
    read_file,
    spelled_missing,
    spells_numbers,
    stacked,
    text_columns,
    typed,
    words_for_missing,
)
from pipeline.target import kind_of, target_values, with_target

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
    """Rows to train on; under cross-validation none, for each fold trains on the validation rows of the others."""
    val: NDArray[np.int64]
    """Rows on which configurations are compared."""
    test: NDArray[np.int64]
    """Rows on which the incumbent is reported; there may be none."""
    notes: tuple[str, ...] = ()
    """What the reader should know about how the table was read and split."""
    folds: tuple[int, ...] = ()
    """Sizes of the folds of a cross-validation, which lie in `val` one behind the other; empty for one hold-out."""

    def __post_init__(self) -> None:
        rows = np.concatenate([self.train, self.val, self.test])
        n = len(self.X)
        if len(self.y) != n or len(np.unique(rows)) != len(rows) or rows.min() < 0 or rows.max() >= n:
            raise ValueError(f"task {self.info.name!r}: train, val and test must be disjoint rows of one table with {n} rows")
        if self.folds and sum(self.folds) != len(self.val):
            raise ValueError(f"task {self.info.name!r}: folds of {self.folds} rows do not make up {len(self.val)} validation rows")

    @property
    def rest(self) -> NDArray[np.int64]:
        """The rows that are not tested on, in the order of the table."""
        return np.sort(np.concatenate([self.train, self.val]))


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
    where = f"target {problem.target!r} of OpenML task {id}"
    number, missing = with_target(table[problem.target], where)
    rows = None if split == "resplit" else _official(problem, root, number, fold)
    table = table[number >= 0].reset_index(drop=True)
    X = table.drop(columns=problem.target)
    X, notes = typed(X, categorical=text_columns(X))  # OpenML says which columns are numbers
    y, classes = target_values(table[problem.target], problem.kind, where)
    rows = rows or resplit(y, classes=bool(classes), name=name)
    return _task(name, problem.kind, X, (y, classes), rows, (*missing, *notes), id=id, fold=fold)


def _check_openml(id: object, fold: object, split: object) -> None:
    if not isinstance(id, int) or id < 1:
        raise UserError(f"`id` is {id!r}, but must be the number of an OpenML task, e.g. task=openml task.id=31 for credit-g")
    if split not in get_args(Split):
        raise UserError(f"`split` is {split!r}, but must be official (OpenML's own) or resplit (33 % test rows, seed 42)")
    if not isinstance(fold, int) or fold < 0:
        raise UserError(f"`fold` is {fold!r}, but must be 0 or a larger number")
    if split == "resplit" and fold != 0:
        raise UserError(f"`fold` is {fold}, but split=resplit has one fold only: use fold=0, or split=official")


def _official(problem: Problem, root: Path, number: NDArray[np.int64], fold: int) -> Rows:
    """OpenML's own rows, by the numbers that they have once those without a target (-1) are gone."""
    folds = read_folds(problem, root, len(number))
    if fold not in folds:
        law = f"has folds 0..{max(folds)}" if len(folds) > 1 else "has one hold-out split, which is fold 0"
        raise UserError(f"`fold` is {fold}, but OpenML task {problem.task} {law}: use a fold that it has")
    rest, test = (number[rows][number[rows] >= 0] for rows in folds[fold])
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
    test_path: str | Path | None = None,
    test_share: float = FRACTION,
) -> Task:
    """Load a table from a CSV or Parquet file and split it 45 / 22 / 33 % with seed 42.

    Args:
        path: the file.
        target: the column to predict; rows where it is missing are left out, with a note.
        name: name in paths and tables; None for the file's name without its suffix.
        kind: None to decide by the target: numbers with fractions or more than 20 values are a regression.
        numeric: columns that are numbers, whatever they look like.
        categorical: columns that are categories, whatever they look like.
        test_path: a second file with the same columns, whose rows are tested on; all of the first are then for training and validation.
        test_share: share of the rows that is tested on where there is no second file; 0 for none.

    Raises:
        UserError: if a file or a column is not what it should be.
    """
    if kind not in (None, *get_args(Kind)):
        raise UserError(f"`kind` is {kind!r}, but must be classification, regression, or null to decide by the target")
    path, target = Path(path).expanduser(), str(target)
    table, notes = _read_whole(path, target)
    test, more = table[:0], tuple[str, ...]()
    if test_path:
        test, more = _read_whole(Path(test_path).expanduser(), target, text=_text_of(table, categorical), keep=table.columns)
    if lacking := sorted(set(table.columns) - set(test.columns)):
        raise UserError(f"{test_path} has no column {lacking[0]!r}, which {path} has: give both files the same columns")
    n_rest, table = len(table), stacked(table, test) if len(test) else table
    X = table.drop(columns=target)
    if X.shape[1] == 0:
        raise UserError(f"{path} has no column beside the target {target!r}: give a table with features")
    numeric, categorical = _listed_columns("numeric", numeric, X, path), _listed_columns("categorical", categorical, X, path)
    both = sorted(set(numeric) & set(categorical))
    if both:
        raise UserError(f"column {both[0]!r} is named in `numeric` and in `categorical`, but can be only one of them: leave it out of one")
    times = [name for name in X.columns if is_time(X[name]) and name not in categorical]
    X, inferred = typed(X, numeric, categorical)
    kind = kind or kind_of(table[target])
    y, classes = target_values(table[target], kind, f"target {target!r} of {path}")
    name = task_name({"name": name, "path": path})
    if test_path:
        rows = validated(np.arange(n_rest), np.arange(n_rest, len(y)), f"tested on {Path(test_path).name}")
    else:
        rows = resplit(y, classes=bool(classes), name=name, share=test_share)
    return _task(name, kind, X, (y, classes), rows, (*notes, *more, *inferred, _overview(X, times, target, kind, classes)))


def _overview(X: pd.DataFrame, times: list[str], target: str, kind: Kind, classes: tuple[str, ...]) -> str:
    """What the columns of a file count as, and what says otherwise."""
    nominal = [name for name, dtype in X.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)]
    which = f" ({listed(nominal)})" if nominal else ""
    seconds = f" (times in seconds: {listed(times)})" if times else ""
    columns = f"columns: {X.shape[1] - len(nominal)} numeric{seconds}, {len(nominal)} categorical{which}"
    of = f" of {len(classes)} classes" if classes else ""
    return f"{columns}; {target!r} makes it a {kind}{of} (task.numeric, task.categorical and task.kind say otherwise)"


def _text_of(table: pd.DataFrame, categorical: Sequence[str]) -> dict[str, set[str]]:
    """What a second file is to give as it is written (`read_file`): not what counts as numbers, whose decimal commas would stay."""
    found = [name for name in text_columns(table) if not is_truth(table[name])]
    found = [name for name in found if name in categorical or not spells_numbers(table[name])]
    return {name: words_for_missing(table[name].dropna().map(str).unique()) for name in found}


def _read_whole(path: Path, target: str, **options: Any) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of a file that have a target, and notes; for the options see `read_file`."""
    table, notes = read_file(path, **options)
    where = f"target {named(target, table, 'target', str(path))!r} of {path}"
    number, missing = with_target(table[target], where)
    table = table[number >= 0].reset_index(drop=True)
    if missing and (spelled := spelled_missing(path, target)):
        missing = (f"{missing[0]}; there it says {listed(spelled)}: if that is a class, give it another name",)
    return table, (*notes, *missing)


def automatically_validated(task: Task) -> Task:
    """The task as it is, or with folds and a note where its rows are few and every class has one in each fold."""
    rarest = np.unique(task.y[task.rest], return_counts=True)[1].min() if task.classes else FOLDS
    if len(task.rest) not in FEW_ROWS or rarest < FOLDS:
        return task
    note = f"{len(task.rest)} rows to learn from: {FOLDS}-fold cross-validation (cross_validation=null holds out 33 % instead)"
    return cross_validated(replace(task, notes=(*task.notes, note)), FOLDS)


def cross_validated(task: Task, k: int) -> Task:
    """The task with its training and validation rows cut into K folds, each of which validates what the others have trained.

    Raises:
        UserError: if the number of folds is out of range.
    """
    rest = task.rest
    most = len(rest) if task.classes else len(rest) // 2  # the R2 of a single row is not defined
    if not 2 <= k <= most:
        raise UserError(f"`cross_validation` is {k}, but must be 2..{most} folds, or null to hold out 33 % for validation")
    folds = folded(rest, task.y, k, classes=bool(task.classes))
    whole = np.bincount(task.y[rest] if task.classes else [])  # (C,)
    if task.classes and any((np.bincount(task.y[fold], minlength=len(whole)) < whole).sum() < 2 for fold in folds):
        raise UserError(f"`cross_validation` is {k}, but outside of one of these folds all rows are of one class: choose another number")
    before, _, _ = task.info.split.partition(f", {VALIDATION}")
    info = replace(
        task.info, split=f"{before}, then {k}-fold cross-validation, seed 42", n_train=len(rest) - len(folds[0]), n_val=len(rest)
    )
    sizes = tuple(len(fold) for fold in folds)
    return replace(task, info=info, train=rest[:0], val=np.concatenate(folds), folds=sizes)


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
    n_categories = {name: len(X[name].cat.categories) for name, dtype in X.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)}
    if many := [name for name, n in n_categories.items() if n > MAX_INDICATORS]:
        note = f"columns with more than {MAX_INDICATORS} categories: {listed(many)}; without embeddings, networks see the rarest as one"
        notes = (*notes, note)
    n_categorical = len(n_categories)
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
