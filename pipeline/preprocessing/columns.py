"""What the columns of a task's table are, so that any other table can be read the same way.

Notation: n rows of a table, K known categories of a column.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lcbench.errors import UserError
from pipeline.table import (
    as_number,
    as_seconds,
    dense,
    is_number,
    is_time,
    listed,
    spelled_dates,
    spelled_numbers,
    with_point,
    words_for_missing,
)

Plain = str | int | float | bool
"""What a category is kept as; whatever else a cell holds counts by its text."""
SPELLED_TRUTH = {"true": 1.0, "false": 0.0}
"""Booleans as text, in any case."""


@dataclass(frozen=True)
class Columns:
    """The names and categories of the feature columns of a task, in their order."""

    names: tuple[str, ...]  # (columns,)
    """Names of the columns, as text."""
    categories: tuple[tuple[Plain, ...] | None, ...]  # (columns,)
    """The categories of each column in the order of their codes, None for a column of numbers."""

    @classmethod
    def of(cls, X: pd.DataFrame) -> Columns:
        """The columns of a typed table (`pipeline.table.typed`)."""
        return cls(tuple(map(str, X.columns)), tuple(_categories(X.iloc[:, i]) for i in range(X.shape[1])))

    @property
    def nominal(self) -> NDArray[np.bool_]:  # (columns,)
        """True for columns of categories."""
        return np.array([categories is not None for categories in self.categories], bool)

    @property
    def text(self) -> dict[str, set[str]]:
        """Columns of categories, whose cells a CSV is to give as they are written, with those that look like missing ones (`read_file`)."""
        return {name: words_for_missing(one) for name, one in zip(self.names, self.categories, strict=True) if one is not None}

    def read(self, table: pd.DataFrame) -> NDArray[np.float64]:  # (n, columns)
        """Numbers as they are and codes for categories, NaN where a cell is missing, infinite, or no number; K for an unknown category.

        Columns are found by name; their order does not matter, and others are ignored. In a column of numbers, booleans count as 0 and
        1, times as seconds since 1970, and text as the number, the boolean or the ISO date that it spells. Categories are compared by
        value, and where that finds none, by text: 1, 1.0 and "1" are the same.

        Raises:
            UserError: if columns are missing, or a name occurs twice.
        """
        columns = []
        for position, categories in zip(self._positions(table), self.categories, strict=True):
            column = table.iloc[:, position].reset_index(drop=True)  # an index may hold a label twice
            columns.append(_numbers(column) if categories is None else _codes(column, categories))
        return np.column_stack(columns)

    def _positions(self, table: pd.DataFrame) -> list[int]:
        found: dict[str, list[int]] = {}
        for position, name in enumerate(table.columns):
            found.setdefault(str(name), []).append(position)
        if missing := [name for name in self.names if name not in found]:
            raise UserError(
                f"the table has no column {listed(missing, len(missing))}: give all {len(self.names)} columns of the training data"
            )
        if twice := [name for name in self.names if len(found[name]) > 1]:
            raise UserError(f"the table has more than one column named {twice[0]!r}: give every column a name of its own")
        return [found[name][0] for name in self.names]

    def to_plain(self) -> dict[str, Any]:
        """The columns as what JSON can hold."""
        return {"names": list(self.names), "categories": [None if one is None else list(one) for one in self.categories]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Columns:
        """The columns from what `to_plain` gave."""
        return cls(tuple(plain["names"]), tuple(None if one is None else tuple(one) for one in plain["categories"]))


def _categories(column: pd.Series) -> tuple[Plain, ...] | None:
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return None
    return tuple(map(_plain, column.cat.categories))


def _plain(value: Any) -> Plain:
    if isinstance(value, np.generic):
        value = value.item()
    finite = isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))
    return value if finite else str(value)


def _numbers(column: pd.Series) -> NDArray[np.float64]:  # (n,)
    """A column as numbers, whatever it is stored as."""
    column = dense(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    column = column.infer_objects()
    if is_time(column):
        column = as_seconds(column)
    elif is_number(column):
        column = as_number(column)
    else:
        column = _spelled(column)
    values = column.to_numpy(np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _spelled(column: pd.Series) -> pd.Series:  # (n,) float64
    """The numbers, booleans and dates that a column of objects spells, cell by cell: a single row is read as it is among others."""
    numbers = spelled_numbers(column)
    rest = column[numbers.isna() & column.notna()]
    if rest.empty:
        return numbers
    truth = rest.map(lambda cell: SPELLED_TRUTH.get(str(cell).strip().lower(), np.nan)).astype(np.float64)
    return numbers.where(numbers.notna(), truth.fillna(as_seconds(spelled_dates(rest))))


def _codes(column: pd.Series, categories: Sequence[Plain]) -> NDArray[np.float64]:  # (n,)
    """Codes of the categories, K for an unknown one, NaN where a cell is missing."""
    column = dense(column)
    code = _coder(categories)
    if column.dtype == object:  # cell by cell: as a category, 1 and True would be one
        return column.map(code, na_action="ignore").to_numpy(np.float64, na_value=np.nan)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype("category")
    given = column.cat.categories
    codes = range(len(given)) if list(map(_plain, given)) == list(categories) else map(code, given)
    return np.array([*codes, np.nan])[column.cat.codes.to_numpy()]  # a missing cell has code -1, the last


def _coder(categories: Sequence[Plain]) -> Callable[[Any], float]:
    """The function from a cell's value to its code."""
    by_value = {category: float(code) for code, category in enumerate(categories)}
    by_text = {str(category): code for category, code in by_value.items()}
    for category, known in by_value.items():
        by_text.setdefault(_shortest(category), known)
    unknown = float(len(categories))
    truth = by_text.keys() <= {"False", "True"}  # a CSV may write them as TRUE or true

    def code(value: Any) -> float:
        value = _plain(value)
        texts = [str(value), _shortest(value), *(_shortest(_spelled_number(one)) for one in (value, with_point(value)))]
        texts += [str(value).strip().capitalize()] if truth else []
        return by_value.get(value, next((by_text[text] for text in texts if text in by_text), unknown))

    return code


def _spelled_number(value: Plain) -> Plain:
    """The number that a text spells, or what is given."""
    try:
        return _plain(float(value)) if isinstance(value, str) else value
    except ValueError:
        return value


def _shortest(value: Plain) -> str:
    """Text of a value without the ".0" that a whole number gets in a column with missing cells."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
