"""mf-prior-bench tables: read after write, a file as mf-prior-bench makes it from LCBench's JSON, and what is refused."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.formats.lcbench_tags import CONSTANTS
from lcbench.formats.mfpbench import METRICS, read_mfpbench, write_mfpbench
from lcbench.space import key, lcbench_space, plain, sample
from lcbench.table import CurveTable
from lcbench.training import Training
from tests.lcbench.curve_strategies import TASK, mixed_space

SPACE = lcbench_space()


def _training(trial, entries, horizon=50, failed=False):
    rng = np.random.default_rng(trial)
    configuration = plain(sample(SPACE, rng))
    values = {name: rng.random(entries).astype(np.float32).astype(np.float64) for name in (*METRICS, "train_loss")}
    if failed:
        values["val_accuracy"][-1] = np.nan
    return Training(
        trial=trial,
        configuration=configuration,
        key=key(configuration),
        seed=0,
        horizon=horizon,
        origin="random",
        n_parameters=-1,
        status="unfinished" if not entries else "diverged" if failed else "success",
        error="",
        curve=LearningCurve(np.arange(entries), np.cumsum(rng.random(entries)), values) if entries else LearningCurve.empty(),
    )


def _table(*trainings, **header):
    return CurveTable.of(
        task=TASK,
        space=SPACE,
        objective="val_accuracy",
        trainings=trainings,
        units={name: "percent" for name in ("val_accuracy", "test_accuracy")},
        **header,
    )


TABLE = _table(_training(0, 52), _training(2, 52, failed=True), _training(10, 7), _training(11, 0), _training(12, 52, horizon=9))


def _lcbench_frame(n=12, epochs=range(52), **changes):
    """What mf-prior-bench's own conversion makes: nullable types, ids as text, sorted as text."""
    rng = np.random.default_rng(0)
    frames = []
    for i in range(n):
        columns = {"time": 1.5 * np.arange(len(epochs)), "epoch": list(epochs)}
        columns |= {name: 100 * rng.random(len(epochs)) for name in METRICS}
        frame = pd.DataFrame(columns).assign(id=str(i), **CONSTANTS, cosine_annealing_T_max=50, **plain(sample(SPACE, rng)))
        frames.append(frame.assign(**changes))
    return pd.concat(frames, ignore_index=True).convert_dtypes().set_index(["id", "epoch"]).sort_index()


def _saved(directory, frame):
    frame.to_parquet(directory / "vehicle.parquet")
    return directory / "vehicle.parquet"


def test_read_after_write_gives_the_table_back(tmp_path):
    path = tmp_path / "vehicle.parquet"
    write_mfpbench(TABLE, path)
    back = read_mfpbench(path)
    assert back.metrics == METRICS  # the format has no train_loss
    np.testing.assert_array_equal(back.curves, TABLE.take(range(5), METRICS).curves)
    assert back.curves.dtype == np.float32
    np.testing.assert_array_equal(back.seconds, TABLE.seconds)
    assert back.columns.keys() == TABLE.columns.keys()
    for name, values in TABLE.columns.items():
        np.testing.assert_array_equal(back.columns[name], values)
        assert back.columns[name].dtype == values.dtype
    assert back.configurations() == TABLE.configurations()
    assert back.task.name == TABLE.task.name
    write_mfpbench(back, path)
    assert read_mfpbench(path) == back


def test_fractions_become_percent_and_missing_metrics_stay_missing(tmp_path):
    table = dataclasses.replace(TABLE, units=("fraction",) * len(TABLE.units)).take(range(5), ["val_accuracy", "val_balanced_accuracy"])
    write_mfpbench(table, tmp_path / "vehicle.parquet")
    back = read_mfpbench(tmp_path / "vehicle.parquet")
    assert back.metrics == ("val_accuracy", "val_balanced_accuracy")
    assert back.units == ("percent", "fraction")
    np.testing.assert_allclose(back.curves[0], 100 * table.curves[0].astype(np.float64))
    np.testing.assert_array_equal(back.curves[1], table.curves[1])


def test_repeated_trials_are_numbered_by_row(tmp_path):
    write_mfpbench(_table(_training(3, 4), _training(3, 4)), tmp_path / "vehicle.parquet")
    assert read_mfpbench(tmp_path / "vehicle.parquet").columns["trial"].tolist() == [0, 1]


def test_the_file_is_what_mf_prior_bench_asks_for(tmp_path):
    write_mfpbench(_table(_training(0, 52), _training(1, 50)), tmp_path / "vehicle.parquet")
    frame = pd.read_parquet(tmp_path / "vehicle.parquet")
    assert frame.index.names == ["id", "epoch"]
    assert {"time", *METRICS, *SPACE, *CONSTANTS, "cosine_annealing_T_max"} == set(frame.columns)
    assert (frame.index.get_level_values("epoch").value_counts() == 2).all()
    assert frame.loc[("0", 0), "val_accuracy"] == TABLE.curves[0, 0, 0]
    assert frame["num_layers"].dtype == np.int64


