"""The joint space with portfolio, traditional models, ensemble and saved model, through the real door."""

import csv
import json
import time

import numpy as np
import pytest

from experiments.ensembling import COLUMNS
from experiments.executors import Local, Serial
from lcbench.journal import read_journal
from pipeline.predictor import Predictor
from pipeline.tasks import bundled_task

SMALL = ("fidelity.max_epochs=4", "fidelity.min_epochs=2", "budget.trials=4", "space=apt2021")


@pytest.mark.parametrize(
    ("task", "executor", "metric"),
    [("breast_cancer", "local", "average_precision"), ("diabetes", "serial", "rmse")],
)
def test_a_run_leaves_an_ensemble_that_predicts(door, task, executor, metric):
    options = (*SMALL, f"task={task}", f"executor={executor}", f"metric={metric}", "traditional=[knn,extra_trees]")
    answer = door(*options)
    assert answer.returncode == 0, answer.stderr
    (directory,), (summary,) = answer.directories, door.summaries()
    assert [model["name"] for model in summary["traditional"]] == ["constant", "extra_trees", "linear", "knn"]
    ensemble = summary["ensemble"]
    assert sum(ensemble["members"].values()) == pytest.approx(1)
    assert ensemble["words"] in answer.stdout
    names = {model["name"] for model in ensemble["models"]}
    assert names >= {"extra_trees", "knn"} and "linear" not in names  # it was fitted for the report
    with (directory / "ensemble.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS
    assert float(lines[-1]["test_score"]) == pytest.approx(ensemble["scores"][f"test_{metric}"])
    predictor, table = Predictor.load(directory), bundled_task(task)
    rows, y = table.X.iloc[table.test], table.y[table.test]
    if table.classes:
        found = float((predictor.predict(rows) == np.array(table.classes)[y]).mean())
        assert found == pytest.approx(ensemble["scores"]["test_accuracy"])
    else:
        assert float(np.sqrt(np.mean((predictor.predict(rows) - y) ** 2))) == pytest.approx(ensemble["scores"]["test_rmse"], rel=1e-5)
    events = read_journal(directory / "events.journal").records
    assert {event["origin"] for event in events if event["kind"] == "ask" and event["rung"] == 0} == {"portfolio"}
    again = door(*options)
    assert again.returncode == 0, again.stderr
    assert ensemble["words"] in again.stdout


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(("refit=all",), id="refitted"),
        pytest.param(("cross_validation=3", "metric=balanced_accuracy"), id="cross-validated"),
    ],
)
def test_without_test_rows_a_run_ends_with_a_model_and_no_test_scores(door, tmp_path, more):
    table = bundled_task("breast_cancer").X.iloc[:150].assign(label=bundled_task("breast_cancer").y[:150])
    table.to_parquet(tmp_path / "mine.parquet")
    options = (*SMALL, "task=file", f"task.path={tmp_path / 'mine.parquet'}", "task.target=label", "task.test_share=0", "portfolio=none")
    answer = door(*options, "traditional=[knn]", "executor=serial", "budget.trials=2", *more)
    assert answer.returncode == 0, answer.stderr
    (summary,), (directory,) = door.summaries(), answer.directories
    ensemble = summary["ensemble"]
    assert not [name for scores in (ensemble["scores"], summary["incumbent"]["scores"]) for name in scores if name.startswith("test_")]
    assert summary["incumbent"]["test_score"] is None
    assert {model["test_score"] for model in ensemble["models"]} == {None}
    assert "nan" not in answer.stdout
    assert "NaN" not in (directory / "summary.json").read_text()
    assert ensemble.get("refit", {}).get("scores", {}) == {}
    with (directory / "ensemble.csv").open() as file:
        assert float(list(csv.DictReader(file))[-1]["val_score"]) == pytest.approx(ensemble["scores"][f"val_{summary['metric']['name']}"])
    assert (Predictor.load(directory).predict(table).astype(int) == table["label"]).mean() > 0.9
    if "refit=all" in more:  # one finished run is enough to be reported again
        again = door(*options, "traditional=[knn]", "executor=serial", "budget.trials=2", *more)
        assert again.returncode == 0, again.stderr
        assert ensemble["words"] in again.stdout


