"""Any table is read as the training table was: by name, by value, and by text where that is all there is."""

import datetime
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcbench.errors import UserError
from pipeline.preprocessing.columns import Columns
from pipeline.table import typed
from pipeline.tasks import BUNDLED, bundled_task
from tests.pipeline.preprocessing.reference import numbers

NUMBER = Columns(("x",), (None,))


def codes(values, categories) -> list[float]:
    """Read a single column of these categories."""
    return Columns(("x",), (tuple(categories),)).read(pd.DataFrame({"x": values}))[:, 0].tolist()


def read(values) -> list[float]:
    """Read a single column of numbers."""
    return NUMBER.read(pd.DataFrame({"x": values}))[:, 0].tolist()


def same(values, expected):
    return np.array_equal(values, expected, equal_nan=True)


@pytest.mark.parametrize("name", BUNDLED)
def test_the_training_table_reads_as_it_always_did(name):
    X = bundled_task(name).X
    assert Columns.of(X).read(X).tobytes() == numbers(X).tobytes()


CELL = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.sampled_from(["1", "1.0", "a", "True", "2020-01-01"]), st.dates()
)


@given(st.lists(CELL, min_size=1, max_size=12), st.booleans())
def test_any_typed_column_reads_as_it_always_did_and_survives_json(values, categorical):
    X, _ = typed(pd.DataFrame({"x": pd.Series(values, dtype=object)}), categorical=["x"] if categorical else [])
    columns = Columns.of(X)
    assert same(columns.read(X), numbers(X))
    assert columns.nominal.tolist() == [isinstance(X["x"].dtype, pd.CategoricalDtype)]
    again = Columns.from_plain(json.loads(json.dumps(columns.to_plain(), allow_nan=False)))
    assert again == columns == pickle.loads(pickle.dumps(columns))
    assert same(again.read(X), numbers(X))


@pytest.mark.parametrize(
    "categories",
    [
        pd.to_datetime(["2020-01-02", "2020-01-01"]),
        pd.interval_range(0, 2),
        [1.5, np.inf],
        [True, False],
        [3, "3", 3.5],
    ],
)
def test_categories_of_any_type_read_as_they_always_did_and_survive_json(categories):
    X = pd.DataFrame({"x": pd.Categorical([*categories, None], categories=categories)})
    columns = Columns.from_plain(json.loads(json.dumps(Columns.of(X).to_plain(), allow_nan=False)))
    assert columns == Columns.of(X)
    assert same(columns.read(X), numbers(X))
    shuffled = X.assign(x=X["x"].cat.reorder_categories(categories[::-1]))
    assert same(columns.read(shuffled), numbers(X))
    assert same(columns.read(X.astype(object)), numbers(X))


def test_columns_are_found_by_name():
    columns = Columns(("a", "1"), (None, ("x", "y")))
    table = pd.DataFrame({1: ["y", "x", "z"], "more": [0, 0, 0], "a": [5, 6, 7]}, index=[7, 7, 8])
    assert columns.read(table).tolist() == [[5, 1], [6, 0], [7, 2]]
    assert columns.read(table.iloc[:0]).shape == (0, 2)


def test_missing_columns_are_all_named():
    with pytest.raises(UserError, match=r"^the table has no column 'a', 'c': give all 3 columns of the training data$"):
        Columns(("a", "b", "c"), (None,) * 3).read(pd.DataFrame({"b": [1]}))


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(UserError, match="more than one column named 'x'"):
        NUMBER.read(pd.DataFrame([[1, 2]], columns=["x", "x"]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], [1, 2]),
        ([1.5, None, np.inf, -np.inf], [1.5, np.nan, np.nan, np.nan]),
        (["1", " 2.5", "-3e1", "?", None], [1, 2.5, -30, np.nan, np.nan]),
        ([True, False], [1, 0]),
        ([True, None], [1, np.nan]),
        (["True", "false ", "7"], [1, 0, 7]),
        (pd.array([1, None], dtype="Int64"), [1, np.nan]),
        (pd.array([True, None], dtype="boolean"), [1, np.nan]),
        (pd.array([1.5, None], dtype="double[pyarrow]"), [1.5, np.nan]),
        (pd.array([True, None], dtype="bool[pyarrow]"), [1, np.nan]),
        (pd.array([datetime.date(1970, 1, 2), None], dtype="date32[pyarrow]"), [86400, np.nan]),
        (pd.array([datetime.datetime(1970, 1, 2), None], dtype="timestamp[us][pyarrow]"), [86400, np.nan]),
        (pd.array([datetime.timedelta(minutes=1), None], dtype="duration[s][pyarrow]"), [60, np.nan]),
        (pd.to_datetime(["1970-01-02", None]), [86400, np.nan]),
        (pd.to_datetime(["1970-01-02"], utc=True), [86400]),
        (pd.to_timedelta(["1min"]), [60]),
        (np.array([pd.Timedelta("1min"), None], object), [60, np.nan]),
        ([datetime.date(1970, 1, 2), "3", True], [86400, 3, 1]),
        (["1970-01-02T00:00:01", "x"], [86401, np.nan]),
        (pd.arrays.SparseArray([0.0, 2.0]), [0, 2]),
        (pd.Categorical(["2", "1", None]), [2, 1, np.nan]),
        (pd.Categorical([2.5, 1.0]), [2.5, 1]),
        (["a", "b"], [np.nan, np.nan]),
        ([None, None], [np.nan, np.nan]),
        ([10**400, "1e999"], [np.nan, np.nan]),
        (np.array([1, 2], np.uint8), [1, 2]),
    ],
)
def test_numbers_are_read_from_whatever_holds_them(values, expected):
    assert same(read(values), expected)


