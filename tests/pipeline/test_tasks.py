"""The three doors to a task: OpenML, scikit-learn's bundled tables, files; and the laws that every task keeps."""

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lcbench.errors import UserError
from pipeline.preprocessing.encoding import MAX_INDICATORS
from pipeline.splits import resplit, validated
from pipeline.tasks import BUNDLED, Task, automatically_validated, bundled_task, cross_validated, file_task, openml_task, task_name

# name, task, fold, kind, rows, features, classes; rows, features and classes are those of OpenML's website
LOADED = [
    ("adult", 126025, 0, "classification", 48842, 14, 2),
    ("credit-g", 31, 3, "classification", 1000, 20, 2),
    ("sick", 3021, 0, "classification", 3772, 29, 2),
    ("eucalyptus", 2079, 9, "classification", 736, 19, 5),
    ("abalone", 359944, 0, "regression", 4177, 8, 0),
    ("house_prices_nominal", 359951, 0, "regression", 1460, 79, 0),
]


def check_laws(task: Task) -> None:
    """What every task promises, whatever its source."""
    rows = np.sort(np.concatenate([task.train, task.val, task.test]))
    assert np.array_equal(rows, np.arange(len(task.X)))
    assert (task.info.n_train, task.info.n_val, task.info.n_test) == (len(task.train), len(task.val), len(task.test))
    assert min(task.info.n_train, task.info.n_val, task.info.n_test) > 0
    assert task.info.n_features == task.X.shape[1]
    for name in task.X:
        dtype = task.X[name].dtype
        assert isinstance(dtype, pd.CategoricalDtype) or dtype in (np.dtype(np.int64), np.dtype(np.float64)), name
    if task.info.kind == "classification":
        assert task.y.dtype == np.int64
        assert np.array_equal(np.unique(task.y), np.arange(task.info.n_classes))
        assert len(task.classes) == len(set(task.classes)) == task.info.n_classes
    else:
        assert task.y.dtype == np.float64
        assert np.isfinite(task.y).all()
        assert task.classes == () and task.info.n_classes == 0


def table(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"size": rng.normal(size=n), "colour": np.resize(["red", "green", "blue"], n), "label": np.resize(["no", "yes"], n)}
    )


@pytest.fixture
def write(tmp_path):
    def write_table(frame: pd.DataFrame, name: str = "table.csv"):
        path = tmp_path / name
        frame.to_csv(path, index=False) if ".csv" in name else frame.to_parquet(path)
        return path

    return write_table


# OpenML


@pytest.mark.parametrize(("name", "id", "fold", "kind", "n", "d", "c"), LOADED, ids=[row[0] for row in LOADED])
def test_openml_tasks_load_with_the_published_sizes(openml_cache, name, id, fold, kind, n, d, c):
    task = openml_task(id, name, fold)
    check_laws(task)
    info = task.info
    assert (info.name, info.openml_task_id, info.fold, info.kind) == (name, id, fold, kind)
    assert (len(task.X), info.n_features, info.n_classes) == (n, d, c)


def test_missing_cells_stay_missing(openml_cache):
    assert openml_task(3021, "sick").X.isna().sum().sum() == 6064
    assert openml_task(359951, "house").X.isna().sum().sum() == 6965


def test_adult_is_the_adult_that_everybody_knows(openml_cache):
    task = openml_task(126025, "adult")
    assert task.classes == ("<=50K", ">50K")
    assert round(float((task.y == 0).mean()), 3) == 0.761
    assert round(float((task.y[task.test] == 0).mean()), 3) == 0.763  # OpenML's hold-out is not exactly stratified
    assert task.X["age"].dtype == np.int64 and task.X["age"].iloc[:3].tolist() == [25, 38, 28]


@pytest.mark.parametrize(
    ("id", "sizes"),
    [(126025, (21925, 10800, 16117)), (167161, (448, 222, 330)), (167185, (485, 239, 356)), (167104, (310, 153, 227))],
)
def test_hold_out_splits_have_the_sizes_of_lcbench(openml_cache, id, sizes):
    info = openml_task(id, "a hold-out task").info
    assert (info.n_train, info.n_val, info.n_test) == sizes


