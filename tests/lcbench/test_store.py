"""The database: what is written comes back, plain h5py reads it, and no damage passes unnoticed."""

import dataclasses
import json
import shutil
import zlib
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcbench.columns import INACTIVE, decode_column, encode_column
from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.salvage import repair_curves, verify_curves
from lcbench.schema import ATTRIBUTES, DATASETS, FILE_ATTRIBUTES, STATUSES, link
from lcbench.space import key, plain
from lcbench.store import group_name, read_curves, write_curves
from lcbench.table import CurveTable
from lcbench.training import Training
from tests.lcbench.curve_strategies import SPACES, TASK, tables
from tests.lcbench.tables import fake_table


def training(trial=0, space="lcbench", **changes):
    configuration = plain(SPACES[space].get_default_configuration())
    curve = LearningCurve(np.arange(3), [0.0, 0.1, 0.7], {"val_accuracy": [0.125, 0.25, 0.5], "lr": [0.0, 2**-10, 2**-12]})
    fields = {
        "trial": trial,
        "configuration": configuration,
        "key": key(configuration),
        "seed": 1,
        "horizon": 50,
        "origin": "random",
        "n_parameters": 38798,
        "status": "success",
        "error": "",
        "curve": curve,
    }
    return Training(**{**fields, **changes})


def table(*rows, space="lcbench", task=TASK, **provenance):
    return CurveTable.of(task=task, space=SPACES[space], objective="val_accuracy", trainings=rows, provenance=provenance)


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "curves.h5"
    rows = (
        training(0, results={"final_val_accuracy": 50.0}),
        training(1, status="crashed", error="Boom: ü", curve=LearningCurve.empty()),
    )
    write_curves(path, [table(*rows, licence="CC0", created="2026-01-31T12:00:00+00:00", versions={"torch": "2"}, host={"cores": 2})])
    return path


@given(st.lists(tables(), max_size=2, unique_by=group_name))
@settings(max_examples=60)
def test_round_trip(tmp_path_factory, some):
    path = tmp_path_factory.mktemp("store") / "curves.h5"
    write_curves(path, some)
    assert read_curves(path) == sorted(some, key=group_name)
    assert verify_curves(path) == []


@given(tables())
@settings(max_examples=20)
def test_types_of_hyperparameters_come_back(tmp_path_factory, drawn):
    path = tmp_path_factory.mktemp("store") / "curves.h5"
    write_curves(path, [drawn])
    for before, after in zip(drawn.trainings, read_curves(path)[0].trainings, strict=True):
        assert key(after.configuration) == before.key  # a key tells 1 from 1.0, "1" and true


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=5))
@settings(max_examples=30)
def test_values_are_rounded_to_float32_and_seconds_are_not(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("store") / "curves.h5"
    seconds = np.cumsum(np.full(len(values), 0.1))
    write_curves(path, [table(training(curve=LearningCurve(np.arange(len(values)), seconds, {"a": values})))])
    curve = read_curves(path)[0].trainings[0].curve
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(curve.values["a"], np.array(values).astype(np.float32))
    np.testing.assert_array_equal(curve.seconds, seconds)


json_values = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text(), st.sampled_from(["", "a", "1", 1, 2**53 + 1]))


@given(st.lists(st.none() | st.tuples(json_values), max_size=5))
def test_columns_hold_any_value(drawn):
    """None stands for a configuration without the hyperparameter, (x,) for one where it is x."""
    configurations = [{"optimizer": value[0]} if value else {} for value in drawn]
    column = encode_column(SPACES["mixed"]["optimizer"], configurations)
    assert column.kind in ("integer", "float", "text", "json")
    found = decode_column(column)
    assert repr(found) == repr([value[0] if value else INACTIVE for value in drawn])


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2], "integer"), ([1.0], "float"), (["a"], "text"), ([True], "json"), ([1, 1.0], "json"), ([""], "json"), ([2**53 + 1], "json")],
)
def test_kinds_of_columns(values, kind):
    hyperparameter = SPACES["mixed"]["optimizer"]
    assert encode_column(hyperparameter, [{"optimizer": value} for value in values]).kind == kind


def test_a_column_without_values_has_the_kind_of_its_hyperparameter():
    space = SPACES["mixed"]
    assert [encode_column(space[name], [{}]).kind for name in ("batch/size", "momentum", "optimizer")] == ["integer", "float", "text"]


