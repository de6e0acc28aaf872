"""Small files in the layouts of LCBench's published ones, written by hand; the numbers that are known of those are in them."""

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from lcbench.formats.lcbench_tags import CONSTANTS, HORIZON, SPLITS, STATISTICS

FASHION_0 = {
    "batch_size": 71,
    "max_dropout": 0.0259,
    "max_units": 293,
    "num_layers": 3,
    "learning_rate": 0.001824,
    "momentum": 0.2133,
    "weight_decay": 0.02047,
}
HIGGS_SECOND = {
    "batch_size": 124,
    "max_dropout": 0.0091,
    "max_units": 106,
    "num_layers": 3,
    "learning_rate": 0.0711,
    "momentum": 0.4627,
    "weight_decay": 0.00184,
}
HIGGS_25 = {
    "learning_rate": 0.0557,
    "momentum": 0.833,
    "weight_decay": 0.00553,
    "max_units": 169,
    "num_layers": 4,
    "batch_size": 122,
    "max_dropout": 0.0148,
}
FACTS = {
    "higgs": {"OpenML_task_id": 167200, "test_split": 0.33, "instances": 98050, "classes": 2, "features": 28},
    "Fashion-MNIST": {"OpenML_task_id": 189908, "test_split": 0.33, "instances": 70000, "classes": 10, "features": 784},
    "volkert": {"OpenML_task_id": 168331, "test_split": 0.3300120047, "instances": 58310, "classes": 10, "features": 180},
}
TAGS = (
    "Train/loss",
    "Train/train_accuracy",
    "Train/val_accuracy",
    "Train/test_result",
    *(f"Train/{split}_{name}" for split in SPLITS for name in ("balanced_accuracy", "cross_entropy")),
    "Train/lr",
)


def configuration(i: int, **values: Any) -> dict[str, Any]:
    """The i-th of a few made-up configurations, as published: one layer is ``true``."""
    n_layers = 1 + i % 4
    return {
        "batch_size": 16 + i,
        "learning_rate": 1e-3 * (i + 1),
        "momentum": 0.5,
        "weight_decay": 0.01,
        "num_layers": True if n_layers == 1 else n_layers,
        "max_units": 64 + i,
        "max_dropout": 0.1 * (i % 10),
        **values,
    }


def log(config: dict[str, Any], n: int, rng: np.random.Generator, *, gradients: bool = False) -> dict[str, list[float]]:
    """Curves of n entries, all digits."""
    tags = list(TAGS)
    if gradients:
        tags += ["Train/gradient_norm", *(f"Train/gradient_{statistic}" for statistic in STATISTICS)]
        tags += [f"Train/layer_wise_gradient_{s}_layer_{i}" for i in range(int(config["num_layers"])) for s in STATISTICS]
    seconds = np.cumsum(rng.uniform(0, 2, n)).tolist()
    return {"time": seconds, "epoch": list(range(n))} | {tag: (100 * rng.random(n)).tolist() for tag in tags}


def results(curves: dict[str, list[float]], task: str, horizon: int, seed: int = 1) -> dict[str, Any]:
    """The scalars of a training."""
    finals = {
        f"final_{split}_{name}": curves[f"Train/{split}_{name}"][-1] for split in SPLITS for name in ("balanced_accuracy", "cross_entropy")
    }
    accuracies = {"train": "Train/train_accuracy", "val": "Train/val_accuracy", "test": "Train/test_result"}
    finals |= {f"final_{split}_accuracy": curves[tag][-1] for split, tag in accuracies.items()}
    return {"model_parameters": 1234, **finals, **FACTS[task], "budget": horizon, "seed": seed}


def single(task: str, config: dict[str, Any], rng: np.random.Generator, *, gradients: bool = False, **tags: list[float]) -> dict[str, Any]:
    """One entry of data_2k*.json; `tags` replaces curves, ``Train/`` left out."""
    curves = log(config, 52, rng, gradients=gradients) | {f"Train/{tag}": values for tag, values in tags.items()}
    return {"log": curves, "results": results(curves, task, 50), "config": {**config, **CONSTANTS, HORIZON: 50}}


def extended(task: str, config: dict[str, Any], rng: np.random.Generator, budgets: tuple[int, ...] = (6, 12, 25, 50)) -> dict[str, Any]:
    """One entry of bench_full.json."""
    entry = {}
    for budget in budgets:
        logs = {str(seed): log(config, budget + 2, rng) for seed in (1, 2, 3)}
        scalars = {seed: results(curves, task, budget, int(seed)) for seed, curves in logs.items()}
        entry[str(budget)] = {"config": {**config, **CONSTANTS, HORIZON: budget}, "results": scalars, "log": logs}
    return entry


def known(*, gradients: bool = False) -> dict[str, Any]:
    """A file in the layout of data_2k.json that has every number that is known of the published one."""
    rng = np.random.default_rng(0)
    loss = [0.70222, 0.69018, *np.linspace(0.69, 0.64, 49).tolist(), 0.63995]
    best = [51.195, 63.482, 65.899, *np.linspace(66, 71, 40).tolist(), 71.887, *[71.5] * 7, 71.827]
    higgs = {str(i): single("higgs", configuration(i), rng, gradients=gradients, val_accuracy=[50.0 + i] * 52) for i in range(5)}
    higgs["0"]["log"]["Train/loss"] = loss
    higgs["3"]["log"]["Train/val_accuracy"] = best
    higgs["7"] = single("higgs", HIGGS_SECOND, rng, gradients=gradients, val_accuracy=[50.0] * 51 + [71.6])
    higgs["1999"] = single(
        "higgs", configuration(9), rng, gradients=gradients, val_accuracy=[50.0] * 52, val_cross_entropy=[0.7] * 51 + [math.nan]
    )
    fashion = {"0": single("Fashion-MNIST", FASHION_0, rng, gradients=gradients)}
    volkert = {str(i): single("volkert", configuration(i), rng, gradients=gradients) for i in range(3)}
    return {"Fashion-MNIST": fashion, "higgs": higgs, "volkert": volkert}


def known_extended() -> dict[str, Any]:
    """A file in the layout of bench_full.json, two trainings missing."""
    rng = np.random.default_rng(1)
    higgs = {str(i): extended("higgs", configuration(i), rng) for i in range(3)}
    higgs["1"] = extended("higgs", HIGGS_25, rng)
    del higgs["2"]["50"]["log"]["1"], higgs["2"]["50"]["results"]["1"]
    del higgs["0"]["12"]
    return {"higgs": higgs}


def changed(content: dict[str, Any], *steps: str, to: Any = None) -> dict[str, Any]:
    """A copy of a file in which the value at a path is another one, or is missing."""
    content = copy.deepcopy(content)
    parent = content
    for step in steps[:-1]:
        parent = parent[step]
    if to is None:
        del parent[steps[-1]]
    else:
        parent[steps[-1]] = to
    return content


def write(path: Path, content: dict[str, Any]) -> Path:
    """Write a file as the published ones are written."""
    path.write_text(json.dumps(content), encoding="ascii")
    return path
