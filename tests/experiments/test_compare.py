"""Studies: every run is the run that `run.py` makes, whatever the processes, kills and later additions; and what is refused."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose as compose_config
from hydra import initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis.study import Study
from experiments import compare as module
from experiments.build import build_verb
from experiments.compare import compare, composed
from experiments.config import register
from experiments.door import CONF
from experiments.overrides import seeds
from experiments.study import BLOCK, StudyDirectory, _stretches
from lcbench.errors import UserError
from lcbench.store import write_curves
from tests.experiments.conftest import ROOT, enter
from tests.lcbench.curve_strategies import TASK
from tests.lcbench.tables import fake_table

QUICK = ("tasks=vehicle,car", "optimizers=random,hyperband,bohb", "seeds=0..3", "budget.epochs=400")


def study(folder, *words, processes=2):
    """Make a study; returns its folder, its table without measured seconds, and what was printed."""
    text = StringIO()
    given = {word.split("=")[0] for word in words}
    quick = [word for word in QUICK if word.split("=")[0] not in given]
    plan = composed([*quick, f"processes={processes}", *words, f"studies={folder}"])
    path = compare(plan, Console(file=text, markup=False, width=200)).path
    return path, table(path), text.getvalue()


def table(path):
    return pd.read_parquet(path / "trajectories.parquet").drop(columns="overhead")


def stamps(path):
    return {file: file.stat().st_mtime_ns for file in path.rglob("cells/**/*.parquet")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return study(tmp_path_factory.mktemp("studies"))


def test_there_is_a_row_for_every_change_of_an_incumbent_and_one_at_the_end(made):
    path, rows, text = made
    assert "3 optimizers x 2 tasks x 4 seeds = 24 runs, 0 of them recorded; 400 epochs each, incumbent: every_epoch" in text
    runs = rows.groupby(["optimizer", "task", "seed"], observed=True)
    assert runs.ngroups == 24
    for _, run in runs:
        assert run["val_loss"].is_monotonic_decreasing
        assert run["seconds"].is_monotonic_increasing
        assert run["n_results"].is_monotonic_increasing
        assert run["epochs_continued"].iloc[-1] <= 400
        assert not run[["trial", "epoch"]].iloc[:-1].duplicated().any()
    assert (rows["regret"] >= 0).all()
    about = json.loads((path / "study.json").read_text())
    assert about["optimizers"] == ["bohb", "hyperband", "random"]
    assert (about["incumbent"], about["ladder"], about["seeds"]) == ("every_epoch", [6, 12, 25, 50], [0, 1, 2, 3])
    for task, its in about["tasks"].items():
        expected = its["best_loss"] + rows[rows["task"] == task]["regret"]
        assert rows[rows["task"] == task]["val_loss"].to_numpy() == pytest.approx(expected.to_numpy())


@pytest.mark.parametrize("optimizer", ["random", "bohb"])
def test_a_run_of_a_study_is_the_run_of_run_py(made, tmp_path, optimizer):
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        words = ["benchmark=tabular", "task=car", f"optimizer={optimizer}", "seed=2", "budget.epochs=400", "incumbent=every_epoch"]
        config = compose_config("run", [*words, f"runs={tmp_path}"])
    summary = build_verb(config)(config, Console(file=StringIO()), time.monotonic())
    rows = made[1].query(f"optimizer == '{optimizer}' and task == 'car' and seed == 2")
    last = rows.iloc[-1]
    assert last["regret"] == summary["regret"]
    assert last["seconds"] == summary["simulated_seconds"]
    assert (last["epochs_continued"], last["epochs_from_scratch"]) == (summary["epochs_continued"], summary["epochs_from_scratch"])
    assert last["n_results"] == summary["n_results"]


def test_processes_change_nothing(made, tmp_path):
    pd.testing.assert_frame_equal(study(tmp_path, processes=1)[1], made[1])


def test_what_is_lost_is_made_again_and_nothing_else(made, tmp_path):
    path, rows, _ = study(tmp_path, "tasks=vehicle")
    before = stamps(path)
    lost = path / "cells" / "bohb" / "vehicle" / "0-3.parquet"
    lost.unlink()
    _, again, text = study(tmp_path, "tasks=vehicle")
    pd.testing.assert_frame_equal(again, rows)
    assert "12 runs, 8 of them recorded" in text
    after = stamps(path)
    assert {file for file in after if after[file] != before[file]} == {lost}


def test_a_study_grows_by_optimizers_tasks_and_seeds(made, tmp_path):
    path, _, _ = study(tmp_path, "tasks=vehicle", "optimizers=random", "seeds=0,1")
    before = stamps(path)
    study(tmp_path, "tasks=car", "optimizers=bohb,bohb:n_candidates=5", "seeds=1..2")
    _, rows, _ = study(tmp_path)
    assert {file: stamp for file, stamp in stamps(path).items() if file in before} == before
    whole = made[1]
    shared = rows[rows["optimizer"] != "bohb:n_candidates=5"].reset_index(drop=True)
    assert set(rows["optimizer"]) == {"random", "hyperband", "bohb", "bohb:n_candidates=5"}
    pd.testing.assert_frame_equal(shared.astype({"optimizer": str, "task": str}), whole.astype({"optimizer": str, "task": str}))


def test_the_policy_can_be_changed_afterwards(tmp_path):
    _, anytime, _ = study(tmp_path, "tasks=vehicle", "optimizers=hyperband")
    _, final, text = study(tmp_path, "tasks=vehicle", "optimizers=hyperband", "incumbent=max_budget")
    assert "4 runs, 4 of them recorded" in text
    assert set(final["epoch"]) == {50}
    assert final.groupby("seed")["regret"].last().ge(anytime.groupby("seed")["regret"].last()).all()


def test_after_an_interrupted_change_of_the_policy_no_trajectories_pass_for_those_of_the_other(tmp_path, monkeypatch):
    path, _, _ = study(tmp_path, "tasks=vehicle", "optimizers=hyperband")

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(StudyDirectory, "write_trajectories", interrupted)
        study(tmp_path, "tasks=vehicle", "optimizers=hyperband", "incumbent=max_budget")
    with pytest.raises(UserError, match=r"no finished study: it has no trajectories\.parquet"):
        Study.read(path)
    study(tmp_path, "tasks=vehicle", "optimizers=hyperband", "incumbent=max_budget")
    assert set(Study.read(path).trajectories["epoch"]) == {50}


def _recorded(path, *tables):
    found = {name: fake_table(30, horizons=(50,), task=replace(TASK, name=name)) for name, _ in tables}
    write_curves(path, [replace(found[name], objective=column) for name, column in tables])
    return f"benchmark.database={path}"


def test_a_task_may_have_a_slash_in_its_name(tmp_path):
    database = _recorded(tmp_path / "one.h5", ("mine/100%", "val_accuracy"))
    path, rows, _ = study(tmp_path, database, "tasks=all", "optimizers=random", "seeds=0")
    assert set(rows["task"]) == {"mine/100%"}
    assert [place for place, _ in Study.read(path).results()] == [(0, 0, 0)]


def test_tasks_of_different_metrics_are_no_study(tmp_path):
    database = _recorded(tmp_path / "two.h5", ("one", "val_accuracy"), ("other", "val_cross_entropy"))
    with pytest.raises(UserError, match="one was recorded for accuracy and other for cross_entropy: compare their tasks in studies of"):
        study(tmp_path, database, "tasks=all", "optimizers=random", "seeds=0")
    _, rows, _ = study(tmp_path, database, "tasks=all", "optimizers=random", "seeds=0", "metric=accuracy")
    assert set(rows["task"]) == {"one", "other"}


def test_what_a_command_leaves_out_is_as_in_the_study(tmp_path):
    path, _, _ = study(tmp_path, "tasks=vehicle", "optimizers=hyperband")
    plan = composed([f"studies={tmp_path}", "budget.epochs=400", "incumbent=max_budget"])
    assert (plan.tasks, list(plan.optimizers), plan.seeds) == (("vehicle",), ["hyperband"], (0, 1, 2, 3))
    assert composed([f"studies={tmp_path}", "budget.epochs=400", "seeds=7"]).seeds == (7,)
    before = stamps(path)
    compare(plan, Console(file=StringIO()))
    assert stamps(path) == before
    assert set(table(path)["epoch"]) == {50}


def test_beliefs_and_files_may_stand_in_a_label(tmp_path):
    (tmp_path / "members.json").write_text(
        '[{"batch_size": 64, "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 1e-4, '
        '"num_layers": 2, "max_units": 128, "max_dropout": 0.1}]'
    )
    labels = [
        "bohb:prior=beliefs:prior.beliefs={learning_rate: {mean: 0.01, std: 0.1}, momentum: {mean: 0.9, std: 0.2}}",
        f"random:portfolio=file:portfolio.path={tmp_path}/members.json",
    ]
    path, rows, _ = study(tmp_path / "studies", "tasks=vehicle", f"optimizers=random,{','.join(labels)}", "seeds=0..1")
    assert set(rows["optimizer"]) == {"random", *labels}
    assert len(list((path / "cells").iterdir())) == 3
    first = rows[rows["optimizer"] == labels[1]].groupby("seed").first()
    assert first["val_loss"].nunique() == 1  # the member, whatever the seed
    assert len(list(Study.read(path).results())) == 6


def test_of_many_differences_the_first_are_told(made):
    path, _, _ = made
    with pytest.raises(UserError, match=r"`benchmark` was tabular and is now surrogate.*and [0-9]+ more; to keep both") as error:
        study(path.parent, "benchmark=surrogate")
    assert len(str(error.value)) < 600


def living(group):
    """Processes of a group that have not ended; a zombie has."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended between the listing and the reading
            state, _, its, *_ = path.read_text().rpartition(")")[2].split()
            found += [path.parent.name] if int(its) == group and state not in "ZX" else []
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted in /proc, which is Linux's")
def test_a_killed_study_leaves_no_process_and_goes_on(made, tmp_path):
    command = [sys.executable, "-m", "experiments.compare", *QUICK, f"studies={tmp_path}", "processes=2", "seeds=0..3"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not stamps(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert living(process.pid)
    process.kill()
    process.wait()
    while living(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not living(process.pid)
    kept = stamps(tmp_path)
    assert kept
    path, rows, _ = study(tmp_path)
    pd.testing.assert_frame_equal(rows, made[1])
    assert {file: stamp for file, stamp in stamps(path).items() if file in kept} == kept


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["tasks=vehicel"], "`tasks` has 'vehicel', but lcbench.h5 holds "),
        (["seeds=3..1"], "`seeds` has '3..1', but a range goes upwards: 1..3"),
        (["seeds=a"], "`seeds` has 'a', but must be numbers or from..to"),
        (["optimizers="], "`optimizers` has an empty name"),
        (["incumbent=best"], "`incumbent` is 'best', but must be one of"),
        (["processes=0"], "`processes` is 0, but must be at least 1"),
        (["executor.workers=0"], "`executor.workers` is 0, but must be at least 1"),
        (["executor=local"], "recorded curves are not trained: leave it out"),
        (["fidelity.max_epochs=60"], "`fidelity.max_epochs` is 60, but the curves of"),
        (["budget.epochs=40", "optimizers=bohb,random"], "`budget.epochs` is 40, but the first training of random takes 50"),
        (["budget.epochs=-3"], "`budget.epochs` is -3, but must be positive"),
        (["name=a/b"], "`name` is 'a/b', but must be the name of a folder"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, words, sentence):
    with pytest.raises(UserError) as error:
        study(tmp_path, *words)
    assert sentence in str(error.value)
    assert not list(tmp_path.rglob("*.parquet"))


def test_another_budget_or_optimizer_under_the_same_name_is_refused(tmp_path):
    study(tmp_path, "tasks=car", "optimizers=random", "seeds=0")
    with pytest.raises(UserError, match=r"otherwise: `budget\.epochs` was 400 and is now 500; to keep both, choose another `name`"):
        study(tmp_path, "tasks=car", "optimizers=random", "seeds=0", "budget.epochs=500")


def test_cells_of_a_version_that_kept_less_are_refused(tmp_path):
    path, _, _ = study(tmp_path, "tasks=car", "optimizers=random", "seeds=0")
    cell = next(path.rglob("cells/*/*/*.parquet"))
    pd.read_parquet(cell).drop(columns="best_epoch").to_parquet(cell)
    with pytest.raises(UserError, match="holds no best_epoch: another version has made it; choose another `name`, or remove it"):
        study(tmp_path, "tasks=car", "optimizers=random", "seeds=0")


def test_one_process_works_in_a_study(tmp_path):
    with StudyDirectory(tmp_path / "default"), pytest.raises(UserError, match="another process is working in"):
        study(tmp_path, "tasks=car", "optimizers=random", "seeds=0")


@pytest.mark.parametrize("words", [["tasks=vehicel"], ["optimizers=bhob"], ["sedes=3"], ["optimizers=bohb:n_candidate=3"]])
def test_the_command_says_what_is_wrong_and_what_is_there(words):
    answer = enter(module, words)
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: ")
    assert len(answer.stderr.splitlines()) == 1


@given(st.sets(st.integers(0, 60)))
def test_blocks_cover_every_seed_once(seeds):
    stretches = list(_stretches(sorted(seeds)))
    assert [seed for first, last in stretches for seed in range(first, last + 1)] == sorted(seeds)
    assert all(last - first < BLOCK for first, last in stretches)


def test_seeds_are_ranges_and_numbers():
    assert seeds("0..3") == [0, 1, 2, 3]
    assert seeds(["7", "1..2", "7"]) == [7, 1, 2]
    assert seeds(5) == [5]
