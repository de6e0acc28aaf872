"""The published interface: same names, same answers, on databases of ours and on published files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lcbench import Benchmark
from lcbench.errors import UserError
from lcbench.formats.lcbench_json import export_lcbench, import_file
from lcbench.formats.lcbench_runs import NotRecordedError
from lcbench.formats.lcbench_tags import CONSTANTS, HORIZON
from lcbench.space import plain, sample
from lcbench.store import FittedModel, read_curves, write_curves
from lcbench.table import CurveTable
from tests.lcbench.formats.api_tables import HIGGS, SPACE, VEHICLE, N, full_table, table, training

ROOT = Path(__file__).resolve().parents[3]
_LAYERS = [f"Train/layer_wise_gradient_{s}_layer_" for s in ("max", "mean")]
_LOG = [f"Train/{n}" for n in ("loss", "train_accuracy", "val_accuracy", "val_cross_entropy", "val_balanced_accuracy", "test_result")]


@pytest.fixture
def path(tmp_path):
    write_curves(tmp_path / "curves.h5", [table(), full_table(HIGGS)])
    return tmp_path / "curves.h5"


@pytest.fixture
def bench(path):
    return Benchmark(path)


def _entry(i, rng):
    """One run as the published files lay it out, in their order."""
    drawn = plain(sample(SPACE, np.random.default_rng(i)))
    tags = [*_LOG, *(f"{tag}{layer}" for tag in _LAYERS for layer in range(drawn["num_layers"])), "Train/gradient_norm", "Train/lr"]
    log = {"time": np.cumsum(rng.random(52)).tolist(), "epoch": list(range(52))} | {tag: (90 * rng.random(52)).tolist() for tag in tags}
    results = {"model_parameters": 1000 + i, "final_val_accuracy": 77.1, "OpenML_task_id": 167168, "test_split": 0.3309, "budget": 50}
    results |= {"seed": 1, "instances": 846, "classes": 4, "features": 18}
    everything = {**CONSTANTS, **drawn, HORIZON: 50}
    order = "batch_size imputation_strategy learning_rate_scheduler loss network max_dropout normalization_strategy optimizer"
    order += f" {HORIZON} cosine_annealing_eta_min activation max_units mlp_shape num_layers learning_rate momentum weight_decay"
    return {"log": log, "results": results, "config": {name: everything[name] for name in order.split()}}


def _published(path, n=12):
    rng = np.random.default_rng(0)
    document = {"vehicle": {str(i): _entry(i, rng) for i in range(n)}}
    path.write_text(json.dumps(document))
    return document


# ------------------------------------------------------------------------------------------------------------ published file


def test_a_published_file_answers_as_it_did(tmp_path, capsys):
    document = _published(tmp_path / "data.json")
    bench = Benchmark(data_dir=str(tmp_path / "data.json"))
    for config_id, entry in document["vehicle"].items():
        parts = {**entry["config"], **entry["results"], **entry["log"], "config": entry["config"]}
        assert bench.get_queriable_tags("vehicle", config_id) == [*entry["log"], *entry["results"], *entry["config"], "config"]
        for tag, value in parts.items():
            found = bench.query(dataset_name="vehicle", tag=tag, config_id=int(config_id))
            assert found == value and type(found) is type(value), tag
        assert [*bench.get_config("vehicle", config_id).items()] == [*entry["config"].items()]
    assert bench.data == document  # scripts look at it too
    assert bench.get_queriable_tags() == bench.get_queriable_tags("vehicle", 0)
    assert "once" in capsys.readouterr().out


def test_a_published_file_is_imported_once_and_again_when_it_changes(tmp_path, capsys):
    source = tmp_path / "data.json"
    _published(source, n=2)
    assert Benchmark(source).get_number_of_configs("vehicle") == 2
    capsys.readouterr()
    assert Benchmark(source).get_number_of_configs("vehicle") == 2
    assert capsys.readouterr().out == ""
    _published(source, n=3)
    os.utime(source, ns=(2**62, 2**62))
    assert Benchmark(source).get_number_of_configs("vehicle") == 3


def test_a_database_goes_to_the_cache_where_it_must_not_stand_beside_the_file(tmp_path):
    _published(tmp_path / "data.json", n=2)
    Benchmark(tmp_path / "data.json", cache=True, cache_dir=tmp_path / "cached")
    assert not (tmp_path / "data.h5").exists()
    (tmp_path / "data.h5").write_text("of somebody else")
    Benchmark(tmp_path / "data.json", cache_dir=tmp_path / "other")
    assert (tmp_path / "data.h5").read_text() == "of somebody else"
    assert len(list((tmp_path / "cached").glob("data-*.h5"))) == len(list((tmp_path / "other").glob("data-*.h5"))) == 1


def _with_model(path, source):
    import_file(source, path, precision="float64")
    write_curves(path, read_curves(path), models=[FittedModel("vehicle", "lcbench", "val_accuracy", {"weights": np.ones(3)}, {})])


BESIDE = {
    "recorded": lambda path, source: write_curves(path, [table()]),
    "of another format": lambda path, source: write_curves(path, [table(provenance={"source": f"a table called {source.name}"})]),
    "of another file": lambda path, source: write_curves(path, [table(provenance={"source": {"file": "other.json"}})]),
    "rounded": lambda path, source: import_file(source, path, precision="float32"),
    "not all of it": lambda path, source: import_file(source, path, precision="float64", ignore=["Train/lr"]),
    "with a model": _with_model,
    "empty": lambda path, source: write_curves(path, []),
}


@pytest.mark.parametrize("is_newer", [True, False])
@pytest.mark.parametrize("beside", BESIDE)
def test_a_database_that_is_not_the_import_is_neither_served_nor_replaced(tmp_path, beside, is_newer):
    source, database = tmp_path / "data.json", tmp_path / "data.h5"
    document = _published(source, n=2)
    BESIDE[beside](database, source)
    before, time = database.read_bytes(), database.stat().st_mtime_ns
    os.utime(source, ns=(time, time - 10**9 if is_newer else time + 10**9))
    for _ in range(2):
        assert Benchmark(source, cache_dir=tmp_path / "cached").data == document  # with every bit
    assert database.read_bytes() == before
    assert len(list((tmp_path / "cached").glob("data-*.h5"))) == 1


def test_an_exported_file_leaves_the_database_that_it_came_from(tmp_path):
    write_curves(tmp_path / "my.h5", [table()])
    before = (tmp_path / "my.h5").read_bytes()
    export_lcbench(table(), tmp_path / "my.json")
    exported = Benchmark(tmp_path / "my.json", cache_dir=tmp_path / "cached")
    assert exported.query("vehicle", "Train/val_accuracy", 0) == Benchmark(tmp_path / "my.h5").query("vehicle", "Train/val_accuracy", 0)
    assert (tmp_path / "my.h5").read_bytes() == before


@pytest.mark.parametrize("name", ["missing.json", "data.txt"])
def test_another_file_is_refused(tmp_path, name):
    (tmp_path / "data.txt").write_text("{}")
    with pytest.raises(ValueError, match=r"`data_dir` is '.*', but (there is no such file|must be a database)"):
        Benchmark(tmp_path / name)


# ------------------------------------------------------------------------------------------------------------------- queries


def test_values_have_the_units_of_lcbench_whatever_is_stored(path, bench):
    percent = table(units={name: "percent" for name in ("val_accuracy", "val_balanced_accuracy")})
    write_curves(path.with_name("percent.h5"), [percent])
    curve = table().trainings[2].curve
    assert bench.query("vehicle", "Train/val_accuracy", 2) == (100 * curve.values["val_accuracy"]).tolist()
    assert bench.query("vehicle", "Train/val_balanced_accuracy", 2) == curve.values["val_balanced_accuracy"].tolist()
    assert bench.query("vehicle", "Train/test_result", "2") == (100 * curve.values["test_accuracy"]).tolist()
    assert bench.query("vehicle", "time", 2) == curve.seconds.tolist()
    assert bench.query("vehicle", "epoch", 2) == list(range(52))
    stored = Benchmark(path.with_name("percent.h5"))
    assert stored.query("vehicle", "Train/val_accuracy", 2) == curve.values["val_accuracy"].tolist()
    assert stored.query("vehicle", "Train/val_balanced_accuracy", 2) == pytest.approx(curve.values["val_balanced_accuracy"] / 100)


def test_scalars_of_a_recorded_table_come_from_its_curves_and_its_task(bench):
    assert bench.query("vehicle", "final_val_accuracy", 1) == bench.query("vehicle", "Train/val_accuracy", 1)[-1]
    facts = {"OpenML_task_id": 167168, "instances": 846, "classes": 4, "features": 18, "budget": 50, "seed": 1, "model_parameters": 1001}
    assert {name: bench.query("vehicle", name, 1) for name in facts} == facts
    assert bench.query("vehicle", "test_split", 1) == 280 / 846


@pytest.mark.parametrize("config_id", [3, "3", np.int64(3), np.str_("3")])
def test_numbers_of_configurations_may_be_text(bench, config_id):
    assert bench.get_config("vehicle", config_id) == bench.query("vehicle", "config", 3)
    assert bench.get_config("vehicle", config_id)["batch_size"] == table().trainings[3].configuration["batch_size"]


def test_names_and_numbers(bench):
    assert bench.get_dataset_names() == bench.dataset_names == ["higgs", "vehicle"]
    assert bench.get_openml_task_ids() == [167200, 167168]
    assert bench.get_number_of_configs("vehicle") == N
    assert bench.get_config_ids("vehicle") == list(range(N))
    assert bench.get_queriable_tags()[-1] == "config"


def test_layers_that_a_network_does_not_have_have_no_tags(bench):
    layers = {i: [tag for tag in bench.get_queriable_tags("vehicle", i) if "layer_wise" in tag] for i in range(N)}
    numbers = {i: bench.query("vehicle", "num_layers", i) for i in range(N)}
    assert {i: len(tags) for i, tags in layers.items()} == numbers and len(set(numbers.values())) > 1
    shallow, deep = min(numbers, key=numbers.get), max(numbers, key=numbers.get)
    with pytest.raises(NotRecordedError, match="which other runs have, but not this one"):
        bench.query("vehicle", layers[deep][-1], shallow)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vehicles", "time", 0), r"^`dataset_name` is 'vehicles', but .*curves.h5 has higgs, vehicle; did you mean 'vehicle'\?$"),
        (("vehicle", "Train/val_acuracy", 0), r"^`tag` is 'Train/val_acuracy', .*did you mean 'Train/val_accuracy'"),
        (("vehicle", "time", 5), r"^`config_id` is 5, but 'vehicle' has the configurations 0..4$"),
        (("vehicle", "time", "05"), r"^`config_id` is '05', but"),
    ],
)
@pytest.mark.parametrize("error", [UserError, ValueError, KeyError, IndexError])
def test_what_is_not_there_is_refused_with_what_is(bench, arguments, message, error):
    with pytest.raises(error, match=message):
        bench.query(*arguments)


def test_numbers_with_gaps_are_named(tmp_path):
    write_curves(tmp_path / "gaps.h5", [table(training(2), training(7))])
    with pytest.raises(NotRecordedError, match="has the configurations 2 from 2 to 7, see get_config_ids"):
        Benchmark(tmp_path / "gaps.h5").query("vehicle", "time", 3)


def test_runs_that_ended_early_have_shorter_lists(tmp_path):
    write_curves(tmp_path / "short.h5", [table(training(0), training(1, entries=4, status="crashed"), training(2, entries=0))])
    bench = Benchmark(tmp_path / "short.h5")
    assert [len(bench.query("vehicle", "Train/loss", i)) for i in range(3)] == [52, 4, 0]
    assert "final_val_accuracy" not in bench.get_queriable_tags("vehicle", 2)
    assert bench.query_best("vehicle", "seed", "Train/val_accuracy", 1) == 1
    with pytest.raises(IndexError, match="`position` is 2, but 'vehicle' has 2 runs"):
        bench.query_best("vehicle", "seed", "Train/val_accuracy", 2)


# ---------------------------------------------------------------------------------------------------------- budgets and seeds


def test_the_largest_budget_and_the_smallest_seed_are_served(path, bench):
    assert (bench.query("higgs", "budget", 0), bench.query("higgs", "seed", 0)) == (50, 1)
    other = Benchmark(path, budget=50, seed=1)
    assert other.data == bench.data
    small = Benchmark(path, budget=6, seed=2)
    assert small.query("higgs", "epoch", 0) == list(range(8))
    assert small.query("higgs", "cosine_annealing_T_max", 0) == 6
    with pytest.raises(UserError, match="`budget` is 6, but 'vehicle' was recorded with 50"):
        small.query("vehicle", "time", 0)


def test_several_spaces_of_a_task_are_told_apart(tmp_path):
    renamed = table().space.to_serialized_dict() | {"name": "mine"}
    tables = [table(), CurveTable(**{**vars(table()), "space": type(SPACE).from_serialized_dict(renamed)})]
    write_curves(tmp_path / "two.h5", tables)
    assert Benchmark(tmp_path / "two.h5").get_dataset_names() == ["vehicle/lcbench", "vehicle/mine"]


# -------------------------------------------------------------------------------------------------------------------- ranking


def test_the_best_run_has_the_largest_value_at_any_epoch(bench):
    peaks = [max(bench.query("vehicle", "Train/val_accuracy", i)) for i in range(N)]
    order = sorted(range(N), key=lambda i: peaks[i], reverse=True)
    ranked = [bench.query_best("vehicle", "config", "Train/val_accuracy", position) for position in range(N)]
    assert ranked == [bench.get_config("vehicle", i) for i in order]
    assert bench.query_best("vehicle", "config", "Train/val_accuracy", -1) == ranked[-1]
    with pytest.raises(IndexError):
        bench.query_best("vehicle", "config", "Train/val_accuracy", N)


def test_a_direction_and_an_epoch_can_be_given(bench):
    losses = np.array([bench.query("vehicle", "Train/val_cross_entropy", i) for i in range(N)])
    best = bench.query_best("vehicle", "model_parameters", "Train/val_cross_entropy", direction="min", epoch=7)
    assert best == 1000 + np.argmin(losses[:, 7])
    assert bench.query_best("vehicle", "model_parameters", "time", direction="max", epoch=51) in range(1000, 1000 + N)
    with pytest.warns(UserWarning, match="ranked by the largest Train/val_cross_entropy, as LCBench does; .*direction='min'"):
        as_published = bench.query_best("vehicle", "model_parameters", "Train/val_cross_entropy")
    assert as_published == 1000 + np.argmax(losses.max(1))


def test_scalars_can_be_criteria_too(bench):
    assert bench.query_best("vehicle", "model_parameters", "model_parameters") == 1000 + N - 1
    rates = [bench.query("vehicle", "learning_rate", i) for i in range(N)]
    assert bench.query_best("vehicle", "learning_rate", "learning_rate", direction="min") == min(rates)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("Train/val_accuracy",), {"direction": "up"}, "`direction` is 'up', but must be 'min', 'max', or None"),
        (("Train/val_accuracy",), {"epoch": 52}, r"`epoch` is 52, but 'vehicle' has the epochs 0\.\.51"),
        (("momentum",), {"epoch": 3}, "`epoch` is 3, but the criterion 'momentum' has no epochs"),
        (("network",), {}, "`criterion` is 'network', whose values, e.g. 'shapedmlpnet', have no order"),
        (("loss_of_val",), {}, "`tag` is 'loss_of_val', but"),
    ],
)
def test_a_ranking_that_makes_no_sense_is_refused(bench, arguments, options, message):
    with pytest.raises(UserError, match=message):
        bench.query_best("vehicle", "config", *arguments, **options)


# --------------------------------------------------------------------------------------------------------------------- figure


@pytest.fixture
def figure(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.mark.parametrize("names", [["vehicle", "higgs"], np.array(["vehicle", "higgs"]), "vehicle"])
def test_a_figure_has_a_panel_per_data_set_and_a_line_per_run(bench, figure, names, capsys):
    assert bench.plot_by_name(names, "epoch", "Train/val_accuracy", n_configs=3, yscale="log") is None
    axes = figure.gcf().axes
    assert [ax.get_title().split(" ")[0] for ax in axes] == list(np.atleast_1d(names))
    assert [len(ax.lines) for ax in axes] == [3] * len(axes)
    assert axes[0].lines[0].get_ydata().tolist() == bench.query("vehicle", "Train/val_accuracy", 1)  # as LCBench, from run 1
    assert (axes[0].get_xlabel(), axes[0].get_ylabel(), axes[0].get_yscale()) == ("epoch", "validation accuracy [%]", "log")
    assert capsys.readouterr().out == ""


def test_the_best_runs_are_drawn_in_their_order(bench, figure, capsys):
    bench.plot_by_name("vehicle", "time", "Train/test_balanced_accuracy", n_configs=9, show_best=True, criterion="Train/val_accuracy")
    lines = figure.gca().lines
    best = [bench.query_best("vehicle", "time", "Train/val_accuracy", position) for position in range(N)]
    assert [line.get_xdata().tolist() for line in lines] == best
    assert figure.gca().get_ylabel() == "test balanced accuracy [fraction]"
    assert capsys.readouterr().out == "Only 5 runs of vehicle have a value of Train/val_accuracy\n"


def test_runs_that_are_not_there_are_named_and_the_others_drawn(bench, figure, capsys):
    bench.plot_by_name("vehicle", "epoch", "Train/loss", n_configs=6)
    assert len(figure.gca().lines) == 4
    assert capsys.readouterr().out == "Run 5 not found for data set vehicle\nRun 6 not found for data set vehicle\n"
    with pytest.raises(NotRecordedError, match="`tag` is 'Train/lossy'"):
        bench.plot_by_name("vehicle", "epoch", "Train/lossy")
    with pytest.raises(UserError, match="`dataset_names` is 3, but must be the name of a data set or a list of names"):
        bench.plot_by_name(3, "epoch", "Train/loss")


def test_looking_up_does_not_load_matplotlib(path):
    code = f"from lcbench import Benchmark; Benchmark({str(path)!r}).query('vehicle', 'time', 0); "
    code += "import sys; print('matplotlib' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_the_package_offers_it_by_name_only():
    import lcbench

    with pytest.raises(AttributeError, match="has no attribute 'Benchmarks'"):
        _ = lcbench.Benchmarks
    assert VEHICLE.name in repr(lcbench.TaskInfo(**vars(VEHICLE)))
