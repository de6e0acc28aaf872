"""A chosen member trained again, on more rows than were left to the search: no row is held out any more.

A network trains with the same settings, seed and schedule to the epoch at which it was chosen, a traditional model for as many rounds as it
was found to need (under cross-validation the mean of its parts). What comes out has one part, and nothing is left to measure it on but
test rows.
"""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lcbench.files import replacing
from lcbench.metric import Metric
from lcbench.task import TaskInfo
from pipeline.constant import Constant
from pipeline.members import FOLDER, PREPROCESSORS, model_file, network_state
from pipeline.metrics import scores
from pipeline.predictor import Part, Predictor, load_parts, load_states
from pipeline.preprocessing import cache
from pipeline.preprocessing.raw import RawTable
from pipeline.traditional.model import build


def refit(folder: Path, name: str, table: Path, info: TaskInfo, to: Path) -> float:
    """Train a member of the predictor in `folder` again and store it in another.

    Args:
        folder: the predictor that holds the member.
        name: the member.
        table: where a `RawTable` is saved all of whose training rows are to be used.
        info: the task.
        to: folder of the new predictor.

    Returns:
        the seconds that it took.
    """
    start = time.perf_counter()
    raw = RawTable.load(table, info)
    path = model_file(folder, name)
    if path.suffix == ".pkl":
        _refit_traditional(load_parts(folder, name), raw, to / FOLDER / path.name)
    else:
        _refit_network(load_states(path)[0], raw, to, path.name)
    return time.perf_counter() - start


def _refit_traditional(parts: Sequence[Part], raw: RawTable, path: Path) -> None:
    first: Any = parts[0].model
    rounds = [kept for part in parts if (kept := getattr(part.model, "rounds_kept", None))]
    if isinstance(first, Constant):
        model: Any = Constant(raw.info)
    else:
        model = build(first.name, raw.info, raw.columns.nominal, seed=first.seed, rounds=round(np.mean(rounds)) if rounds else None)
    model.fit(*raw.part("train"), None, None, deadline=float("inf"))
    with replacing(path) as temporary, temporary.open("wb") as file:
        pickle.dump([model], file)


def _refit_network(state: dict[str, Any], raw: RawTable, to: Path, file: str) -> None:
    import torch

    from pipeline.learner import Recipe
    from pipeline.training import Training

    torch.set_num_threads(1)
    recipe = Recipe(state["settings"], state["seed"], state["horizon"])
    data, preprocessor = cache.make(raw, recipe.settings, recipe.seed)
    training = Training([data], recipe)
    while training.epoch < state["epoch"]:
        training.advance()
    view = f"refitted-{cache.folder(to, recipe.settings, recipe.seed).name}"
    with replacing(to / PREPROCESSORS / f"{view}.pkl") as temporary, temporary.open("wb") as pickled:
        pickle.dump(preprocessor, pickled)
    with replacing(to / FOLDER / file) as temporary:
        torch.save([network_state(training.learners[0], view, state["epoch"])], temporary)


def test_scores(folder: Path, table: Path, info: TaskInfo, metric: Metric) -> dict[str, float]:
    """What a saved predictor reaches on the test rows of a saved table: ``{"test_accuracy": …, …}``."""
    X, y = RawTable.load(table, info).part("test")
    answers = Predictor.load(folder).answer(X)
    return {f"test_{name}": value for name, value in scores(info, y, answers.astype(np.float32), metric).items()}


def members_of(folder: Path) -> dict[str, Any]:
    """The description of a saved predictor: ``{"task", "columns", "classes", "members": {name: weight}}``."""
    return json.loads((folder / "predictor.json").read_text(encoding="utf-8"))
