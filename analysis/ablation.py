"""What each part of the system adds, over time: ``python -m analysis.ablation RUNS`` (``make ablation`` makes the runs first).

The stages are those of the paper: BOHB alone, with the portfolio, with the ensemble of its networks, with traditional models. ``RUNS``
holds a folder of live runs per setting, see `STAGES`. Every task has one panel: the test score of what a run would have answered at every
moment, mean and standard error over the seeds; the first two stages answer with the incumbent network, the others with the ensemble so far.

Source: the ablation study of Zimmer, Lindauer, Hutter, Auto-PyTorch Tabular, TPAMI 2021.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import style
from analysis.render import finished
from experiments.records import finished_runs, stored_config
from experiments.trajectory import changes, incumbents
from lcbench.errors import UserError, exit_code
from lcbench.files import replacing
from lcbench.journal import read_journal
from lcbench.query import Status

TITLE = "What each part adds"
STAGES = {
    "BOHB": ("bohb", "incumbent"),
    "+ portfolio": ("portfolio", "incumbent"),
    "+ ensemble": ("portfolio", "ensemble"),
    "+ traditional": ("traditional", "ensemble"),
}
"""Folder of the runs of every stage, and what answers in it."""
POINTS = 80
"""Moments of a curve."""
FIRST = 1 / 40
"""Share of the budget at which curves begin."""
COLUMNS = 2
"""Panels side by side."""


def answers(run: Path, of: str) -> pd.DataFrame:
    """Test scores of a run over time: columns ``seconds`` and ``score``, a row per change.

    Args:
        run: directory of a finished run.
        of: ``incumbent`` (the best network by the run's own rule) or ``ensemble``.

    Raises:
        UserError: if the rule counts epochs that were only passed.
    """
    if of == "ensemble":
        curve = pd.read_csv(run / "ensemble.csv")
        return pd.DataFrame({"seconds": curve["seconds"], "score": curve["test_score"]})
    config = stored_config(run / "config.yaml")
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    if config["incumbent"] == "every_epoch":  # of which no network is kept
        raise UserError(f"{run} was judged by incumbent=every_epoch: make the runs with one of the other rules")
    told = [event for event in read_journal(run / "events.journal").records if event["kind"] == "tell"]
    losses = np.array([event["loss"] if event["status"] == Status.SUCCESS else np.inf for event in told])
    columns = {"val_loss": losses, "epoch": np.array([event["epoch"] for event in told], np.int16)}
    at, best = changes(columns, incumbents(columns, config["incumbent"], config["fidelity"]["max_epochs"]))
    test = f"test_{summary['metric']['name']}"
    found = [(told[i]["at"], told[j]["scores"][test]) for i, j in zip(at, best, strict=True) if j >= 0]
    return pd.DataFrame(found, columns=["seconds", "score"])


def read(folder: Path) -> pd.DataFrame:
    """Scores of every stage on a common grid of seconds.

    Columns: ``task``, ``metric``, ``stage``, ``seconds``, ``value``, ``low``, ``high`` (mean and standard error over the seeds, NaN where a
    seed has no answer yet), ``seeds``.

    Raises:
        UserError: if a stage has no finished runs, or its tasks and seeds are not those of the others.
    """
    runs = {stage: _runs(folder / where) for stage, (where, _) in STAGES.items()}
    first = runs["BOHB"]
    for stage, found in runs.items():
        if found.keys() != first.keys():
            odd = sorted(found.keys() ^ first.keys())[0]
            raise UserError(f"{folder}: task {odd[0]!r} with seed {odd[1]} has not ended in every stage ({stage}): finish the runs first")
    for path in (path for found in runs.values() for path in found.values()):
        if not json.loads((path / "summary.json").read_text(encoding="utf-8"))["split"]["n_test"]:
            raise UserError(f"{path} has no test rows, so that nothing can be compared: make the runs with some (task.test_share=0.33)")
    tasks = list(dict.fromkeys(task for task, _ in first))
    return pd.concat([_of_task(task, runs) for task in tasks], ignore_index=True)


def _runs(folder: Path) -> dict[tuple[str, int], Path]:
    """Finished runs by task and seed."""
    return {(summary["task"], int(summary["seed"])): path for path, summary in finished_runs(folder)}


def _of_task(task: str, runs: dict[str, dict[tuple[str, int], Path]]) -> pd.DataFrame:
    parts = []
    for stage, (_, of) in STAGES.items():
        paths = [path for (name, _), path in runs[stage].items() if name == task]
        summary: dict[str, Any] = json.loads((paths[0] / "summary.json").read_text(encoding="utf-8"))
        grid = np.geomspace(FIRST, 1, POINTS) * _budget(paths[0])
        scores = np.stack([_at(answers(path, of), grid) for path in paths])  # (seeds, POINTS)
        error = scores.std(axis=0, ddof=1) / np.sqrt(len(paths)) if len(paths) > 1 else np.zeros(POINTS)
        mean = scores.mean(axis=0)
        about = {"task": task, "metric": summary["metric"]["name"], "stage": stage, "seeds": len(paths)}
        parts.append(pd.DataFrame(about | {"seconds": grid, "value": mean, "low": mean - error, "high": mean + error}))
    return pd.concat(parts)


def _budget(run: Path) -> float:
    """Seconds that a run was given, or took."""
    config = stored_config(run / "config.yaml")
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return float(config["budget"]["seconds"] or summary["seconds"])


def _at(steps: pd.DataFrame, grid: np.ndarray) -> np.ndarray:  # (POINTS,)
    """A step function on a grid, NaN before its first step."""
    place = np.searchsorted(steps["seconds"], grid, side="right") - 1
    scores = steps["score"].to_numpy(float)
    return np.where(place >= 0, scores[np.maximum(place, 0)], np.nan) if len(scores) else np.full(len(grid), np.nan)


def draw(table: pd.DataFrame, figure: Figure) -> None:
    """One panel per task, one line per stage."""
    tasks = list(dict.fromkeys(table["task"]))
    n_rows = -(-len(tasks) // COLUMNS)
    figure.set_size_inches(7.2, 0.6 + 2.1 * n_rows)
    panels = figure.subplots(n_rows, COLUMNS, squeeze=False).ravel()
    for axes, task in zip(panels, tasks, strict=False):
        rows = table[table["task"] == task]
        style.curves(axes, rows.rename(columns={"stage": "optimizer", "seconds": "share"}), label=False)
        axes.set_xscale("log")
        axes.set_xlim(rows["seconds"].min(), rows["seconds"].max())
        style.plain_log(axes.xaxis, unit=" s")
        axes.set_title(task)
        axes.set_ylabel(f"test {rows['metric'].iloc[0].replace('_', ' ')}")
        style.name_lines(axes)  # after the axes have their limits, which say where the lines end
    for axes in panels[len(tasks) :]:
        axes.set_axis_off()


def table(found: pd.DataFrame) -> pd.DataFrame:
    """The last score of every stage: one row per task, one column per stage."""
    last = found.groupby(["task", "stage"], sort=False)["value"].last().unstack()[list(STAGES)]
    return last.reindex(dict.fromkeys(found["task"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write ``ablation.png`` and ``ablation.csv`` and return the exit code: 0 all is well, 2 it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m analysis.ablation", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path, help="folder with the runs of every stage, as `make ablation` makes it")
    parser.add_argument("--to", type=Path, help="folder for the figure, by default that of the runs")
    options = parser.parse_args(arguments)
    return exit_code(partial(make, options))


def make(options: argparse.Namespace) -> None:
    """Draw, write and print."""
    found = read(options.runs)
    folder = options.to or options.runs
    folder.mkdir(parents=True, exist_ok=True)
    seconds, seeds = found["seconds"].max(), found["seeds"].max()
    facts = (f"{seconds:.0f} s per run", f"{seeds} seeds", "bands: one standard error over the seeds")
    figure = finished(sys.modules[__name__], found, facts)
    with replacing(folder / "ablation.csv") as temporary:
        found.to_csv(temporary, index=False)
    with replacing(folder / "ablation.png") as temporary, style.styled():
        figure.savefig(temporary, format="png", metadata={"Software": None})
    print(table(found).to_string(float_format="{:.4f}".format))
    print(folder / "ablation.png")


if __name__ == "__main__":
    sys.exit(main())
