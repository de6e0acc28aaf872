"""A study in closed form: every run follows a power law of its own, so that whatever a figure says can be worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.study import Study

OPTIMIZERS = {"random": (0.5, 1.0, 50), "hyperband": (0.6, 0.9, 20), "bohb": (0.9, 0.8, 20), "asha": (0.7, 0.8, 10)}
"""Exponent of the power law, its factor, and epochs between results."""
TASKS = {"car": (0.02, 0.1), "segment": (0.10, 0.4), "vehicle": (0.30, 0.2)}
"""Best loss, and simulated seconds for an epoch."""
BUDGET = 1000


def luck(seed: int, name: str, task: str) -> float:
    """A factor around 1 that looks random and is not."""
    golden = (seed + 1) * 0.6180339887498949 + 0.37 * len(name) + 0.11 * len(task)
    return 0.6 + 0.8 * (golden % 1.0)


def run(name: str, task: str, seed: int, law: tuple[float, float, int]) -> dict[str, np.ndarray]:
    """The rows of one run: regret 0.2 · luck · factor · (epochs / 50) ** -exponent at every result, and the end."""
    exponent, factor, step = law
    best_loss, second = TASKS[task]
    results = np.arange(step, BUDGET + 1, step)
    epochs = np.append(results, results[-1])
    regret = 0.2 * luck(seed, name, task) * factor * (epochs / 50) ** -exponent
    columns = {
        "optimizer": name,
        "task": task,
        "seed": seed,
        "epochs_continued": epochs,
        "epochs_from_scratch": (epochs * (1.0 if name == "random" else 1.5)).astype(int),
        "seconds": epochs * second * (1 + 0.01 * len(name)),
        "overhead": epochs / step * 0.001 * len(name),
        "n_results": epochs // step,
        "trial": np.arange(len(epochs)),
        "epoch": min(step, 50),
        "val_loss": best_loss + regret,
        "test_loss": best_loss + 1.1 * regret,
        "regret": regret,
    }
    return {column: np.broadcast_to(values, epochs.shape) for column, values in columns.items()}


def about(**changes: object) -> dict:
    """What study.json holds."""
    return {
        "name": "fake",
        "benchmark": "tabular",
        "database": "none, the trajectories are formulas",
        "view": "trained",
        "metric": {"name": "accuracy", "direction": "maximize", "unit": "fraction"},
        "incumbent": "every_epoch",
        "budget": {"epochs": BUDGET, "seconds": None},
        "continue_trials": True,
        "workers": 1,
        "counts_overhead": False,
        "ladder": [6, 12, 25, 50],
        "seeds": [0, 1, 2, 3, 4],
        "tasks": {task: {"best_loss": loss, "full_training_seconds": 50 * second} for task, (loss, second) in TASKS.items()},
        "optimizers": list(OPTIMIZERS),
        "versions": {},
        "machine": "none",
    } | changes


def fake_study(n_seeds: int = 5, laws: dict[str, tuple[float, float, int]] | None = None) -> Study:
    """A study of `OPTIMIZERS`, or of other laws, on `TASKS`."""
    laws = laws or OPTIMIZERS
    runs = [run(name, task, seed, laws[name]) for name in laws for task in TASKS for seed in range(n_seeds)]
    trajectories = pd.DataFrame({column: np.concatenate([rows[column] for rows in runs]) for column in runs[0]})
    trajectories = trajectories.astype({"optimizer": "category", "task": "category"})
    return Study(trajectories, about(optimizers=list(laws), seeds=list(range(n_seeds))))


def train_seconds(task: str, regret: pd.Series) -> pd.Series:
    """Seconds of a training, half of a full one for a regret of 0."""
    return 50 * TASKS[task][1] * 0.5 / (1 + 20 * regret)


def on_disk(path: Path, n_seeds: int = 5, laws: dict[str, tuple[float, float, int]] | None = None) -> Study:
    """A study that was written and read."""
    return Study.read(write_study(fake_study(n_seeds, laws), path))


def write_study(study: Study, path: Path) -> Path:
    """Write a study as `experiments.compare` does; every row but that of the end is a result."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "study.json").write_text(json.dumps(study.about))
    study.trajectories.to_parquet(path / "trajectories.parquet")
    for (optimizer, task), rows in study.trajectories.groupby(["optimizer", "task"], observed=True):
        cell = path / "cells" / str(optimizer) / str(task) / f"0-{rows['seed'].max()}.parquet"
        cell.parent.mkdir(parents=True, exist_ok=True)
        results = rows[~rows.duplicated(["seed", "epochs_continued"])]
        results = results.assign(train_seconds=train_seconds(str(task), results["regret"]))
        best = {f"best_{name}": results[name] for name in ("epoch", "val_loss", "test_loss", "train_seconds")}
        results.assign(**best).drop(columns=["optimizer", "task", "regret"]).to_parquet(cell)
    return path