def test_extended_it_keeps_the_models_that_it_had(door):
    small = ("fidelity.max_epochs=4", "fidelity.min_epochs=2", "space=tiny", "portfolio=none")
    options = (*small, "task=iris", "traditional=[knn]")
    door(*options, "budget.trials=2")
    before = {model["name"] for model in door.summaries()[0]["ensemble"]["models"]}
    answer = door(*options, "budget.trials=4", "extend=true")
    assert answer.returncode == 0, answer.stderr
    assert before < {model["name"] for model in door.summaries()[0]["ensemble"]["models"]}


def test_a_model_that_fails_is_named_and_the_run_goes_on(door):
    answer = door(*SMALL, "task=breast_cancer", "traditional=[catboost]", "trial.memory_mb=60", "portfolio=none")
    assert answer.returncode == 0, answer.stderr
    (summary,) = door.summaries()
    failed = [model for model in summary["traditional"] if "error" in model]
    assert [model["name"] for model in failed] == ["catboost"]
    assert "catboost: " in answer.stdout
    assert Predictor.load(answer.directories[0]).members


@pytest.mark.parametrize("trouble", [("trial.seconds=0.01",), ("ensemble.max_latency=1e-6", "budget.trials=1")])
def test_where_nothing_can_be_kept_the_constant_model_is(door, trouble):
    answer = door(*SMALL, "task=breast_cancer", "traditional=none", "portfolio=none", *trouble)
    assert answer.returncode == 0, answer.stderr
    predictor, table = Predictor.load(answer.directories[0]), bundled_task("breast_cancer")
    assert predictor.names == ("constant",)
    np.testing.assert_allclose(predictor.predict_proba(table.X)[0], np.bincount(table.y[table.train]) / len(table.train), rtol=1e-6)


def test_without_an_ensemble_nothing_is_kept_but_curves(door):
    answer = door("debug=fast", "ensemble.size=0")
    assert answer.returncode == 0, answer.stderr
    assert door.summaries()[0]["ensemble"] is None
    assert not [path for path in ("members", "predictor", "ensemble.csv") if (answer.directories[0] / path).exists()]


def test_the_space_of_a_task_as_a_table(door):
    answer = door("info=space", "space=full", "task=iris", COLUMNS="200")
    assert answer.returncode == 0, answer.stderr
    assert "kernel_pca.gamma" in answer.stdout
    assert "space full" in answer.stdout
    assert not answer.directories


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("info=spaces",), "`info` is 'spaces', but must be space"),
        (("traditional=[lightgbm,xgboost]",), "`traditional` names 'xgboost', but must be all, none, or some of"),
        (("ensemble.size=-1",), "`size` of the ensemble is -1"),
        (("ensemble.max_latency=0",), "`max_latency` of the ensemble is 0"),
        (("space.updates={batch_sise: 3}",), "did you mean 'batch_size'"),
        (("metric=rmsle", "task=iris"), "is a classification task"),
        (("benchmark.patience=0",), "`benchmark.patience` is 0"),
        (("space=tiny", "portfolio=greedy2021"), "no member of"),
    ],
)
def test_bad_input_is_one_sentence(door_here, overrides, words):
    answer = door_here(*overrides)
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert words in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("make", [Serial, lambda benchmark: Local(benchmark, workers=2)])
def test_what_a_job_raises_is_raised_by_the_executor(make):
    def job():
        raise OSError("the disk is full")

    executor = make(None)
    executor.run(job)
    with pytest.raises(OSError, match="the disk is full"):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            executor.settle()
    executor.close()


def test_the_record_of_a_traditional_model_is_plain_json(door):
    answer = door("debug=fast")
    record = json.loads((answer.directories[0] / "traditional" / "linear.json").read_text())
    assert {"name", "seconds", "predict_seconds_per_1000", "scores"} == record.keys()
