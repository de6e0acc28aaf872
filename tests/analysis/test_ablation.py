"""The ablation: what a run would have answered at every moment, from real runs, as a table and a figure."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.ablation import STAGES, answers, draw, main, read, table
from lcbench.errors import UserError

pytestmark = pytest.mark.slow  # six real runs
ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "bohb": ("portfolio=none", "traditional=none", "ensemble.size=0"),
    "portfolio": ("traditional=none",),
    "traditional": ("traditional=linear",),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Every stage with two seeds of four small trials."""
    folder = tmp_path_factory.mktemp("ablation")
    small = ("-m", "task=iris", "seed=0,1", "budget.trials=4", "fidelity.max_epochs=4", "fidelity.min_epochs=2")
    for name, words in SETTINGS.items():
        subprocess.run([sys.executable, str(ROOT / "run.py"), *small, *words, f"runs={folder / name}"], check=True, capture_output=True)
    return folder


def test_the_last_answers_are_those_of_the_summaries(runs):
    for folder, of in STAGES.values():
        for run in sorted((runs / folder).glob("live/iris/*/*/*")):
            summary = json.loads((run / "summary.json").read_text())
            expected = summary["incumbent"]["test_score"] if of == "incumbent" else summary["ensemble"]["scores"]["test_accuracy"]
            steps = answers(run, of)
            assert steps["score"].iloc[-1] == expected
            assert steps["seconds"].is_monotonic_increasing and 0 < steps["seconds"].iloc[-1] <= summary["seconds"]


def test_the_grid_holds_means_and_standard_errors_of_the_seeds(runs):
    found = read(runs)
    assert list(dict.fromkeys(found["stage"])) == list(STAGES)
    last = found.groupby("stage", sort=False).last()
    scores = [answers(run, "ensemble")["score"].iloc[-1] for run in sorted((runs / "traditional").glob("live/iris/*/*/*"))]
    assert last.loc["+ traditional", "value"] == pytest.approx(np.mean(scores))
    assert last.loc["+ traditional", "high"] - last.loc["+ traditional", "value"] == pytest.approx(np.std(scores, ddof=1) / 2**0.5)
    assert table(found).loc["iris", "+ traditional"] == pytest.approx(np.mean(scores))
    assert found["value"].isna().any()  # before the first answer there is none


def test_runs_without_test_rows_are_one_sentence(runs, tmp_path, capsys):
    shutil.copytree(runs, tmp_path / "copy")
    path = sorted((tmp_path / "copy" / "portfolio").glob("live/iris/*/*/*/summary.json"))[0]
    summary = json.loads(path.read_text())
    path.write_text(json.dumps(summary | {"split": summary["split"] | {"n_test": 0}}))
    assert main([str(tmp_path / "copy")]) == 2
    assert "has no test rows, so that nothing can be compared" in capsys.readouterr().err


def test_one_command_draws_the_figure(runs, tmp_path, capsys):
    assert main([str(runs), "--to", str(tmp_path)]) == 0
    assert (tmp_path / "ablation.png").stat().st_size > 10_000
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "ablation.csv"), read(runs))
    assert "iris" in capsys.readouterr().out


def test_every_task_has_a_panel_with_every_stage(runs):
    found = read(runs)
    figure = Figure()
    draw(pd.concat([found, found.assign(task="b"), found.assign(task="c")]), figure)
    panels = [axes for axes in figure.axes if axes.get_lines()]
    assert [axes.get_title("left") or axes.get_title() for axes in panels] == ["iris", "b", "c"]
    assert all([line.get_label() for line in axes.get_lines()] == sorted(STAGES) for axes in panels)


def test_a_stage_that_is_not_finished_is_named(runs, tmp_path):
    (tmp_path / "bohb").symlink_to(runs / "bohb")
    with pytest.raises(UserError, match=r"portfolio holds no finished run: give what `runs=` was"):
        read(tmp_path)