@pytest.mark.parametrize("id", [126025, 167168, 59, 359930])
def test_the_test_rows_are_those_of_the_split_file(openml_cache, id):
    lines = (openml_cache / f"org/openml/www/tasks/{id}/datasplits.arff").read_text().splitlines()
    expected = [int(line.split(",")[1]) for line in lines if line.startswith("TEST,") and line.endswith(",0,0")]
    assert openml_task(id, "any").test.tolist() == expected


def test_the_folds_of_a_task_test_on_every_row_once(openml_cache):
    tests = np.concatenate([openml_task(31, "credit-g", fold).test for fold in range(10)])
    assert np.array_equal(np.sort(tests), np.arange(1000))


def test_resplit_ignores_the_official_split(openml_cache):
    shuttle = openml_task(146212, "shuttle", split="resplit")
    check_laws(shuttle)
    assert (shuttle.info.n_train, shuttle.info.n_val, shuttle.info.n_test) == (26036, 12824, 19140)
    shares = [np.bincount(shuttle.y[rows], minlength=7) / len(rows) for rows in (shuttle.test, np.arange(58000))]
    assert np.allclose(*shares, atol=1e-4)  # stratified
    assert "stratified" in shuttle.info.split and "OpenML's own" not in shuttle.info.split


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"id": "adult"}, r"`id` is 'adult', but must be the number of an OpenML task, e\.g\. task=openml task\.id=31"),
        ({"id": 0}, r"`id` is 0, but must be the number"),
        ({"id": 31, "fold": -1}, r"`fold` is -1, but must be 0 or a larger number"),
        ({"id": 31, "split": "random"}, r"`split` is 'random', but must be official .* or resplit"),
        ({"id": 31, "split": "resplit", "fold": 2}, r"`fold` is 2, but split=resplit has one fold only: use fold=0, or split=official"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        openml_task(**{"name": "any"} | arguments)


def test_a_fold_that_the_task_does_not_have_is_refused(openml_cache):
    with pytest.raises(UserError, match=r"`fold` is 10, but OpenML task 31 has folds 0\.\.9: use a fold that it has"):
        openml_task(31, "credit-g", fold=10)
    with pytest.raises(UserError, match=r"`fold` is 1, but OpenML task 126025 has one hold-out split, which is fold 0"):
        openml_task(126025, "adult", fold=1)


# splits


def test_splits_do_not_depend_on_the_global_seed_of_numpy():
    splits = []
    for seed in (0, 1):
        np.random.seed(seed)  # noqa: NPY002 (the point of the test)
        task = bundled_task("iris")
        splits.append((task.train.tolist(), task.val.tolist(), task.test.tolist()))
    assert splits[0] == splits[1]


def test_validation_rows_are_cut_as_auto_pytorch_cuts_them():
    rest = np.arange(100, 200)
    order = np.random.RandomState(42).permutation(100)
    rows = validated(rest, np.arange(100), "by hand")
    assert rows.train.tolist() == (100 + order[:67]).tolist()
    assert rows.val.tolist() == (100 + order[67:]).tolist()


def test_classification_is_stratified_and_regression_is_not():
    y = np.repeat([0, 1], [90, 10])
    assert np.bincount(y[resplit(y, classes=True, name="t").test]).tolist() == [30, 3]
    assert "not" not in resplit(y, classes=True, name="t").words
    assert "stratified" not in resplit(np.arange(50.0), classes=False, name="t").words


@pytest.mark.parametrize(
    ("y", "reason"),
    [
        ([0] * 20 + [1], "one class has a single row"),
        ([0] * 20 + [1, 2], "2 classes have a single row each"),
        ([0, 0, 1, 1, 2, 2, 3, 3], "4 classes do not fit into the test rows of a table with 8 rows"),
    ],
)
def test_an_impossible_stratification_is_not_silent(y, reason):
    rows = resplit(np.array(y), classes=True, name="tiny")
    assert f"33 % test with seed 42, not stratified because {reason}" in rows.words
    assert any("tiny" in note and reason in note for note in rows.notes)


def test_a_table_too_small_to_split_is_refused():
    with pytest.raises(UserError, match=r"task 'tiny' has 2 rows, but at least 3 are needed"):
        resplit(np.array([0, 1]), classes=True, name="tiny")


def test_a_task_refuses_rows_that_overlap_or_do_not_exist():
    task = bundled_task("iris")
    for wrong in (task.train[:1], np.array([150]), np.array([-1])):
        with pytest.raises(ValueError, match="must be disjoint rows of one table with 150 rows"):
            replace(task, val=np.concatenate([task.val, wrong]))


# bundled tables


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_tasks_load(name):
    task = bundled_task(name)
    check_laws(task)
    n = {"digits": 1797, "breast_cancer": 569, "wine": 178, "iris": 150, "diabetes": 442}[name]
    assert len(task.X) == n
    assert task.info.n_test == -(-33 * n // 100)
    assert task.info.kind == ("regression" if name == "diabetes" else "classification")


def test_bundled_classes_have_their_names():
    assert bundled_task("iris").classes == ("setosa", "versicolor", "virginica")
    assert bundled_task("digits").classes == tuple("0123456789")


def test_an_unknown_bundled_name_is_refused():
    with pytest.raises(UserError, match=r"`name` is 'irsi', but the bundled tasks are digits, .*; did you mean 'iris'\?"):
        bundled_task("irsi")


# files


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.parquet", "table.pq"])
def test_files_of_every_suffix_give_the_same_task(write, name):
    task = file_task(write(table(), name), "label")
    check_laws(task)
    assert task.info.name == "table" and task.classes == ("no", "yes")
    assert task.notes == (
        "columns: 1 numeric, 1 categorical ('colour'); 'label' makes it a classification of 2 classes "
        "(task.numeric, task.categorical and task.kind say otherwise)",
    )
    assert task.y.tolist() == [0, 1] * 30
    assert np.allclose(task.X["size"], table()["size"])
    assert task.X["colour"].astype(str).tolist() == table()["colour"].tolist()


def test_times_of_a_file_are_told_unless_they_are_to_be_categories(write):
    frame = table().assign(when=pd.date_range("2020-01-01", periods=60), took=pd.to_timedelta(np.arange(60), unit="s"))
    path = write(frame, "table.parquet")
    said = file_task(path, "label").notes[-1]
    assert said.startswith("columns: 3 numeric (times in seconds: 'when', 'took'), 1 categorical ('colour'); ")
    assert "(times in seconds: 'when')" in file_task(path, "label", categorical=["took"]).notes[-1]


def test_a_task_survives_the_way_to_a_child_process(write):
    task = file_task(write(table()), "label")
    copy = pickle.loads(pickle.dumps(task))
    assert copy.info == task.info and copy.X.equals(task.X) and np.array_equal(copy.test, task.test)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (np.linspace(0, 1, 60), "regression"),
        (np.arange(60), "regression"),
        (np.arange(60) % 2 * 1.0, "classification"),
        (np.arange(60) % 20, "classification"),
        (np.arange(60) % 21, "regression"),
        (np.resize([True, False], 60), "classification"),
        (np.resize(["a", "b"], 60), "classification"),
        (np.arange(60).astype(str), "regression"),
        (pd.date_range("2020-01-01", periods=60), "regression"),
    ],
)
def test_the_kind_of_a_file_follows_from_its_target(write, target, kind):
    path = write(table().assign(label=target), "table.parquet")
    task = file_task(path, "label")
    check_laws(task)
    assert task.info.kind == kind


