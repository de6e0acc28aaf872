"""What the harness promises on real data; minutes each, so they are slow tests."""

import json
import os
import subprocess
import sys
import time

import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline.predictor import Predictor
from tests.experiments.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_adult_in_three_minutes(tmp_path, openml_cache):
    """The main job, word for word: what it hands out is better than the majority class, and knows both classes."""
    start = time.monotonic()
    words = ("task=adult", "optimizer=bohb", "budget.seconds=180", f"runs={tmp_path}")
    subprocess.run([sys.executable, ROOT / "run.py", *words], check=True, env={**os.environ, "OPENML_CACHE_DIR": str(openml_cache)})
    assert time.monotonic() - start < 1.1 * 180
    (directory,) = (path.parent for path in tmp_path.rglob("DONE"))
    summary = json.loads((directory / "summary.json").read_text())
    for model in ("incumbent", "ensemble"):
        _check_adult(summary, summary[model]["scores"])
    _check_epochs(summary, directory)


@pytest.mark.parametrize("metric", ["null", "balanced_accuracy"])
def test_the_best_network_of_lcbench_on_adult_in_three_minutes(metric, door, openml_cache):
    """Of networks whose loss is weighted the most accurate may know one class only: `null`, accuracy, is luck (docs/collection.md)."""
    words = ("task=adult", "optimizer=bohb", f"metric={metric}", "budget.seconds=180")
    start = time.monotonic()
    answer = door(*words, OPENML_CACHE_DIR=str(openml_cache))
    assert time.monotonic() - start < 1.1 * 180
    assert answer.returncode == 0, answer.stderr
    (summary,), (directory,) = door.summaries(), answer.directories
    _check_adult(summary, summary["incumbent"]["scores"])
    _check_epochs(summary, directory)


def _check_adult(summary, scores):
    assert scores["test_accuracy"] > summary["baselines"][0]["scores"]["test_accuracy"] > 0.76
    assert scores["test_balanced_accuracy"] > 0.75


def _check_epochs(summary, directory):
    """Every epoch trained is in the file."""
    with h5py.File(directory / "curves.h5") as file:
        (table,) = file["tables/adult"].values()
        lengths = np.array(table["length"])
    assert np.maximum(lengths - 1, 0).sum() == summary["epochs_trained"]


def test_what_runs_unless_told_otherwise_ends_in_time_and_has_a_first_model_within_a_tenth(tmp_path, openml_cache):
    """The joint space, portfolio, every traditional model, ensemble and refit, from start to exit; `Door` would make less of it."""
    words = ("task=phoneme", "budget.seconds=60", "refit=train", f"runs={tmp_path}")
    start = time.monotonic()
    subprocess.run([sys.executable, ROOT / "run.py", *words], check=True, env={**os.environ, "OPENML_CACHE_DIR": str(openml_cache)})
    assert time.monotonic() - start < 1.1 * 60
    (directory,) = (path.parent for path in tmp_path.rglob("DONE"))
    assert pd.read_csv(directory / "ensemble.csv")["seconds"].iloc[0] < 0.1 * 60
    summary = json.loads((directory / "summary.json").read_text())
    assert not [model for model in summary["traditional"] if "error" in model]
    assert summary["ensemble"]["refit"]["scores"]["test_accuracy"] > 0.87
    assert Predictor.load(directory).columns.names == ("V1", "V2", "V3", "V4", "V5")


def test_a_sweep_over_tasks_optimizers_and_seeds(door, openml_cache):
    choices = ("task=vehicle,phoneme,credit-g,diabetes", "optimizer=random,hyperband,bohb", "seed=0,1", "budget.trials=20")
    answer = door("-m", *choices, OPENML_CACHE_DIR=str(openml_cache))
    assert answer.returncode == 0, answer.stderr
    assert len(answer.directories) == 24
    assert all(summary["n_trials"] == 20 for summary in door.summaries())