def test_plain_h5py_finds_what_the_schema_says(database):
    described = {dataset.path: dataset for dataset in DATASETS}
    with h5py.File(database) as file:
        assert set(file.attrs) == set(FILE_ATTRIBUTES)
        group = file["tables/vehicle/lcbench"]
        assert set(group.attrs) == set(ATTRIBUTES)
        assert set(group) == {path.partition("/")[0] for path in described}
        sizes = {"M": 2, "M + 1": 3, "n": 2, "T": 3}
        for path, dataset in described.items():
            found = group[path.replace("<hyperparameter>", "momentum").replace("<name>", "final_val_accuracy")]
            assert found.shape == tuple(sizes[letter] for letter in dataset.shape.strip("(),").split(", "))
            assert (found.chunks is None) == (path != "error")
            if dataset.dtype == "text":
                assert h5py.check_string_dtype(found.dtype).encoding == "utf-8"
            else:
                assert found.dtype == dataset.dtype.split()[0], path
        np.testing.assert_array_equal(group["curves"][0, 0], [0.125, 0.25, 0.5])
        assert np.isnan(group["curves"][:, 1]).all()
        assert list(group.attrs["metrics"]) == [b"val_accuracy", b"lr"]
        assert [group["status"].attrs["names"][i] for i in group["status"]] == [b"success", b"crashed"]
        assert group["error"].asstr()[1] == "Boom: ü"
        assert json.loads(group.attrs["task"])["openml_task_id"] == 167168
        assert group.attrs["licence"] == b"CC0"
        for name in ("seconds", "key", "configs/momentum"):
            assert group[name].attrs["crc32"] == zlib.crc32(group[name][...].tobytes())


def test_curves_can_be_memory_mapped(tmp_path):
    path = tmp_path / "curves.h5"
    write_curves(
        path, [table(training(curve=LearningCurve(np.arange(300), np.arange(300.0), {"a": np.arange(300.0), "b": -np.arange(300.0)})))]
    )
    with h5py.File(path) as file:
        curves = file["tables/vehicle/lcbench/curves"]
        offset, shape = curves.id.get_offset(), curves.shape
    np.testing.assert_array_equal(np.memmap(path, "<f4", "r", offset, shape), [[np.arange(300)], [-np.arange(300)]])
    assert offset % 64 == 0


def test_layer_wise_metrics_are_padded_with_nan(tmp_path):
    deep = LearningCurve([0], [0.0], {"a": [1.0], "gradient_layer_4": [2.0]})
    shallow = LearningCurve([0], [0.0], {"a": [1.0]})
    written = table(training(0, curve=shallow), training(1, curve=deep))
    write_curves(tmp_path / "c.h5", [written])
    (found,) = read_curves(tmp_path / "c.h5")
    assert found == written
    assert np.isnan(found.trainings[0].curve.values["gradient_layer_4"]).all()


def test_folds_and_spaces_of_one_task_live_side_by_side(tmp_path):
    other_fold = TASK.__class__(**{**TASK.__dict__, "fold": 3})
    some = [table(training()), table(training(), task=other_fold), table(training(space="mixed"), space="mixed")]
    write_curves(tmp_path / "c.h5", some)
    assert sorted(read_curves(tmp_path / "c.h5"), key=group_name) == sorted(some, key=group_name)
    assert [group_name(one) for one in some] == ["/tables/vehicle/lcbench", "/tables/vehicle@fold3/lcbench", "/tables/vehicle/mixed"]


def test_two_equal_tables_are_refused_and_the_old_file_stays(database):
    before = database.read_bytes()
    with pytest.raises(UserError, match="two tables are called /tables/vehicle/lcbench"):
        write_curves(database, [table(), table()])
    assert database.read_bytes() == before
    assert list(database.parent.iterdir()) == [database]


def test_names_that_are_no_links_are_quoted(tmp_path):
    names = ["a/b", "a%2Fb", ".", "%2E", "ü b"]
    assert len({link(name) for name in names}) == len(names)
    some = [table(task=TASK.__class__(**{**TASK.__dict__, "name": name})) for name in names]
    write_curves(tmp_path / "c.h5", some)
    assert {one.task.name for one in read_curves(tmp_path / "c.h5")} == set(names)


# ---- damage


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(UserError, match=r"there is no curve database .*nix\.h5"):
        read_curves(tmp_path / "nix.h5")


@pytest.mark.parametrize("content", [b"", b"PK not HDF5"])
def test_a_foreign_file_says_so(tmp_path, content):
    (tmp_path / "c.h5").write_bytes(content)
    with pytest.raises(UserError, match=r"c\.h5 is not an HDF5 file, but must be a curve database"):
        read_curves(tmp_path / "c.h5")


def test_another_hdf5_file_says_so(tmp_path):
    h5py.File(tmp_path / "c.h5", "w").close()
    with pytest.raises(UserError, match="not a curve database: it lacks the attribute `schema_version`"):
        read_curves(tmp_path / "c.h5")


def test_a_newer_file_says_so(database):
    with h5py.File(database, "r+") as file:
        file.attrs["schema_version"] = 3
    with pytest.raises(UserError, match="has schema version 3, but this code reads 2; update it"):
        repair_curves(database)
    with pytest.raises(UserError, match="has schema version 3, but this code reads 2; update it"):
        read_curves(database)


