"""From a file to typed columns: what counts as a number, a date, a category, and what is said about it."""

import datetime
import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcbench.errors import UserError
from pipeline.preprocessing.columns import Columns
from pipeline.table import MISSING, read_file, stacked, typed


def one(values, wish: str | None = None) -> tuple[pd.Series, tuple[str, ...]]:
    """Type a single column named x."""
    X, notes = typed(pd.DataFrame({"x": values}), **{wish: ["x"]} if wish else {})
    return X["x"], notes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1.5, None, 3], [1.5, np.nan, 3]),
        (pd.array([1, None, 3], dtype="Int64"), [1, np.nan, 3]),
        (np.array([1, 2, 3], np.uint8), [1, 2, 3]),
        (np.array([1, 2, 3], np.float32), [1, 2, 3]),
        ([True, False, True], [1, 0, 1]),
        ([True, None, False], [1, np.nan, 0]),
        (pd.array([True, None, False], dtype="boolean"), [1, np.nan, 0]),
        (["1", " 2.5", "-3e1"], [1, 2.5, -30]),
        ([None, None, None], [np.nan] * 3),
        (pd.arrays.SparseArray([0.0, 0.0, 2.0]), [0, 0, 2]),
        (pd.to_datetime(["1970-01-01 00:00:00", None, "1970-01-02 00:00:01"]), [0, np.nan, 86401]),
        (pd.to_datetime(["1970-01-01", "1970-01-02"], utc=True), [0, 86400]),
        (pd.to_timedelta(["1min", None]), [60, np.nan]),
        (np.array(["2970-01-01"], "datetime64[s]"), [365243 * 86400]),  # beyond what nanoseconds can say
        ([datetime.date(1970, 1, 1), datetime.date(1970, 1, 3)], [0, 172800]),
        (pd.array([datetime.date(1970, 1, 1), None], dtype="date32[pyarrow]"), [0, np.nan]),
        (pd.array([datetime.datetime(1970, 1, 2), None], dtype="timestamp[us][pyarrow]"), [86400, np.nan]),
        (pd.array([datetime.timedelta(minutes=1), None], dtype="duration[s][pyarrow]"), [60, np.nan]),
        (["1970-01-01T00:00:10", "1970-01-02"], [10, 86400]),
    ],
)
def test_numbers_times_and_booleans_become_numbers(values, expected):
    column, _ = one(values)
    assert column.dtype in (np.int64, np.float64)
    assert np.array_equal(column, np.array(expected, float), equal_nan=True)


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (["b", "a", None], ["a", "b"]),
        (pd.Categorical(["b", "a", None], categories=["b", "a", "c"]), ["b", "a", "c"]),
        (["x", 1, None], ["1", "x"]),
        (["10-20", "20-30", "10-20"], ["10-20", "20-30"]),
        (["today", "now", "a"], ["a", "now", "today"]),
    ],
)
def test_text_becomes_a_category_in_its_own_order_or_sorted(values, categories):
    column, notes = one(values)
    assert list(column.cat.categories) == categories and not column.cat.ordered
    assert column.isna().tolist() == pd.isna(pd.Series(values)).tolist()
    assert notes == ()


def test_nearly_numeric_text_counts_as_numeric_and_is_told():
    column, notes = one([str(i) for i in range(9)] + ["?", None])
    assert column.dtype == np.float64 and column.isna().tolist() == [False] * 9 + [True, True]
    assert notes == ("column 'x' holds text, but counts as numeric, and 1 other cells ('?') as missing",)
    column, notes = one([str(i) for i in range(8)] + ["?", "!"])
    assert isinstance(column.dtype, pd.CategoricalDtype) and notes == ()


def test_dates_as_text_are_told():
    column, notes = one(["2020-01-01"] * 9 + ["today"])
    assert column.tolist()[:9] == [1577836800.0] * 9 and np.isnan(column.iloc[9])
    assert notes == ("column 'x' holds dates, which count as seconds since 1970, and 1 other cells as missing",)


def test_numbers_among_dates_count_as_they_will_when_they_are_predicted():
    values = [*["2020-01-01"] * 18, "0", "today"]
    column, notes = one(values)
    assert column.tolist()[17:19] == [1577836800.0, 0.0] and np.isnan(column.iloc[19])
    assert notes == ("column 'x' holds dates, which count as seconds since 1970, and 1 numbers as such, and 1 other cells as missing",)
    read = Columns(("x",), (None,)).read(pd.DataFrame({"x": values}))[:, 0]
    assert np.array_equal(read, column, equal_nan=True)


