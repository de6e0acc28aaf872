"""What is predicted: a column as class codes with their labels, or as numbers.

Notation: n rows, C classes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lcbench.errors import UserError
from lcbench.task import Kind
from pipeline.table import as_number, as_seconds, category, dense, is_number, is_time, listed, spelled_numbers

MANY_VALUES = 20
"""A column of whole numbers with more distinct values than this is a regression target."""
MOSTLY = 0.8
"""A target with this share of numbers is a regression target with spoilt cells."""


def kind_of(target: pd.Series) -> Kind:
    """The kind of problem that a target of a file poses: regression for fractions and for more than 20 distinct numbers."""
    target = dense(target)
    if is_time(target):
        return "regression"
    _check_spoilt(target)
    numbers = _target_numbers(target)
    if numbers is None or pd.api.types.is_bool_dtype(target.dtype):
        return "classification"
    fractions = bool((numbers.dropna() % 1 != 0).any())
    return "regression" if fractions or numbers.nunique() > MANY_VALUES else "classification"


def _check_spoilt(target: pd.Series) -> None:
    """Refuse a column of many numbers with a few other cells: as classes it would have one for every number."""
    if is_number(target):
        return
    present = target.dropna().astype(object)
    numbers = spelled_numbers(present)
    others = present[numbers.isna()]
    if 0 < len(others) <= (1 - MOSTLY) * len(present) and numbers.nunique() > MANY_VALUES:
        raise UserError(
            f"target {target.name!r} holds numbers, but {len(others)} of {len(present)} cells are none ({listed(others.unique(), 3)}): "
            "mend or remove these rows, or set task.kind=classification"
        )


def with_target(target: pd.Series, where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The rows that have a target.

    Args:
        target: the target column.  # (n,)
        where: the column in words, for messages.

    Returns:
        the number that each row has among those with a target, -1 without one, (n,); and a note if there are such.

    Raises:
        UserError: if no row has a target.
    """
    known = dense(target).notna().to_numpy()
    if not known.any():
        raise UserError(f"{where} is missing in all {len(known)} rows: give a column with values")
    number = np.where(known, np.cumsum(known) - 1, -1)
    lost = int((~known).sum())
    return number, (f"{where} is missing in {lost} of {len(known)} rows, which are left out",) if lost else ()


def target_values(target: pd.Series, kind: Kind, where: str) -> tuple[NDArray[np.int64] | NDArray[np.float64], tuple[str, ...]]:
    """The target as an array, and its classes in the order of their codes.

    Args:
        target: the target column, no cell missing.  # (n,)
        kind: classification or regression.
        where: the column in words, for messages.

    Returns:
        class codes 0..C-1 (n,) and the C labels; or the numbers (n,) and no labels.

    Raises:
        UserError: if there is only one value, or a regression has text to predict.
    """
    target = dense(target)
    return _classes(target, where) if kind == "classification" else (_amounts(target, where), ())


def _classes(target: pd.Series, where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    values = category(target).cat.remove_unused_categories().cat
    labels = tuple(_label(value) for value in values.categories)
    if len(labels) < 2:
        raise UserError(f"{where} has one class only ({listed(labels)}), but a classifier needs at least two: choose another target")
    return np.asarray(values.codes, np.int64), labels


def _label(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _amounts(target: pd.Series, where: str) -> NDArray[np.float64]:  # (n,)
    numbers = as_seconds(target) if is_time(target) else _target_numbers(target)
    if numbers is None:
        examples = listed(target.astype(object).unique(), 3)
        raise UserError(
            f"{where} holds text ({examples}), but a regression needs numbers: use kind=classification, or choose another target"
        )
    y = numbers.to_numpy(np.float64)
    if not np.isfinite(y).all():
        raise UserError(f"{where} is infinite in {int((~np.isfinite(y)).sum())} rows, but must be finite: remove these rows")
    if y.min() == y.max():
        raise UserError(f"{where} has the value {y[0]:g} in every row, so there is nothing to predict: choose another target")
    return y


def _target_numbers(target: pd.Series) -> pd.Series | None:
    """The target as numbers, None where a cell is none; numbers that are stored as text are read."""
    if is_number(target):
        return as_number(target)
    numbers = spelled_numbers(target.astype(object))
    return None if numbers[target.notna()].isna().any() else numbers