@pytest.mark.parametrize(
    ("values", "categories", "expected"),
    [
        (["b", "a", None, "c"], "ab", [1, 0, np.nan, 2]),
        (pd.Categorical(["b", "z", None], categories=["z", "b"]), "ab", [1, 2, np.nan]),
        ([1, 2, 3], ["1", "2"], [0, 1, 2]),
        (["1", "2", "3"], [1, 2], [0, 1, 2]),
        ([1.0, np.nan, 2.5], ["1", "2.5"], [0, np.nan, 1]),
        (["1", "1.0"], [1.0], [0, 0]),
        (["1.0", "2.50", "007"], ["1", "2.5", "7", "007"], [0, 1, 3]),
        (["TRUE", "7"], ["FALSE", "TRUE", "007"], [1, 3]),
        ([1.0, 2.0], [1, 2], [0, 1]),
        ([1, "1"], [1, "1"], [0, 1]),
        ([True, False], ["False", "True"], [1, 0]),
        ([1, "a", None, "b"], ["a", 1], [1, 0, np.nan, 2]),
        ([True, 1, "True"], ["1", "True"], [1, 0, 1]),
        (["TRUE", "false", "True", "x", None], [False, True], [1, 0, 1, 2, np.nan]),
        (["TRUE"], ["False", "True", "unknown"], [3]),
        (pd.array([2, None], dtype="Int64"), ["1", "2"], [1, np.nan]),
        (pd.array(["b", None], dtype="string"), "ab", [1, np.nan]),
        (pd.array(["b", None], dtype="string[pyarrow]"), "ab", [1, np.nan]),
        (pd.array([1, None], dtype="int64[pyarrow]"), [1], [0, np.nan]),
        (pd.to_datetime(["2020-01-01"]), ["2020-01-01 00:00:00"], [0]),
        ([["a"], {"b": 1}], ["['a']"], [0, 1]),
        ([None, None], "a", [np.nan, np.nan]),
        ([np.nan, np.nan], "a", [np.nan, np.nan]),
        (pd.Categorical([None], categories=[]), "a", [np.nan]),
    ],
)
def test_categories_are_compared_by_value_and_then_by_text(values, categories, expected):
    assert same(codes(values, categories), expected)


def test_a_single_row_reads_as_it_does_among_others():
    X, _ = typed(pd.DataFrame({"n": ["1", "2", "3"], "c": ["x", "y", "x"], "d": ["2020-01-01", "2020-01-02", "2020-01-03"]}))
    columns = Columns.of(X)
    table = pd.DataFrame({"n": ["5", "True", "2021-01-01"], "c": [1, "x", None], "d": ["2020-01-01", "", 4]})
    whole = columns.read(table)
    rows = [columns.read(table.iloc[[i]])[0] for i in range(3)]
    assert same(whole, rows)


def test_reading_leaves_the_table_alone():
    table = pd.DataFrame({"x": pd.Series(["1", None], dtype=object)})
    before = table.copy(deep=True)
    read(table["x"])
    pd.testing.assert_frame_equal(table, before)


def test_an_index_may_hold_a_label_twice():
    columns = Columns(("a",), (None,))
    table = pd.DataFrame({"a": [True, None, "3"]})
    assert same(columns.read(pd.concat([table, table])), np.array([[1.0], [np.nan], [3.0]] * 2))


@pytest.mark.parametrize("categories", [[0.5, 1.5], ["0.5", "1.5"], ["0,5", "1,5"]])
def test_a_category_is_found_whichever_mark_its_number_is_written_with(categories):
    columns = Columns.of(pd.DataFrame({"size": pd.Categorical(categories)}))
    assert columns.read(pd.DataFrame({"size": ["1,5", "0,5", "2,5", "1,5 kg"]}))[:, 0].tolist() == [1, 0, 2, 2]


def test_a_file_is_to_give_categories_as_they_are_written():
    columns = Columns.of(
        pd.DataFrame({"fence": pd.Categorical(["None", "brick", ""]), "x": [1.0, 2.0, 3.0], "n": pd.Categorical([1, 2, 3])})
    )
    assert columns.text == {"fence": {"None"}, "n": set()}