def test_a_declared_type_wins():
    column, notes = one(["1", "a", "b", None], "numeric")
    assert np.array_equal(column, [1, np.nan, np.nan, np.nan], equal_nan=True)
    assert notes == ("column 'x' holds text, but counts as numeric, and 2 other cells ('a', 'b') as missing",)
    assert list(one([10, 9, 10], "categorical")[0].cat.categories) == [9, 10]
    assert list(one(["10", "9"], "categorical")[0].cat.categories) == ["10", "9"]
    assert one(pd.Categorical(["2", "1"]), "numeric")[0].tolist() == [2, 1]
    assert one([None, None], "numeric")[0].isna().all()


def test_declared_numbers_that_are_only_text_are_refused():
    with pytest.raises(UserError, match=r"column 'x' is declared numeric, but holds only text \('a', 'b', 'c', \.\.\.\): name it in `cat"):
        one(["a", "b", "c", "d"], "numeric")


@given(st.lists(st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(), st.text(max_size=3), st.dates()), min_size=1))
def test_whatever_a_column_holds_it_becomes_numbers_or_a_category(values):
    column, _ = one(pd.Series(values, dtype=object))
    assert len(column) == len(values)
    assert isinstance(column.dtype, pd.CategoricalDtype) or column.dtype in (np.int64, np.float64)


@pytest.mark.parametrize(("separator", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_other_separators_are_found_and_told(tmp_path, separator, word):
    path = tmp_path / "table.csv"
    path.write_text(f"\ufeffa{separator}b\n1{separator}2\n", encoding="utf-8")  # with the byte order mark of spreadsheets
    table, notes = read_file(path)
    assert table.columns.tolist() == ["a", "b"] and table.iloc[0].tolist() == [1, 2]
    assert notes == (f"table.csv is read as separated by {word}",)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("table.csv", None, r"`path` is '.*table\.csv', but there is no such file \(looked at /"),
        ("table.xlsx", b"", r"`path` is '.*table\.xlsx', but must end in one of \.csv, \.csv\.gz, \.parquet, \.pq: convert"),
        ("table.csv", b"", r"table\.csv cannot be read as a table \(No columns to parse from file\)"),
        ("table.csv", b"a,b\n1,\xff\n", r"table\.csv cannot be read as a table \(.*can't decode.*\): check that it is a CSV \(UTF-8\)"),
        ("table.csv", b'a,b\n1,"2\n', r"table\.csv cannot be read as a table \("),
        ("table.csv.gz", b"no gzip", r"table\.csv\.gz cannot be read as a table \(Not a gzipped file"),
        ("table.parquet", b"PAR1 not really", r"table\.parquet cannot be read as a table \("),
        ("table.csv", b"a,b\n", r"table\.csv has no rows under its header: give a table with rows"),
    ],
)
def test_unreadable_files_are_refused_in_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=sentence) as refusal:
        read_file(path)
    assert "\n" not in str(refusal.value)


def test_two_columns_of_one_name_are_refused(tmp_path):
    import pyarrow
    import pyarrow.parquet

    columns = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["a", "a"])
    pyarrow.parquet.write_table(columns, tmp_path / "table.pq")
    with pytest.raises(UserError, match=r"(more than one column named 'a'|cannot be read as a table)"):
        read_file(tmp_path / "table.pq")


def test_decimal_commas_of_a_european_spreadsheet_are_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("preis;ort;menge\n1,5;Bonn;3\n2,25;Kiel;4\n")
    table, notes = read_file(tmp_path / "t.csv")
    assert table["preis"].tolist() == [1.5, 2.25]
    assert table["menge"].tolist() == [3, 4]
    assert notes == ("t.csv is read as separated by semicolons, with decimal commas",)


def test_decimal_points_stay_points_under_semicolons(tmp_path):
    (tmp_path / "t.csv").write_text("price;city\n1.5;Bonn\n2.25;Kiel\n")
    assert read_file(tmp_path / "t.csv")[0]["price"].tolist() == [1.5, 2.25]


