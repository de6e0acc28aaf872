"""The published layout out: what was imported comes out as it was, and what comes out can be imported again."""

import dataclasses
import json
import math

import numpy as np
import pytest
from ConfigSpace import ConfigurationSpace

from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.formats.lcbench_json import export_lcbench, import_file
from lcbench.formats.lcbench_tags import CONSTANTS, HORIZON
from lcbench.schema import PER_SEED
from lcbench.space import key, lcbench_space
from lcbench.store import read_curves
from lcbench.table import CurveTable
from lcbench.task import TaskInfo
from lcbench.training import Training
from tests.lcbench.formats import published

TASK = TaskInfo("vehicle", "classification", 167168, 0, "official hold-out, 33 % validation", 379, 187, 280, 18, 4)
FILES = {
    "single": published.known(),
    "gradients": published.known(gradients=True),
    "extended": published.known_extended(),
}


def _comparable(value):
    """JSON content in which NaN equals NaN; ``true`` and 1 are equal anyway."""
    if isinstance(value, dict):
        return {name: _comparable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_comparable(inner) for inner in value]
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def _rounded(content):
    """Curves as float32 holds them; times, epochs and scalars as they are."""
    if isinstance(content, list):
        return np.float32(content).astype(float).tolist()
    return {name: _rounded(v) if isinstance(v, dict | list) and name not in ("time", "epoch") else v for name, v in content.items()}


def _tables(path, **options):
    import_file(path, path.with_suffix(".h5"), **options)
    return read_curves(path.with_suffix(".h5"))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_was_imported_comes_out_as_it_was(tmp_path, name, precision):
    content = FILES[name]
    tables = _tables(published.write(tmp_path / "in.json", content), precision=precision)
    notes = export_lcbench(iter(tables), tmp_path / "out.json")
    found = json.loads((tmp_path / "out.json").read_text())
    assert _comparable(found) == _comparable(content if precision == "float64" else _rounded(content))
    assert notes == ([] if name == "extended" else ["higgs: `status` is left out: 1 of 7 trainings did not end well"])
    again = _tables(tmp_path / "out.json", precision=precision)
    for table, other in zip(again, tables, strict=True):
        assert table.task == other.task
        np.testing.assert_array_equal(table.curves, other.curves)
        np.testing.assert_array_equal(table.seconds, other.seconds)
        assert table.trainings == other.trainings


def _training(trial, n_layers=2, horizon=3, seed=1, length=4, **values):
    rng = np.random.default_rng(trial + 10 * horizon + seed)
    configuration = published.configuration(trial) | {"num_layers": n_layers}
    columns = ("val_accuracy", "val_loss", "train_cross_entropy", "learning_rate", *(f"gradient_max_layer_{i}" for i in range(n_layers)))
    curve = LearningCurve(np.arange(length), np.cumsum(rng.random(length)), {name: rng.random(length) for name in columns})
    about = {"status": "success", "error": "", "origin": "model", "n_parameters": 77} | values
    return Training(trial=trial, configuration=configuration, key=key(configuration), seed=seed, horizon=horizon, curve=curve, **about)


def _table(*rows, space=None, **options):
    return CurveTable.of(task=TASK, space=space or lcbench_space(), objective="val_accuracy", trainings=rows, **options)


def test_a_table_of_our_own(tmp_path):
    table = _table(_training(0), _training(4, n_layers=3), _training(2, length=2, status="timeout", n_parameters=-1))
    notes = export_lcbench(table, tmp_path / "out.json")
    assert notes == [
        "vehicle: `val_loss` is left out: LCBench has no tag for it",
        "vehicle: `status` is left out: 1 of 3 trainings did not end well",
    ]
    entries = json.loads((tmp_path / "out.json").read_text())["vehicle"]
    assert list(entries) == ["0", "4", "2"]
    first = entries["0"]
    assert first["config"] == table.configurations()[0] | CONSTANTS | {HORIZON: 3}
    assert list(first["log"]) == [
        *("time", "epoch", "Train/val_accuracy", "Train/train_cross_entropy", "Train/lr"),
        *("Train/layer_wise_gradient_max_layer_0", "Train/layer_wise_gradient_max_layer_1"),
    ]
    accuracy = table.trainings[0].curve.values["val_accuracy"]
    np.testing.assert_array_equal(first["log"]["Train/val_accuracy"], 100 * accuracy)
    assert first["results"] == {
        "budget": 3,
        "seed": 1,
        "OpenML_task_id": 167168,
        "instances": 846,
        "classes": 4,
        "features": 18,
        "test_split": 280 / 846,
        "model_parameters": 77,
        "final_train_cross_entropy": first["log"]["Train/train_cross_entropy"][-1],
        "final_val_accuracy": first["log"]["Train/val_accuracy"][-1],
    }
    assert "model_parameters" not in entries["2"]["results"]


