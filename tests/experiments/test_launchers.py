"""Sweeps whose runs Hydra's launchers bring to other processes, or to Slurm."""

import pytest

from tests.experiments.conftest import Door

RUN = (
    "task=iris",
    "seed=0,1",
    "optimizer=random",
    "budget.trials=2",
    "fidelity.max_epochs=4",
    "fidelity.min_epochs=2",
    "executor=serial",
    "ensemble.size=0",
)
LAUNCHERS = {
    "basic": (),
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit": ("hydra/launcher=submitit_local",),
}


def _scores(door):
    return {summary["seed"]: summary["incumbent"]["scores"] for summary in door.summaries()}


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """What the runs of this process have found."""
    door = Door(tmp_path_factory.mktemp("here") / "runs")
    assert door("-m", *RUN).returncode == 0
    return _scores(door)


@pytest.mark.parametrize("launcher", ["joblib", "submitit"])
def test_a_launcher_changes_nothing_but_the_place(launcher, door, scores):
    answer = door("-m", *LAUNCHERS[launcher], *RUN)
    assert answer.returncode == 0, answer.stderr
    assert set(scores) == {0, 1}
    assert _scores(door) == scores


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_job_that_fails_stops_no_other_and_is_remembered(launcher, door):
    answer = door("-m", *LAUNCHERS[launcher], *RUN, "budget.trials=-1,2", "seed=0")
    assert answer.returncode == 2
    assert "error: " in answer.stderr
    assert "`budget.trials` is -1" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert len(door.summaries()) == 1
