"""What the harness promises on real data; minutes each, so they are slow tests."""

import time

import h5py
import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_adult_in_three_minutes(door, openml_cache):
    start = time.monotonic()
    answer = door("task=adult", "optimizer=bohb", "budget.seconds=180", OPENML_CACHE_DIR=str(openml_cache))
    assert time.monotonic() - start < 1.1 * 180
    assert answer.returncode == 0, answer.stderr
    (summary,), (directory,) = door.summaries(), answer.directories
    assert summary["incumbent"]["test_score"] > summary["baselines"][0]["scores"]["test_accuracy"] > 0.76
    assert summary["incumbent"]["scores"]["test_balanced_accuracy"] > 0.75
    with h5py.File(directory / "curves.h5") as file:
        lengths = np.array(file["tables/adult/lcbench/length"])
    assert np.maximum(lengths - 1, 0).sum() == summary["epochs_trained"]


def test_a_sweep_over_tasks_optimizers_and_seeds(door, openml_cache):
    choices = ("task=vehicle,phoneme,credit-g,diabetes", "optimizer=random,hyperband,bohb", "seed=0,1", "budget.trials=20")
    answer = door("-m", *choices, OPENML_CACHE_DIR=str(openml_cache))
    assert answer.returncode == 0, answer.stderr
    assert len(answer.directories) == 24
    assert all(summary["n_trials"] == 20 for summary in door.summaries())
