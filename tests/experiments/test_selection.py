"""Ensembles selected once more from what a run kept."""

import numpy as np
import pandas as pd
import pytest

from experiments.selection import main, rows, words
from tests.experiments.conftest import Door


def test_the_chosen_ensemble_is_that_of_the_run(tmp_path, capsys):
    door = Door(tmp_path)
    small = ("task=breast_cancer,diabetes", "budget.trials=4", "fidelity.max_epochs=8", "fidelity.min_epochs=2", "traditional=[knn,linear]")
    assert door("-m", *small).returncode == 0
    (found,) = rows(door.runs)  # diabetes is a regression
    (summary,) = (one for one in door.summaries() if one["task"] == "breast_cancer")
    assert found["chosen"] == found[found["by"]] == pytest.approx(summary["ensemble"]["scores"]["test_accuracy"])
    assert found[f"log_loss_{found['by']}"] == pytest.approx(summary["ensemble"]["scores"]["test_cross_entropy"], rel=1e-4)
    assert found["tested"] == summary["split"]["n_test"]
    assert main([str(door.runs)]) == 0
    assert "mean test accuracy of 1 runs" in capsys.readouterr().out


def test_gains_are_counted_in_rows():
    found = pd.DataFrame({"accuracy": [0.5, 0.9, 0.8], "cross_entropy": [0.6, 0.8, 0.8], "tested": [10, 100, 50]})
    found["chosen"] = found["accuracy"] + np.array([0.1, -0.02, 0.0])
    assert words(found).endswith("chosen is better than accuracy on 1 and worse on 1, by -1 of 160 rows")


def test_a_folder_without_runs_is_refused(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no finished run" in capsys.readouterr().err
