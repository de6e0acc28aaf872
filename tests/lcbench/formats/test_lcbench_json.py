"""LCBench's published files: the numbers that are known of them, everything that is refused, and imports that are killed."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lcbench.columns import encode_column
from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.formats.lcbench_json import import_file
from lcbench.formats.lcbench_tags import CONSTANTS, RESPLIT, TASKS, column_of
from lcbench.salvage import verify_curves
from lcbench.schema import STATUSES
from lcbench.space import key, lcbench_space
from lcbench.store import read_curves
from lcbench.tabular import TabularBenchmark
from tests.lcbench.formats import published

ROOT = Path(__file__).resolve().parents[3]
HIGGS, FASHION = ("higgs", "0"), ("Fashion-MNIST", "0")


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """The known file, and its database in all bits."""
    directory = tmp_path_factory.mktemp("known")
    source = published.write(directory / "data_2k.json", published.known(gradients=True))
    assert import_file(source, directory / "known.h5", precision="float64") == []
    return source, directory / "known.h5"


@pytest.fixture
def higgs(known):
    return Database(known[1]).table("higgs")


def _row(table, trial, **wanted):
    """The training of a trial."""
    rows = [row for row in table.trainings if row.trial == trial and all(getattr(row, k) == v for k, v in wanted.items())]
    assert len(rows) == 1
    return rows[0]


def _imported(tmp_path, content, **options):
    """The tables of a file by name, and what was said."""
    notes = import_file(published.write(tmp_path / "data.json", content), tmp_path / "data.h5", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.h5", "data.json"]
    return {table.task.name: table for table in read_curves(tmp_path / "data.h5")}, notes


# -------------------------------------------------------------------------------------------------------- what is known


def test_the_database_is_whole(known):
    assert verify_curves(known[1]) == []
    assert Database(known[1]).tasks == ("Fashion-MNIST", "higgs", "volkert")


def test_higgs_configuration_0(higgs):
    curve = _row(higgs, 0).curve
    loss = curve.values["train_loss"]
    assert (len(curve), loss[0], loss[1], loss[-1]) == (52, 0.70222, 0.69018, 0.63995)


def test_the_best_curves_of_higgs_by_their_peak(higgs):
    benchmark = TabularBenchmark(higgs, view="raw")
    row, peak = benchmark.query_best("val_accuracy")
    best = higgs.trainings[row].curve.values["val_accuracy"]
    assert best[:3].tolist() == [51.195, 63.482, 65.899]
    assert (best[-1], best.max(), round(peak, 5)) == (71.827, 71.887, 0.71887)
    peaks = higgs.curves[higgs.plane("val_accuracy")].max(axis=1)
    assert higgs.configurations([int(np.argsort(peaks)[-2])]) == [published.HIGGS_SECOND]


def test_fashion_mnist_configuration_0(known):
    row = _row(Database(known[1]).table("Fashion-MNIST"), 0)
    assert row.configuration == published.FASHION_0
    assert row.key == key(published.FASHION_0)


def test_one_layer_is_published_as_true(higgs):
    value = _row(higgs, 0).configuration["num_layers"]
    assert (type(value), value) == (int, 1)
    assert higgs.configs["num_layers"].kind == "integer"


def test_the_extended_file(tmp_path):
    content = published.known_extended()
    tables, notes = _imported(tmp_path, content)
    table = tables["higgs"]
    assert notes == []
    assert len(table) == 3 * 12 - 3 - 1  # a budget of one configuration is missing, and one seed of another
    best = _row(table, 1, horizon=25, seed=2)
    assert best.configuration == published.HIGGS_25
    assert len(best.curve) == 27
    lengths = dict(zip(table.columns["horizon"].tolist(), table.columns["length"].tolist(), strict=True))
    assert lengths == {6: 8, 12: 14, 25: 27, 50: 52}
    assert {row.seed for row in table.trainings if row.trial == 2 and row.horizon == 50} == {2, 3}
    assert len({row.key for row in table.trainings}) == 3
    logs = content["higgs"]["2"]["12"]["log"]["3"]
    np.testing.assert_array_equal(
        _row(table, 2, horizon=12, seed=3).curve.values["val_accuracy"],
        np.float32(logs["Train/val_accuracy"]).astype(float),
    )
    assert len(TabularBenchmark(table, horizon=50, seed=1)) == 2


# ------------------------------------------------------------------------------------------------------ what is recorded


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_value_comes_through(tmp_path, precision):
    content = published.known(gradients=True)
    tables, _ = _imported(tmp_path, content, precision=precision)
    for name, entries in content.items():
        table = tables[name]
        assert table.curves.dtype == precision
        assert table.columns["trial"].tolist() == [int(i) for i in entries]
        for i, entry in enumerate(entries.values()):
            np.testing.assert_array_equal(table.seconds[i], entry["log"]["time"])
            tags = entry["log"].keys() - {"time", "epoch"}
            for metric, plane in zip(table.metrics, table.curves, strict=True):
                found = [tag for tag in tags if column_of(tag) == metric]
                expected = np.array(entry["log"][found[0]], precision) if found else np.full(52, np.nan)
                np.testing.assert_array_equal(plane[i], expected)
            assert len(tags) == np.count_nonzero(~np.isnan(table.curves[:, i, 0]))
            for result, values in table.results.items():
                assert values[i] == entry["results"][result] or math.isnan(values[i])
            assert table.columns["n_parameters"][i] == entry["results"]["model_parameters"]


def test_the_header(known):
    table = Database(known[1]).table("volkert")
    task = table.task
    assert (task.openml_task_id, task.n_classes, task.n_features, task.kind, task.fold) == (168331, 10, 180, "classification", 0)
    assert (task.n_train, task.n_val, task.n_test) == (26174, 12893, 19243)
    assert task.split.startswith("33 % test with seed 42, stratified by class, one of the 12 tasks that LCBench split itself; then 33 %")
    assert Database(known[1]).table("higgs").task.split.startswith("OpenML's own hold-out split; then 33 %")
    assert table.space == lcbench_space()
    assert table.metrics[:3] == ("train_loss", "train_accuracy", "val_accuracy")
    units = dict(zip(table.metrics, table.units, strict=True))
    assert (units["val_accuracy"], units["test_balanced_accuracy"], units["val_cross_entropy"]) == ("percent", "fraction", "nat")
    origin = table.provenance
    assert (origin["licence"], origin["constants"], origin["published"]) == ("not stated", CONSTANTS, published.FACTS["volkert"])
    assert "created" not in origin
    data = known[0].read_bytes()
    assert origin["source"]["json_bytes"] == len(data)
    assert len(origin["source"]["json_sha256"]) == 64


def test_columns_are_those_of_rows(known):
    table = Database(known[1]).table("higgs")
    for name, column in table.configs.items():
        again = encode_column(table.space[name], table.configurations())
        assert (again.kind, again.values.tolist()) == (column.kind, column.values.tolist())
    assert all(row.key == key(row.configuration) for row in table.trainings)


def test_how_a_training_ended(tmp_path):
    content = published.known()
    short = {tag: values[:30] for tag, values in content["volkert"]["1"]["log"].items()}
    content["volkert"]["1"]["log"] = short
    tables, _ = _imported(tmp_path, content)
    row = _row(tables["higgs"], 1999)
    assert (row.status, row.error, len(row.curve)) == ("diverged", "val_cross_entropy is nan after epoch 51", 52)
    assert [STATUSES[i] for i in tables["volkert"].columns["status"]] == ["success", "unfinished", "success"]
    assert np.isnan(tables["volkert"].curves[:, 1, 30:]).all()
    assert len(_row(tables["volkert"], 1).curve) == 30


def test_known_tasks_are_those_of_the_tasks_here():
    yaml = pytest.importorskip("yaml")
    for name, number in TASKS.items():
        task = yaml.safe_load((ROOT / f"experiments/conf/task/{name}.yaml").read_text())
        assert (task["id"], task["split"]) == (number, "resplit" if name in RESPLIT else "official")
    assert (len(TASKS), len(RESPLIT)) == (35, 12)


# ------------------------------------------------------------------------------------------------- what needs to be said


def test_time_that_runs_backwards_is_mended_and_said(tmp_path):
    times = [0.0, 2.0, 1.0, math.nan, 3.0, *range(4, 51)]
    content = published.changed(published.known(), *HIGGS, "log", "time", to=[*times])
    content["higgs"]["0"]["log"]["time"] += [math.inf] * (52 - len(times))
    tables, notes = _imported(tmp_path, content)
    assert notes == ["higgs: `time` runs backwards or is not finite in 1 of 7 trainings: set to the largest before it"]
    assert tables["higgs"].provenance["notes"] == [notes[0].removeprefix("higgs: ")]
    assert _row(tables["higgs"], 0).curve.seconds.tolist() == [0.0, 2.0, 2.0, 2.0, 3.0, *range(4, 51)] + [50.0] * (52 - len(times))


def test_other_surprises_are_said(tmp_path):
    content = published.known()
    for entry in content["higgs"].values():
        entry["results"]["OpenML_task_id"] = 1
        entry["config"]["loss"] = "plain"
        del entry["results"]["seed"]
    del content["higgs"]["2"]["log"]["Train/test_result"]
    content["adult"] = {}
    tables, notes = _imported(tmp_path, content)
    assert notes == [
        "higgs: `seed` is missing in 7 of 7 trainings: 1 assumed",
        "higgs: `test_accuracy` is missing in 1 of 7 trainings: NaN",
        "higgs: `OpenML_task_id` is 1 in the file, but 167200 was expected: kept as it is in the file",
        "higgs: `loss` is 'plain' in the file, but 'cross_entropy_weighted' was expected: kept as it is in the file",
        "adult: no trainings, so no table",
    ]
    table = tables["higgs"]
    assert table.task.openml_task_id == 1
    assert table.task.split.startswith("as published, how the test rows were chosen is not known")
    assert table.provenance["constants"] == CONSTANTS | {"loss": "plain"}
    assert np.isnan(table.curves[table.plane("test_accuracy"), 2]).all()


def test_one_number_with_two_configurations_is_said(tmp_path):
    content = published.changed(published.known_extended(), "higgs", "1", "12", "config", "batch_size", to=100)
    _, notes = _imported(tmp_path, content)
    assert notes == ["higgs: not the same configuration at all budgets under 1 of 3 numbers"]


# ------------------------------------------------------------------------------------------------------- what is refused

REFUSALS = {
    "unknown tag": ((*HIGGS, "log", "Train/f1"), [0.5] * 52, "`Train/f1` is .*no such tag.*`--ignore Train/f1`"),
    "unknown result": ((*HIGGS, "results", "final_f1"), 1.0, "`final_f1` is 1.0, but results must be one of final_train_cross_entropy"),
    "unknown key": ((*HIGGS, "config", "batchsize"), 3, r"`batchsize` is 3.*\(did it mean batch_size\?\)"),
    "missing key": ((*HIGGS, "config", "momentum"), None, r"`momentum` is None, but must be a number in 0.1..0.99"),
    "text": ((*HIGGS, "config", "batch_size"), "71", "`batch_size` is '71', but must be an integer in 16..512"),
    "integer as float": ((*HIGGS, "config", "batch_size"), 71.5, "`batch_size` is 71.5, but must be an integer"),
    "true elsewhere": ((*HIGGS, "config", "max_units"), True, "`max_units` is True, but must be an integer in 64..1024"),
    "true as float": ((*HIGGS, "config", "max_dropout"), True, "`max_dropout` is True, but must be a number in 0.0..1.0"),
    "false layers": ((*HIGGS, "config", "num_layers"), False, "`num_layers` is False, but must be an integer in 1..5"),
    "out of range": ((*HIGGS, "config", "learning_rate"), 0.5, r"`learning_rate` is 0.5, but must be a number in 0.0001..0.1"),
    "NaN": ((*HIGGS, "config", "momentum"), math.nan, "`momentum` is nan, but must be a number"),
    "other constant": (("higgs", "2", "config", "loss"), "x", "'2': `loss` is 'x', but the entries before have 'cross_entropy_weighted'"),
    "no constant": (("higgs", "2", "config", "loss"), None, "'2': `loss` is None, but the entries before have 'cross_entropy_weighted'"),
    "other task": (("higgs", "2", "results", "OpenML_task_id"), 5, "`OpenML_task_id` is 5, but the entries before have 167200"),
    "task id": ((*FASHION, "results", "OpenML_task_id"), "a", "`OpenML_task_id` is 'a', but must be a whole number"),
    "mixed up": ((*FASHION, "results", "OpenML_task_id"), 167200, "167200, but Fashion-MNIST is task 189908, and 167200 is another"),
    "fraction": ((*FASHION, "results", "test_split"), 33, r"`test_split` is 33.*a fraction in \[0, 1\)"),
    "instances": ((*FASHION, "results", "instances"), 0.5, "`instances` is 0.5, but must be a whole number, at least 1"),
    "final": ((*HIGGS, "results", "final_val_accuracy"), "high", "`final_val_accuracy` is 'high', but must be a number"),
    "horizon": ((*HIGGS, "config", "cosine_annealing_T_max"), 25, "`cosine_annealing_T_max` is 25, but must be equal .* {'budget': 50"),
    "length": ((*HIGGS, "log", "Train/loss"), [0.5] * 51, "`Train/loss` is .*a list of 52 numbers like `time`"),
    "no list": ((*HIGGS, "log", "Train/loss"), 0.5, "`Train/loss` is 0.5, but must be a list"),
    "text in a list": ((*HIGGS, "log", "Train/loss"), ["0.5"] * 52, "`Train/loss` is '0.5', but its values must be numbers"),
    "truth in a list": ((*HIGGS, "log", "Train/loss"), [True] * 52, "`Train/loss` is True, but its values must be numbers"),
    "huge integer": ((*HIGGS, "log", "Train/loss"), [10**400] * 52, "its values must be numbers"),
    "epochs": ((*HIGGS, "log", "epoch"), [*range(1, 53)], r"`epoch` is \[1, 2, 3, 4, 5, 6, \.\.\.\], but must be 0, 1, …, 51"),
    "no time": ((*HIGGS, "log", "time"), None, "`time` is None, but every log must have it"),
    "layer": ((*HIGGS, "log", "Train/layer_wise_gradient_max_layer_1"), [0.5] * 52, "this network has 1 layers, counted from 0"),
    "statistic": ((*HIGGS, "log", "Train/layer_wise_gradient_norm_layer_0"), [0.5] * 52, "no such tag"),
    "huge": ((*HIGGS, "results", "model_parameters"), 2**70, "`model_parameters` is .* must be a whole number"),
    "many digits": (("higgs", "1" + "0" * 30), {}, "must be a whole number"),
    "number": (("higgs", "x7"), {}, "`configuration` is 'x7', but must be a whole number"),
    "parts": ((*HIGGS, "extra"), {}, "`entry` is .*must have the keys config, log, results, or budgets as keys"),
    "no object": ((*HIGGS, "log"), [], r"`log` is \[\], but must be a JSON object"),
    "no entry": (HIGGS, 3.0, "`entry` is 3.0"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_not_known_is_refused_by_name(tmp_path, name):
    steps, value, words = REFUSALS[name]
    content = published.changed(published.known(), *steps, to=value)
    with pytest.raises(UserError, match=words) as refusal:
        _imported(tmp_path, content)
    assert str(refusal.value).startswith(f"data.json: data set {steps[0]!r}, configuration {steps[1]!r}: `")
    assert not (tmp_path / "data.h5").exists()


NESTED_REFUSALS = {
    "seeds": (("results", "2"), None, "`budget 25` is .*both must have the same seeds"),
    "parts": (("log",), None, "`budget 25` is .*must have the keys"),
    "horizon": (("config", "cosine_annealing_T_max"), 50, r"budget 25, seed 1: `cosine_annealing_T_max` is 50.*'budget as key': 25"),
    "seed": (("results", "2", "seed"), 3, "budget 25, seed 2: `seed` is 3, but must be equal to what the entry says elsewhere"),
    "no object": (("log", "2"), 3, "budget 25, seed 2: `log` is 3, but must be a JSON object"),
}


@pytest.mark.parametrize("name", NESTED_REFUSALS)
def test_so_it_is_in_the_extended_file(tmp_path, name):
    steps, value, words = NESTED_REFUSALS[name]
    with pytest.raises(UserError, match=words):
        _imported(tmp_path, published.changed(published.known_extended(), "higgs", "1", "25", *steps, to=value))


def test_whole_files_that_are_something_else(tmp_path):
    with pytest.raises(UserError, match="holds no trainings, but must be one of LCBench's files"):
        _imported(tmp_path, {})
    with pytest.raises(UserError, match=r"`entry` is 2\.0"):  # metafeatures.json
        _imported(tmp_path, {"adult": {"1": 2.0}})


@pytest.mark.parametrize(
    ("key_", "words"), [("higgs", "the data set 'higgs' twice"), ("0", "`configuration` is '0', .*must not stand twice")]
)
def test_names_that_stand_twice(tmp_path, key_, words):
    text = json.dumps({"higgs": published.known()["higgs"], "@": {}}).replace('"@": {}', '"higgs": {}')
    text = text if key_ == "higgs" else text.replace('"1": {', '"0": {', 1)
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(UserError, match=words):
        import_file(tmp_path / "data.json", tmp_path / "data.h5")


def test_what_is_in_the_way_can_be_left_out(tmp_path):
    content = published.known()
    for i, entry in enumerate(content["higgs"].values()):
        entry["log"]["Train/f1"] = ["?"]
        entry["config"]["loss"] = str(i)
    tables, notes = _imported(tmp_path, content, ignore=("Train/f1", "loss", "model_parameters", "OpenML_task_id", "instances"))
    table = tables["higgs"]
    assert notes == []
    assert table.provenance["source"]["left_out"] == ["OpenML_task_id", "Train/f1", "instances", "loss", "model_parameters"]
    assert "loss" not in table.provenance["constants"]
    assert (table.task.openml_task_id, table.task.n_train, table.columns["n_parameters"].tolist()) == (167200, 0, [-1] * 7)
