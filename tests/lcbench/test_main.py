"""The command line: what it shows, and its exit codes 0, 1 and 2."""

import dataclasses
import subprocess
import sys

import pytest

from lcbench.__main__ import main
from lcbench.journal import Journal
from lcbench.recording import epoch_record, training_record
from lcbench.rundir import pack, read_run, write_header
from lcbench.space import plain
from lcbench.store import write_curves
from lcbench.table import CurveTable
from tests.lcbench.curve_strategies import SPACES, TASK


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "journals").mkdir()
    provenance = {"created": "2026-01-31T12:00:00+00:00", "licence": "CC0"}
    write_header(tmp_path, task=TASK, space=SPACES["lcbench"], objective="val_accuracy", provenance=provenance)
    configuration = plain(SPACES["lcbench"].get_default_configuration())
    with Journal(tmp_path / "journals" / "a.journal") as journal:
        for trial in range(3):
            name = {"trial": trial, "horizon": 50}
            journal.append(training_record(**name, seed=trial, configuration=configuration, origin="random", n_parameters=7))
            journal.append(epoch_record(**name, epoch=0, seconds=0.0, values={"val_accuracy": 0.5}))
    pack(tmp_path)
    return tmp_path


def damage(path):
    data = bytearray(path.read_bytes())
    data[data.index(b'"kind":"epoch"')] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["", "curves.h5"])
def test_info_shows_the_table(run, name, capsys):
    assert main(["info", str(run / name)]) == 0
    shown = capsys.readouterr().out
    facts = {line[:17].strip(): line[17:].strip() for line in shown.splitlines()}
    expected = {
        "task": "vehicle",
        "kind": "classification, 18 columns, 379 + 187 + 280 rows (train, validation, test)",
        "space": "lcbench",
        "objective": "val_accuracy",
        "trainings": "3",
        "status": "3 unfinished",
        "configurations": "1",
        "seeds": "0, 1, 2",
        "horizons": "50",
        "epochs": "0..0",
        "metrics": "val_accuracy",
        "recorded": "2026-01-31T12:00:00+00:00",
        "licence": "CC0",
    }
    assert {name: facts.get(name) for name in expected} == expected


def test_info_shows_many_tables_a_line_each_and_what_they_share_below(run, capsys):
    table = read_run(run)
    other = CurveTable.of(task=dataclasses.replace(TASK, name="adult"), space=table.space, objective=table.objective)
    write_curves(run / "two.h5", [table, other])
    assert main(["info", str(run / "two.h5")]) == 0
    _, header, *lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert header[:5] == ["task", "rows", "columns", "classes", "trainings"]
    assert [line[:5] for line in lines[:2]] == [["adult", "846", "18", "4", "0"], ["vehicle", "846", "18", "4", "3"]]
    assert ["objective:", "val_accuracy"] in lines[2:]


def test_verify_counts_problems(run, capsys):
    assert main(["verify", str(run)]) == 0
    assert "no problems found" in capsys.readouterr().out
    damage(run / "journals" / "a.journal")
    assert main(["verify", str(run)]) == 1
    shown = capsys.readouterr().out
    assert "a.journal" in shown and "1 problem found" in shown


def test_repair_repairs(run, capsys):
    damage(run / "journals" / "a.journal")
    (run / "curves.h5").write_bytes(b"")
    assert main(["repair", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "records kept" in shown and "packed anew" in shown and "no problems found" in shown


def test_repair_says_what_cannot_be_repaired(run, capsys):
    with Journal(run / "journals" / "b.journal") as journal:
        journal.append(epoch_record(trial=9, horizon=50, epoch=0, seconds=0.0, values={}))
    assert main(["repair", str(run)]) == 1
    assert "trial 9" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["info", "verify", "repair"])
def test_a_user_error_is_one_sentence_on_stderr(command, tmp_path, capsys):
    assert main([command, str(tmp_path / "nix")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1 and "nix" in shown.err


def test_unknown_commands_exit_with_2(capsys):
    with pytest.raises(SystemExit) as error:
        main(["inform"])
    assert error.value.code == 2
    assert "info" in capsys.readouterr().err


def test_the_module_runs_and_helps():
    helped = subprocess.run([sys.executable, "-m", "lcbench", "--help"], capture_output=True, text=True)
    assert helped.returncode == 0
    assert all(word in helped.stdout for word in ("info", "verify", "repair", "exit codes"))
    failed = subprocess.run([sys.executable, "-m", "lcbench", "info", "nix"], capture_output=True, text=True)
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr


def test_the_database_loads_without_the_heavy_libraries():
    heavy = ("torch", "pandas", "matplotlib", "hydra", "rich")
    program = f"import sys, lcbench.rundir, lcbench.recording; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
