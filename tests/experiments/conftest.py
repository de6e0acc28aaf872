"""Runs of the real door in processes of their own, as a user starts them."""

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_class
from omegaconf import OmegaConf

from optimizers.adapters.errors import PeerMissingError

ROOT = Path(__file__).resolve().parents[2]
OPTIMIZERS = {path.stem: path for path in sorted((ROOT / "experiments/conf/optimizer").glob("*.yaml"))}
"""Every method by name, other people's too."""


def fewer(name, amount):
    """A fifth of a budget for a method that moves by single epochs with a model's milliseconds each: it asks ten times as often."""
    target = get_class(OmegaConf.load(OPTIMIZERS[name])["_target_"])
    return amount // 5 if getattr(target, "single_epochs", False) and getattr(target, "costly", False) else amount


@contextmanager
def skipping_absent_peers():
    """Skip the test with the reason if it builds a peer that is not installed."""
    try:
        yield
    except PeerMissingError as error:
        pytest.skip(str(error))


SMALL = ("space=lcbench", "traditional=none")
"""What runs of the tests are unless they say otherwise: the small space, no trees; and one network per trial, whatever the space."""
ONE = "cross_validation=null"


class Door:
    """`python run.py …` with run directories in a folder of the test."""

    def __init__(self, runs):
        self.runs = runs

    def command(self, *overrides):
        flags = [word for word in overrides if word.startswith("-")]
        words = [word for word in overrides if word not in flags]
        simulated = any(word.startswith(("benchmark=tabular", "benchmark=surrogate", "space=")) for word in words)
        small = [] if simulated else [word for word in SMALL if not any(given.startswith(word.partition("=")[0] + "=") for given in words)]
        return [sys.executable, str(ROOT / "run.py"), *flags, f"runs={self.runs}", ONE, *small, *words]

    def start(self, *overrides, **options):
        return subprocess.Popen(self.command(*overrides), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)

    def __call__(self, *overrides, cwd=None, **environment):
        answer = subprocess.run(
            self.command(*overrides),
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, "COLUMNS": "120", **environment},
            check=False,
        )
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
def door_here(tmp_path, monkeypatch, capfd):
    """The door within this process, for what is refused before anything is trained: the imports are spared."""
    terminate = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def enter(*overrides):
        monkeypatch.setattr(sys, "argv", [str(ROOT / "run.py"), f"runs={tmp_path / 'runs'}", *overrides])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(sys.argv[0], run_name="__main__")
        said = capfd.readouterr()
        return subprocess.CompletedProcess(sys.argv, left.value.code, said.out, said.err)

    yield enter
    signal.signal(signal.SIGTERM, terminate)
    GlobalHydra.instance().clear()
