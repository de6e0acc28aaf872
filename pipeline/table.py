"""From a file or a download to a typed table: every column a number or a category.

Notation: n rows. A cell is *missing* where pandas says so (empty, NA, NaN, null, ...).
"""

from __future__ import annotations

import csv
import difflib
import gzip
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from lcbench.errors import UserError

NEARLY_ALL = 0.9
"""A text column counts as numeric (or as dates) when at least this share of its non-missing cells can be read as such."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may stand between the cells of a CSV file; of those that cut its header into equally many names, the first."""
CSV: dict[str, Any] = {"low_memory": False, "encoding": "utf-8-sig"}
"""How pandas reads one."""
NAMELESS = "Unnamed: 0"
"""What pandas calls a first column without a name."""
MISSING = frozenset({"", "<NA>", "#N/A N/A", "#N/A", "#NA", "N/A", "NA", "n/a", "NaN", "-NaN", "nan", "-nan", "NULL", "null", "None"}) | {
    "1.#IND",
    "-1.#IND",
    "1.#QNAN",
    "-1.#QNAN",
}
"""What pandas takes for a missing cell of a CSV file."""
COMMA = re.compile(r"\s*([-+]?\d*),(\d+(?:[eE][-+]?\d+)?)\s*")
"""A number with a decimal comma."""
HEADER_LINES = 20
"""Lines that a header may have."""
SUFFIXES = (".csv", ".csv.gz", ".parquet", ".pq")
"""Files that can be read."""

Wish = Literal["numeric", "categorical"]