def test_the_kind_of_a_file_can_be_set(write):
    path = write(table().assign(label=np.resize([1.0, 2.0, 10.0], 60)))
    assert file_task(path, "label", kind="regression").info.kind == "regression"
    task = file_task(path, "label")
    check_laws(task)
    assert task.classes == ("1", "2", "10") and task.y[:3].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "arguments", "sentence"),
    [
        ({}, {"target": "lable"}, r"`target` is 'lable', but .*table\.csv has no such column: did you mean 'label'\?"),
        ({}, {"target": "zzz"}, r"`target` is 'zzz', but .* has no such column: its columns are 'size', 'colour', 'label'"),
        ({"label": "no"}, {}, r"target 'label' of .*table\.csv has one class only \('no'\), but a classifier needs at least two"),
        ({"label": 7}, {"kind": "regression"}, r"target 'label' .* has the value 7 in every row, so there is nothing to predict"),
        (
            {},
            {"kind": "regression"},
            r"target 'label' .* holds text \('no', 'yes'\), but a regression needs numbers: use kind=classification",
        ),
        ({}, {"kind": "ranking"}, r"`kind` is 'ranking', but must be classification, regression, or null"),
        ({"label": [None] * 60}, {}, r"target 'label' .* is missing in all 60 rows: give a column with values"),
        ({"label": [np.inf, 1.5] * 30}, {}, r"target 'label' .* is infinite in 30 rows, but must be finite"),
        (
            {},
            {"numeric": ["colour"]},
            r"column 'colour' is declared numeric, but holds only text \('red', 'green', 'blue'\): name it in `categor",
        ),
        ({}, {"numeric": ["sise"]}, r"`numeric` is 'sise', but the features of .* has no such column: did you mean 'size'\?"),
        ({}, {"categorical": ["label"]}, r"`categorical` is 'label', but the features of .* has no such column"),
        (
            {},
            {"numeric": ["size"], "categorical": ["size"]},
            r"column 'size' is named in `numeric` and in `categorical`, but can be only one",
        ),
    ],
)
def test_wrong_columns_are_refused_in_one_sentence(write, change, arguments, sentence):
    path = write(table().assign(**change))
    with pytest.raises(UserError, match=sentence) as refusal:
        file_task(path, **{"target": "label"} | arguments)
    assert "\n" not in str(refusal.value)


