"""A run directory: readable while it grows, packed atomically, checked and repaired without losing what is whole."""

import dataclasses
import fcntl
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lcbench.errors import UserError
from lcbench.header import provenance_now
from lcbench.journal import Journal, read_journal
from lcbench.query import Status
from lcbench.recording import end_record, epoch_record, training_record
from lcbench.rundir import pack, read_header, read_run, repair, verify, write_header
from lcbench.space import plain
from lcbench.store import read_curves
from tests.lcbench.curve_strategies import SPACES, TASK


def begin(trial):
    configuration = plain(SPACES["lcbench"].get_default_configuration())
    return training_record(trial=trial, horizon=50, seed=1, configuration=configuration, origin="random", n_parameters=7)


def epoch(trial, e):
    return epoch_record(trial=trial, horizon=50, epoch=e, seconds=e / 3, values={"val_accuracy": e / 7})


def append(path, *records):
    with Journal(path) as journal:
        for record in records:
            journal.append(record)


def damage(path, text):
    """Change one byte inside the first occurrence of `text`."""
    data = bytearray(path.read_bytes())
    data[data.index(text)] ^= 1
    path.write_bytes(data)


@pytest.fixture
def run(tmp_path):
    directory = tmp_path / "run"
    (directory / "journals").mkdir(parents=True)
    write_header(directory, task=TASK, space=SPACES["lcbench"], objective="val_accuracy", provenance={"licence": "CC0"})
    end = end_record(trial=0, horizon=50, status=Status.SUCCESS, error="", epoch=2)
    append(directory / "journals" / "worker-0.journal", begin(0), epoch(0, 0), epoch(0, 1), epoch(0, 2), end)
    append(directory / "journals" / "worker-1.journal", begin(1), epoch(1, 0), epoch(1, 1))
    append(directory / "events.journal", {"kind": "ask"}, {"kind": "tell"})
    return directory


def test_header_round_trip(tmp_path):
    for space in SPACES.values():
        provenance = provenance_now("CC-BY-4.0")
        write_header(tmp_path, task=TASK, space=space, objective="val_accuracy", provenance=provenance)
        header = read_header(tmp_path)
        assert (header.task, header.space, header.objective, header.provenance) == (TASK, space, "val_accuracy", provenance)
        assert header.trainings == ()


def test_provenance_tells_the_kind_of_host_and_not_its_name():
    provenance = provenance_now("CC0")
    assert set(provenance) == {"created", "versions", "host", "licence"}
    assert os.uname().nodename not in re.findall(r"[\w.-]+", json.dumps(provenance))
    assert provenance["versions"]["numpy"] == np.__version__
    assert provenance["created"].endswith("+00:00")


def test_a_running_experiment_is_read_from_its_journals(run):
    table = read_run(run)
    assert [(row.trial, row.status, row.curve.last_epoch) for row in table.trainings] == [(0, "success", 2), (1, "unfinished", 1)]
    append(run / "journals" / "worker-1.journal", epoch(1, 2))
    assert read_run(run).trainings[1].curve.last_epoch == 2


def test_a_run_without_journals_is_empty(tmp_path):
    write_header(tmp_path, task=TASK, space=SPACES["mixed"], objective="val_accuracy", provenance={})
    assert read_run(tmp_path).trainings == ()
    assert read_curves(pack(tmp_path)) == [read_run(tmp_path)]
    assert verify(tmp_path) == []


def test_pack_gives_what_read_run_gives_up_to_float32(run):
    (packed,) = read_curves(pack(run))
    direct = read_run(run)
    assert packed.task == direct.task and packed.space == direct.space and packed.provenance == direct.provenance
    for a, b in zip(packed.trainings, direct.trainings, strict=True):
        assert dataclasses.replace(a, curve=b.curve) == b
        np.testing.assert_array_equal(a.curve.seconds, b.curve.seconds)
        np.testing.assert_array_equal(a.curve.values["val_accuracy"], b.curve.values["val_accuracy"].astype(np.float32))


def test_a_failing_packer_leaves_the_old_file(run, monkeypatch):
    before = pack(run).read_bytes()
    append(run / "journals" / "worker-1.journal", epoch(1, 2))
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        pack(run)
    assert (run / "curves.h5").read_bytes() == before
    assert not [path for path in run.iterdir() if "partial" in path.name]


PACKER = """
import sys
from lcbench.rundir import pack
while True:
    print(pack(sys.argv[1]), flush=True)
"""


def test_a_killed_packer_never_leaves_an_unreadable_file(run):
    """The packer packs all the time, so the kill comes in the middle of it."""
    append(run / "journals" / "worker-2.journal", *(record for trial in range(2, 300) for record in (begin(trial), epoch(trial, 0))))
    rng = random.Random(0)
    n_left_over = 0
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", PACKER, run], stdout=subprocess.PIPE) as packer:
            packer.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.1))
            os.kill(packer.pid, signal.SIGKILL)
        assert len(read_curves(run / "curves.h5")[0].trainings) == 300
        n_left_over = len(list(run.glob(".curves.h5.*.partial")))
    done = repair(run)
    assert len(done) == n_left_over
    assert verify(run) == [] and not list(run.glob(".*"))


