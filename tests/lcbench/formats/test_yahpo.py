"""YAHPO's surrogate: a small network of the same layout is built here; its epochs, units, times and refusals."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ConfigSpace import Configuration, ConfigurationSpace

from lcbench.benchmark import CurveBenchmark
from lcbench.errors import UserError
from lcbench.formats.yahpo import read_yahpo, space_of_entries, yahpo_tasks
from lcbench.query import Query, Status
from lcbench.space import lcbench_space, sample

onnx = pytest.importorskip("onnx", reason="the package onnx, which builds the network of these tests, is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

INPUTS = ["epoch", "batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout"]


def _hyperparameter(name, kind, lower, upper, default, log=False):
    return {"name": name, "type": kind, "log": log, "lower": lower, "upper": upper, "default": default}


SPACE = {
    "hyperparameters": [
        {"name": "OpenML_task_id", "type": "categorical", "choices": ["3945", "7593"], "default": "3945", "probabilities": None},
        _hyperparameter("batch_size", "uniform_int", 16, 512, 91, log=True),
        _hyperparameter("epoch", "uniform_int", 1, 52, 26),
        _hyperparameter("learning_rate", "uniform_float", 0.00010000000000000009, 0.10000000000000002, 0.0031622777, log=True),
        _hyperparameter("max_dropout", "uniform_float", 0.0, 1.0, 0.5),
        _hyperparameter("max_units", "uniform_int", 64, 1024, 256, log=True),
        _hyperparameter("momentum", "uniform_float", 0.1, 0.99, 0.545),
        _hyperparameter("num_layers", "uniform_int", 1, 5, 3),
        _hyperparameter("weight_decay", "uniform_float", 1e-05, 0.1, 0.050005),
    ],
    "conditions": [],
    "forbiddens": [],
    "python_module_version": "0.4.18",
    "json_format_version": 0.2,
}
ENCODING = {"OpenML_task_id": {"#na#": 0, "167083": 5, "3945": 34, "7593": 35}}


def _network(n_inputs=8, n_outputs=6, nan=False):
    """Rows z = (task, epoch, seven numbers) to z W + b + sin(z V): every output tells which inputs came where.

    time = epoch / 10 + sin(epoch), which goes backwards; val_accuracy = task + epoch; the others read one input each.
    """
    w, v, b = np.zeros((1 + n_inputs, n_outputs), np.float32), np.zeros((1 + n_inputs, n_outputs), np.float32), np.zeros(n_outputs)
    w[1, 0], v[1, 0] = 0.1, 1.0
    w[0, 1] = w[1, 1] = 1.0
    for output, name in enumerate(["learning_rate", "momentum", "max_units", "num_layers"][: n_outputs - 2], start=2):
        w[1 + INPUTS.index(name), output] = 1.0
    b[1] = np.nan if nan else 0.0
    helper, numpy_helper, number = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Cast", ["x_cat"], ["task"], to=number),
        helper.make_node("Concat", ["task", "x_cont"], ["z"], axis=1),
        helper.make_node("MatMul", ["z", "W"], ["linear"]),
        helper.make_node("Add", ["linear", "b"], ["shifted"]),
        helper.make_node("MatMul", ["z", "V"], ["phase"]),
        helper.make_node("Sin", ["phase"], ["wave"]),
        helper.make_node("Add", ["shifted", "wave"], ["output"]),
    ]
    inputs = [
        helper.make_tensor_value_info("x_cat", onnx.TensorProto.INT32, ["batch_size", 1]),
        helper.make_tensor_value_info("x_cont", number, ["batch_size", n_inputs]),
    ]
    outputs = [helper.make_tensor_value_info("output", number, ["batch_size", n_outputs])]
    weights = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in {"W": w, "V": v, "b": b}.items()]
    graph = helper.make_graph(nodes, "yahpo", inputs, outputs, initializer=weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8).SerializeToString()


def _folder(directory, space=SPACE, encoding=ENCODING, model=None):
    directory.mkdir(exist_ok=True)
    (directory / "config_space.json").write_text(json.dumps(space))
    (directory / "encoding.json").write_text(json.dumps(encoding))
    (directory / "model.onnx").write_bytes(_network() if model is None else model)
    return directory


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    return read_yahpo(_folder(tmp_path_factory.mktemp("yahpo")), 3945)


def _query(benchmark, epoch, trial=0):
    return Query(sample(benchmark.space, np.random.default_rng(trial)), epoch, trial)


def test_it_is_a_curve_benchmark_of_lcbench(benchmark):
    assert isinstance(benchmark, CurveBenchmark)
    assert benchmark.epochs == 51
    assert benchmark.task.openml_task_id == 3945
    assert set(benchmark.space) == set(lcbench_space())
    for name, hyperparameter in lcbench_space().items():
        ours = benchmark.space[name]
        assert type(ours) is type(hyperparameter)
        assert (ours.lower, ours.upper) == pytest.approx((hyperparameter.lower, hyperparameter.upper))
        assert ours.log == hyperparameter.log
    assert benchmark.space["batch_size"].default_value == 91
    assert yahpo_tasks(benchmark.directory) == ("3945", "7593")


@pytest.mark.parametrize("epoch", [1, 30, 51])
def test_yahpos_epoch_k_is_our_epoch_k_minus_1(benchmark, epoch):
    curve = benchmark.evaluate(_query(benchmark, epoch)).curve
    assert curve.epochs.tolist() == list(range(epoch + 1))
    # The network says task + YAHPO's epoch, 34 + 1 at our entry 0, in percent.
    np.testing.assert_allclose(curve.values["val_accuracy"], (34 + 1 + np.arange(epoch + 1)) / 100)


def test_every_number_comes_in_and_out_at_its_place(benchmark):
    query = _query(benchmark, 3)
    last = benchmark.evaluate(query).curve.at(3)
    assert last.pop("val_accuracy") == pytest.approx(0.38)
    assert last == pytest.approx(
        {
            "val_cross_entropy": query.configuration["learning_rate"],
            "val_balanced_accuracy": query.configuration["momentum"],
            "test_cross_entropy": query.configuration["max_units"],
            "test_balanced_accuracy": query.configuration["num_layers"],
        }
    )


def test_seconds_never_go_backwards_although_the_network_does(benchmark):
    query = _query(benchmark, 51)
    time = benchmark.predict(query.configuration)[:, 0]
    assert (np.diff(time) < 0).any()
    seconds = benchmark.evaluate(query).curve.seconds
    np.testing.assert_array_equal(seconds, np.maximum.accumulate(time))


def test_a_shorter_curve_is_a_prefix_of_a_longer_one(benchmark):
    short, long = (benchmark.evaluate(_query(benchmark, epoch)).curve for epoch in (7, 40))
    assert short == long.prefix(7)


def test_loss_and_seconds_are_those_of_the_query(benchmark):
    result = benchmark.evaluate(_query(benchmark, 9))
    assert result.loss == pytest.approx(1 - 0.44)
    assert result.seconds == result.curve.seconds[-1]
    assert result.ok


@pytest.mark.parametrize(("metric", "hyperparameter"), [("cross_entropy", "learning_rate"), ("balanced_accuracy", "momentum")])
def test_other_metrics_can_be_optimised(benchmark, metric, hyperparameter):
    other = read_yahpo(benchmark.directory, "7593", metric)
    query = _query(other, 2)
    assert other.metric.value(other.evaluate(query).loss) == pytest.approx(query.configuration[hyperparameter])
    assert other.evaluate(query).curve.at(0)["val_accuracy"] == pytest.approx(0.36)  # task 35, YAHPO's epoch 1


def test_a_pickled_benchmark_answers_alike(benchmark):
    again = pickle.loads(pickle.dumps(benchmark))
    query = _query(benchmark, 5)
    assert again.evaluate(query) == benchmark.evaluate(query)


def test_a_nan_is_a_divergence(tmp_path):
    benchmark = read_yahpo(_folder(tmp_path / "lcbench", model=_network(nan=True)), 3945)
    assert benchmark.evaluate(_query(benchmark, 5)).status is Status.DIVERGED


def test_lcbenchs_own_corners_are_served(benchmark):
    space = lcbench_space()
    values = {name: hyperparameter.lower for name, hyperparameter in space.items()}
    assert benchmark.evaluate(Query(Configuration(space, values=values), 3, 0)).ok


def test_queries_that_cannot_be_answered_say_what_can(benchmark):
    with pytest.raises(ValueError, match=r"`epoch` is 52, but must lie in 1\.\.51"):
        benchmark.evaluate(_query(benchmark, 52))
    wide = ConfigurationSpace({**{name: benchmark.space[name] for name in benchmark.space}, "num_layers": (1, 9)})
    values = dict(sample(benchmark.space, np.random.default_rng(0))) | {"num_layers": 9}
    with pytest.raises(ValueError, match=r"`num_layers` is 9, but must lie in 1\.\.5"):
        benchmark.evaluate(Query(Configuration(wide, values=values), 3, 0))
    narrow = ConfigurationSpace({"num_layers": (1, 5)})
    with pytest.raises(ValueError, match="`batch_size` is None"):
        benchmark.evaluate(Query(narrow.get_default_configuration(), 3, 0))


def test_unknown_tasks_and_metrics_are_refused(benchmark):
    with pytest.raises(UserError, match=r"`task` is 167083, but .* serves the OpenML tasks 3945, 7593"):
        read_yahpo(benchmark.directory, 167083)
    with pytest.raises(UserError, match="`metric` is 'r2', but YAHPO predicts accuracy, cross_entropy, balanced_accuracy"):
        read_yahpo(benchmark.directory, 3945, "r2")


def _changed(name, /, **changes):
    entries = [entry | changes if entry["name"] == name else entry for entry in SPACE["hyperparameters"]]
    return SPACE | {"hyperparameters": entries}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"space": _changed("epoch", upper=50)}, r"`epoch` runs 1\.\.50 instead of 1\.\.52"),
        ({"space": _changed("momentum", type="normal_float")}, "hyperparameter 'momentum' cannot be read"),
        ({"space": _changed("momentum", q=0.1)}, "quantised"),
        ({"space": _changed("momentum", lower="a")}, "hyperparameter 'momentum' cannot be read"),
        ({"space": _changed("momentum", name="impulse")}, "has the hyperparameters .*'impulse'"),
        ({"space": _changed("momentum", type="constant", value=0.9)}, "the numbers .* are wanted"),
        ({"space": _changed("OpenML_task_id", choices=[])}, "lists no task numbers"),
        ({"space": SPACE | {"conditions": [{}]}}, "has conditions"),
        ({"space": {}}, "no list of named `hyperparameters`"),
        ({"space": []}, "holds no JSON object"),
        ({"encoding": {"OpenML_task_id": {"3945": "34"}}}, "has no whole number for task 3945"),
        ({"encoding": {}}, "has no whole number for task 3945"),
        ({"model": b"no network"}, "cannot be read as a network"),
        ({"model": b""}, "cannot be read as a network"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, files, sentence):
    with pytest.raises(UserError, match=sentence):
        read_yahpo(_folder(tmp_path / "lcbench", **files), 3945)


@pytest.mark.parametrize(
    ("shape", "sentence"), [((7, 6), "does not take a task and 8 numbers"), ((8, 5), r"shape \(52, 5\) instead of \(52, 6\)")]
)
def test_networks_of_another_shape_are_refused(tmp_path, shape, sentence):
    with pytest.raises(UserError, match=sentence):
        read_yahpo(_folder(tmp_path / "lcbench", model=_network(*shape)), 3945)


@pytest.mark.parametrize("name", ["config_space.json", "encoding.json", "model.onnx"])
def test_a_missing_file_is_named(tmp_path, name):
    (_folder(tmp_path / "lcbench") / name).unlink()
    with pytest.raises(UserError, match=name):
        read_yahpo(tmp_path / "lcbench", 3945)


def test_categories_and_constants_are_converted():
    category = {"type": "categorical", "choices": ["sgd", "adam"], "default": "adam", "probabilities": [0.25, 0.75]}
    space = space_of_entries(Path("x.json"), {"optimizer": category, "version": {"type": "constant", "value": 3}})
    assert space["optimizer"].choices == ("sgd", "adam")
    assert space["optimizer"].default_value == "adam"
    assert space["optimizer"].probabilities.tolist() == [0.25, 0.75]
    assert space["version"].value == 3


def test_a_missing_package_is_said_in_one_sentence(benchmark, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="pip install onnxruntime"):
        read_yahpo(benchmark.directory, 3945)


def test_importing_the_module_does_not_load_onnxruntime():
    code = "import sys, lcbench.formats.yahpo; print({'onnxruntime', 'onnx', 'pandas'} & set(sys.modules))"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout.strip() == "set()"
