"""The ensemble trained again: as the last step of a cross-validated run that tests on a second file, and by the command afterwards."""

import json
import re
import shutil
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from experiments import refit
from experiments.build import config_of
from experiments.refit import Refit
from lcbench.errors import UserError
from lcbench.files import held
from lcbench.metric import METRICS
from lcbench.query import Status
from pipeline.predictor import Predictor, assemble, description
from pipeline.preprocessing.raw import RawTable
from pipeline.refitting import Refitted
from pipeline.sandbox import Failure, Limits
from pipeline.tasks import cross_validated, file_task
from tests.experiments.conftest import Door

N_REST, N_TEST = 150, 60
ROOMY = Limits(60.0, 4096)


def table(n, seed):
    rng = np.random.default_rng(seed)
    size, weight, colour = rng.normal(size=n), rng.normal(size=n), rng.choice(["red", "green", "blue"], n)
    label = np.where(size + weight**2 + (colour == "red") + rng.normal(scale=0.5, size=n) > 1, "yes", "no")
    return pd.DataFrame({"size": size, "weight": weight, "colour": colour, "label": label})


def options(folder):
    """What the door is told: a search by cross-validation on one file, tested on another."""
    return (
        *("task=file", f"task.path={folder / 'table.csv'}", f"task.test_path={folder / 'later.csv'}", "task.target=label"),
        *("space=tiny", "portfolio=none", "traditional=[extra_trees]", "executor=serial", "metric=cross_entropy", "refit=train"),
        *("cross_validation=3", "budget.trials=2", "fidelity.max_epochs=30", "fidelity.min_epochs=30", "ensemble.size=10"),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the files and the runs lie."""
    return tmp_path_factory.mktemp("refit")


@pytest.fixture(scope="module")
def run(folder):
    """What the door said, and the directory of the finished run."""
    table(N_REST, 0).to_csv(folder / "table.csv", index=False)
    table(N_TEST, 1).to_csv(folder / "later.csv", index=False)
    answer = Door(folder / "runs")(*options(folder))
    assert answer.returncode == 0, answer.stderr
    return answer, answer.directories[0]


@pytest.fixture
def copy(run, tmp_path):
    """The same run, to be changed."""
    return shutil.copytree(run[1], tmp_path / "run")


@pytest.fixture
def task(run, folder):
    return cross_validated(file_task(folder / "table.csv", "label", test_path=folder / "later.csv"), 3)


def accuracy(predictor, frame):
    return float((predictor.predict(frame) == frame["label"]).mean())


def check_same(one, other):
    """Two predictors answer the same to the last bit."""
    one, other = Predictor.load(one), Predictor.load(other)
    rows = table(50, 2)
    assert np.array_equal(one.predict_proba(rows), other.predict_proba(rows))


def test_a_cross_validated_run_searches_on_all_rows_of_the_first_file_and_tests_on_the_second(run):
    answer, directory = run
    summary, about = json.loads((directory / "summary.json").read_text()), json.loads((directory / "table.json").read_text())
    assert f"refit of {len(summary['ensemble']['members'])} members on the {N_REST} rows that are not tested on" in answer.stdout
    task = about["task"]
    assert (task["n_train"], task["n_val"], task["n_test"]) == (N_REST - N_REST // 3, N_REST, N_TEST)
    assert task["split"] == "tested on later.csv, then 3-fold cross-validation, seed 42"
    ensemble, later = summary["ensemble"], table(N_TEST, 1)
    before, after = Predictor.load(directory / "predictor"), Predictor.load(directory)
    assert accuracy(before, later) == pytest.approx(ensemble["scores"]["test_accuracy"])
    assert accuracy(after, later) == pytest.approx(ensemble["refit"]["scores"]["test_accuracy"])
    assert ensemble["refit"]["scores"]["test_cross_entropy"] != ensemble["scores"]["test_cross_entropy"]
    assert ensemble["refit"]["rows"] == "train"
    assert ensemble["refit"]["kept"] == {}
    assert "refitted" in answer.stdout


def test_refitted_members_have_as_many_parts_as_there_were_folds_and_the_weights_that_they_had(run):
    _, directory = run
    before, after = Predictor.load(directory / "predictor"), Predictor.load(directory)
    assert {len(parts) for parts in before.members} == {3}
    assert {len(parts) for parts in after.members} == {3}
    assert all(len({part.view for part in parts}) == 3 for parts in after.members if parts[0].view)  # each seed has its own
    assert (after.names, after.weights) == (before.names, before.weights)
    kinds = {bool(parts[0].view) for parts in after.members}
    assert kinds == {True, False}  # networks and traditional models
    assert not list(directory.glob(".refitted*"))


def test_the_command_makes_what_the_run_made(run, copy, capsys):
    shutil.rmtree(copy / "refitted")
    assert refit.main([str(copy), "--rows", "train"]) == 0
    said = capsys.readouterr().out
    check_same(copy / "refitted", run[1] / "refitted")
    check_same(copy / "predictor", run[1] / "predictor")
    for name, value in json.loads((copy / "summary.json").read_text())["ensemble"]["refit"]["scores"].items():
        assert f"{name} {value:.4f}" in said
    assert f"the refitted model lies in {copy / 'refitted'}" in said
    assert not list(copy.glob(".refitted*"))


@pytest.mark.slow
def test_refitted_on_every_row_there_is_nothing_left_to_score(run, copy, task, capsys):
    assert refit.main([str(copy)]) == 0
    said = capsys.readouterr().out
    assert f"members on all {N_REST + N_TEST} rows" in said
    assert "test_accuracy" not in said
    predictor = Predictor.load(copy)
    model = predictor.members[predictor.names.index("extra_trees")][0].model
    X = RawTable.of(task).values
    assert (model.predict(X).argmax(1) == task.y).mean() > 0.99  # the test rows too are known by heart
    before = Predictor.load(run[1]).members[predictor.names.index("extra_trees")][0].model
    assert (before.predict(X).argmax(1) == task.y)[task.rest].mean() > 0.99
    assert (before.predict(X).argmax(1) == task.y)[task.test].mean() < 0.95


@pytest.mark.parametrize(
    ("limits", "seconds", "reason"),
    [(Limits(60.0, 1), 60.0, r"memory|failed to map"), (ROOMY, -1.0, r"killed at the end of the run's budget")],
    ids=["memory", "deadline"],
)
def test_members_that_cannot_be_refitted_stay_as_they_were_and_are_named(run, copy, task, capsys, limits, seconds, reason):
    trainer = Refit(copy, RawTable.of(task), "train", limits, workers=2, deadline=time.monotonic() + seconds)
    told = trainer(METRICS["accuracy"], Console(markup=False, width=500))
    members = Predictor.load(copy / "predictor").names
    assert sorted(told["kept"]) == sorted(members)
    assert (told["members"], told["scores"]) == (len(members), {})
    assert [why for why in told["kept"].values() if not re.search(reason, why)] == []
    said = capsys.readouterr().out
    assert [name for name, why in told["kept"].items() if f"members: {name} {why}" not in said] == []
    check_same(copy / "refitted", run[1] / "refitted")  # that of before
    assert not list(copy.glob(".refitted*"))


@pytest.mark.parametrize(("seconds", "n_parts"), [(0.0, 2), (1000.0, 1)])
def test_further_seeds_are_added_only_as_long_as_there_is_time(copy, task, monkeypatch, seconds, n_parts):
    refitting = refit.run_in_child

    def slow(*work, **options):
        answer = refitting(*work, **options)
        return answer._replace(seconds=seconds) if isinstance(answer, Refitted) else answer

    monkeypatch.setattr(refit, "run_in_child", slow)
    trainer = Refit(copy, RawTable.of(task), "train", ROOMY, workers=2, deadline=time.monotonic() + 300, parts=4 if seconds else 2)
    told = trainer(METRICS["accuracy"], Console(quiet=True))
    predictor = Predictor.load(copy)
    assert {len(parts) for parts in predictor.members} == {n_parts}
    later = RawTable.of(task)
    answers = predictor.answer(later.values[later.rows["test"]])
    assert told["scores"]["test_accuracy"] == pytest.approx((answers.argmax(1) == later.target("test")).mean())


def test_a_run_with_a_deadline_averages_five_seeds_unless_milliseconds_count(copy, task):
    config = config_of(copy)
    raw = RawTable.of(task)
    assert Refit.of(config, copy, raw, "train").parts == 3
    assert Refit.of(config, copy, raw, "train", time.monotonic() + 9).parts == 5
    config.ensemble.max_latency = 50.0
    assert Refit.of(config, copy, raw, "train", time.monotonic() + 9).parts == 3


def test_a_member_that_cannot_be_refitted_stays_beside_those_that_can(run, copy, task):
    file = copy / "predictor" / "members" / "extra_trees.pkl"
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    told = Refit(copy, RawTable.of(task), "train", ROOMY, workers=2)(METRICS["accuracy"], Console(quiet=True))
    kept = copy / "refitted" / "members" / "extra_trees.pkl"
    assert list(told["kept"]) == ["extra_trees"]
    assert kept.read_bytes() == whole[:100]
    kept.write_bytes(whole)
    mixed, new, old = (Predictor.load(path) for path in (copy, run[1], run[1] / "predictor"))
    rows = new.columns.read(table(50, 2))
    sources = [old if name == "extra_trees" else new for name in mixed.names]
    alone = [replace(one, weights=(1.0,), members=(one.members[i],)).answer(rows) for i, one in enumerate(sources)]
    assert len(alone) > 1
    np.testing.assert_allclose(mixed.answer(rows), np.tensordot(mixed.weights, alone, 1), rtol=1e-12)


def test_on_every_row_what_stays_as_it_was_needs_no_test_rows_of_the_others(copy, task, monkeypatch):
    def only_trees(*work, **options):
        return Failure(Status.TIMEOUT, "it was cut") if work[2] == "extra_trees" else refitting(*work, **options)

    refitting = refit.run_in_child
    monkeypatch.setattr(refit, "run_in_child", only_trees)
    told = Refit(copy, RawTable.of(task), "all", ROOMY, workers=2)(METRICS["accuracy"], Console(quiet=True))
    assert (told["kept"], told["scores"]) == ({"extra_trees": "it was cut"}, {})
    assert Predictor.load(copy).answer(RawTable.of(task).values[:3]).shape == (3, 2)


def test_the_report_names_the_members_that_stayed_as_they_were(run, folder, door):
    assert "stays as it was" not in run[0].stdout
    shutil.copytree(folder / "runs", door.runs)
    path = next(door.runs.rglob("summary.json"))
    summary = json.loads(path.read_text())
    summary["ensemble"]["refit"]["kept"] = {"extra_trees": "it was too large"}
    path.write_text(json.dumps(summary))
    answer = door(*options(folder))
    assert answer.returncode == 0, answer.stderr
    assert "extra_trees was not refitted and stays as it was: it was too large" in answer.stdout


def test_where_there_is_no_run_to_refit_one_sentence_says_so(copy, tmp_path, capsys):
    shutil.rmtree(copy / "predictor")
    for path in (tmp_path / "nowhere", copy):
        assert refit.main([str(path)]) == 2
        said = capsys.readouterr()
        assert f"{path} holds no finished run that kept its models" in said.err
        assert len(said.err.strip().splitlines()) == 1


def test_a_table_that_has_changed_is_refused_and_what_was_refitted_stays(folder, copy, tmp_path, capsys):
    config, before = (copy / "config.yaml").read_text(), Predictor.load(copy)
    changed = table(N_REST, 0)
    changed.loc[0, "size"] += 1
    changed.to_csv(tmp_path / "table.csv", index=False)
    (copy / "config.yaml").write_text(config.replace(str(folder / "table.csv"), str(tmp_path / "table.csv")))
    assert refit.main([str(copy)]) == 2
    assert "the table of task 'table' has changed since the run" in capsys.readouterr().err
    assert np.array_equal(Predictor.load(copy).predict_proba(changed), before.predict_proba(changed))


def test_only_train_and_all_can_be_refitted_on(copy, capsys):
    for wish in (None, "train", "all"):
        refit.check_rows(wish)
    with pytest.raises(UserError, match=r"`refit` is 'test', but must be train \(.*\), all \(the test rows too\), or null for no refit"):
        refit.check_rows("test")
    with pytest.raises(SystemExit) as left:
        refit.main([str(copy), "--rows", "val"])
    assert left.value.code == 2
    assert "invalid choice: 'val'" in capsys.readouterr().err


def test_a_run_that_goes_on_is_not_refitted(copy, capsys):
    with closing(held(copy, "wait")):
        assert refit.main([str(copy)]) == 2
    assert "another process is working in" in capsys.readouterr().err
    (copy / "DONE").unlink()
    assert refit.main([str(copy)]) == 2
    assert "holds no finished run" in capsys.readouterr().err


def test_a_new_ensemble_removes_what_the_old_one_was_refitted_to(copy):
    names = Predictor.load(copy / "predictor").names
    (copy / "prepared/raw").mkdir(parents=True)
    about = description(copy / "predictor")
    (copy / "prepared/raw/columns.json").write_text(json.dumps({"columns": about["columns"], "classes": about["classes"]}))
    assemble(copy, names[:1], [1.0], "table")
    assert Predictor.load(copy).names == names[:1]


def test_an_interrupted_refit_is_no_traceback(monkeypatch, tmp_path, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(refit, "refit_run", interrupted)
    assert refit.main([str(tmp_path)]) == 130
    assert "the run is as it was" in capsys.readouterr().err


def test_a_command_that_refits_nothing_says_so_and_writes_nothing(copy, monkeypatch, capsys):
    shutil.rmtree(copy / "refitted")
    monkeypatch.setattr(refit, "run_in_child", lambda *work, **options: Failure(Status.MEMOUT, "no memory"))
    assert refit.main([str(copy), "--rows", "train"]) == 2
    assert f"no member of {copy} could be trained again, the model is that of the search (no memory)" in capsys.readouterr().err
    assert not (copy / "refitted").exists()
    assert Predictor.load(copy).names == Predictor.load(copy / "predictor").names