@pytest.mark.parametrize(
    "rows", [[_training(0), _training(4, n_layers=3)], [_training(1, horizon=h, seed=s) for h in (3, 9) for s in (0, 5)]]
)
def test_a_table_of_our_own_comes_in_again(tmp_path, rows):
    table = _table(*rows)
    export_lcbench(table, tmp_path / "out.json")
    (again,) = _tables(tmp_path / "out.json")
    assert (again.task.n_train, again.task.n_val, again.task.n_test) == (379, 187, 280)
    assert set(again.metrics) == set(table.metrics) - {"val_loss"}
    for row, other in zip(table.trainings, again.trainings, strict=True):
        about = ("trial", "configuration", "key", "seed", "horizon", "n_parameters")
        assert [getattr(row, name) for name in about] == [getattr(other, name) for name in about]
        np.testing.assert_array_equal(row.curve.seconds, other.curve.seconds)
        for name, values in other.curve.values.items():
            expected = 100 * row.curve.values[name] if name == "val_accuracy" else row.curve.values[name]
            np.testing.assert_array_equal(np.float32(values), np.float32(expected))
    assert again.units[again.plane("val_accuracy")] == "percent"


def test_the_seeds_of_a_collection_are_runs_of_one_configuration(tmp_path):
    rows = [dataclasses.replace(_training(i, seed=seed), trial=seed * PER_SEED + i) for i in (0, 7) for seed in (1, 2)]
    export_lcbench(_table(*rows), tmp_path / "out.json")
    entries = json.loads((tmp_path / "out.json").read_text())["vehicle"]
    assert list(entries) == ["0", "7"]
    (again,) = _tables(tmp_path / "out.json")
    assert [(row.trial, row.seed) for row in again.trainings] == [(0, 1), (0, 2), (7, 1), (7, 2)]


@pytest.mark.parametrize(
    "unknown", [{"n_classes": 0}, {"n_features": 0}, {"n_train": 0, "n_val": 0, "n_test": 0}, {"openml_task_id": None}]
)
def test_sizes_that_are_not_known_are_left_out(tmp_path, unknown):
    """Tables of other suites do not say them."""
    table = dataclasses.replace(_table(_training(0)), task=dataclasses.replace(TASK, **unknown))
    export_lcbench(table, tmp_path / "out.json")
    (again,) = _tables(tmp_path / "out.json")
    names = ("name", "openml_task_id", "n_train", "n_val", "n_test", "n_features", "n_classes")
    assert {name: getattr(again.task, name) for name in names} == {name: getattr(table.task, name) for name in names}
    assert again.provenance["published"].keys().isdisjoint({"n_classes": {"classes"}, "n_features": {"features"}}.get(min(unknown), ()))


def test_nothing_can_be_written(tmp_path):
    export_lcbench([], tmp_path / "none.json")
    export_lcbench(_table(), tmp_path / "empty.json")
    assert (tmp_path / "none.json").read_text() == "{}"
    assert (tmp_path / "empty.json").read_text() == '{"vehicle": {}}'


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([_table(space=ConfigurationSpace(name="mixed", space={"a": (1, 2)}))], "the table of 'vehicle' has the space 'mixed', but"),
        ([_table(), _table()], "two tables are called 'vehicle'"),
        ([_table(_training(0), _training(0))], "trial 0 of 'vehicle' has 2 trainings at 1 pairs of horizon and seed"),
        ([_table(_training(0), _training(0, n_layers=3, seed=2))], "trial 0 of 'vehicle' has several configurations at horizon 3"),
    ],
)
def test_what_the_layout_cannot_hold_is_refused(tmp_path, tables, words):
    with pytest.raises(UserError, match=words):
        export_lcbench(tables, tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []
