"""Simulated runs: the same door and the same loop on recorded curves; clocks, regret, resuming, and what is refused."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from rich.console import Console

from experiments.build import build_task, build_verb
from experiments.config import register
from experiments.door import CONF
from experiments.simulate import table_name
from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.journal import read_journal
from lcbench.query import Query
from lcbench.space import key, lcbench_space, plain, sample
from lcbench.store import write_curves
from lcbench.surrogate_benchmark import SurrogateBenchmark
from lcbench.table import CurveTable
from lcbench.tabular import TabularBenchmark
from lcbench.training import Training
from tests.experiments.conftest import OPTIMIZERS, ROOT, fewer, skipping_absent_peers
from tests.fakes import FAKE_TASK, FakeBenchmark

N = 60


def training(trial, epochs=50, *, status="success", length=None, drop="none", shift=0.0):
    """A recorded training with the curve of the fake benchmark, cut where `length` says."""
    query = Query(sample(lcbench_space(), np.random.default_rng(trial)), epochs, trial)
    whole = FakeBenchmark().evaluate(query).curve.prefix(epochs if length is None else length)
    values = {name: column - shift for name, column in whole.values.items() if not name.startswith(drop)}
    curve = LearningCurve(whole.epochs, whole.seconds + 0.25, values)  # the untrained network takes time too
    configuration, error = plain(query.configuration), "" if status == "success" else "told to fail"
    return Training(trial, configuration, key(configuration), 1, epochs, "random", 9, status, error, curve)


def table(name, trainings, space_name="lcbench"):
    space = lcbench_space()
    space.name = space_name
    return CurveTable.of(task=replace(FAKE_TASK, name=name), space=space, objective="val_accuracy", trainings=trainings)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("database") / "small.h5"
    whole = [training(i) for i in range(N)]
    failing = [training(i, status="diverged", length=9) if i % 3 == 0 else training(i) for i in range(N)]
    tables = [
        *(table(name, whole) for name in ("vehicle", "car")),
        table("short", [training(i, 12) for i in range(N)]),
        table("failing", failing),
        table("untested", [training(i, drop="test_") for i in range(N)]),
        *(table("twofold", whole, space) for space in ("one", "other")),
    ]
    write_curves(path, tables)
    return path


@pytest.fixture
def simulated(tmp_path, database):
    """Make a run in this process; returns its summary, its folder and what it printed."""

    def run(*overrides, runs=tmp_path / "runs"):
        register()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            mine = ("benchmark=tabular", f"benchmark.database={database}", "task=vehicle", f"runs={runs}")
            given = {word.split("=")[0] for word in overrides}
            config = compose("run", [*(word for word in mine if word.split("=")[0] not in given), *overrides])
        text = StringIO()
        with skipping_absent_peers():
            summary = build_verb(config)(config, Console(file=text, markup=False, width=120), time.monotonic())
        names = [str(summary.get(noun)) for noun in ("benchmark", "task", "space", "optimizer", "seed")]
        return summary, runs.joinpath(*names), text.getvalue()

    return run


def events(directory, kind="tell"):
    return [event for event in read_journal(directory / "events.journal").records if event["kind"] == kind]


def told(directory):
    return [{name: value for name, value in event.items() if name != "n"} for event in events(directory)]


def same(summary):
    return json.dumps({name: value for name, value in summary.items() if name != "wall_seconds"})


# ------------------------------------------------------------------------------------------------------------ the outcome


def test_the_command_leaves_an_outcome_with_regret_and_simulated_time(door, database):
    answer = door("benchmark=tabular", f"benchmark.database={database}", "task=vehicle", "optimizer=bohb", OPENML_CACHE_DIR="/nowhere")
    assert answer.returncode == 0, answer.stderr
    (summary,), (directory,) = door.summaries(), answer.directories
    assert directory.relative_to(door.runs).as_posix() == "tabular/vehicle/lcbench/bohb/0"
    assert {path.name for path in directory.iterdir()} == {".lock", "config.yaml", "events.journal", "summary.json", "DONE"}
    about = ("view", "recorded_seed", "horizon", "unknown", "n_configurations", "database")
    assert [summary[name] for name in about] == ["trained", 1, 50, "nearest", N, str(database)]
    assert 900 < summary["epochs_trained"] <= 1000  # 20 trainings of 50 epochs, because no budget is given
    for text in ("budget 1000 epochs (as none is given: 20 trainings to epoch 50)", "incumbent by highest_seen: best among", "regret 0"):
        assert text in answer.stdout
    for text in ("times as fast", "view trained, recorded seed 1, horizon 50, unknown configurations nearest", "best configurations"):
        assert text in answer.stdout


def test_regret_is_against_the_best_of_the_table_at_any_epoch(simulated, database):
    summary, directory, _ = simulated("optimizer=random", "budget.trials=9")
    exact = TabularBenchmark.load("vehicle", database)
    best = min(1 - exact.curve(row).values["val_accuracy"][1:].max() for row in range(N))
    losses = [event["loss"] for event in events(directory)]
    assert summary["best_loss"] == best
    assert summary["regret"] == min(losses) - best >= 0
    source, scores = summary["incumbent"]["recorded"], summary["incumbent"]["scores"]
    assert scores == exact.curve(source["row"]).at(50)
    assert source["config"] == exact.configuration(source["row"])
    assert 0 <= source["distance"] < np.sqrt(7)


def test_a_run_that_meets_the_best_configuration_has_no_regret(tmp_path, simulated):
    write_curves(tmp_path / "one.h5", [table("vehicle", [training(0)])])
    summary, _, _ = simulated(f"benchmark.database={tmp_path / 'one.h5'}", "optimizer=random", "budget.trials=4")
    assert summary["regret"] == 0


def test_a_table_without_test_values_has_no_test_score(simulated):
    summary, _, text = simulated("task=table", "task.name=untested", "budget.trials=5")
    assert summary["incumbent"]["test_score"] is None
    assert summary["task"] == "untested"
    assert "–" in text


def test_recorded_failures_are_results_and_the_run_goes_on(simulated):
    summary, directory, text = simulated("task=table", "task.name=failing", "optimizer=hyperband", "budget.trials=30")
    diverged = [event for event in events(directory) if event["status"] == "diverged"]
    assert summary["n_failed"]["diverged"] == len(diverged) > 0
    assert all(event["last_epoch"] == 9 and event["seconds"] > 0 for event in diverged)
    assert summary["epochs_trained"] < 30 * 50
    assert "told to fail" in text


def test_the_shipped_surrogate_is_searched_in_the_same_way(simulated):
    overrides = ("benchmark=surrogate", "benchmark.database=null", "budget.trials=6")
    summary, directory, text = simulated(*overrides)
    assert directory.parts[-5:] == ("surrogate", "vehicle", "lcbench", "bohb", "0")
    model = SurrogateBenchmark.load("vehicle")
    assert summary["regret"] == (1 - summary["incumbent"]["validation_score"]) - model.best_loss
    assert summary["quality"] == json.loads(json.dumps(model.quality))
    assert summary["incumbent"]["recorded"] == {}
    assert "away in the unit cube" not in text
    again, _, _ = simulated(*overrides, runs=directory.parent / "again")
    assert same(again) == same(summary)


def test_a_surrogate_that_ranks_badly_is_refused_unless_forced(simulated):
    overrides = ("benchmark=surrogate", "benchmark.database=null", "task=blood-transfusion-service-center", "budget.trials=3")
    with pytest.raises(UserError, match=r"Spearman correlation of 0\.49.*benchmark\.force=true"):
        simulated(*overrides)
    summary, _, _ = simulated(*overrides, "benchmark.force=true")
    assert summary["n_trials"] == 3


def test_nothing_heavy_is_loaded(tmp_path, database):
    arguments = ["run.py", "benchmark=tabular", f"benchmark.database={database}", "task=vehicle", f"runs={tmp_path}"]
    code = f"import runpy, sys; sys.argv = {arguments}; runpy.run_path('run.py', run_name='__main__'); print(sorted(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = answer.stdout.splitlines()[-1]
    assert "'experiments.simulate'" in loaded
    assert not [name for name in ("torch", "sklearn", "openml", "pandas", "pipeline", "matplotlib") if f"'{name}'" in loaded]


# ------------------------------------------------------------------------------------------------------------- the clocks


@pytest.mark.parametrize("continues", [True, False])
def test_every_tell_stands_at_the_sum_of_what_was_recorded(simulated, database, continues):
    summary, directory, _ = simulated("optimizer=hyperband", "budget.trials=25", f"benchmark.continue_trials={continues}")
    reached, at, scratch, new = {}, 0.0, 0, 0
    for event in events(directory):
        before = reached.get(event["trial"])
        seconds = event["curve_seconds"] - (before[1] if continues and before else 0.0)
        at, scratch, new = at + seconds, scratch + event["epoch"], new + event["epoch"] - (before[0] if before else 0)
        assert (event["seconds"], event["at"]) == (seconds, at)
        assert (event["epochs_from_scratch"], event["epochs_continued"]) == (scratch, new)
        reached[event["trial"]] = (event["epoch"], event["curve_seconds"])
    assert summary["simulated_seconds"] == at
    assert summary["epochs_trained"] == (new if continues else scratch)
    assert new < scratch


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_budget_of_simulated_seconds_is_kept_and_used(simulated, name):
    budget = 300 if name == "freeze_thaw" else 600  # which asks for every epoch
    summary, _, _ = simulated(f"optimizer={name}", f"budget.seconds={budget}")
    assert budget - 75 <= summary["simulated_seconds"] <= budget  # a training of the fake takes at most 75.25 seconds


# ----------------------------------------------------------------------------------------------- the same again, and resuming


def test_the_same_seed_twice_gives_the_same_bytes(door, database):
    options = ("benchmark=tabular", f"benchmark.database={database}", "task=vehicle", "optimizer=bohb", "seed=3", "budget.seconds=900")
    directories = [path for runs in ("a", "b") for path in door(*options, f"runs={door.runs}/{runs}").directories[-1:]]
    one, other = ((path / "summary.json").read_text().splitlines() for path in directories)
    differing = [line for line, its in zip(one, other, strict=True) if line != its]
    assert [line.split(":")[0].strip() for line in differing] == ['"wall_seconds"']


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("budget", ["seconds", "epochs"])
def test_cut_anywhere_and_resumed_equals_uninterrupted(simulated, tmp_path, name, budget):
    options = (f"optimizer={name}", f"budget.{budget}={fewer(name, 700)}")
    whole, directory, _ = simulated(*options)
    record, tells = (directory / "events.journal").read_bytes(), told(directory)
    for share in (0.02, 0.4, 0.8, 1.0):
        (directory / "DONE").unlink()
        (directory / "events.journal").write_bytes(record[: int(share * len(record))])  # as a kill leaves it, torn line included
        resumed, _, _ = simulated(*options)
        assert same(resumed) == same(whole)
        assert told(directory) == tells


@pytest.mark.parametrize("name", ["hyperband", "bohb"])
@pytest.mark.parametrize("budget", ["budget.seconds=300", "budget.epochs=700"])
def test_workers_resume_and_extend_as_uninterrupted(simulated, tmp_path, name, budget):
    options = (f"optimizer={name}", "executor.workers=4")
    limit, larger = budget, f"{budget.split('=')[0]}={2 * int(budget.split('=')[1])}"
    _, directory, _ = simulated(*options, limit)
    record = (directory / "events.journal").read_bytes()
    (directory / "DONE").unlink()
    (directory / "events.journal").write_bytes(record[: len(record) // 2])
    simulated(*options, limit)
    assert told(directory) == [{k: v for k, v in e.items() if k != "n"} for e in _events_of(record, tmp_path)]
    extended, _, _ = simulated(*options, larger, "extend=true")
    direct, other, _ = simulated(*options, larger, runs=tmp_path / "direct")
    assert same(extended) == same(direct)
    assert told(directory) == told(other)


def _events_of(record, folder):
    (folder / "events.journal").write_bytes(record)
    return events(folder)


def test_counted_overhead_is_on_the_clock_and_makes_another_run(simulated, tmp_path):
    uncounted, directory, _ = simulated("budget.trials=20")
    with pytest.raises(UserError, match=r"`executor\.counts_overhead` was False and is now True"):
        simulated("budget.trials=20", "executor.counts_overhead=true")
    counted, other, _ = simulated("budget.trials=20", "executor.counts_overhead=true", runs=tmp_path / "counted")
    assert counted["simulated_seconds"] > uncounted["simulated_seconds"]
    trained = [event["seconds"] for event in events(directory)]
    assert [event["seconds"] for event in events(other)] == trained  # one worker: only the clock is another


def test_a_finished_run_is_reported_and_nothing_is_written(simulated):
    first, directory, _ = simulated("budget.trials=5")
    before = {path: path.read_bytes() for path in directory.iterdir()}
    again, _, text = simulated("budget.trials=5")
    assert "this run is finished" in text
    assert f"regret {first['regret']:.4g}" in text
    assert again == first
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


def test_a_differing_configuration_is_refused_and_a_larger_budget_extends(simulated, tmp_path):
    _, directory, _ = simulated("budget.seconds=500")
    with pytest.raises(UserError, match=r"`benchmark\.continue_trials` was True and is now False"):
        simulated("budget.seconds=500", "benchmark.continue_trials=false")
    with pytest.raises(UserError, match="extend=true goes on with it"):
        simulated("budget.seconds=900")
    extended, _, _ = simulated("budget.seconds=900", "extend=true")
    direct, other, _ = simulated("budget.seconds=900", runs=tmp_path / "direct")
    assert same(extended) == same(direct)
    assert told(directory) == told(other)


def test_how_a_table_is_named_and_where_trainings_would_run_make_no_other_run(simulated):
    _, directory, _ = simulated("budget.trials=3")
    _, other, text = simulated("task=table", "task.name=vehicle", "space=lcbench", "trial.seconds=5", "budget.trials=3")
    assert other == directory
    assert "this run is finished" in text


def test_a_database_that_has_changed_is_not_mixed_with_the_old_one(simulated, tmp_path):
    path = tmp_path / "changing.h5"
    for shift in (0.0, 0.01):
        write_curves(path, [table("vehicle", [training(i, shift=shift) for i in range(N)])])
        if not shift:
            simulated(f"benchmark.database={path}", "budget.trials=3")
    with pytest.raises(UserError, match=r"was told the loss 0\..* question is answered now with the loss 0\..*: the database is another"):
        simulated(f"benchmark.database={path}", "budget.trials=3")


def test_a_sweep_lands_in_the_tree(door, database):
    choices = ("task=vehicle,car", "optimizer=random,sh,hyperband,bohb", "seed=0,1")
    answer = door("-m", "benchmark=tabular", f"benchmark.database={database}", "budget.trials=6", *choices)
    assert answer.returncode == 0, answer.stderr
    assert {directory.relative_to(door.runs).as_posix() for directory in answer.directories} == {
        f"tabular/{task}/lcbench/{optimizer}/{seed}"
        for task in ("vehicle", "car")
        for optimizer in ("random", "sh", "hyperband", "bohb")
        for seed in (0, 1)
    }


def test_the_recorded_space_as_a_table(simulated, tmp_path):
    summary, _, text = simulated("optimizer=hyperband", "info=space")
    assert summary == {"hyperparameters": list(lcbench_space())}
    assert "learning_rate" in text and "on vehicle" in text
    assert not list(tmp_path.rglob("events.journal"))
    with pytest.raises(UserError, match="`info` is 'nonsense', but must be space"):
        simulated("optimizer=hyperband", "info=nonsense")


def test_a_plan_runs_nothing(simulated, tmp_path):
    summary, _, text = simulated("optimizer=hyperband", "plan=true")
    assert sum(rung["epochs"] for rung in summary["plan"]) <= 1000
    assert "plan of hyperband on the recorded vehicle" in text
    assert not (tmp_path / "runs").exists()


def test_the_incumbent_policy_and_metric_are_those_of_the_configuration(simulated):
    summary, _, text = simulated("incumbent=any", "metric=accuracy", "budget.trials=8")
    assert summary["incumbent_policy"] == "any"
    assert "incumbent by any: best of all results" in text


def test_one_of_several_spaces_is_named(simulated):
    with pytest.raises(UserError, match=r"`space` must be given, because .* has several tables of 'twofold': one, other"):
        simulated("task=table", "task.name=twofold")
    summary, directory, _ = simulated("task=table", "task.name=twofold", "space.name=other", "budget.trials=3")
    assert summary["space"] == "other"
    assert directory.exists()


# ------------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("task=segment", "`task` is 'segment', but {database} does not have it"),
        ("task=file", "`task.name` is None, but recorded curves are found by the name of their task"),
        ("task=table", "`task.name` has no value"),
        ("benchmark.view=all", "`benchmark.view` is 'all', but must be one of 'raw'"),
        ("benchmark.seed=7", "`benchmark.seed` is 7, but 'vehicle' was recorded with 1"),
        ("benchmark.horizon=12", "`benchmark.horizon` is 12, but 'vehicle' was recorded with 50"),
        ("benchmark.unknown=guess", "`benchmark.unknown` is 'guess', but must be one of nearest, refuse"),
        (
            "benchmark.unknown=refuse seed=99",
            "`benchmark.unknown` is 'refuse', but bohb asks for a configuration that was not recorded on 'vehicle' (nearest: row",
        ),
        ("budget.epochs=5", "`budget.epochs` is 5, but the first training of bohb takes 6"),
        ("budget.seconds=0.01", "`budget.seconds` is 0.01, but the first training of bohb takes "),
        ("budget.trials=0", "`budget.trials` is 0, but must be positive"),
        (
            "fidelity.max_epochs=60",
            "`fidelity.max_epochs` is 60, but the curves of 'vehicle' end at epoch 50 (view 'trained'): set fidelity",
        ),
        ("benchmark.database=/no/such.h5", "there is no curve database /no/such.h5"),
        ("space.name=full", "`space` is 'full', but {database} has 'vehicle' in lcbench"),
        ("metric=r2", "`metric` is 'r2', but 'vehicle' was recorded with accuracy"),
        ("executor=local", "`executor` is experiments.executors.Local, but recorded curves are not trained: leave it out"),
        ("incumbent=best", "`incumbent` is 'best', but must be one of"),
        ("seed=-1", "`seed` is -1, but must be 0 or larger"),
        ("benchmark.sed=1", "there is no key `benchmark.sed`; did you mean 'seed'?"),
        ("benchmark.verb=dream", "`benchmark.verb` is 'dream', but must be search (trains) or simulate"),
        ("benchmark=tabullar", "`benchmark` is 'tabullar', but must be one of live, surrogate, tabular; did you mean 'tabular'?"),
    ],
)
def test_a_bad_override_is_one_sentence_and_leaves_nothing(door_here, tmp_path, database, override, sentence):
    given = {word.split("=")[0] for word in override.split()}
    mine = ("benchmark=tabular", f"benchmark.database={database}", "task=vehicle")
    answer = door_here(*(word for word in mine if word.split("=")[0] not in given), *override.split())
    assert answer.returncode == 2, answer.stdout + answer.stderr
    lines = answer.stderr.strip().splitlines()
    assert len(lines) == 1, answer.stderr
    assert sentence.format(database=database) in lines[0]
    assert not (tmp_path / "runs").exists()


def test_a_table_that_is_too_short_says_what_fits(simulated):
    with pytest.raises(UserError, match=r"the curves of 'short' end at epoch 12 .*: set fidelity.max_epochs=12, or less"):
        simulated("task=table", "task.name=short")
    summary, _, _ = simulated("task=table", "task.name=short", "fidelity.max_epochs=12")
    assert summary["incumbent"]["epoch"] == 12


def test_an_unknown_configuration_in_the_middle_of_a_run_is_the_same_sentence(simulated):
    with pytest.raises(UserError, match=r"`benchmark\.unknown` is 'refuse', but random .*: set benchmark\.unknown=nearest"):
        simulated("benchmark.unknown=refuse", "optimizer=random")  # its first draw is the recorded trial 0


def test_recorded_curves_cannot_be_trained(door):
    answer = door("debug=fast", "space=table")
    assert answer.returncode == 2
    assert "space=table stands for recorded curves, which cannot be trained: add benchmark=tabular" in answer.stderr
    assert not door.runs.exists()
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"), pytest.raises(UserError, match="the task 'x' stands for recorded curves"):
        build_task(compose("run", ["task=table", "task.name=x"]))


def test_a_fold_is_part_of_the_name_of_a_table():
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert table_name(compose("run", ["task=openml", "task.id=31", "task.fold=3"])) == "openml-31@fold3"
        assert table_name(compose("run", ["task=car"])) == "car"


def test_a_portfolio_and_a_prior_are_parts_of_a_run(simulated, tmp_path):
    members = [plain(sample(lcbench_space(), np.random.default_rng(seed))) for seed in range(3)]
    (tmp_path / "members.json").write_text(json.dumps([*members, {"lr": 1}]))
    portfolio = ("portfolio=file", f"portfolio.path={tmp_path}/members.json")
    _, directory, text = simulated("budget.trials=12", "optimizer=hyperband", *portfolio)
    asked = [event for event in events(directory, "ask") if event["origin"] == "portfolio"]
    assert [event["configuration"] for event in asked] == members
    assert "member 3 of" in text
    assert text.count("is skipped") == 1
    with pytest.raises(UserError, match="holds a run with another configuration"):
        simulated("budget.trials=12", "optimizer=hyperband")
    prior = ("prior=beliefs", "prior.beliefs={momentum: {mean: 0.9, std: 0.05}}", "prior.beta=1000")
    _, directory, _ = simulated("budget.trials=12", "optimizer=random", *prior)
    assert {event["origin"] for event in events(directory, "ask")} >= {"prior"}
    assert np.mean([event["configuration"]["momentum"] for event in events(directory, "ask")]) == pytest.approx(0.9, abs=0.08)
    with pytest.raises(UserError, match="`prior` cannot be built: `beliefs` has 'momentm'"):
        simulated("optimizer=random", "prior=beliefs", "prior.beliefs={momentm: {mean: 0.9, std: 0.05}}")
