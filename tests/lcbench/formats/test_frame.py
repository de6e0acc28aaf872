"""Tidy tables: what is exported reads back, and looks as its docstring says."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.formats import frame
from lcbench.formats.frame import SUFFIXES, export_frame, frame_columns, read_frame
from lcbench.store import group_name, write_curves
from tests.lcbench.curve_strategies import tables
from tests.lcbench.formats.api_tables import HIGGS, full_table, table, training


@given(st.lists(tables(), max_size=3, unique_by=group_name), st.sampled_from(SUFFIXES))
@settings(max_examples=60)
def test_read_is_the_inverse_of_export(tmp_path_factory, some, suffix):
    path = tmp_path_factory.mktemp("frame") / f"curves{suffix}"
    export_frame(some, path)
    assert read_frame(path) == some


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_tidy_row_per_entry(tmp_path, suffix):
    path = tmp_path / f"curves{suffix}"
    short = training(7, entries=0, status="crashed", error='Boom, "ü"\nsecond line')
    export_frame([table(), full_table(HIGGS), table(training(0), short, task=dataclasses.replace(HIGGS, name="short"))], path)
    read = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path)
    assert list(read.columns) == [column.name for column in frame_columns([table()])]
    assert read.groupby("task").size().to_dict() == {"vehicle": 5 * 52, "higgs": 5 * 2 * (8 + 52), "short": 52 + 1}
    row = table().trainings[3]
    found = read[(read.task == "vehicle") & (read.training == 3)]
    assert found.epoch.tolist() == list(range(52))
    assert found.val_accuracy.tolist() == row.curve.values["val_accuracy"].tolist()
    np.testing.assert_allclose(found.seconds, row.curve.seconds, rtol=1e-15)
    assert set(found.batch_size) == {row.configuration["batch_size"]}
    assert (found.status.unique(), found.trial.unique()) == (["success"], [3])
    crashed = read[read.trial == 7].iloc[0]
    assert (crashed.status, crashed.error) == ("crashed", short.error)
    assert pd.isna(crashed.epoch) and pd.isna(crashed.val_accuracy)


def test_values_have_the_unit_of_their_metric(tmp_path):
    percent = table(units={"val_accuracy": "percent"})
    export_frame([percent], tmp_path / "curves.parquet")
    read = pd.read_parquet(tmp_path / "curves.parquet")
    assert read.val_accuracy[5] == percent.trainings[0].curve.values["val_accuracy"][5] * 0.01
    assert read_frame(tmp_path / "curves.parquet") == [percent]
    assert {column.name: column.unit for column in frame_columns([percent])}["val_accuracy"] == "fraction"


def test_names_that_are_taken_get_an_ending(tmp_path):
    taken = training(0)
    values = {**taken.curve.values, "learning_rate": taken.curve.seconds, "seed": taken.curve.seconds}
    curve = dataclasses.replace(taken.curve, values=values)
    some = [table(training(0, curve=curve, results={"val_accuracy": 0.5, "seed_measured": 1.0}))]
    export_frame(some, tmp_path / "curves.csv")
    names = pd.read_csv(tmp_path / "curves.csv").columns
    assert {"learning_rate", "learning_rate_measured", "seed", "seed_measured", "seed_measured_result", "val_accuracy_result"} <= set(names)
    assert read_frame(tmp_path / "curves.csv") == some


def test_a_database_is_streamed_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(frame, "_ROWS", 100)
    some = [full_table(HIGGS), table()]
    write_curves(tmp_path / "curves.h5", some)
    export_frame(Database(tmp_path / "curves.h5"), tmp_path / "curves.parquet")
    assert read_frame(tmp_path / "curves.parquet") == some


def test_a_generator_will_do_and_another_ending_is_refused(tmp_path):
    export_frame((one for one in [table()]), tmp_path / "curves.csv")
    assert read_frame(tmp_path / "curves.csv") == [table()]
    with pytest.raises(UserError, match=r"`path` is '.*curves.xlsx', but must end with .parquet, .csv, .csv.gz"):
        export_frame([table()], tmp_path / "curves.xlsx")


def test_another_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not what `export_frame` wrote"):
        read_frame(tmp_path / "missing.csv")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(UserError, match="is not what `export_frame` wrote"):
        read_frame(tmp_path / "other.parquet")
    export_frame([table()], tmp_path / "curves.csv")
    lines = (tmp_path / "curves.csv").read_text().splitlines()
    (tmp_path / "curves.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(UserError, match="it has 259 rows instead of 260"):
        read_frame(tmp_path / "curves.csv")
    assert json.loads((tmp_path / "curves.csv.json").read_text())["tables"][0]["rows"] == 260


def test_a_failed_export_leaves_the_old_file(tmp_path, monkeypatch):
    export_frame([table()], tmp_path / "curves.parquet")
    before = (tmp_path / "curves.parquet").read_bytes()
    monkeypatch.setattr(frame, "_batch", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_frame([table(), table()], tmp_path / "curves.parquet")
    assert (tmp_path / "curves.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["curves.parquet"]