@pytest.mark.parametrize(
    "text", ["preis;menge;ort\n1;2;a\n1,5;2,5;b\n", "preis;menge;ort\n1,5;2;Müller, Hans, Dr\n", '"preis, netto";menge;ort\n1,5;2;b\n']
)
def test_commas_in_cells_and_names_do_not_hide_semicolons(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    table, _ = read_file(tmp_path / "t.csv")
    assert table.shape[1] == 3
    assert table.iloc[:, 0].tolist()[-1] == 1.5


def test_a_separator_at_the_end_of_every_row_moves_nothing(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2,\n3,4,\n")
    assert read_file(tmp_path / "t.csv")[0].to_dict("list") == {"a": [1, 3], "b": [2, 4]}
    (tmp_path / "r.csv").write_text("a,b\nrow 1,1,2\nrow 2,3,4\n")  # as R writes it, with names of rows
    assert read_file(tmp_path / "r.csv")[0].to_dict("list") == {"a": [1, 3], "b": [2, 4]}


def test_a_csv_that_names_a_column_twice_is_refused(tmp_path):
    """Pandas would call the second y.1: a target that names itself twice would be a perfect feature."""
    (tmp_path / "t.csv").write_text("y,x,y\n1,2,1\n")
    with pytest.raises(UserError, match="more than one column named 'y'"):
        read_file(tmp_path / "t.csv")


def test_cells_of_categories_can_be_read_as_they_are_written(tmp_path):
    (tmp_path / "t.csv").write_text("code,flag,x\n007,TRUE,1\n010,,2\n")
    table, _ = read_file(tmp_path / "t.csv", dict.fromkeys(["code", "flag", "absent"], ()))
    assert table["code"].tolist() == ["007", "010"] and table["x"].tolist() == [1, 2]
    assert table["flag"].tolist()[0] == "TRUE" and pd.isna(table["flag"][1])


def test_cells_that_are_lists_count_by_their_text():
    column, _ = one(pd.Series([[1, 2], [1, 2], None, {"a": 3}], dtype=object))
    assert list(column.cat.categories) == ["[1, 2]", "{'a': 3}"] and column.isna().tolist() == [False, False, True, False]


@pytest.mark.parametrize("numbers", [[0, 1, 2], [1, 2, 3], [0, 2, 1], [17, 4, 9]])
def test_the_numbers_of_the_rows_are_no_column(tmp_path, numbers):
    """As pandas and R write them, also of rows that were shuffled or chosen; sorted rows would tell the target."""
    path, table = tmp_path / "t.csv", pd.DataFrame({"x": [5.0, 6.0, 8.0], "y": list("aab")}, index=numbers)
    table.to_csv(path)
    read, notes = read_file(path)
    pd.testing.assert_frame_equal(read, pd.DataFrame({"x": [5.0, 6.0, 8.0], "y": list("aab")}))
    assert notes == ("the first column of t.csv, which has no name and numbers the rows, is left out",)


@pytest.mark.parametrize("cells", [[0, 2, 2], [-1, 2, 4], [0.0, 1.0, None], ["0", "1", "b"]])
def test_other_columns_without_a_name_stay(tmp_path, cells):
    pd.DataFrame({"": cells, "x": range(3)}).to_csv(tmp_path / "t.csv", index=False)
    read, notes = read_file(tmp_path / "t.csv")
    assert read.columns.tolist() == ["Unnamed: 0", "x"] and not notes


def test_truth_and_numbers_are_stacked_as_numbers():
    truth, numbers = pd.DataFrame({"x": [True, False]}), pd.DataFrame({"x": [1, 0]})
    for both in (stacked(truth, numbers), stacked(numbers, truth)):
        assert typed(both)[0]["x"].tolist() == [1, 0, 1, 0]


def test_the_number_1_and_the_text_1_are_one_category():
    column, _ = one(pd.Categorical([1, "1", None, "a"], categories=["a", 1, "1"]))
    assert column.cat.categories.tolist() == ["1", "a"]
    assert column.astype(object).fillna("").tolist() == ["1", "1", "", "a"]


def test_tables_are_stacked_with_the_columns_and_types_of_the_first():
    first = pd.DataFrame({"month": pd.Categorical([1, 2]), "town": ["a", "b"], "x": [1.0, 2.0]})
    second = pd.DataFrame({"x": [3], "id": [9], "town": pd.Categorical(["c"]), "month": pd.Categorical([3])})
    both = stacked(first, second)
    assert both.columns.tolist() == ["month", "town", "x"]
    assert both["month"].cat.categories.tolist() == [1, 2, 3] and both["month"].tolist() == [1, 2, 3]
    assert both["town"].tolist() == ["a", "b", "c"] and not isinstance(both["town"].dtype, pd.CategoricalDtype)


@pytest.mark.parametrize("junk", ["-", "k.A.", "nicht da"])
def test_a_cell_that_is_no_number_costs_no_decimal_comma(tmp_path, junk):
    cells = [f"{i},5" for i in range(20)]
    (tmp_path / "t.csv").write_text("a;b\n" + "".join(f"{cell};{i},25\n" for i, cell in enumerate([*cells, junk])), encoding="utf-8")
    table, notes = read_file(tmp_path / "t.csv")
    assert notes == ("t.csv is read as separated by semicolons, with decimal commas",)
    typed_table, _ = typed(table)
    assert typed_table["a"].tolist()[:20] == [i + 0.5 for i in range(20)] and np.isnan(typed_table["a"].iloc[20])
    assert typed_table["b"].tolist() == [i + 0.25 for i in range(21)]


def test_decimal_commas_are_found_where_every_column_has_such_a_cell_and_in_categories(tmp_path):
    rows = "".join(f"{i},5;{i % 2},5\n" for i in range(20))
    (tmp_path / "t.csv").write_text("a;size\n" + rows + "-;k.A.\n", encoding="utf-8")
    table, _ = read_file(tmp_path / "t.csv", {"size": ()})
    assert table["a"].tolist()[:3] == ["0.5", "1.5", "2.5"]
    assert table["size"].tolist()[:2] == ["0,5", "1,5"]  # as it is written
    assert read_file(tmp_path / "t.csv")[0]["a"].tolist()[-1] == "-"


def test_points_with_a_cell_that_is_no_number_stay_points(tmp_path):
    (tmp_path / "t.csv").write_text("a;b\n" + "".join(f"{i}.5;x,{i}\n" for i in range(20)) + "-;3,4\n")
    table, notes = read_file(tmp_path / "t.csv")
    assert notes == ("t.csv is read as separated by semicolons",)
    assert table["a"].tolist()[:2] == ["0.5", "1.5"] and table["b"].iloc[-1] == "3,4"


def test_columns_with_points_and_one_of_thousands_or_pairs_keep_their_points(tmp_path):
    rows = "".join(f"0.{i}\t{i},234\t1,{i}0\n" for i in range(10, 30))
    (tmp_path / "t.csv").write_text("score\tprice\tpair\n" + rows)
    table, notes = read_file(tmp_path / "t.csv")
    assert notes == ("t.csv is read as separated by tabs, with decimal commas",)  # two columns against one
    (tmp_path / "t.csv").write_text("score\tother\tprice\tpair\n" + "".join(f"0.{i}\t{row}" for i, row in enumerate(rows.splitlines(True))))
    table, notes = read_file(tmp_path / "t.csv")
    assert notes == ("t.csv is read as separated by tabs",)
    assert table["score"].dtype == np.float64 and table["price"].tolist()[0] == "10,234"


def test_the_words_for_missing_cells_are_those_of_pandas():
    from pandas._libs.parsers import STR_NA_VALUES

    assert MISSING == STR_NA_VALUES


def test_a_category_that_looks_like_a_missing_cell_can_be_read(tmp_path):
    (tmp_path / "t.csv").write_text("fence,street,x\nNone,NA,NA\nbrick,None,1\n,a,2\n")
    table, _ = read_file(tmp_path / "t.csv", {"fence": {"None"}, "street": {"NA"}})
    assert table["fence"].tolist()[:2] == ["None", "brick"] and pd.isna(table["fence"][2])
    assert table["street"].tolist()[0] == "NA" and pd.isna(table["street"][1])
    assert pd.isna(table["x"][0]) and table["x"].tolist()[1:] == [1, 2]


def test_an_index_with_a_name_counts_as_a_column(tmp_path):
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="city"))
    frame.to_parquet(tmp_path / "t.parquet")
    table, notes = read_file(tmp_path / "t.parquet")
    assert table.to_dict("list") == {"city": ["a", "b"], "x": [1, 2]}
    assert notes == ("t.parquet has an index of 'city', which counts as columns",)
    numbered = pd.DataFrame({"x": [1, 2]}, index=pd.RangeIndex(2, name="id"))
    for one in (numbered, frame.reset_index(drop=True), frame.rename_axis(None)):
        one.to_parquet(tmp_path / "t.parquet")
        assert read_file(tmp_path / "t.parquet")[0].columns.tolist() == ["x"]


def test_a_damaged_gzip_is_refused_in_a_sentence(tmp_path):
    whole = bytearray(gzip.compress(b"a,b\n" + b"1,2\n" * 5000))
    whole[20:40] = bytes(20)
    (tmp_path / "t.csv.gz").write_bytes(bytes(whole))
    with pytest.raises(UserError, match=r"t\.csv\.gz cannot be read as a table"):
        read_file(tmp_path / "t.csv.gz")
