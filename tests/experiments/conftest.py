"""Runs of the real door: most in this process, those about processes and their time in their own."""

import json
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_class
from omegaconf import OmegaConf

from experiments import harness
from optimizers.adapters.errors import PeerMissingError

ROOT = Path(__file__).resolve().parents[2]
OPTIMIZERS = {path.stem: path for path in sorted((ROOT / "experiments/conf/optimizer").glob("*.yaml"))}
"""Every method by name, other people's too."""


def fewer(name, amount):
    """A third of a budget for a method that moves by single epochs with a model's milliseconds each: it asks ten times as often."""
    target = get_class(OmegaConf.load(OPTIMIZERS[name])["_target_"])
    return amount // 3 if getattr(target, "single_epochs", False) and getattr(target, "costly", False) else amount


@contextmanager
def skipping_absent_peers():
    """Skip the test with the reason if it builds a peer that is not installed."""
    try:
        yield
    except PeerMissingError as error:
        pytest.skip(str(error))


def enter(program, words, **environment):
    """What `python run.py WORDS`, or another program of experiments/, does, in this process: its exit code and what it says."""
    terminate = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        for name, value in {"HYDRA_FULL_ERROR": "1", "COLUMNS": "120", **environment}.items():
            patch.setenv(name, value)
        patch.setattr("experiments.door.START", None)  # this process is older than the job
        patch.setattr(sys, "argv", [program.__file__, *words])
        door = harness.Door()
        patch.setattr(harness, "door", door)
        try:
            door.enter(harness.main if program is harness else program.main(words, door))
            code = 0
        except SystemExit as left:
            code = left.code
        finally:
            signal.signal(signal.SIGTERM, terminate)
            GlobalHydra.instance().clear()
    return subprocess.CompletedProcess(sys.argv, code, out.getvalue(), err.getvalue())


SMALL = ("space=lcbench", "traditional=none")
"""What runs of the tests are unless they say otherwise: the small space, no trees; and one network per trial, whatever the space."""
ONE = "cross_validation=null"


class Door:
    """The door with run directories in a folder of the test: called in this process, which has everything loaded, or `start`ed."""

    def __init__(self, runs):
        self.runs = runs

    def words(self, *overrides):
        flags = [word for word in overrides if word.startswith("-")]
        words = [word for word in overrides if word not in flags]
        simulated = any(word.startswith(("benchmark=tabular", "benchmark=surrogate", "space=")) for word in words)
        small = [] if simulated else [word for word in SMALL if not any(given.startswith(word.partition("=")[0] + "=") for given in words)]
        return [*flags, f"runs={self.runs}", ONE, *small, *words]

    def start(self, *overrides):
        command = [sys.executable, str(ROOT / "run.py"), *self.words(*overrides)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __call__(self, *overrides, **environment):
        answer = enter(harness, self.words(*overrides), **environment)
        answer.directories = sorted(path.parent for path in Path(self.runs).rglob("DONE"))
        return answer

    def summaries(self):
        return [json.loads((path.parent / "summary.json").read_text()) for path in sorted(Path(self.runs).rglob("DONE"))]


@pytest.fixture
def door(tmp_path):
    return Door(tmp_path / "runs")


@pytest.fixture(scope="module")
def recorded(request, tmp_path_factory):
    """The run directories of one finished run, made by the words `FAST` of the module."""
    door = Door(tmp_path_factory.mktemp("recorded") / "runs")
    assert door(*request.module.FAST).returncode == 0
    return door.runs


@pytest.fixture
def finished(door, recorded):
    """The directory of a run that is finished."""
    shutil.copytree(recorded, door.runs)
    (directory,) = (path.parent for path in door.runs.rglob("DONE"))
    return directory


@pytest.fixture
def door_here(tmp_path):
    """The door for what is refused before anything is trained: nothing is put before the words."""
    return lambda *overrides: enter(harness, (f"runs={tmp_path / 'runs'}", *overrides))
