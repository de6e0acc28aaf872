"""The commands at the prompt: what goes in comes out, bad input is one sentence and exit code 2."""

import argparse
import csv
import dataclasses
import functools
import http.server
import threading
import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import h5py
import numpy as np
import pytest

from lcbench import commands
from lcbench.__main__ import main
from lcbench.commands import downloading, fitting
from lcbench.commands.fitting import _jobs
from lcbench.commands.querying import _configuration
from lcbench.curve import LearningCurve
from lcbench.database import Database
from lcbench.download import Published
from lcbench.store import FittedModel, read_curves, write_curves
from lcbench.tabular import TabularBenchmark
from tests.lcbench.curve_strategies import TASK
from tests.lcbench.tables import fake_table, fake_training


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "db.h5"
    write_curves(path, [fake_table(20)])
    return path


def _refused(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 2
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1, shown
    return shown


# ---- import


def test_databases_are_merged_and_extended(tmp_path, capsys):
    whole, target = fake_table(10), tmp_path / "all.h5"
    for name, rows in (("a", range(6)), ("b", range(4, 10))):
        write_curves(tmp_path / f"{name}.h5", [whole.take(rows)])
    assert main(["import", str(tmp_path / "a.h5"), "--to", str(target)]) == 0
    assert main(["import", str(tmp_path / "b.h5"), "--to", str(target)]) == 0
    assert "vehicle: 10 trainings of 10 configurations" in capsys.readouterr().out
    assert read_curves(target) == [whole]
    assert main(["import", str(tmp_path / "b.h5"), "--to", str(target), "--replace", "--metrics", "test_*", "--layout", "compressed"]) == 0
    assert read_curves(target) == [whole.take(range(4, 10), ["val_accuracy", "test_accuracy"])]


def test_what_all_tasks_have_can_be_chosen(tmp_path):
    """Of a collection that was stopped; parts of one task count together, another space is another rectangle."""
    short = LearningCurve.from_entries([(0, 0.0, fake_training(3).curve.at(0))])
    first = fake_table(3, more=[fake_training(3, curve=short, status="unfinished")])
    other = fake_table(0, task=dataclasses.replace(TASK, name="other"), more=[fake_training(i) for i in (0, 2, 3, 5)])
    more = fake_table(0, more=[fake_training(i) for i in (4, 5)])
    for name, table in (("a", first), ("b", other), ("c", more)):
        write_curves(tmp_path / f"{name}.h5", [table])
    sources, target = [str(tmp_path / f"{name}.h5") for name in "abc"], tmp_path / "all.h5"

    def numbers(*options):
        assert main(["import", *sources, "--to", str(target), "--replace", *options]) == 0
        return {table.task.name: table.columns["trial"].tolist() for table in read_curves(target)}

    assert numbers("--common") == {"vehicle": [0, 2, 3, 5], "other": [0, 2, 3, 5]}
    assert numbers("--common", "--finished") == {"vehicle": [0, 2, 5], "other": [0, 2, 5]}
    assert numbers() == {"vehicle": [0, 1, 2, 3, 4, 5], "other": [0, 2, 3, 5]}


def test_common_is_a_training_by_its_number_seed_and_horizon(tmp_path):
    """A task that stopped between the seeds of a configuration, or before the second horizon, leaves the same hole in the others."""
    first = fake_table(3, seeds=(1, 2), horizons=(6, 12))
    other = dataclasses.replace(first.take(np.arange(len(first) - 1)), task=dataclasses.replace(TASK, name="other"))
    for name, table in (("a", first), ("b", other)):
        write_curves(tmp_path / f"{name}.h5", [table])
    assert main(["import", *(str(tmp_path / f"{name}.h5") for name in "ab"), "--to", str(tmp_path / "all.h5"), "--common"]) == 0
    one, two = (
        set(zip(*(table.columns[name].tolist() for name in ("trial", "seed", "horizon")), strict=True))
        for table in read_curves(tmp_path / "all.h5")
    )
    assert one == two
    assert len(one) == len(first) - 1


def test_unfinished_trainings_can_be_left_out_and_a_licence_added(tmp_path):
    short = LearningCurve(np.arange(2), [0.0, 1.0], {"val_accuracy": [0.1, 0.2]})
    table = fake_table(3, more=[fake_training(3, curve=short, status="unfinished")], licence="not stated")
    write_curves(tmp_path / "a.h5", [table])
    assert main(["import", str(tmp_path / "a.h5"), "--to", str(tmp_path / "b.h5"), "--finished", "--licence", "CC0"]) == 0
    (found,) = read_curves(tmp_path / "b.h5")
    assert len(found) == 3
    assert found.provenance["licence"] == "CC0"


def test_models_stay_where_nothing_was_added(tmp_path):
    other = fake_table(3, task=fake_table(0).task.__class__(**{**vars(fake_table(0).task), "name": "adult"}))
    model = {task: FittedModel(task, "lcbench", "seconds", {"a": np.arange(3.0)}, {"kind": "none"}) for task in ("adult", "vehicle")}
    write_curves(tmp_path / "all.h5", [fake_table(5), other], models=model.values())
    write_curves(tmp_path / "more.h5", [fake_table(7)])
    assert main(["import", str(tmp_path / "more.h5"), "--to", str(tmp_path / "all.h5")]) == 0
    assert list(Database(tmp_path / "all.h5").models) == [("adult", "lcbench")]
    assert Database(tmp_path / "all.h5").fitted("adult")[0].arrays["a"].tolist() == [0, 1, 2]


def test_what_the_models_of_a_table_share_is_stored_once(tmp_path):
    points, more = np.arange(2000.0), np.arange(2000.0) + 1
    arrays = {"seconds": {"points": points}, "val_accuracy": {"points": points, "weights": points}, "val_cross_entropy": {"points": more}}
    models = [FittedModel("vehicle", "lcbench", column, own, {"kind": "none"}) for column, own in arrays.items()]
    write_curves(path := tmp_path / "all.h5", [fake_table(5)], models=models)
    assert main(["export", str(path), str(tmp_path / "small.h5"), "--layout", "compressed"]) == 0
    for where in (path, tmp_path / "small.h5"):
        with h5py.File(where) as file:
            columns = file["models/vehicle/lcbench"]
            assert columns["val_accuracy/arrays/points"] == columns["seconds/arrays/points"]
            assert len({columns[f"{name}/arrays/points"].id.get_offset() for name in arrays}) == 2
        fitted = {model.column: model.arrays for model in Database(where).fitted("vehicle")}
        assert {column: {name: a.tolist() for name, a in own.items()} for column, own in fitted.items()} == {
            column: {name: a.tolist() for name, a in own.items()} for column, own in arrays.items()
        }


def test_models_of_a_source_come_along_where_its_table_stays_as_it_is(tmp_path):
    other = fake_table(3, task=fake_table(0).task.__class__(**{**vars(fake_table(0).task), "name": "adult"}))
    model = {task: FittedModel(task, "lcbench", "seconds", {"a": np.arange(3.0)}, {"kind": "none"}) for task in ("adult", "vehicle")}
    write_curves(tmp_path / "one.h5", [fake_table(5), other], models=model.values())
    write_curves(tmp_path / "two.h5", [fake_table(7)])
    words = ["import", str(tmp_path / "one.h5"), str(tmp_path / "two.h5"), "--to"]
    assert main([*words, str(tmp_path / "all.h5")]) == 0
    assert list(Database(tmp_path / "all.h5").models) == [("adult", "lcbench")]
    assert main([*words, str(tmp_path / "cut.h5"), "--metrics", "val_accuracy"]) == 0
    assert list(Database(tmp_path / "cut.h5").models) == []


def test_what_cannot_be_imported_says_what_can(tmp_path, capsys, database):
    (tmp_path / "x.txt").write_text("hello")
    (tmp_path / "folder").mkdir()
    for source in (tmp_path / "nix", tmp_path / "x.txt"):
        assert "an import takes run directories" in _refused(capsys, "import", source, "--to", tmp_path / "o.h5")
    assert "is not a run directory" in _refused(capsys, "import", tmp_path / "folder", "--to", tmp_path / "o.h5")
    assert "a database is a .h5 file" in _refused(capsys, "import", database, "--to", tmp_path / "o.json")
    assert "`metrics` has 'tset_*'" in _refused(capsys, "import", database, "--to", tmp_path / "o.h5", "--metrics", "tset_*")
    assert not (tmp_path / "o.h5").exists()


# ---- query


def test_query_lists_the_best(database, capsys):
    assert main(["query", "vehicle", "--database", str(database), "--best", "3"]) == 0
    shown = capsys.readouterr().out
    best = TabularBenchmark.load("vehicle", database).ranking()[:3]
    assert all(f"{TabularBenchmark.load('vehicle', database).value(int(row), 12):.4f}" in shown for row in best)
    assert "view trained" in shown


def test_query_as_csv_has_every_digit(database, capsys):
    assert main(["query", "vehicle", "--database", str(database), "--row", "4", "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    plane = TabularBenchmark.load("vehicle", database).column("val_accuracy")
    assert [float(row["val_accuracy"]) for row in rows] == plane.curve(4).astype(float).tolist()
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))


def test_query_takes_a_configuration(database, capsys):
    configuration = TabularBenchmark.load("vehicle", database).configuration(3)
    words = [f"{name}={value!r}" for name, value in configuration.items()]
    assert main(["query", "vehicle", "--database", str(database), "--epoch", "5", "--config", *words]) == 0
    assert f"{TabularBenchmark.load('vehicle', database).value(3, 5):.6g}" in capsys.readouterr().out


def test_bad_queries_are_one_sentence(database, capsys):
    ask = functools.partial(_refused, capsys, "query", "vehicle", "--database", database)
    assert "epochs of this view are 1..12" in ask("--row", "1", "--epoch", "70")
    assert "`row` is 99" in ask("--row", "99")
    assert "did you mean 'val_accuracy'" in ask("--metric", "val_acuracy")
    assert "NAME=VALUE pairs" in ask("--config", "batch_size")
    assert "was recorded with 1" in ask("--seed", "7")
    assert "did you mean vehicle" in _refused(capsys, "query", "vehicles", "--database", database)


# ---- export


def test_a_part_in_another_layout(database, tmp_path, capsys):
    assert main(["export", str(database), str(tmp_path / "c.h5"), "--metrics", "val_*"]) == 0
    assert read_curves(tmp_path / "c.h5") == [read_curves(database)[0].take(range(20), ["val_accuracy", "val_cross_entropy"])]
    assert "`task` is 'adult'" in _refused(capsys, "export", database, tmp_path / "d.h5", "--tasks", "adult")
    assert "must end in one of .h5, .csv" in _refused(capsys, "export", database, tmp_path / "d.xlsx")
    assert "the database itself" in _refused(capsys, "export", database, database)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.json", "t.md", "t.jsonld"])
def test_every_form_can_be_written(database, tmp_path, name, capsys):
    assert main(["export", str(database), str(tmp_path / name)]) == 0
    assert (tmp_path / name).stat().st_size > 500
    assert name in capsys.readouterr().out


def test_an_exported_file_in_lcbenchs_layout_comes_back(database, tmp_path):
    assert main(["export", str(database), str(tmp_path / "t.json")]) == 0
    assert main(["import", str(tmp_path / "t.json"), "--to", str(tmp_path / "back.h5")]) == 0
    one, other = TabularBenchmark.load("vehicle", database), TabularBenchmark.load("vehicle", tmp_path / "back.h5")
    np.testing.assert_allclose(other.column("val_accuracy").matrix(), one.column("val_accuracy").matrix(), rtol=1e-6)
    assert not (tmp_path / "back.h5.importing").exists()


# ---- download


def test_download_fetches_and_unpacks(tmp_path, capsys, monkeypatch):
    served = tmp_path / "served"
    served.mkdir()
    with zipfile.ZipFile(served / "a.zip", "w") as archive:
        archive.writestr("a.json", '{"vehicle": {}}')
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a.zip"
        published = Published(url, "a.zip", "a.json", None, "small", "CC0", "this test")
        monkeypatch.setattr(downloading, "PUBLISHED", {"a": published})
        assert main(["download", "a", "--to", str(tmp_path / "here")]) == 0
        server.shutdown()
    assert (tmp_path / "here" / "a.json").read_text() == '{"vehicle": {}}'
    assert "python -m lcbench import" in capsys.readouterr().out
    assert "must be one of a" in _refused(capsys, "download", "b")


def test_download_lists_what_there_is(capsys):
    assert main(["download"]) == 0
    shown = capsys.readouterr().out
    assert "data_2k_lw" in shown and "Apache-2.0" in shown


def test_every_command_helps(capsys):
    for name in ("info", "query", "import", "export", "verify", "repair", "download", "fit-surrogate"):
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        assert len(capsys.readouterr().out.splitlines()) > 5
    assert commands.__doc__


# ---- what an independent reading found


def _flip(path, dataset="curves"):
    with h5py.File(path) as file:
        at = file[f"tables/vehicle/lcbench/{dataset}"].id.get_offset() + 3
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def test_damage_is_never_written_anew_under_a_fitting_checksum(database, tmp_path, capsys):
    write_curves(tmp_path / "more.h5", [fake_table(22).take([20, 21])])
    _flip(database)
    before = database.read_bytes()
    for command in (
        ("export", database, tmp_path / "o.h5"),
        ("import", database, "--to", tmp_path / "o.h5"),
        ("import", tmp_path / "more.h5", "--to", database),
        ("fit-surrogate", database, "--columns", "seconds"),
    ):
        assert "the checksum of the dataset /tables/vehicle/lcbench/curves does not fit" in _refused(capsys, *command)
    assert database.read_bytes() == before
    assert not (tmp_path / "o.h5").exists()


def test_options_of_an_import_are_about_its_sources_alone(database, tmp_path):
    adult = dataclasses.replace(fake_table(0).task, name="adult")
    write_curves(tmp_path / "adult.h5", [fake_table(4, task=adult)])
    options = ["--metrics", "val_accuracy", "--note", "new", "--licence", "MIT"]
    assert main(["import", str(tmp_path / "adult.h5"), "--to", str(database), *options]) == 0
    found = {table.task.name: table for table in read_curves(database)}
    assert found["vehicle"] == fake_table(20)
    assert found["adult"].metrics == ("val_accuracy",)
    assert found["adult"].provenance["note"] == "new"


def test_two_files_of_one_name_are_two_sources(tmp_path):
    for name in ("a", "b"):
        task = dataclasses.replace(fake_table(0).task, name=name, openml_task_id=None)
        (tmp_path / name).mkdir()
        write_curves(tmp_path / name / "d.h5", [fake_table(3, task=task)])
        assert main(["export", str(tmp_path / name / "d.h5"), str(tmp_path / name / "d.json")]) == 0
    assert main(["import", str(tmp_path / "a/d.json"), str(tmp_path / "b/d.json"), "--to", str(tmp_path / "s.h5")]) == 0
    assert Database(tmp_path / "s.h5").tasks == ("a", "b")


def test_trainings_that_ended_early_can_be_listed_and_learnt(tmp_path, capsys):
    short = LearningCurve(np.arange(3), [0.0, 1.0, 2.0], {"val_accuracy": [0.1, np.inf, np.nan]})
    more = [
        fake_training(30, status="diverged", curve=short),
        fake_training(31, status="crashed", curve=LearningCurve.empty()),
    ]
    path = tmp_path / "e.h5"
    write_curves(path, [fake_table(30, more=more)])
    assert main(["query", "vehicle", "--database", str(path), "--best", "40"]) == 0
    assert main(["query", "vehicle", "--database", str(path), "--best", "40", "--csv"]) == 0
    assert main(["query", "vehicle", "--database", str(path), "--row", "30"]) == 0
    assert main(["info", str(path)]) == 0
    assert main(["fit-surrogate", str(path), "--columns", "seconds", "--workers", "1"]) == 0
    assert "1 models fitted" in capsys.readouterr().out


def test_tasks_may_be_listed_with_spaces_and_cards_describe_a_whole(database, tmp_path, capsys):
    adult = dataclasses.replace(fake_table(0).task, name="adult")
    write_curves(tmp_path / "two.h5", [fake_table(2), fake_table(3, task=adult)])
    assert main(["export", str(tmp_path / "two.h5"), str(tmp_path / "o.h5"), "--tasks", "adult, vehicle"]) == 0
    assert Database(tmp_path / "o.h5").tasks == ("adult", "vehicle")
    assert "a card describes a whole database" in _refused(capsys, "export", tmp_path / "two.h5", tmp_path / "o.md", "--tasks", "adult")


def test_a_repair_drops_models_with_their_table(tmp_path, capsys):
    adult = dataclasses.replace(fake_table(0).task, name="adult")
    models = [FittedModel(task, "lcbench", "seconds", {"a": np.arange(3.0)}, {"kind": "none"}) for task in ("adult", "vehicle")]
    path = tmp_path / "two.h5"
    write_curves(path, [fake_table(5), fake_table(3, task=adult)], models=models)
    with h5py.File(path, "r+") as file:
        file["tables/adult/lcbench"].attrs["task"] = "{}"
    assert main(["repair", str(path)]) == 0
    assert "/models/adult/lcbench/seconds: dropped with its table" in capsys.readouterr().out
    assert list(Database(path).models) == [("vehicle", "lcbench")]


def test_a_long_name_of_a_task_cuts_no_number_off(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = ("FixedTextRNNClassification_imdb_patch128_LSTM128_avg_bs64", "vehicle")
    write_curves(tmp_path / "two.h5", [fake_table(1234, task=dataclasses.replace(fake_table(0).task, name=name)) for name in names])
    assert main(["info", str(tmp_path / "two.h5")]) == 0
    shown = capsys.readouterr().out
    assert shown.count("1234  ") == 2  # the column of trainings
    assert "…" not in shown


def test_an_import_that_leaves_nothing_leaves_the_database_as_it_was(tmp_path, capsys):
    short = LearningCurve.from_entries([(0, 0.0, fake_training(3).curve.at(0))])
    write_curves(tmp_path / "begun.h5", [fake_table(0, more=[fake_training(0, curve=short, status="unfinished")])])
    write_curves(tmp_path / "all.h5", [fake_table(2)])
    before = (tmp_path / "all.h5").read_bytes()
    assert main(["import", str(tmp_path / "begun.h5"), "--to", str(tmp_path / "all.h5"), "--replace", "--finished"]) == 2
    assert "no training is left of the sources (vehicle: nothing is recorded of it, left out)" in capsys.readouterr().err
    assert (tmp_path / "all.h5").read_bytes() == before


def test_a_database_without_trainings_is_a_sentence(tmp_path, capsys):
    write_curves(tmp_path / "none.h5", [])
    for command in ("info", "fit-surrogate"):
        assert main([command, str(tmp_path / "none.h5")]) == 2
    assert capsys.readouterr().err.count("none.h5") == 2


def test_a_fold_is_shown_under_the_name_that_it_has_in_the_database(tmp_path, capsys):
    write_curves(tmp_path / "folds.h5", [fake_table(2, task=dataclasses.replace(TASK, fold=fold)) for fold in (0, 3)])
    assert main(["info", str(tmp_path / "folds.h5")]) == 0
    assert "vehicle@fold3" in capsys.readouterr().out
    assert main(["info", str(tmp_path / "folds.h5"), "--task", "vehicle@fold3"]) == 0


def test_what_was_not_measured_is_not_learnt_as_a_failure(tmp_path):
    """Parts with fewer metrics are NaN in a table; what crashed is NaN, too."""
    lost = LearningCurve.from_entries([])
    parts = {
        "a": [fake_training(i) for i in range(20)] + [fake_training(20, curve=lost, status="crashed")],
        "b": [fake_training(i) for i in range(30, 40)],
    }
    for name, trainings in parts.items():
        write_curves(tmp_path / f"{name}.h5", [fake_table(0, more=trainings)])
    target = str(tmp_path / "all.h5")
    assert main(["import", str(tmp_path / "a.h5"), "--to", target]) == 0
    assert main(["import", str(tmp_path / "b.h5"), "--metrics", "val_accuracy", "--to", target]) == 0
    options = argparse.Namespace(columns="val_accuracy,val_cross_entropy,seconds", seed=0)
    rows = {job.column: len(job.X) for job in _jobs(Database(tmp_path / "all.h5"), "vehicle", "lcbench", options)}
    assert rows == {"val_accuracy": 31, "val_cross_entropy": 21, "seconds": 30}


def test_trials_that_were_stopped_early_do_not_look_like_the_worst(tmp_path):
    whole = [fake_training(i) for i in range(40)]
    stopped = [fake_training(i, curve=fake_training(i).curve.prefix(3)) for i in range(40, 60)]
    fingerprints = []
    for name, trainings in {"whole": whole, "both": whole + stopped}.items():
        path = tmp_path / f"{name}.h5"
        write_curves(path, [fake_table(0, more=trainings)])
        (job,) = _jobs(Database(path), "vehicle", "lcbench", argparse.Namespace(columns="val_accuracy", seed=0))
        fingerprints.append(job.fingerprint)
    assert fingerprints[0] == fingerprints[1]


def test_a_query_takes_booleans():
    assert _configuration(["use_dropout=True", "n=3", "rate=0.5", "name=x"]) == {"use_dropout": True, "n": 3, "rate": 0.5, "name": "x"}


def test_tasks_of_which_nothing_is_recorded_are_left_out(tmp_path, capsys):
    write_curves(tmp_path / "planned.h5", [fake_table(0, task=dataclasses.replace(TASK, name="planned"))])
    write_curves(tmp_path / "one.h5", [fake_table(3)])
    assert main(["import", str(tmp_path / "planned.h5"), str(tmp_path / "one.h5"), "--to", str(tmp_path / "all.h5")]) == 0
    assert "planned: nothing is recorded of it, left out" in capsys.readouterr().out
    assert Database(tmp_path / "all.h5").tasks == (TASK.name,)


def test_workers_are_at_least_one(database, capsys):
    assert "`--workers` is -1, but must be 1 or more" in _refused(capsys, "fit-surrogate", database, "--workers", "-1")


def test_the_best_of_a_scorer_is_the_largest(tmp_path, capsys):
    rows = fake_table(5)
    names = tuple(name.replace("val_accuracy", "val_average_precision") for name in rows.metrics)
    table = dataclasses.replace(rows, objective="val_average_precision", metrics=names)
    write_curves(tmp_path / "one.h5", [table])
    assert main(["info", str(tmp_path / "one.h5")]) == 0
    best = float(np.nanmax(table.curves[table.plane("val_average_precision"), :, 1:]))
    assert f"{best:.4f}" in capsys.readouterr().out


def test_what_others_have_added_meanwhile_stays(tmp_path, monkeypatch):
    """A fit takes minutes: another command adds a table and a model in the middle of it."""
    path = tmp_path / "one.h5"
    write_curves(path, [fake_table(30)])
    other = fake_table(30, task=dataclasses.replace(TASK, name="other"))

    def meanwhile(jobs, workers):
        yield FittedModel(TASK.name, "lcbench", "val_accuracy", {"x": np.zeros(3)}, {"format": 0})
        model = FittedModel("other", "lcbench", "val_accuracy", {"x": np.zeros(3)}, {"format": 0})
        write_curves(path, [fake_table(30), other], models=[model])

    monkeypatch.setattr(fitting, "_fitted", meanwhile)
    monkeypatch.setattr(fitting, "quality_page", lambda models, width: "")
    assert main(["fit-surrogate", str(path), "--task", TASK.name, "--columns", "val_accuracy"]) == 0
    found = Database(path)
    assert set(found.tasks) == {TASK.name, "other"}
    assert set(found.models) == {(TASK.name, "lcbench"), ("other", "lcbench")}


def test_two_imports_at_once_lose_nothing(tmp_path):
    """Six processes extend one database; each reads what is there and writes it anew."""
    whole, target = fake_table(12), tmp_path / "all.h5"
    parts = [range(i, i + 2) for i in range(0, 12, 2)]
    for i, rows in enumerate(parts):
        write_curves(tmp_path / f"{i}.h5", [whole.take(rows)])
    orders = [["import", str(tmp_path / f"{i}.h5"), "--to", str(target)] for i in range(len(parts))]
    with ProcessPoolExecutor(len(parts), get_context("spawn")) as pool:
        assert list(pool.map(main, orders)) == [0] * len(parts)
    assert sorted(read_curves(target)[0].columns["key"]) == sorted(whole.columns["key"])
    assert not list(tmp_path.glob(".*")), "a lock was left behind"


@pytest.mark.slow
def test_a_damaged_surrogate_is_fitted_again_and_the_layout_stays(tmp_path, capsys):
    path = tmp_path / "one.h5"
    write_curves(path, [fake_table(30)], layout="compressed")
    fit = ["fit-surrogate", str(path), "--columns", "seconds,val_accuracy", "--workers", "1"]
    assert main(fit) == 0
    before = Database(path).fitted(TASK.name)
    with h5py.File(path, "r+") as file:
        about = file[f"/models/{TASK.name}/lcbench/seconds/about"]
        about.attrs["crc32"] = about.attrs["crc32"] + 1
    assert main(["verify", str(path)]) == 1
    capsys.readouterr()
    assert main(fit) == 0
    shown = capsys.readouterr().out
    assert "note: the surrogate of 'seconds' on 'vehicle' is damaged" in shown
    assert "1 models fitted" in shown and "1 kept" in shown
    assert Database(path).layout == "compressed"
    for old, again in zip(before, Database(path).fitted(TASK.name), strict=True):
        assert all(np.array_equal(old.arrays[name], again.arrays[name]) for name in old.arrays)


def test_a_task_with_few_trainings_is_named_and_the_others_are_fitted(tmp_path, capsys):
    path = tmp_path / "three.h5"
    named = {n: dataclasses.replace(TASK, name=name) for name, n in {"b": 12, "c": 30}.items()}
    write_curves(path, [fake_table(n, task=task) for n, task in named.items()])
    assert main(["fit-surrogate", str(path), "--columns", "val_accuracy", "--workers", "1"]) == 0
    shown = capsys.readouterr().out
    assert "note: 'val_accuracy' on 'b' is not fitted: it has 12 trainings, and 20 are the least" in " ".join(shown.split())
    assert sorted(task for task, _ in Database(path).models) == ["c"]
    write_curves(path, [fake_table(12)])
    assert "has not enough trainings to learn from, which are 20 on a task" in _refused(capsys, "fit-surrogate", str(path))


def test_what_was_learnt_of_a_table_that_has_changed_meanwhile_is_not_kept(tmp_path, capsys, monkeypatch):
    path = tmp_path / "one.h5"
    write_curves(path, [fake_table(30)])

    def meanwhile(jobs, workers):
        yield from fitted(jobs, workers)
        write_curves(path, [fake_table(40)])

    fitted = fitting._fitted
    monkeypatch.setattr(fitting, "_fitted", meanwhile)
    said = _refused(capsys, "fit-surrogate", str(path), "--columns", "val_accuracy", "--workers", "1")
    assert "the table of 'vehicle' was changed while it was learnt" in said
    assert not Database(path).models and len(Database(path).table("vehicle")) == 40
