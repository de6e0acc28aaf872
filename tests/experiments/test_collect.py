"""Collections of curves: whole, resumed, extended and divided they are the same trainings to the bit."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf
from rich.console import Console

from experiments import build
from experiments import collect as module
from experiments.collect import _by_name, _limit_workers, _write, collect, composed, wanted_of
from experiments.collection import CollectionDirectory, Draws, Recording, Wanted
from lcbench.__main__ import main as lcbench
from lcbench.database import Database
from lcbench.errors import UserError
from lcbench.header import provenance_now
from lcbench.machine import cores
from lcbench.merge import merge
from lcbench.query import Query, Status
from lcbench.recording import end_record, epoch_record, training_record
from lcbench.rundir import read_header, read_run, write_header
from lcbench.schema import PER_SEED
from lcbench.space import key, lcbench_space, plain
from lcbench.store import FittedModel, read_curves, write_curves
from lcbench.task import UNKNOWN, TaskInfo
from pipeline.recorder import Chunk, Recorded, Recorder, failed
from pipeline.sandbox import STOPPED, Failure, Limits, Sandbox
from tests.experiments.conftest import enter

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("epochs=2", "space.updates={max_units: [64, 128]}")


def run(folder, *words):
    config, tasks = composed([*SMALL, f"collections={folder}", *words])
    collect(config, tasks, Console(quiet=True))
    return tables(folder / str(config.name))


def tables(path):
    return {table.task.name: table for table in read_curves(path / "database.h5")}


def assert_equal(one, other):
    """Two collections share everything but the seconds."""
    assert one.keys() == other.keys()
    for name in one:
        rows, others = ({training.trial: training for training in table.trainings} for table in (one[name], other[name]))
        assert rows.keys() == others.keys()
        for trial, row in rows.items():
            twin = others[trial]
            assert {**vars(row), "curve": None} == {**vars(twin), "curve": None}
            assert row.curve.values.keys() == twin.curve.values.keys()
            for column, numbers in row.curve.values.items():
                assert np.array_equal(numbers, twin.curve.values[column], equal_nan=True), column


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"), "tasks=wine,iris", "configs=6", "seeds=1,2")


def test_every_configuration_on_every_task_with_every_seed(whole):
    assert set(whole) == {"wine", "iris"}
    for table in whole.values():
        assert sorted(row.trial for row in table.trainings) == sorted(seed * PER_SEED + i for i in range(6) for seed in (1, 2))
        for row in table.trainings:
            assert row.configuration == plain(Draws(table.space, table.space, 0).configuration(row.trial % PER_SEED))
            assert (row.seed, row.horizon, row.origin, len(row.curve)) == (row.trial // PER_SEED, 2, "random", 3)
            assert row.results == {"compiled": 1.0, "resident": 0.0}
            assert row.n_parameters > 0


def test_all_tasks_have_the_same_configurations_of_a_space_that_is_the_same(whole):
    keys = [{row.key for row in table.trainings} for table in whole.values()]
    assert keys[0] == keys[1]
    assert len(keys[0]) == 6


def test_a_collection_grows_in_every_direction(whole, tmp_path):
    first = run(tmp_path, "tasks=wine", "configs=2", "seeds=1")
    assert len(first["wine"]) == 2
    assert len(run(tmp_path, "tasks=wine", "configs=2", "seeds=1,2")["wine"]) == 4
    before = (tmp_path / "default/wine/lcbench/journals/collect.journal").read_bytes()
    assert_equal(run(tmp_path, "tasks=wine,iris", "configs=6", "seeds=1,2"), whole)
    assert (tmp_path / "default/wine/lcbench/journals/collect.journal").read_bytes().startswith(before)


def test_without_lists_a_command_means_what_the_collection_is(tmp_path):
    run(tmp_path, "tasks=wine", "configs=2", "seeds=3")
    assert len(run(tmp_path)["wine"]) == 2
    config, tasks = composed([*SMALL, f"collections={tmp_path}"])
    assert (list(tasks), str(config.configs), list(config.seeds)) == (["wine"], "2", [3])


def test_parts_of_two_machines_are_the_whole(whole, tmp_path):
    parts = [run(tmp_path / part, "tasks=wine", f"configs={part}", "seeds=1,2") for part in ("0..2", "3..5")]
    assert_equal({"wine": merge([part["wine"] for part in parts])}, {"wine": whole["wine"]})


def test_one_at_a_time_or_many_in_one_child_is_the_same(whole, tmp_path):
    assert_equal(run(tmp_path, "tasks=wine,iris", "configs=6", "seeds=1,2", "executor=serial"), whole)


def command(folder, *words):
    return [sys.executable, "-m", "experiments.collect", *SMALL, f"collections={folder}", *words]


@pytest.mark.parametrize("most", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_killed_it_ends_with_the_same_database(whole, tmp_path, most):
    rng, kills = random.Random(most), 0
    words = command(tmp_path, "tasks=wine,iris", "configs=6", "seeds=1,2")
    journal = tmp_path / "default/wine/lcbench/journals/collect.journal"
    size = 0
    while True:
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if kills == most:
            _, errors = process.communicate()
            assert process.returncode == 0, errors
            break
        deadline, wanted = time.monotonic() + 60, size + rng.randint(1, 4000)
        while process.poll() is None and time.monotonic() < deadline and _size(journal) < wanted:
            time.sleep(0.005)
        assert process.poll() is None, "it had ended by itself: nothing was killed"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
        assert _size(journal) >= size, "something recorded was lost"
        size = _size(journal)
    assert_equal(tables(tmp_path / "default"), whole)


def _size(path):
    return path.stat().st_size if path.exists() else 0


def test_plan_and_status_say_what_there_is_and_record_nothing(tmp_path):
    words = (*SMALL, f"collections={tmp_path}", "tasks=wine", "configs=3")
    assert "in all" in enter(module, (*words, "--plan")).stdout
    assert not list(tmp_path.rglob("*.journal"))
    assert "0 of 3" in enter(module, (*words, "--status")).stdout
    run(tmp_path, "tasks=wine", "configs=2")
    assert "2 of 3" in enter(module, (*words, "--status")).stdout
    assert json.loads((tmp_path / "default/collection.json").read_text())["configs"] == "2"


def test_status_names_what_else_the_collection_holds(tmp_path):
    run(tmp_path, "tasks=iris", "configs=3")
    words = (*SMALL, f"collections={tmp_path}", "tasks=wine", "configs=2", "--status")
    said = enter(module, words).stdout
    assert "0 of 2" in said
    assert "3, not asked for" in said


def test_what_was_only_planned_says_later_when_and_where_it_was_recorded_and_takes_nothing_from_others(tmp_path):
    run(tmp_path, "tasks=iris", "configs=2")
    collect(*composed([*SMALL, f"collections={tmp_path}", "tasks=wine", "configs=2", "plan=true"]), Console(quiet=True))
    source, target = tmp_path / "default", tmp_path / "common.h5"
    assert lcbench(["import", *map(str, source.glob("*/lcbench")), "--to", str(target), "--common"]) == 0
    assert [(table.task.name, len(table)) for table in read_curves(target)] == [("iris", 2)]
    file = source / "wine/lcbench/table.json"
    planned = json.loads(file.read_text())
    planned["provenance"]["host"] = {"node": "another"}
    file.write_text(json.dumps(planned))
    assert run(tmp_path, "tasks=wine", "configs=1")["wine"].provenance["host"] != {"node": "another"}


def test_another_space_under_the_same_name_is_refused(tmp_path):
    run(tmp_path, "tasks=wine", "configs=1")
    (tmp_path / "default/collection.json").unlink()
    config, tasks = composed(["epochs=2", f"collections={tmp_path}", "tasks=wine", "configs=2"])
    with pytest.raises(UserError, match="the space 'lcbench' of task 'wine' has changed since"):
        collect(config, tasks, Console(quiet=True))


@pytest.mark.parametrize("name", ["lcbench", "apt2021", "full", "tiny"])
def test_a_space_is_the_same_after_it_was_written(name, tmp_path):
    _, tasks = composed([f"collections={tmp_path}", "tasks=wine", f"space={name}"])
    info = build.build_task(tasks["wine"]).info
    space = build.build_space(tasks["wine"], info).space
    write_header(tmp_path, task=info, space=space, objective="val_accuracy", provenance=provenance_now("not stated"))
    assert read_header(tmp_path).space == space


def test_two_tasks_of_one_name_are_refused_and_folds_are_two(tmp_path):
    _, tasks = composed(["tasks=[wine,wine,iris]", f"collections={tmp_path}"])
    assert list(tasks) == ["wine", "iris"]
    runs = [OmegaConf.create({"task": {"name": "a", "fold": fold}}) for fold in (0, 3)]
    assert list(_by_name(runs)) == ["a", "a-fold3"]
    files = [OmegaConf.create({"task": {"name": None, "path": path}}) for path in ("a/b.csv", "c/b.csv")]
    with pytest.raises(UserError, match="`tasks` has two called 'b'"):
        _by_name(files)


def test_the_first_configurations_come_with_every_seed():
    assert list(Wanted(0, (0, 2), (1, 2), 5).trials()) == [PER_SEED, 2 * PER_SEED, PER_SEED + 1, 2 * PER_SEED + 1]


def test_failed_are_those_that_retry_makes_again(tmp_path):
    run(tmp_path, "tasks=wine", "configs=5")
    recording = Recording.of("wine", tmp_path / "default/wine/lcbench")
    recording.ended |= {PER_SEED: Status.CRASHED, PER_SEED + 1: Status.DIVERGED, PER_SEED + 4: Status.MEMOUT}
    assert Wanted(0, (0, 4), (1,), 2).n_failed(recording) == 1
    assert Wanted(0, (0, 5), (1,), 2).n_failed(recording) == 2


def test_where_other_code_goes_on_the_table_says_so_of_each_part(tmp_path):
    run(tmp_path, "tasks=wine", "configs=2")
    file = tmp_path / "default/wine/lcbench/table.json"
    before = json.loads(file.read_text())
    older = before["provenance"]["versions"] | {"commit": "0123456789ab"}
    file.write_text(json.dumps(before | {"provenance": before["provenance"] | {"versions": older}}))
    run(tmp_path, "tasks=wine", "configs=2")
    assert json.loads(file.read_text())["provenance"]["versions"] == older  # nothing was recorded
    for configs in (3, 4):
        said = run(tmp_path, "tasks=wine", f"configs={configs}")["wine"].provenance
        assert said["versions (of each part)"] == [older, before["provenance"]["versions"]]
        assert "versions" not in said
        assert said["host"] == before["provenance"]["host"]


def test_status_is_said_while_another_process_records(tmp_path):
    run(tmp_path, "tasks=wine", "configs=1")
    with CollectionDirectory(tmp_path / "default"):
        run(tmp_path, "status=true")
        run(tmp_path, "status=true", "executor=serial")


def test_a_plan_fixes_nothing_and_a_collection_goes_on_under_its_name_alone(tmp_path):
    for words in (("tasks=wine", "space=apt2021", "configs=2", "plan=true"), ("tasks=wine", "configs=1", "epochs=2", "space=tiny"), ()):
        config, tasks = composed([f"collections={tmp_path}", *words])
        collect(config, tasks, Console(quiet=True))
    assert (config.epochs, config.configs, config.space.name) == (2, 1, "tiny")
    assert {table.space.name: len(table) for table in tables(tmp_path / "default").values()} == {"tiny": 1}
    about = (tmp_path / "default/collection.json").read_text()
    config, tasks = composed([f"collections={tmp_path}", "configs=2", "plan=true"])
    collect(config, tasks, Console(quiet=True))
    assert (tmp_path / "default/collection.json").read_text() == about


def test_under_its_name_alone_it_keeps_the_changes_of_its_space(tmp_path):
    run(tmp_path, "tasks=wine", "configs=1")
    config, tasks = composed([f"collections={tmp_path}"])
    collect(config, tasks, Console(quiet=True))
    assert config.space.updates == {"max_units": [64, 128]}


def test_help_says_everything():
    answer = enter(module, ("--help",))
    assert answer.returncode == 0
    assert "configs: 200" in answer.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("configs=many",), "`configs` is 'many', but must be a number or from..to"),
        (("configs=0",), "must name at least one"),
        (("configs=5..2",), "must name at least one"),
        (("seeds=x",), "`seeds` has 'x'"),
        (("epochs=0",), "`epochs` is 0"),
        (("draw=-1",), "`draw` is -1"),
    ],
)
def test_bad_numbers_get_a_sentence(tmp_path, words, sentence):
    with pytest.raises(UserError, match=sentence):
        run(tmp_path, "tasks=wine", *words)


def test_what_is_fixed_stays_fixed(tmp_path):
    run(tmp_path, "tasks=wine", "configs=1")
    with pytest.raises(UserError, match="was begun with epochs=2, not 3: choose another `name`"):
        run(tmp_path, "tasks=wine", "configs=1", "epochs=3")
    with pytest.raises(UserError, match="was begun with space="):
        run(tmp_path, "tasks=wine", "configs=1", "space=apt2021", "space.updates=null")


def test_what_is_fixed_stays_fixed_without_the_description(tmp_path):
    before = run(tmp_path, "tasks=wine", "configs=1", "seeds=1")
    (tmp_path / "default/collection.json").unlink()
    with pytest.raises(UserError, match="holds trainings of 2 epochs, not 3: say epochs=2, or choose"):
        run(tmp_path, "tasks=wine", "configs=1", "seeds=1", "epochs=3")
    with pytest.raises(UserError, match=r"configuration 0 of .* is not the one that draw=7 gives"):
        run(tmp_path, "tasks=wine", "configs=1", "seeds=1", "draw=7")
    assert_equal(run(tmp_path, "tasks=wine", "configs=1", "seeds=1"), before)


def test_what_was_refused_is_not_what_the_next_command_begins_with(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="nonsense"):
        run(tmp_path, "tasks=wine", "configs=1", "seeds=1", "metric=nonsense")
    assert not (tmp_path / "default/collection.json").exists()
    assert len(run(tmp_path, "tasks=wine", "configs=1", "seeds=1")["wine"]) == 1

    def refuse(run, path, *others, source_of=module.source_of):
        if "iris" in path.parts:
            raise UserError("iris cannot be loaded")
        return source_of(run, path, *others)

    monkeypatch.setattr(module, "source_of", refuse)
    with pytest.raises(UserError, match="iris cannot be loaded"):
        run(tmp_path, "tasks=wine,iris", "configs=1", "seeds=1")
    assert json.loads((tmp_path / "default/collection.json").read_text())["tasks"] == ["wine"]


def test_one_process_at_a_time(tmp_path):
    with CollectionDirectory(tmp_path / "default"), pytest.raises(UserError, match="another process is working"):
        run(tmp_path, "tasks=wine", "configs=1")


# ------------------------------------------------------------------------------------------------------- what can go wrong


class FailingBenchmark:
    """Records nothing but ends; the configuration called 3 fails in the way that is asked for."""

    def __init__(self, how):
        self.how = how
        self.epochs = 2
        self.device = "cpu"
        self.task = SimpleNamespace(name="fake")

    def horizon(self, query):
        return self.epochs

    def gives_way(self, query):
        return False

    def recording(self, query, clock, limit):
        yield
        if query.trial == 3:
            match self.how:
                case "raise":
                    raise KeyError("max_units")
                case "no file":
                    raise FileNotFoundError(2, "No such file or directory", "/shared/table")
                case "full":
                    raise OSError(28, "No space left on device")
                case "no package":
                    raise ModuleNotFoundError("No module named 'numba'")
                case "die":
                    os.kill(os.getpid(), signal.SIGSEGV)
                case "hoard":
                    hoard = []
                    while True:
                        hoard.append(bytearray(10 * 2**20))
                case "sleep":
                    time.sleep(1000)
        return self.records(query, 3, Status.SUCCESS)

    def records(self, query, n_epochs, status):
        name = {"trial": query.trial, "horizon": 2}
        epochs = [epoch_record(**name, epoch=epoch, seconds=float(epoch), values={"val_accuracy": 0.5}) for epoch in range(n_epochs)]
        first = training_record(**name, seed=0, configuration=plain(query.configuration), origin="random")
        return [first, *epochs, end_record(**name, status=status, error="", epoch=2)]


class SlowBenchmark(FailingBenchmark):
    """Its third epoch ends when a training may not go on any more."""

    def recording(self, query, clock, limit):
        yield
        for _ in range(3):
            time.sleep(0.35 * limit)
        return self.records(query, 3, Status.TIMEOUT)


def _chunk(how, trials=(1, 2, 3, 4)):
    space = lcbench_space()
    return Chunk(FailingBenchmark(how), tuple(Query(Draws(space, space, 0).configuration(i), 2, i, seed=0) for i in trials))


def test_a_training_that_raises_is_a_crash_and_the_others_go_on():
    recorded = Recorder(Sandbox(None, Limits())).evaluate(_chunk("raise"))
    assert [records[-1]["status"] for records in recorded.trainings] == ["success", "success", "crashed", "success"]
    assert "max_units" in recorded.trainings[2][-1]["error"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no file", "/shared/table: No such file or directory"),
        ("full", "No space left on device"),
        ("no package", "No module named 'numba'"),
    ],
)
def test_what_a_machine_lacks_is_no_failure_of_a_training(how, said):
    with pytest.raises(UserError, match=f"cannot train on 'fake': .*{said}; give it what it lacks and the same command again"):
        Recorder(Sandbox(None, Limits())).evaluate(_chunk(how))


def test_where_all_fail_the_collection_stops_before_everything_has(tmp_path):
    recording, failures = Recording("fake", tmp_path), Counter()
    source = _source(recording)
    crashed = [failed(query, 2, Status.CRASHED, "Traceback\nKeyError: 'max_units'") for query in _chunk("raise", range(1, 30)).queries]
    assert _write(Recorded(_chunk("raise"), tuple(crashed[:19])), source, failures) == 19
    with pytest.raises(UserError, match="all 20 trainings on 'fake' have failed, the last one with crashed: KeyError: 'max_units'; when"):
        _write(Recorded(_chunk("raise"), tuple(crashed[19:])), source, failures)
    assert failures == {"crashed: KeyError: 'max_units'": 20}
    again = _source(recording)  # the next command, for whoever has mended it: it is not stopped for what the last one met
    assert _write(Recorded(_chunk("raise"), tuple(crashed[19:])), again, failures) == 10
    again.endings["diverged"] += 1
    assert _write(Recorded(_chunk("raise"), tuple(crashed)), again, failures) == 29
    retried = _source(recording)  # they fail again, and others are still to come
    assert _write(Recorded(_chunk("raise"), tuple(crashed)), retried, failures) == 29
    recording.close()


@pytest.mark.parametrize("n", [1, 3])
def test_what_takes_too_long_keeps_its_curve_however_many_a_child_does(n):
    chunk = Chunk(SlowBenchmark("slow"), _chunk("slow", range(n)).queries)
    recorded = Recorder(Sandbox(None, Limits(seconds=1))).evaluate(chunk)
    assert [records[-1]["status"] for records in recorded.trainings] == ["timeout"] * n
    assert [[record["epoch"] for record in records if record["kind"] == "epoch"] for records in recorded.trainings] == [[0, 1, 2]] * n


@pytest.mark.parametrize(
    ("how", "status", "seconds"),
    [("die", Status.CRASHED, 30), ("hoard", Status.MEMOUT, 30), ("sleep", Status.TIMEOUT, 0.5)],
)
def test_what_kills_a_child_is_found_by_doing_each_alone(how, status, seconds, tmp_path):
    recorder = Recorder(Sandbox(None, Limits(seconds=seconds, memory_mb=300)))
    recording = Recording("fake", tmp_path)
    source = _source(recording, how)
    assert _write(recorder.evaluate(_chunk(how)), source, Counter()) == 0
    assert [query.trial for query in source.waiting] == [1, 2, 3, 4]
    recording.seconds = 1e-3  # so short that many would go into a chunk
    recording.ended[99] = Status.SUCCESS
    while source.waiting:
        assert _write(recorder.evaluate(source.chunk()), source, Counter()) == 1
    del recording.ended[99]
    recording.close()
    assert recording.ended == {1: "success", 2: "success", 3: str(status), 4: "success"}
    again = Recording.of("fake", tmp_path)
    assert again.ended == recording.ended


def test_a_stop_is_no_failure(tmp_path):
    recording = Recording("fake", tmp_path)
    stopped = Recorded(_chunk("raise", (1,)), (), Failure(Status.TIMEOUT, STOPPED))
    assert _write(stopped, _source(recording), Counter()) == 0
    assert not recording.ended


def _source(recording, how="raise"):
    from experiments.source import Source

    return Source(FailingBenchmark(how), Draws(lcbench_space(), lcbench_space(), 0), recording, iter(()))


def test_a_device_gets_half_as_many_after_a_failure_until_it_is_known_of_which(tmp_path):
    recording = Recording("fake", tmp_path)
    source = _source(recording)
    source.live.device = "cuda"
    source.waiting.extend(_chunk("raise", range(1, 21)).queries)
    recording.seconds, recording.ended[99] = 1e-3, Status.SUCCESS
    sizes, failure = [], Failure(Status.CRASHED, "out of memory")
    while len(sizes) < 5:
        chunk = source.chunk()
        sizes.append(len(chunk.queries))
        _write(Recorded(chunk, (), failure), source, Counter())
    assert sizes == [20, 10, 5, 2, 1]
    assert len(source.chunk().queries) == 19
    recording.close()


@pytest.mark.parametrize(("device", "said"), [("gpu", "must be cpu, a graphics card"), ("cuda:99", "device=cpu trains on the processor")])
def test_a_device_that_is_not_there_is_refused(device, said, tmp_path):
    with pytest.raises(UserError, match=said):
        run(tmp_path, "tasks=wine", "configs=2", f"device={device}")
    assert not list(tmp_path.rglob("*.journal"))


@pytest.mark.parametrize(
    ("words", "workers"),
    [
        (("executor.workers=1000",), cores()),
        (("executor=dask", "executor.workers=1000"), cores()),
        (("executor=dask", "executor.workers=1000", "executor.address=tcp://head:8786"), 1000),
        (("executor=dask", "executor.workers=1000", "cluster=slurm"), 1000),
        (("executor.workers=1",), 1),
        ((), None),
        (("device=cuda",), 1),
        (("device=cuda", "executor=dask"), 1),
        (("device=cuda", "executor=dask", "executor.address=tcp://head:8786"), None),
        (("executor=serial", "device=cuda"), 1),
    ],
)
def test_no_more_networks_at_a_time_than_cores_of_this_machine(words, workers, tmp_path, capsys):
    config, _ = composed(["tasks=wine", f"collections={tmp_path}", *words])
    _limit_workers(config, Console())
    assert config.executor.get("workers", 1) == workers
    limited = "executor.workers=1000" in words and workers != 1000
    assert ("executor.workers is 1000, but every network takes a core" in capsys.readouterr().out) == limited


def test_side_by_side_on_a_device_is_one_after_the_other(whole, tmp_path):
    """The device is the processor under another name, so that everything is as on a graphics card but the graphs."""
    found = run(tmp_path, "tasks=wine,iris", "configs=6", "seeds=1,2", "executor=serial", "device=cpu:0")
    assert found.keys() == whole.keys()
    for name, table in found.items():
        twins = {training.trial: training for training in whole[name].trainings}
        assert len(table) == len(twins)
        for training in table.trainings:
            twin = twins[training.trial]
            assert training.configuration == twin.configuration
            assert training.results == {"compiled": 0.0, "resident": 1.0}
            assert training.curve.values.keys() == twin.curve.values.keys()
            for column, numbers in training.curve.values.items():
                np.testing.assert_allclose(numbers, twin.curve.values[column], rtol=2e-3, atol=2e-4, err_msg=column)


def test_what_failed_is_done_again_only_if_asked(tmp_path):
    recording, space = Recording("fake", tmp_path, {PER_SEED: "success", PER_SEED + 1: "memout"}), lcbench_space()
    draws = Draws(space, space, 0)
    wanted = Wanted(0, (0, 3), (1,), 2)
    assert [query.trial for query in wanted.queries(draws, recording, retry=False)] == [PER_SEED + 2]
    assert [query.trial for query in wanted.queries(draws, recording, retry=True)] == [PER_SEED + 1, PER_SEED + 2]
    assert (wanted.n_missing(recording), wanted.n_missing(recording, retry=True)) == (1, 2)
    assert wanted.n_whole(recording) == 2


def test_configurations_depend_on_their_number_only():
    space = lcbench_space()
    draws, again = Draws(space, space, 0), Draws(lcbench_space(), lcbench_space(), 0)
    assert [key(draws.configuration(i)) for i in range(4)] == [key(again.configuration(i)) for i in range(4)]
    assert len({key(Draws(space, space, draw).configuration(i)) for draw in range(3) for i in range(50)}) == 150


@pytest.mark.parametrize("name", ["apt2021", "full"])
def test_tasks_with_and_without_categories_have_the_same_configurations_in_what_they_share(name):
    make = import_module(f"pipeline.spaces.{name}").space
    with_, without, widest = (
        make(TaskInfo("made up", "classification", None, 0, "made up", 130, 50, 60, 5, 3, n)).space for n in (3, 0, UNKNOWN)
    )
    assert len(without) < len(with_) == len(widest)
    embedded = 0
    for i in range(60):
        one, other = (Draws(space, widest, 0).configuration(i) for space in (with_, without))
        other.check_valid_configuration()
        embedded += one["embedding"] == "learned"
        assert {name: one[name] for name in one if name in without} == dict(other)
    assert 0 < embedded < 40


def test_the_tasks_move_together(tmp_path):
    """A collection that stops holds the same configurations of all tasks, give or take what one child does."""
    config, _ = composed([*SMALL, f"collections={tmp_path}", "tasks=wine,iris", "configs=10", "seconds=0.5", "executor=serial"])
    assert wanted_of(config) == Wanted(0, (0, 10), (1,), 2)
    run(tmp_path, "tasks=wine,iris", "configs=1000", "seconds=4", "executor=serial")
    counts = [len(read_run(tmp_path / "default" / task / "lcbench")) for task in ("wine", "iris")]
    assert 0 < min(counts) < 1000
    assert max(counts) - min(counts) <= 64


@pytest.mark.parametrize("kind", ["training", "epoch"])
def test_a_training_that_lost_a_record_to_the_disk_is_made_again(tmp_path, kind):
    before = run(tmp_path, "tasks=wine", "configs=3")
    journal = tmp_path / "default/wine/lcbench/journals/collect.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if f'"kind":"{kind}"'.encode() in line.replace(b" ", b"") and i > 3)
    lines[number] = lines[number].replace(b"trial", b"trail")
    journal.write_bytes(b"".join(lines))
    assert Recording.of("wine", journal.parent.parent).n_good == 2
    assert_equal(run(tmp_path, "tasks=wine", "configs=3"), before)
    assert Recording.of("wine", journal.parent.parent).n_good == 3


def test_what_the_database_has_and_the_journal_has_lost_stays(tmp_path):
    before = run(tmp_path, "tasks=wine", "configs=3")
    journal = tmp_path / "default/wine/lcbench/journals/collect.journal"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:4]))
    with CollectionDirectory(tmp_path / "default") as collection:
        collection.pack()
    assert_equal(tables(tmp_path / "default"), before)
    assert_equal(run(tmp_path, "tasks=wine", "configs=3"), before)


def test_what_the_database_has_of_a_task_whose_folder_is_lost_stays(tmp_path):
    before = run(tmp_path, "tasks=wine,iris", "configs=2", "seeds=1")
    shutil.rmtree(tmp_path / "default/iris")
    assert_equal(run(tmp_path, "tasks=wine", "configs=2", "seeds=1"), before)
    assert_equal(run(tmp_path, "tasks=iris", "configs=2", "seeds=1"), before)


def test_surrogates_stay_where_nothing_was_recorded(tmp_path):
    database = tmp_path / "default/database.h5"
    run(tmp_path, "tasks=wine,iris", "configs=2", "seeds=1")
    models = [FittedModel(task, "lcbench", "seconds", {"x": np.zeros(3)}, {"format": 0}) for task in ("wine", "iris")]
    write_curves(database, read_curves(database), models=models)
    run(tmp_path, "tasks=wine", "configs=3", "seeds=1")
    assert set(Database(database).models) == {("iris", "lcbench")}


@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError, UserError])
def test_what_ends_a_collection_leaves_a_database_of_what_is_recorded(kind, tmp_path, monkeypatch):
    run(tmp_path, "tasks=wine", "configs=1", "seeds=1")
    database = tmp_path / "default/database.h5"
    database.unlink()

    def interrupted(*everything):
        raise kind

    monkeypatch.setattr("experiments.collect._record_all", interrupted)
    with pytest.raises(kind):
        run(tmp_path, "tasks=wine", "configs=3", "seeds=1")
    assert len(tables(database.parent)["wine"]) == 1
