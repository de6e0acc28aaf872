"""What an ensemble is made of: trained models on disk, each with its predictions for the validation and the test rows.

::

    members/<name>.npz         predictions, and what the model cost
    members/<name>.pt | .pkl   the model: weights of a network with its settings, or a pickled traditional model
    preprocessors/<key>.pkl    what the networks see of a table
"""

from __future__ import annotations

import json
import pickle
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lcbench.files import replacing

if TYPE_CHECKING:
    from pipeline.predictor import Member
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
    val: NDArray[np.float32]  # (n_val, C) or (n_val, 1)
    """Class probabilities, or predictions in the target's unit."""
    test: NDArray[np.float32]  # (n_test, C) or (n_test, 1)
    """The same for the test rows."""
    ms: float
    """Milliseconds per 1,000 rows to predict, preprocessing included."""
    seconds: float
    """Seconds of training."""
    arrays: str = ""
    """Folder of the preprocessing behind which a network was trained."""


def keep_network(directory: Path, training: Training, name: str, arrays: Path) -> None:
    """Store a network as it was last judged, with the preprocessor of the folder `arrays`, behind which it was trained."""
    import torch

    network, recipe, data = training.judged, training.recipe, training.data
    state = {
        "settings": dict(recipe.settings),
        "seed": recipe.seed,
        "sizes": [training.X["train"].shape[1] - len(data.cardinalities), data.info.n_outputs],
        "cardinalities": list(data.cardinalities),
        "target": [data.y_mean, data.y_scale],
        "arrays": arrays.name,
        "weights": network.state_dict(),
    }
    rows = training.X["val"][:TIMED_ROWS]
    start = time.perf_counter()
    with torch.inference_mode():
        network(rows)
    ms = data.ms + (time.perf_counter() - start) * 1e6 / len(rows)
    for folder in (FOLDER, PREPROCESSORS):
        (directory / folder).mkdir(exist_ok=True)
    if not (directory / PREPROCESSORS / f"{arrays.name}.pkl").exists():
        with replacing(directory / PREPROCESSORS / f"{arrays.name}.pkl") as temporary:
            shutil.copyfile(arrays / "preprocessor.pkl", temporary)
    with replacing(directory / FOLDER / f"{name}.pt") as temporary:
        torch.save(state, temporary)
    kept = Kept(name, training.predictions("val"), training.predictions("test"), ms, training.entries[-1].seconds, arrays.name)
    _keep_predictions(directory, kept)


def keep_model(directory: Path, model: Member, kept: Kept) -> None:
    """Store a traditional model."""
    (directory / FOLDER).mkdir(exist_ok=True)
    with replacing(directory / FOLDER / f"{kept.name}.pkl") as temporary, temporary.open("wb") as file:
        pickle.dump(model, file)
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
        return Kept(name, file["val"], file["test"], **about)


def drop(directory: Path, name: str) -> None:
    """Remove a stored model and its predictions."""
    for suffix in (".npz", *MODELS):
        (directory / FOLDER / f"{name}{suffix}").unlink(missing_ok=True)


def model_file(directory: Path, name: str) -> Path:
    """The file that holds a stored model."""
    return next(path for suffix in MODELS if (path := directory / FOLDER / f"{name}{suffix}").exists())