def test_a_healthy_run_has_no_problems_and_nothing_to_repair(run):
    pack(run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert verify(run) == [] == repair(run) == verify(run / "curves.h5")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_torn_last_line_is_not_a_problem(run):
    with (run / "journals" / "worker-1.journal").open("ab") as file:
        file.write(b"0000")
    assert verify(run) == []
    assert read_run(run).trainings[1].curve.last_epoch == 1


@pytest.mark.parametrize("name", ["journals/worker-0.journal", "events.journal"])
def test_a_damaged_journal_is_named_and_repaired(run, name):
    n_before = len(read_journal(run / name).records)
    damage(run / name, b'"kind"' if name == "events.journal" else b'"epoch":1')
    (problem,) = verify(run)
    assert f"{run / name}: " in problem and "bytes from byte" in problem and f"python -m lcbench repair {run}" in problem
    done = repair(run)
    assert f"{run / name}: {n_before - 1} records kept, 1 damaged stretches dropped" in done
    assert (run / f"{name}.damaged").exists()
    assert verify(run) == []
    assert read_run(run).trainings[0].curve.last_epoch == (0 if "worker" in name else 2)


def test_a_lost_configuration_is_named(run):
    damage(run / "journals" / "worker-1.journal", b'"configuration"')
    problems = verify(run)
    assert len(problems) == 2
    assert problems[1] == "trial 1 with horizon 50 has 2 recorded epochs, but the record of its configuration is lost"
    assert [row.trial for row in read_run(run).trainings] == [0]


def test_a_foreign_record_is_a_problem(run):
    append(run / "journals" / "worker-1.journal", {"kind": "what"})
    (problem,) = verify(run)
    assert "record 4 of" in problem


@pytest.mark.parametrize("damaged", [b"", b"\x89HDF\r\n\x1a\n and no more", None])
def test_a_damaged_database_is_rebuilt_and_kept(run, damaged):
    path = pack(run)
    expected = read_curves(path)
    if damaged is None:
        damaged = path.read_bytes()[:-100]
    path.write_bytes(damaged)
    assert len(verify(run)) == 1
    assert repair(run) == [f"{path}: packed anew from the journals, the damaged one is curves.h5.damaged"]
    assert read_curves(path) == expected
    assert (run / "curves.h5.damaged").read_bytes() == damaged
    assert verify(run) == []


def test_a_missing_database_is_packed(run):
    assert repair(run) == [f"{run / 'curves.h5'}: packed from the journals"]
    assert verify(run) == []


@pytest.mark.parametrize("content", ["{", "[]", '{"schema_version": 1, "task": {}}', None])
def test_a_damaged_header_is_restored_from_the_database(run, content):
    pack(run)
    expected, header = read_run(run), run / "table.json"
    if content is None:
        header.unlink()
    else:
        header.write_text(content)
    (problem,) = verify(run)
    assert "table.json" in problem
    assert repair(run) == [f"{header}: restored from curves.h5"]
    assert read_run(run) == expected
    assert (run / "table.json.damaged").exists() == (content is not None)


def test_a_lost_header_without_a_database_says_what_to_do(run):
    (run / "table.json").unlink()
    with pytest.raises(UserError, match=r"table\.json is missing or damaged and there is no curves\.h5 to restore it from"):
        repair(run)


def test_a_newer_header_says_so(run):
    header = json.loads((run / "table.json").read_text())
    (run / "table.json").write_text(json.dumps({**header, "schema_version": 3}))
    with pytest.raises(UserError, match="has schema version 3, but this code reads up to 2"):
        read_run(run)


def test_what_is_not_there_or_no_run_says_so(tmp_path):
    with pytest.raises(UserError, match=r"is not a run directory: it has no table\.json"):
        read_run(tmp_path)
    with pytest.raises(UserError, match="there is no file or directory"):
        verify(tmp_path / "nix")


def test_packing_never_shortens_what_is_packed_already(run):
    pack(run)
    (run / "journals" / "worker-0.journal").unlink()
    append(run / "journals" / "worker-1.journal", epoch(1, 2))
    pack(run)
    (table,) = read_curves(run / "curves.h5")
    assert [(row.trial, len(row.curve), row.status) for row in table.trainings] == [(0, 3, "success"), (1, 3, "unfinished")]


def test_a_simulated_run_is_repaired_too(tmp_path):
    """It has events and no curves of its own."""
    with Journal(tmp_path / "events.journal") as journal:
        for n in range(5):
            journal.append({"n": n, "kind": "ask"})
    assert verify(tmp_path) == []
    damage(tmp_path / "events.journal", b'"kind"')
    (problem,) = verify(tmp_path)
    assert "events.journal" in problem
    assert any("events.journal: " in line for line in repair(tmp_path))
    assert verify(tmp_path) == []


def test_a_run_that_is_locked_is_not_repaired(run):
    (run / ".lock").touch()
    with (run / ".lock").open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="a running experiment must not be repaired"):
            repair(run)
    assert repair(run)


def test_a_task_of_a_collection_that_is_locked_is_not_repaired(run, tmp_path):
    task = tmp_path / "collection" / "vehicle" / "lcbench"
    shutil.copytree(run, task)
    lock = tmp_path / "collection" / ".lock"
    lock.touch()
    with lock.open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"another process is working in .*collection: wait for its end"):
            repair(task)
    assert repair(task)


def test_what_is_no_run_is_left_as_it_is(tmp_path):
    (tmp_path / "other").mkdir()
    foreign = tmp_path / "other" / ".mine.partial"
    foreign.touch()
    with pytest.raises(UserError, match="is no run directory"):
        repair(tmp_path)
    assert foreign.exists()