def test_a_file_without_features_is_refused(write):
    with pytest.raises(UserError, match=r"table\.csv has no column beside the target 'label': give a table with features"):
        file_task(write(table()[["label"]]), "label")


def test_training_rows_of_one_class_are_refused(write):
    labels = np.full(60, "common")
    labels[resplit(np.arange(60.0), classes=False, name="t").test[0]] = "rare"  # one row of a class: not stratified
    with pytest.raises(UserError, match="all 26 training rows of task 'table' are of class 'common', but two are needed: give more rows"):
        file_task(write(table().assign(label=labels)), "label")


# names and costs


def test_names_are_known_without_loading():
    assert task_name({"name": "adult", "id": 1, "fold": 0}) == "adult"
    assert task_name({"name": "adult", "id": 1, "fold": 3}) == "adult-fold3"
    assert task_name({"name": "iris"}) == "iris"
    assert task_name({"name": None, "path": "some/where/my.table.csv.gz"}) == "my.table"
    assert task_name({"name": "mine", "path": "table.csv"}) == "mine"


def test_the_import_is_light():
    heavy = "sorted({'torch', 'sklearn', 'openml', 'hydra'} & set(sys.modules))"
    code = f"import sys, pipeline.tasks; print({heavy})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# a second file, other shares, rows without a target


def test_a_second_file_is_tested_on_and_all_of_the_first_trains_and_validates(write):
    path, test = write(table(), "table.csv"), table(25).assign(more=1)
    second = write(test[["more", "label", "colour", "size"]], "later.csv")  # another order, and a column that is not needed
    task = file_task(path, "label", test_path=second)
    check_laws(task)
    assert task.test.tolist() == list(range(60, 85))
    assert (task.info.n_train, task.info.n_val, task.info.n_test) == (40, 20, 25)
    assert task.info.split.startswith("tested on later.csv, then 33 %")
    assert list(task.X.columns) == ["size", "colour"]
    np.testing.assert_allclose(task.X["size"].iloc[task.test], test["size"])
    assert task.y[task.test].tolist() == np.resize([0, 1], 25).tolist()


def test_categories_and_classes_of_the_second_file_alone_are_known(write):
    second = write(table(10).assign(colour="violet", label=["never"] + ["no", "yes", "no"] * 3), "later.csv")
    task = file_task(write(table()), "label", test_path=second)
    assert task.classes == ("never", "no", "yes")
    assert set(task.X["colour"].iloc[task.test].astype(str)) == {"violet"}
    assert 0 not in task.y[task.rest]


@pytest.mark.parametrize("spelling", [str, str.upper, str.lower])
def test_truth_with_a_missing_cell_is_the_same_in_both_files(write, spelling):
    truth = [spelling(word) for word in np.resize(["True", "False", "True"], 30)]
    first = table(30).assign(label=truth, new=truth[::-1])
    first.loc[0, ["label", "new"]] = None
    task = file_task(write(first), "label", test_path=write(table(6).assign(label=truth[:6], new=truth[:6]), "later.csv"))
    assert task.classes == ("False", "True")
    assert task.y[task.test].tolist() == [1, 0, 1] * 2
    assert task.X["new"].iloc[task.test].tolist() == [1, 0, 1] * 2


