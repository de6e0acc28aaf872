"""TaskSet tables: a small file written here, everything that is refused, and the real tables where they are."""

import json
import lzma
import math
import os
from pathlib import Path

import numpy as np
import pytest

from lcbench.errors import UserError
from lcbench.formats.taskset import N_ENTRIES, read_taskset, taskset_space
from lcbench.schema import STATUSES
from lcbench.space import key
from lcbench.store import read_curves, write_curves

NAME = "FixedTextRNNClassification_imdb_tiny"
HP = {
    "learning_rate": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "epsilon": 1e-8,
    "l1": 1e-6,
    "l2": 1e-5,
    "linear_decay": 1e-6,
    "exponential_decay": 1e-5,
}


def _entry(valid, **hp):
    falling = np.linspace(0.7, 0.2, N_ENTRIES).astype(np.float32).tolist()
    return {"hp": HP | hp, "train": {"loss": falling}, "valid": {"loss": valid}, "test": {"loss": falling[::-1]}}


def _curve(last):
    return [0.69] * (N_ENTRIES - 1) + [last]


def _write(directory, entries, name=f"{NAME}.json"):
    path = directory / name
    text = json.dumps(entries).encode()
    path.write_bytes(lzma.compress(text) if name.endswith(".xz") else text)
    return path


@pytest.fixture
def path(tmp_path):
    return _write(tmp_path, [_entry(_curve(0.3)), _entry(_curve(math.nan), beta1=0.5), _entry([1e300, *_curve(0.4)[1:]], l1=10)])


def test_a_file_becomes_a_table(path):
    table = read_taskset(path)
    assert (table.task.name, table.task.kind, table.task.n_classes, table.task.openml_task_id) == (NAME, "classification", 2, None)
    assert table.metrics == ("train_loss", "val_loss", "test_loss")
    assert table.objective == "val_loss"
    assert table.curves.shape == (3, 3, N_ENTRIES)
    assert table.curves.dtype == np.float32
    np.testing.assert_array_equal(table.seconds[0], np.arange(N_ENTRIES))
    first = table.trainings[0]
    assert first.configuration == HP
    assert first.key == key(HP)
    assert (first.trial, first.horizon, first.origin, first.n_parameters) == (0, 50, "random", -1)
    assert first.curve.at(0)["train_loss"] == pytest.approx(0.7)
    assert first.curve.at(50) == pytest.approx({"train_loss": 0.2, "val_loss": 0.3, "test_loss": 0.7})


def test_only_a_non_finite_end_is_a_divergence_and_every_entry_is_kept(path):
    table = read_taskset(path)
    assert [training.status for training in table.trainings] == ["success", "diverged", "success"]
    assert "nan" in table.trainings[1].error
    assert table.columns["length"].tolist() == [N_ENTRIES] * 3
    assert table.curves[1, 2, 0] == np.inf  # 1e300 is no float32


def test_a_packed_file_says_the_same(path, tmp_path):
    (tmp_path / "packed").mkdir()
    packed = _write(tmp_path / "packed", json.loads(path.read_text()), f"{NAME}.json.xz")
    one, other = read_taskset(path), read_taskset(packed)
    np.testing.assert_array_equal(one.curves, other.curves)
    assert one.task == other.task


def test_the_provenance_says_what_was_not_recorded(path):
    provenance = read_taskset(path).provenance
    assert provenance["seconds"] == "not recorded; one per point"
    assert "Apache-2.0" in provenance["licence"]


def test_the_table_can_be_stored(path, tmp_path):
    table = read_taskset(path)
    write_curves(tmp_path / "curves.h5", [table])
    assert read_curves(tmp_path / "curves.h5") == [table]


def test_other_names_need_their_kind(tmp_path):
    path = _write(tmp_path, [_entry(_curve(0.3))], "mlp_family_seed12.json")
    with pytest.raises(UserError, match=r"'mlp_family_seed12' does not say"):
        read_taskset(path)
    assert read_taskset(path, "regression").task.kind == "regression"


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([], r"holds \[\] instead of a list"),
        ({"hp": 1}, "instead of a list"),
        ([3], r"training 0 has 3\.0, but must have"),
        ([{"hp": HP, "train": {"loss": []}}], r"training 0 has the keys \['hp', 'train'\], but must have"),
        ([_entry(_curve(1.0)), _entry(_curve(1.0)[1:])], r"training 1, `valid`: `loss` is .* list of 51 numbers"),
        ([_entry(["0.1"] * N_ENTRIES)], "list of 51 numbers"),
        ([_entry([True] * N_ENTRIES)], "list of 51 numbers"),
        ([_entry([None] * N_ENTRIES)], "list of 51 numbers"),
        ([_entry(None)], "`loss` is None"),
        ([_entry(_curve(1.0), beta1=1.0)], r"`beta1` is 1\.0, but TaskSet samples it from 0 to 0\.9999:"),
        ([_entry(_curve(1.0), epsilon=math.nan)], "`epsilon` is nan"),
        ([_entry(_curve(1.0), epsilon=True)], "`epsilon` is True"),
        ([_entry(_curve(1.0), momentum=0.9)], "'momentum'"),
    ],
)
def test_anything_else_is_refused_by_name(tmp_path, entries, sentence):
    with pytest.raises(UserError, match=sentence):
        read_taskset(_write(tmp_path, entries))


def test_a_whole_number_without_end_is_infinite(tmp_path):
    table = read_taskset(_write(tmp_path, [_entry([10**400, *_curve(0.4)[1:]])]))
    assert table.curves[1, 0, 0] == np.inf


@pytest.mark.parametrize("content", [b"", b"[1, ", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("suffix", [".json", ".json.xz"])
def test_a_damaged_file_is_refused(tmp_path, content, suffix):
    path = tmp_path / f"{NAME}{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        read_taskset(path)


def test_a_cut_packed_file_is_refused(path, tmp_path):
    packed = _write(tmp_path, json.loads(path.read_text()), f"{NAME}.json.xz")
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(UserError, match="cannot be read"):
        read_taskset(packed)


@pytest.mark.parametrize("name", ["table.csv", ".json", "table.xz"])
def test_other_endings_are_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"<task>\.json"):
        read_taskset(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_taskset(tmp_path / f"{NAME}.json")


def _real_tables():
    directory = os.environ.get("TASKSET_DIR")
    return sorted(Path(directory).glob("*.json*")) if directory else []


@pytest.mark.skipif(not _real_tables(), reason="TASKSET_DIR is not set to a folder with TaskSet tables (*.json or *.json.xz)")
def test_the_real_tables_can_be_read():
    space = taskset_space()
    for path in _real_tables():
        table = read_taskset(path)
        assert table.curves.shape == (3, 1000, N_ENTRIES)
        assert set(table.configs) == set(space)
        assert len(set(table.columns["key"])) == 1000
        diverged = ~np.isfinite(table.curves[1, :, -1])
        np.testing.assert_array_equal(table.columns["status"] == STATUSES.index("diverged"), diverged)
        assert np.isfinite(table.curves[:, :, 0]).all()  # entry 0 is the untrained network


@pytest.mark.skipif(not _real_tables(), reason="TASKSET_DIR is not set to a folder with TaskSet tables (*.json or *.json.xz)")
def test_a_real_table_is_rounded_to_float32_and_nothing_else():
    path = _real_tables()[0]
    entries = json.loads(lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes())
    valid = np.array([entry["valid"]["loss"] for entry in entries])
    np.testing.assert_array_equal(read_taskset(path).curves[1], valid.astype(np.float32))
