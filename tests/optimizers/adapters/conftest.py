"""A library that misbehaves on demand: servers of it lie in a folder of the test, and stand for the peer called `colorsys`."""

import shutil

import pytest

from optimizers.adapters import interpreters, process, servers

FAKE = """
import os, random, sys, time
import numpy as np

class Fake:
    def __init__(self, method, space, epochs, eta, seed, settings):
        if settings.get("refuses"):
            raise NotImplementedError("knows no such space")
        self.told, self.n, self.settings = [], 0, settings

    def ask(self):
        for act in (self.settings.get("at") or {}).get(str(self.n), []):
            exec(act)
        script = self.settings.get("script")
        plan = script[self.n] if script else {"key": str(self.n), "budget": 50}
        self.n += 1
        values = {"batch_size": 32, "learning_rate": 0.01, "momentum": random.uniform(0.1, 0.99), "weight_decay": 0.01,
                  "num_layers": 3, "max_units": 100, "max_dropout": float(np.random.random())}
        return self.n, {"configuration": values, "origin": "model", "bracket": 0, "rung": 0, **plan}

    def tell(self, job, loss, configuration):
        self.told.append([job, loss, configuration])
        if self.settings.get("raises"):
            raise ZeroDivisionError(self.settings["raises"])
        if self.settings.get("log"):
            with open(self.settings["log"], "a") as log:
                print(job, loss, configuration and configuration["num_layers"], file=log)

new = Fake
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """The name of a peer whose server is the one above, in a folder where a test can put another protocol."""
    folder = tmp_path / "servers"
    shutil.copytree(servers.__path__[0], folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "colorsys.py").write_text(FAKE)  # any module that can be imported will do
    (folder / "colorsys.txt").write_text("colorsys\n")
    monkeypatch.setattr(interpreters, "SERVERS", folder)
    monkeypatch.setattr(process, "SERVERS", folder)
    monkeypatch.setattr(process, "_running", {})
    yield "colorsys"
    for running in process._running.values():
        running.close()