def test_a_target_that_counts_as_missing_is_named_as_it_is_written(write):
    words = np.resize(["None", "Insomnia", "Apnea", "Apnea"], 60)
    task = file_task(write(table().assign(label=words)), "label")
    assert task.classes == ("Apnea", "Insomnia")
    assert any("is missing in 15 of 60 rows, which are left out; there it says 'None': if that is a class" in note for note in task.notes)
    empty = file_task(write(table().assign(label=np.where(words == "None", None, words))), "label")
    assert not any("it says" in note for note in empty.notes)


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (table(10).drop(columns="colour"), r"later\.csv has no column 'colour', which .*table\.csv has: give both files the same columns"),
        (table(10).drop(columns="label"), r"`target` is 'label', but .*later\.csv has no such column"),
        (table(10).assign(label=None), r"target 'label' of .*later\.csv is missing in all 10 rows"),
    ],
)
def test_a_second_file_that_does_not_fit_is_refused(write, second, sentence):
    path = write(table())
    with pytest.raises(UserError, match=sentence):
        file_task(path, "label", test_path=write(second, "later.csv"))


def test_a_first_file_of_one_row_is_refused(write):
    path = write(table(1), "one.csv")
    with pytest.raises(UserError, match="the test rows leave 1 to train and validate, but at least 2 are needed"):
        file_task(path, "label", test_path=write(table(10), "later.csv"))


def test_without_test_rows_all_rows_train_and_validate(write):
    task = file_task(write(table()), "label", test_share=0)
    assert (task.info.n_train, task.info.n_val, task.info.n_test) == (40, 20, 0)
    assert np.array_equal(task.rest, np.arange(60))
    assert task.info.split.startswith("no test rows")


def test_decimal_commas_of_a_second_file_are_read_where_a_cell_of_the_first_is_no_number(tmp_path):
    rows = "".join(f"{i},5;{'ab'[i % 2]};{'yes' if i % 3 else 'no'}\n" for i in range(60))
    (tmp_path / "one.csv").write_text(f"size;tag;label\n{rows}-;a;yes\n")
    (tmp_path / "two.csv").write_text("size;tag;label\n7,25;a;yes\n8,5;b;no\n")
    task = file_task(tmp_path / "one.csv", "label", test_path=tmp_path / "two.csv")
    assert task.X["size"].iloc[task.test].tolist() == [7.25, 8.5]
    assert task.X["size"].notna().sum() == 62


def test_a_column_of_many_categories_is_told(write):
    n = 3 * MAX_INDICATORS
    names = {"city": [f"c{i % (MAX_INDICATORS + 1)}" for i in range(n)], "street": [f"d{i % MAX_INDICATORS}" for i in range(n)]}
    task = file_task(write(pd.DataFrame(names | {"label": np.arange(n) % 2})), "label")
    told = [note for note in task.notes if "categories" in note]
    assert told == [f"columns with more than {MAX_INDICATORS} categories: 'city'; without embeddings, networks see the rarest as one"]


def test_rows_without_a_target_are_left_out_of_both_files_and_noted(write):
    first, second = table(), table(20)
    first.loc[[0, 7, 59], "label"] = None
    second.loc[[3, 4], "label"] = None
    task = file_task(write(first), "label", test_path=write(second, "later.csv"))
    check_laws(task)
    assert len(task.X) == 57 + 18
    one, other = (note for note in task.notes if "which are left out" in note)
    assert "table.csv is missing in 3 of 60 rows" in one
    assert "later.csv is missing in 2 of 20 rows" in other
    expected = pd.concat([first, second]).dropna(subset=["label"])
    np.testing.assert_allclose(task.X["size"], expected["size"])
    assert [task.classes[code] for code in task.y] == expected["label"].tolist()