def read_file(
    path: Path, text: Mapping[str, Collection[str]] | None = None, keep: Collection[str] = ()
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a CSV or Parquet file.

    Args:
        path: the file.
        text: columns whose cells of a CSV stay as they are written, where pandas would make numbers or booleans of them, with those of
            their categories that it would take for missing cells (`words_for_missing`).
        keep: columns that are wanted, also one without a name that numbers the rows.

    Returns:
        the table with unique text column names, and notes on how it was read.

    Raises:
        UserError: if there is no such file, its suffix is unknown, it cannot be read, or it holds no rows.
    """
    if not path.name.lower().endswith(SUFFIXES):
        raise UserError(f"`path` is {str(path)!r}, but must end in one of {', '.join(SUFFIXES)}: convert the table to CSV or Parquet")
    if not path.is_file():
        raise UserError(
            f"`path` is {str(path)!r}, but there is no such file (looked at {path.resolve()}): give the path of a CSV or Parquet file"
        )
    try:
        table, notes = _parsed(path, text or {})
    except UserError:
        raise
    except (OSError, ValueError, EOFError, csv.Error, zlib.error, pa.ArrowException) as error:  # pandas' own are ValueErrors
        raise UserError(
            f"{path} cannot be read as a table ({' '.join(str(error).split())}): check that it is a CSV (UTF-8) or Parquet file"
        ) from error
    table.columns = table.columns.map(str)
    if len(table) == 0:
        raise UserError(f"{path} has no rows under its header: give a table with rows")
    if NAMELESS not in keep and _numbers_rows(table):
        table, notes = table.iloc[:, 1:], (*notes, f"the first column of {path.name}, which has no name and numbers the rows, is left out")
    if not table.columns.is_unique:
        twice = sorted(table.columns[table.columns.duplicated()])
        raise UserError(f"{path} has more than one column named {twice[0]!r}: give every column a name of its own")
    return table.reset_index(drop=True), notes


def _numbers_rows(table: pd.DataFrame) -> bool:
    """Whether the first column is what pandas and R write in front of a table that they save: it would give away how rows were sorted.

    After a shuffle or a choice of rows the numbers are in another order, or have gaps.
    """
    first = table.iloc[:, 0]
    return bool(first.name == NAMELESS and first.dtype == np.int64 and first.is_unique and first.min() >= 0)


def spelled_missing(path: Path, column: str) -> list[str]:
    """How a CSV file writes the missing cells of a column, but for empty ones."""
    if not path.name.lower().endswith((".csv", ".csv.gz")):
        return []
    options: dict[str, Any] = CSV | _form(path) | {"usecols": [column], "dtype": str}
    written, read = pd.read_csv(path, keep_default_na=False, **options)[column], pd.read_csv(path, **options)[column]
    return [text for text in written[read.isna()].unique() if text]


def words_for_missing(categories: Iterable[object]) -> set[str]:
    """Those categories that a CSV file cannot tell from a missing cell, such as "None"; an empty cell is missing in any case.

    >>> sorted(words_for_missing(["brick", "None", "NA", ""]))
    ['NA', 'None']
    """
    return set(MISSING.intersection(map(str, categories))) - {""}


def _parsed(path: Path, text: Mapping[str, Collection[str]]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    if path.suffix.lower() in (".parquet", ".pq"):
        return _with_its_index(pd.read_parquet(path), path)
    options: dict[str, Any] = CSV | _form(path) | {"dtype": dict.fromkeys(text, str)}
    if any(text.values()):
        names = pd.read_csv(path, nrows=0, **options).columns
        options |= {"keep_default_na": False, "na_values": {name: sorted(MISSING - set(text.get(name, ()))) for name in names}}
    if options["sep"] == ",":
        return pd.read_csv(path, **options), ()
    decimal = _decimal(path, options)
    comma = ", with decimal commas" if decimal == "," else ""
    return _read_with(decimal, path, options), (f"{path.name} is read as separated by {SEPARATORS[options['sep']]}{comma}",)


def _with_its_index(table: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A table whose index, where that has a name and does not only number the rows one by one, is made columns."""
    named = [name for name in table.index.names if name is not None]
    if not named or isinstance(table.index, pd.RangeIndex):
        return table, ()
    return table.reset_index(named), (f"{path.name} has an index of {listed(named)}, which counts as columns",)


def _read_with(decimal: str, path: Path, options: dict[str, Any]) -> pd.DataFrame:
    """A CSV file; of decimal commas also those in columns where another cell is no number, which pandas leaves as they are."""
    table = pd.read_csv(path, decimal=decimal, **options)
    if decimal == ",":
        for name in text_columns(table):
            table[name] = table[name] if name in options["dtype"] else table[name].map(with_point)
    return table


def with_point(cell: Any) -> Any:
    """A text that spells a number with a decimal comma as one with a point, anything else as it is.

    >>> with_point("1,5"), with_point("1,5 kg"), with_point(2)
    ('1.5', '1,5 kg', 2)
    """
    found = COMMA.fullmatch(cell) if isinstance(cell, str) else None
    return f"{found[1]}.{found[2]}" if found else cell


def _form(path: Path) -> dict[str, Any]:
    """What cuts the header into most names, and whether rows alone end with it; else what they have more than names are names of rows.

    Raises:
        UserError: if two names are the same: pandas would give the second another one without a word.
    """
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        lines = list(itertools.islice(file, HEADER_LINES))  # a quoted name may hold a line break
    separator = max(SEPARATORS, key=lambda one: len(next(csv.reader(lines, delimiter=one), [])))
    rows = csv.reader(lines, delimiter=separator)
    names, first = next(rows, []), next(rows, [])
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise UserError(f"{path} has more than one column named {twice[0]!r}: give every column a name of its own")
    return {"sep": separator, "index_col": False if len(first) == len(names) + 1 and not first[-1] else None}


def _decimal(path: Path, options: dict[str, Any]) -> str:
    """A comma if more columns have numbers with commas than with points, as spreadsheets in much of Europe write them."""
    table = pd.read_csv(path, **options)
    marks = [_mark(table[name].dropna()) for name in table.columns if name not in options["dtype"]]
    return "," if marks.count(",") > marks.count(".") else "."


def _mark(column: pd.Series) -> str:
    """What stands in nearly all numbers of a column before their fractions, nothing if that cannot be told."""
    if is_number(column):
        return "." if not is_truth(column) and (as_number(column) % 1 != 0).any() else ""
    text = column.map(str)
    points, commas = text.str.contains(".", regex=False), text.map(lambda cell: COMMA.fullmatch(cell) is not None)
    numbers = spelled_numbers(column).notna()
    for mark, here, others in ((",", commas, numbers & ~points), (".", numbers & points, numbers & ~points)):
        if here.any() and (here | others).mean() >= NEARLY_ALL:
            return mark
    return ""


def named(column: str, table: pd.DataFrame, argument: str, where: str) -> str:
    """Check that a table has a column, and return its name.

    Raises:
        UserError: with the nearest names and the columns that there are.
    """
    column = str(column)  # a name of digits comes from the command line as a number
    if column in table.columns:
        return column
    near = difflib.get_close_matches(column, table.columns, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"its columns are {listed(table.columns)}"
    raise UserError(f"`{argument}` is {column!r}, but {where} has no such column: {hint}")


def stacked(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The rows of two tables, with the columns and the types of the first; a category has what both have of it."""
    columns = {}
    for name in first.columns:
        one, other = first[name], second[name]
        if isinstance(one.dtype, pd.CategoricalDtype):
            dtype = pd.CategoricalDtype(list(dict.fromkeys([*one.cat.categories, *other.astype("category").cat.categories])))
            one, other = one.astype(dtype), other.astype(dtype)
        elif isinstance(other.dtype, pd.CategoricalDtype):
            other = other.astype(object)
        elif is_number(one) and is_number(other) and is_truth(one) != is_truth(other):
            one, other = as_number(one), as_number(other)  # as objects, True would not be the 1 of the other table
        columns[name] = pd.concat([one, other], ignore_index=True)
    return pd.DataFrame(columns)


def listed(values: Iterable[object], at_most: int = 8) -> str:
    """A few values as text, e.g. ``'a', 'b', ...``."""
    values = list(values)
    return ", ".join(map(repr, values[:at_most])) + (", ..." if len(values) > at_most else "")


def typed(X: pd.DataFrame, numeric: Collection[str] = (), categorical: Collection[str] = ()) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Give every column one of three dtypes: int64, float64 (NaN where missing) or category.

    Numbers stay numbers, booleans become 0 and 1, times become seconds since 1970. Text becomes a category unless nearly
    all of its cells are numbers or ISO dates.

    Args:
        X: the feature columns.
        numeric: columns that must become numbers; a cell that is none counts as missing.
        categorical: columns that become categories whatever they hold.

    Returns:
        the typed table, and a note on every column that is not what it is stored as.

    Raises:
        UserError: if a column of `numeric` holds only text.
    """
    notes: list[str] = []
    columns = {}
    for name in X.columns:
        wish: Wish | None = "numeric" if name in numeric else "categorical" if name in categorical else None
        columns[name], note = _typed(X[name], wish)
        notes += [note] if note else []
    return pd.DataFrame(columns, index=X.index), tuple(notes)


def text_columns(X: pd.DataFrame) -> list[str]:
    """Names of the columns that hold text or other objects, whatever pandas calls that."""
    return [name for name in X.columns if not is_number(X[name]) and not is_time(X[name])]


def _typed(column: pd.Series, wish: Wish | None) -> tuple[pd.Series, str]:
    column = dense(column)
    if wish == "categorical" or (wish is None and isinstance(column.dtype, pd.CategoricalDtype)):
        return category(column), ""
    if is_time(column):
        return as_seconds(column), ""
    if is_number(column) or column.isna().all():
        return as_number(column), ""
    return _from_text(column, wish)


def category(column: pd.Series) -> pd.Series:
    """A column as an unordered category: in its own order where it has one, else sorted by value; text where it is mixed."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        if len(set(map(str, column.cat.categories))) == len(column.cat.categories):
            return column.cat.as_unordered()
        column = column.astype(object)  # of the number 1 and the text "1"
    if is_number(column) or is_time(column):
        return column.astype("category")
    return column.map(str, na_action="ignore").astype("category")


def _from_text(column: pd.Series, wish: Wish | None) -> tuple[pd.Series, str]:
    """Numbers or dates where a column of objects nearly always spells them, else a category."""
    present = column.dropna()
    if not all(isinstance(value, Hashable) for value in present):  # lists and the like count by their text
        column = column.map(str, na_action="ignore")
        present = column.dropna()
    if is_truth(present):  # a CSV column of True and False with a missing cell
        return as_number(column.map(float, na_action="ignore")), ""
    numbers = spelled_numbers(column)
    share = numbers.notna().sum() / len(present)
    lost = present[numbers[present.index].isna()].unique()
    if wish == "numeric" and share == 0:
        raise UserError(
            f"column {column.name!r} is declared numeric, but holds only text ({listed(lost, 3)}): "
            "name it in `categorical` instead, or leave it out of `numeric`"
        )
    if wish == "numeric" or share >= NEARLY_ALL:
        others = f", and {int(len(present) - numbers.notna().sum())} other cells ({listed(lost, 3)}) as missing" if len(lost) else ""
        return numbers, f"column {column.name!r} holds text, but counts as numeric{others}"
    dates = spelled_dates(column)
    if dates.notna().sum() / len(present) >= NEARLY_ALL:
        seconds = as_seconds(dates).fillna(numbers)  # as a table to predict is read
        n_numbers, n_lost = int(seconds.notna().sum() - dates.notna().sum()), int(len(present) - seconds.notna().sum())
        others = (f", and {n_numbers} numbers as such" if n_numbers else "") + (f", and {n_lost} other cells as missing" if n_lost else "")
        return seconds, f"column {column.name!r} holds dates, which count as seconds since 1970{others}"
    return category(column), ""


def spelled_dates(column: pd.Series) -> pd.Series:  # (n,)
    """The ISO dates that a column of objects spells, missing elsewhere; pandas alone would also take "today" for one."""
    text: Any = column.map(str, na_action="ignore").astype(object)
    dated = text.where(text.str.match(r"\d{4}-\d{2}", na=False))
    return pd.to_datetime(dated, format="ISO8601", errors="coerce", utc=True)


def spelled_numbers(column: pd.Series) -> pd.Series:  # (n,) float64
    """The numbers that a column of objects spells, NaN elsewhere."""
    return pd.to_numeric(column.map(str, na_action="ignore").astype(object), errors="coerce").astype(np.float64)


def spells_numbers(column: pd.Series) -> bool:
    """Whether nearly all cells of a column of objects that are there spell numbers."""
    return bool(spelled_numbers(column).notna().sum() >= NEARLY_ALL * max(column.notna().sum(), 1))


def dense(column: pd.Series) -> pd.Series:
    """A column without pandas' sparse storage, and without Arrow's own dates and texts."""
    values: Any = column
    if isinstance(column.dtype, pd.ArrowDtype) and not is_number(column):
        return column.astype(object).infer_objects()
    return values.sparse.to_dense() if isinstance(column.dtype, pd.SparseDtype) else column


def is_number(column: pd.Series) -> bool:
    """True for numbers and booleans, nullable ones included."""
    return bool(pd.api.types.is_numeric_dtype(column.dtype))


def is_truth(column: pd.Series) -> bool:
    """True for booleans, also where a missing cell makes objects of them."""
    if is_number(column):
        return bool(pd.api.types.is_bool_dtype(column.dtype))
    return column.dtype == object and all(isinstance(value, bool | np.bool_) for value in column.dropna())


def is_time(column: pd.Series) -> bool:
    """True for points in time and for durations."""
    return bool(pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype))


def as_number(column: pd.Series) -> pd.Series:
    """A column of numbers or booleans as int64, or as float64 with NaN where missing."""
    if column.dtype == np.int64:
        return column
    return pd.Series(column.to_numpy(np.float64, na_value=np.nan), index=column.index, name=column.name)


def as_seconds(column: pd.Series) -> pd.Series:
    """Points in time as seconds since 1970, durations as seconds; float64 with NaN where missing."""
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        since = column.to_numpy()
    else:
        utc: Any = column.dt.tz_convert(None) if column.dt.tz is not None else column
        since = utc.to_numpy() - np.datetime64(0, "s")
    seconds = (since / np.timedelta64(1, "s")).astype(np.float64)
    return pd.Series(seconds, index=column.index, name=column.name)