def test_the_original_files_can_be_read(tmp_path):
    frame = _lcbench_frame()
    table = read_mfpbench(_saved(tmp_path, frame))
    assert table.columns["trial"].tolist() == list(range(12))  # by number, although the file is sorted by text
    assert table.curves.dtype == np.float64  # nothing is rounded
    assert table.units == ("percent", "fraction", "nat") * 2
    expected = frame.loc["10"]
    np.testing.assert_array_equal(table.curves[table.plane("test_accuracy"), 10], expected["test_accuracy"].to_numpy(np.float64))
    assert table.trainings[10].configuration["batch_size"] == expected["batch_size"].iloc[0]
    assert table.trainings[10].horizon == 50
    assert table.provenance["constants"] == CONSTANTS
    write_mfpbench(table, tmp_path / "again.parquet")
    again = pd.read_parquet(tmp_path / "again.parquet")[frame.columns]
    pd.testing.assert_frame_equal(again.reset_index().convert_dtypes(), frame.reset_index())


def test_columns_instead_of_an_index_say_the_same(tmp_path):
    frame = _lcbench_frame(3)
    one = read_mfpbench(_saved(tmp_path, frame))
    assert read_mfpbench(_saved(tmp_path, frame.reset_index())) == one


def test_a_file_without_epoch_0_gets_an_empty_entry_0(tmp_path):
    table = read_mfpbench(_saved(tmp_path, _lcbench_frame(2, range(1, 52))))
    assert table.curves.shape == (6, 2, 52)
    assert np.isnan(table.curves[:, :, 0]).all()
    assert np.isfinite(table.curves[:, :, 1:]).all()
    assert table.seconds[0, :2].tolist() == [0.0, 0.0]
    assert table.columns["length"].tolist() == [52, 52]
    assert table.trainings[0].curve.last_epoch == 51


def _without(name):
    return lambda frame: frame.drop(columns=name)


def _with(row, name, value):
    def change(frame):
        frame.iloc[row, frame.columns.get_loc(name)] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_without("momentum"), r"lacks the columns \['momentum'\]"),
        (_without("test_accuracy"), r"lacks the columns \['test_accuracy'\]"),
        (lambda frame: frame.assign(f1=1.0), r"the unknown columns \['f1'\]"),
        (lambda frame: frame.iloc[:0], "has 0 rows"),
        (lambda frame: frame.iloc[1:], "one row for each id and each epoch"),
        (lambda frame: frame.drop(index=3, level="epoch"), "one row for each id and each epoch"),
        (lambda frame: pd.concat([frame, frame]), "one row for each id and each epoch"),
        (lambda frame: frame.rename(index={"1": "best"}, level="id"), "has the id 'best'"),
        (_with(60, "time", 0.0), "`time` of id 1 must never decrease"),
        (_with(60, "time", None), "`time` of id 1 must never decrease, and be missing at the end alone"),
        (_with(103, "time", None), "`time` of id 1 must be there with values"),
        (_with(60, "batch_size", 17), "`batch_size` of id 1 is .*one whole number from 16 to 512"),
        (lambda frame: frame.assign(momentum=0.999), r"`momentum` of id 0 is \[0\.999\], but LCBench has one number from 0\.1 to 0\.99"),
        (lambda frame: frame.assign(num_layers=1.5), "`num_layers` of id 0"),
        (lambda frame: frame.assign(optimizer=["sgd", "adam"] * 52), "`optimizer` is .* never varies"),
        (lambda frame: frame.assign(val_accuracy="good"), "column 'val_accuracy' is .* but must hold numbers"),
    ],
)
def test_anything_else_is_refused_by_name(tmp_path, change, sentence):
    with pytest.raises(UserError, match=sentence):
        read_mfpbench(_saved(tmp_path, change(_lcbench_frame(2))))


def test_files_that_are_no_tables_are_refused(tmp_path):
    (tmp_path / "vehicle.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(UserError, match="cannot be read as parquet"):
        read_mfpbench(tmp_path / "vehicle.parquet")
    with pytest.raises(UserError, match="cannot be read as parquet"):
        read_mfpbench(tmp_path / "missing.parquet")
    with pytest.raises(UserError, match=r"<task>\.parquet"):
        read_mfpbench(tmp_path / "vehicle.csv")


def test_other_spaces_and_empty_tables_are_not_written(tmp_path):
    space = mixed_space()
    other = CurveTable.of(task=TASK, space=space, objective="val_accuracy")
    with pytest.raises(UserError, match="mf-prior-bench's tables hold"):
        write_mfpbench(other, tmp_path / "x.parquet")
    with pytest.raises(UserError, match="at least one of each"):
        write_mfpbench(_table(), tmp_path / "x.parquet")
    wide = _training(0, 3)
    wide = dataclasses.replace(wide, configuration=wide.configuration | {"momentum": 0.999})
    with pytest.raises(UserError, match=r"`momentum` is 0\.999"):
        write_mfpbench(_table(wide), tmp_path / "x.parquet")
    assert not list(tmp_path.iterdir())


def test_importing_the_module_loads_neither_pandas_nor_pyarrow():
    code = "import sys, lcbench.formats.mfpbench; print({'pandas', 'pyarrow'} & set(sys.modules))"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout.strip() == "set()"
