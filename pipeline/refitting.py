"""A chosen member trained again, on more rows than were left to the search: no row is held out any more.

A network trains with the same settings, seed and schedule to the epoch at which it was chosen, a traditional model for as many rounds as it
was found to need (under cross-validation the mean of its parts). Nothing is left to measure it on but test rows. Trained once more with
another seed it gets one more part: where the folds of a search made five models that were averaged, one alone would be a little worse.
"""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lcbench.files import replacing
from lcbench.task import TaskInfo
from pipeline.constant import Constant
from pipeline.members import FOLDER, PREPROCESSORS, model_file, network_state
from pipeline.predictor import FittedNetwork, Part, load_parts, load_states, unpickled
from pipeline.preprocessing import cache
from pipeline.preprocessing.raw import RawTable
from pipeline.threads import one_thread
from pipeline.traditional.model import build


class Refitted(NamedTuple):
    """What there is to say of a member that was trained again."""

    seconds: float
    """How long it took."""
    test: NDArray[np.float32]  # (n_test, C)
    """Its predictions for the test rows, where there are some that it was not trained on."""


def refit(folder: Path, name: str, table: Path, info: TaskInfo, to: Path, repeat: int = 0) -> Refitted | None:
    """Train a member of the predictor in `folder` again, predict the test rows, and store it in another predictor.

    Args:
        folder: the predictor that holds the member.
        name: the member.
        table: where a `RawTable` is saved all of whose training rows are to be used.
        info: the task.
        to: folder of the new predictor.
        repeat: 0 stores a member of one part; 1 trains with the next seed and adds a part, and so on.

    Returns:
        None if another seed would give the same model, so that no part was added.
    """
    start = time.perf_counter()
    raw = RawTable.load(table, info)
    X, path = raw.values[raw.rows["test"]], model_file(folder, name)
    if path.suffix == ".pkl":
        parts = load_parts(folder, name)
        if repeat and not getattr(parts[0].model, "varies", False):
            return None
        test = _refit_traditional(parts, raw, X, to / FOLDER / path.name, repeat)
    else:
        state = load_states(path)[0]
        test = _refit_network(state | {"seed": state["seed"] + repeat}, raw, X, to / FOLDER / path.name, repeat)
    return Refitted(time.perf_counter() - start, test)


def _refit_traditional(parts: Sequence[Part], raw: RawTable, X: NDArray[np.float64], path: Path, repeat: int) -> NDArray[np.float32]:
    """Store the model trained again, and predict `X`."""
    first: Any = parts[0].model
    rounds = [kept for part in parts if (kept := getattr(part.model, "rounds_kept", None))]
    if isinstance(first, Constant):
        model: Any = Constant(raw.info)
    else:
        model = build(
            first.name, raw.info, raw.columns.nominal, seed=first.seed + repeat, rounds=round(np.mean(rounds)) if rounds else None
        )
    model.fit(*raw.part("train"), None, None, deadline=float("inf"))
    test = model.predict(X)
    before = unpickled(path) if repeat else []
    with replacing(path) as temporary, temporary.open("wb") as file:
        pickle.dump([*before, model], file)
    return test


def _refit_network(state: dict[str, Any], raw: RawTable, X: NDArray[np.float64], path: Path, repeat: int) -> NDArray[np.float32]:
    """Store the network trained again and its preprocessor, and predict `X`."""
    import torch

    from pipeline.learner import Recipe
    from pipeline.training import Training

    one_thread()
    recipe = Recipe(state["settings"], state["seed"], state["horizon"])
    data, preprocessor = cache.make(replace(raw, rows=raw.rows | {"test": raw.rows["val"]}), recipe.settings, recipe.seed)
    training = Training([data], recipe, rates=state.get("rates", ()))
    while training.epoch < state["epoch"]:
        entry = training.advance()
        if not math.isfinite(loss := entry.values["train_loss"]):
            raise ValueError(f"its loss is {loss} after epoch {entry.epoch}")
    training.set_shares(unweighted=bool(state["divisors"]))
    folder = path.parents[1]
    view = f"refitted-{cache.folder(folder, recipe.settings, recipe.seed).name}"
    trained = network_state(training.learners[0], view, [entry.values["learning_rate"] for entry in training.entries])
    network = FittedNetwork(trained)
    if not np.isfinite(network.predict(preprocessor.transform(raw.values[raw.rows["train"]]))).all():  # its last step shows in no loss
        raise ValueError(f"what it predicts is not finite after epoch {training.epoch}")
    test = network.predict(preprocessor.transform(X)) if len(X) else np.zeros((0, raw.info.n_outputs), np.float32)
    with replacing(folder / PREPROCESSORS / f"{view}.pkl") as temporary, temporary.open("wb") as pickled:
        pickle.dump(preprocessor, pickled)
    before = load_states(path) if repeat else []
    with replacing(path) as temporary:
        torch.save([*before, trained], temporary)
    return test