def test_an_older_file_says_how_it_is_made_anew(database):
    with h5py.File(database, "r+") as file:
        file.attrs["schema_version"] = 1
    with pytest.raises(UserError, match=rf"has schema version 1, but this code reads 2; `python -m lcbench repair {database.parent}`"):
        read_curves(database)


def test_a_truncated_file_says_so(database):
    data = database.read_bytes()
    for n in (len(data) - 1, len(data) // 2, 100):
        database.write_bytes(data[:n])
        with pytest.raises(UserError, match=rf"is damaged or cut short .*python -m lcbench repair {database}"):
            read_curves(database)


@pytest.mark.parametrize("name", ["curves", "seconds", "length", "status", "configs/momentum", "n_parameters"])
def test_a_changed_number_is_noticed(database, name):
    with h5py.File(database, "r+") as file:
        dataset = file["tables/vehicle/lcbench"][name]
        values = dataset[...]
        values.reshape(-1)[0] += 1
        dataset[...] = values
    message = rf"curves\.h5: the checksum of the dataset /tables/vehicle/lcbench/{name} does not fit; .*python -m lcbench repair"
    with pytest.raises(UserError, match=message):
        read_curves(database)
    (problem,) = verify_curves(database)
    assert name in problem


def test_every_damaged_dataset_is_named(database):
    with h5py.File(database, "r+") as file:
        group = file["tables/vehicle/lcbench"]
        group["seed"][0] = 7
        group["error"][1] = "nothing happened"
        del group["trial"].attrs["crc32"]
    problems = verify_curves(database)
    assert [name for name in ("error", "seed", "trial") if any(f"lcbench/{name} " in problem for problem in problems)] == [
        "error",
        "seed",
        "trial",
    ]
    assert len(problems) == 3


def test_a_changed_attribute_is_noticed(database):
    with h5py.File(database, "r+") as file:
        file["tables/vehicle/lcbench"].attrs["objective"] = "train_accuracy"
    with pytest.raises(UserError, match="the checksum of the attributes of /tables/vehicle/lcbench does not fit"):
        read_curves(database)
    assert len(verify_curves(database)) == 1


def test_a_table_under_another_name_is_noticed(database):
    with h5py.File(database, "r+") as file:
        file.move("tables/vehicle", "tables/adult")
    with pytest.raises(UserError, match="the table at /tables/adult/lcbench says that it is /tables/vehicle/lcbench"):
        read_curves(database)


def test_a_missing_dataset_is_noticed(database):
    with h5py.File(database, "r+") as file:
        del file["tables/vehicle/lcbench/origin"]
    assert "the dataset /tables/vehicle/lcbench/origin is unreadable" in verify_curves(database)[0]


def test_no_flipped_byte_gives_wrong_data(database):
    """Each flip is either noticed, in a sentence, or harmless (padding, unused space)."""
    data, expected = database.read_bytes(), read_curves(database)
    n_noticed = 0
    positions = range(0, len(data), 41)
    for position in positions:
        database.write_bytes(data[:position] + bytes([data[position] ^ 0x11]) + data[position + 1 :])
        try:
            assert read_curves(database) == expected, position
        except UserError:
            n_noticed += 1
    assert n_noticed > 0.2 * len(positions)


# ---- layouts, mapping, repair


@given(tables())
@settings(max_examples=30)
def test_the_compressed_layout_holds_the_same(tmp_path_factory, drawn):
    path = tmp_path_factory.mktemp("store") / "curves.h5"
    write_curves(path, [drawn], layout="compressed")
    assert read_curves(path) == [drawn]
    assert verify_curves(path) == []


def test_float64_is_kept_where_it_is_asked_for(tmp_path):
    exact = dataclasses.replace(one := table(training()), curves=one.curves.astype(np.float64) + 1e-12)
    write_curves(tmp_path / "c.h5", [exact])
    (found,) = read_curves(tmp_path / "c.h5")
    assert found.curves.dtype == np.float64
    assert found == exact


def _many(n=20):
    rng = np.random.default_rng(0)
    curves = [LearningCurve(np.arange(8), np.arange(8.0), {"val_accuracy": rng.random(8), "lr": rng.random(8)}) for _ in range(n)]
    return table(*(training(i, curve=curve, error=f"row {i}") for i, curve in enumerate(curves)))


def _flip(path, dataset, index):
    """Change one byte of a contiguous dataset, in the file."""
    with h5py.File(path) as file:
        at = file[f"tables/vehicle/lcbench/{dataset}"].id.get_offset() + index
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize(("dataset", "row_bytes"), [("curves", 32), ("seconds", 64), ("seed", 8), ("configs/momentum", 8), ("key", 16)])
def test_repair_drops_the_damaged_row_and_keeps_every_other(tmp_path, dataset, row_bytes):
    path, whole = tmp_path / "c.h5", _many()
    write_curves(path, [whole])
    _flip(path, dataset, 7 * row_bytes + 3)
    assert f"checksum of the dataset /tables/vehicle/lcbench/{dataset} does not fit" in verify_curves(path)[0]
    done = repair_curves(path)
    assert done[0] == "/tables/vehicle/lcbench: 19 of 20 trainings kept, dropped row 7"
    assert verify_curves(path) == []
    assert read_curves(path) == [whole.take([i for i in range(20) if i != 7])]
    assert len(list(tmp_path.glob("c.h5.damaged"))) == 1
    assert repair_curves(path) == []


def test_damaged_checksums_cost_no_row(tmp_path):
    path, whole = tmp_path / "c.h5", _many()
    write_curves(path, [whole])
    _flip(path, "row_crc32", 5)
    assert len(verify_curves(path)) == 1
    repair_curves(path)
    assert read_curves(path) == [whole]


def _spoil(path, dataset, chunks):
    """Overwrite compressed chunks of a dataset, in the file."""
    with h5py.File(path) as file:
        found = file[f"tables/vehicle/lcbench/{dataset}"]
        infos = [found.id.get_chunk_info_by_coord(chunk) for chunk in chunks]
    data = bytearray(path.read_bytes())
    for info in infos:
        data[info.byte_offset + 10 : info.byte_offset + 30] = bytes(20)
    path.write_bytes(data)


def test_a_damaged_block_of_the_compressed_layout_costs_its_rows_and_the_layout_stays(tmp_path):
    path, whole = tmp_path / "c.h5", _many(100)
    write_curves(path, [whole], layout="compressed")
    _spoil(path, "curves", [(1, 32, 0)])
    assert "/tables/vehicle/lcbench: 68 of 100 trainings kept, dropped rows 32, 33," in repair_curves(path)[0]
    assert read_curves(path) == [whole.take([*range(32), *range(64, 100)])]
    with h5py.File(path) as file:
        assert file["tables/vehicle/lcbench/curves"].chunks


def test_an_unreadable_metric_is_dropped_instead_of_every_row(tmp_path):
    path, whole = tmp_path / "c.h5", _many()
    write_curves(path, [whole], layout="compressed")
    _spoil(path, "curves", [(1, 0, 0)])
    assert "20 of 20 trainings kept, lost metrics lr" in repair_curves(path)[0]
    assert read_curves(path) == [whole.take(range(20), ["val_accuracy"])]


def test_one_lost_table_does_not_cost_the_others(tmp_path):
    path, whole = tmp_path / "c.h5", _many()
    other = table(training(), task=dataclasses.replace(TASK, name="adult"))
    write_curves(path, [whole, other])
    with h5py.File(path, "r+") as file:
        file["tables/adult/lcbench"].attrs["task"] = "{}"
    done = repair_curves(path)
    assert done[0].startswith("/tables/adult/lcbench: lost")
    assert read_curves(path) == [whole]


def test_what_cannot_be_rescued_says_so(database):
    database.write_bytes(database.read_bytes()[:300])
    with pytest.raises(UserError, match=r"is damaged or cut short .* it cannot be repaired; fetch or copy it again"):
        repair_curves(database)


# ---- values that refuse to be wrong


def test_an_unknown_status_is_refused():
    with pytest.raises(ValueError, match="`status` is 'fine', but must be one of success, crashed, timeout, memout, diverged, unfinished"):
        training(status="fine")
    assert STATUSES[0] == "success"  # the numbers in existing files never change their meaning
    assert STATUSES == ("success", "crashed", "timeout", "memout", "diverged", "unfinished")


def test_a_curve_that_leaves_an_epoch_out_is_refused():
    with pytest.raises(ValueError, match=r"recorded after every epoch, but `curve\.epochs` is \[0, 2\]"):
        training(curve=LearningCurve([0, 2], [0.0, 1.0]))


def test_errors_that_utf8_cannot_hold_are_replaced():
    assert training(error="a\0b\udc80c").error == "a\ufffdb?c"


def test_a_foreign_hyperparameter_is_refused():
    with pytest.raises(ValueError, match=r"trial 0 has the hyperparameters \['depth'\], but the space has \['batch_size'"):
        table(training(configuration={"depth": 3}))


def test_a_space_without_a_name_is_refused():
    with pytest.raises(ValueError, match="needs a name"):
        CurveTable.of(task=TASK, space=SPACES["lcbench"].__class__(), objective="a")


def test_where_there_is_no_room_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(OSError, match=r"No space left on device: vehicle needs \d+ MB, and 1 MB are free"):
        write_curves(tmp_path / "a.h5", [fake_table(3)])
    assert list(tmp_path.iterdir()) == []