@pytest.mark.parametrize(
    "target",
    [np.linspace(0, 1, 60), np.resize([True, False], 60), np.resize([0, 1, 2], 60), pd.date_range("2020-01-01", periods=60)],
)
def test_a_missing_target_does_not_change_the_kind_nor_the_other_targets(write, target):
    whole = table().assign(label=target)
    holed = whole.astype({"label": object}) if whole["label"].dtype == bool else whole.copy()
    holed.loc[5, "label"] = None
    whole, holed = (file_task(write(frame, f"{i}.parquet"), "label") for i, frame in enumerate((whole, holed)))
    assert (holed.info.kind, holed.classes) == (whole.info.kind, whole.classes)
    assert holed.y.tolist() == np.delete(whole.y, 5).tolist()


def test_row_numbers_that_the_first_file_has_as_a_column_stay_in_the_second(tmp_path):
    """Two tables one behind the other number their rows twice, so that they are a column like others."""
    frame = table()
    pd.concat([frame, frame]).to_csv(tmp_path / "train.csv")
    frame.to_csv(tmp_path / "test.csv")
    task = file_task(tmp_path / "train.csv", "label", test_path=tmp_path / "test.csv")
    assert task.X.columns[0] == "Unnamed: 0" and len(task.test) == len(frame)
    assert file_task(tmp_path / "test.csv", "label").X.columns[0] != "Unnamed: 0"


# cross-validation


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_under_cross_validation_every_row_but_the_test_rows_validates_once(name):
    plain = bundled_task(name)
    task = cross_validated(plain, 4)
    assert np.array_equal(task.test, plain.test)
    assert np.array_equal(task.rest, plain.rest)
    assert len(task.train) == 0
    assert np.array_equal(np.sort(task.val), plain.rest)
    assert sum(task.folds) == len(task.val) == task.info.n_val
    assert len(task.folds) == 4
    assert task.info.n_train == len(task.val) - task.folds[0]
    assert task.info.split.endswith(", then 4-fold cross-validation, seed 42")
    assert "33 % of the training rows" not in task.info.split


def test_folds_are_stratified_where_classes_allow():
    task = cross_validated(bundled_task("wine"), 5)
    folds = np.split(task.val, np.cumsum(task.folds)[:-1])
    counts = np.array([np.bincount(task.y[fold], minlength=3) for fold in folds])
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= 1


@pytest.mark.parametrize("k", [-1, 0, 1, 101])
def test_a_number_of_folds_out_of_range_is_refused(k):
    with pytest.raises(UserError, match=rf"`cross_validation` is {k}, but must be 2\.\.100 folds, or null to hold out 33 %"):
        cross_validated(bundled_task("iris"), k)


def test_leave_one_out_is_the_most_folds():
    assert cross_validated(bundled_task("iris"), 100).folds == (1,) * 100
    task = bundled_task("breast_cancer")
    lonely = replace(task, y=np.where(np.arange(len(task.X)) == task.rest[0], 1, 0))
    with pytest.raises(UserError, match="`cross_validation` is 5, but outside of one of these folds all rows are of one class"):
        cross_validated(lonely, 5)


def test_the_folds_of_a_regression_have_two_rows_for_its_r2_to_be_defined():
    n = len(bundled_task("diabetes").rest)
    assert min(cross_validated(bundled_task("diabetes"), n // 2).folds) >= 2
    with pytest.raises(UserError, match=rf"must be 2\.\.{n // 2} folds"):
        cross_validated(bundled_task("diabetes"), n // 2 + 1)


def test_a_task_refuses_folds_that_are_not_its_validation_rows():
    task = cross_validated(bundled_task("iris"), 3)
    with pytest.raises(ValueError, match=r"folds of .* rows do not make up 100 validation rows"):
        replace(task, folds=(50, 49))


@pytest.mark.parametrize(("name", "folds"), [("wine", 5), ("diabetes", 5), ("digits", 5)])
def test_unless_told_otherwise_a_table_with_few_rows_is_cut_into_folds_and_says_so(name, folds):
    task = automatically_validated(bundled_task(name))
    assert len(task.folds) == folds
    assert task.notes[-1].startswith(f"{len(task.rest)} rows to learn from: 5-fold cross-validation")


def test_many_rows_very_few_rows_and_rare_classes_are_held_out_instead(write):
    def table(n, rare):
        return pd.DataFrame({"x": np.arange(n), "label": np.repeat(["rare", "frequent"], [rare, n - rare])})

    for n, rare in [(4000, 1000), (60, 30), (1000, 6)]:
        task = file_task(write(table(n, rare), f"{n}.parquet"), "label")
        assert automatically_validated(task) is task
