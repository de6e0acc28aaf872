"""What an ensemble is made of: trained models on disk, each with its predictions for the validation and the test rows.

A model consists of as many *parts* as there are folds: one where validation rows are held out.

::

    members/<name>.npz         predictions, and what the model cost
    members/<name>.pt | .pkl   its parts: weights of networks with their settings, or pickled traditional models
    preprocessors/<key>.pkl    what a network sees of a table

Notation: n rows, C columns of predictions (class probabilities, or 1 for a regression).
"""

from __future__ import annotations

import json
import pickle
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lcbench.files import replacing

if TYPE_CHECKING:
    from pipeline.learner import Learner
    from pipeline.training import Training

FOLDER = "members"
PREPROCESSORS = "preprocessors"
MODELS = (".pt", ".pkl")
"""What a model is stored as: a network, or a traditional model."""
TIMED_ROWS = 1000
"""Rows that the time of a prediction is measured on, at most."""


@dataclass(frozen=True)
class Kept:
    """The predictions of a stored model."""

    name: str
    """Name of its files: ``trial-epoch`` of a network, or that of a traditional model."""
    val: NDArray[np.float32]  # (n_val, C)
    """Predictions of the validation rows, each by the part that has not seen it."""
    test: NDArray[np.float32]  # (n_test, C)
    """The mean over the parts for the test rows."""
    ms: float
    """Milliseconds per 1,000 rows to predict, preprocessing included."""
    seconds: float
    """Seconds of training."""
    arrays: tuple[str, ...] = ()
    """Keys of the preprocessors of its parts, of a network."""


def keep_networks(directory: Path, training: Training, name: str, arrays: Sequence[Path], epoch: int) -> None:
    """Store the networks of a training as they were last judged, after `epoch` epochs.

    Args:
        directory: the run.
        training: what is stored.
        name: under which name.
        arrays: for every fold the folder of the preprocessed arrays, whose preprocessor is kept as well.
        epoch: epochs of the networks that were judged.
    """
    import torch

    ms = sum(learner.data.ms + _milliseconds(learner) for learner in training.learners)
    for folder in (FOLDER, PREPROCESSORS):
        (directory / folder).mkdir(exist_ok=True)
    for path in arrays:
        keep_preprocessor(directory, path.name, path / "preprocessor.pkl")
    rates = [entry.values["learning_rate"] for entry in training.entries[: epoch + 1]]
    parts = [network_state(learner, path.name, rates) for learner, path in zip(training.learners, arrays, strict=True)]
    with replacing(directory / FOLDER / f"{name}.pt") as temporary:
        torch.save(parts, temporary)
    keys = tuple(path.name for path in arrays)
    kept = Kept(name, training.validation_predictions(), training.test_predictions(), ms, training.entries[-1].seconds, keys)
    _keep_predictions(directory, kept)


def keep_preprocessor(directory: Path, key: str, file: Path) -> None:
    """Copy a pickled preprocessor to where the networks of a folder look for it."""
    target = directory / PREPROCESSORS / f"{key}.pkl"
    if not target.exists():
        with replacing(target) as temporary:
            shutil.copyfile(file, temporary)


def network_state(learner: Learner, view: str, rates: Sequence[float]) -> dict[str, Any]:
    """All that is needed to predict with a network, or to train it again on other rows.

    Args:
        learner: trains it.
        view: the key of its preprocessor.
        rates: learning rate of every entry of its curve, that of the untrained network included: a schedule may have looked at losses.
    """
    recipe, data = learner.recipe, learner.data
    return {
        "settings": dict(recipe.settings),
        "seed": recipe.seed,
        "horizon": recipe.horizon,
        "epoch": len(rates) - 1,
        "rates": list(rates),
        "sizes": [learner.n_features, data.info.n_outputs],
        "cardinalities": list(data.cardinalities),
        "target": [data.y_mean, data.y_scale],
        "divisors": learner.divisors,
        "view": view,
        "weights": learner.judged.state_dict(),
    }


def _milliseconds(learner: Learner) -> float:
    """Per 1,000 rows behind the preprocessing."""
    import torch

    rows = learner.X["val"][:TIMED_ROWS]
    start = time.perf_counter()
    with torch.inference_mode():
        learner.judged(rows)
    return (time.perf_counter() - start) * 1e6 / len(rows)


def keep_models(directory: Path, models: Sequence[Any], kept: Kept) -> None:
    """Store the parts of a traditional model."""
    (directory / FOLDER).mkdir(exist_ok=True)
    with replacing(directory / FOLDER / f"{kept.name}.pkl") as temporary, temporary.open("wb") as file:
        pickle.dump(list(models), file)
    _keep_predictions(directory, kept)


def _keep_predictions(directory: Path, kept: Kept) -> None:
    about = np.array(json.dumps({"ms": kept.ms, "seconds": kept.seconds, "arrays": kept.arrays}))
    with replacing(directory / FOLDER / f"{kept.name}.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, val=kept.val, test=kept.test, about=about)


def read_kept(directory: Path, name: str) -> Kept | None:
    """The predictions of a stored model; None if there are none, because it failed or was dropped."""
    path = directory / FOLDER / f"{name}.npz"
    if not path.exists():
        return None
    with np.load(path) as file:
        about: dict[str, Any] = json.loads(str(file["about"]))
        return Kept(name, file["val"], file["test"], about["ms"], about["seconds"], tuple(about["arrays"]))


def drop(directory: Path, name: str) -> None:
    """Remove a stored model and its predictions."""
    for suffix in (".npz", *MODELS):
        (directory / FOLDER / f"{name}{suffix}").unlink(missing_ok=True)


def drop_preprocessors(directory: Path, kept: Iterable[Kept]) -> None:
    """Remove the preprocessors that no stored network needs; only while none is being stored."""
    needed = {f"{key}.pkl" for one in kept for key in one.arrays}
    for path in (directory / PREPROCESSORS).glob("*.pkl"):
        if path.name not in needed:
            path.unlink()


def model_file(directory: Path, name: str) -> Path:
    """The file that holds a stored model."""
    return next(path for suffix in MODELS if (path := directory / FOLDER / f"{name}{suffix}").exists())
