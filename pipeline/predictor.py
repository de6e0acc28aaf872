"""A model to keep: preprocessing, members and weights in one folder, for tables that nobody has seen yet.

::

    predictor/predictor.json           columns, classes, members with their weights
    predictor/members/<name>.pt|.pkl   networks and traditional models
    predictor/preprocessors/<key>.pkl  what the networks see of a table

It loads without the search: no ConfigSpace, no hydra, no optimizers. Traditional models and preprocessors are pickles, so load only a
predictor that you trust, with the library versions it was made with (a different one of scikit-learn warns).
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lcbench.errors import UserError
from pipeline.members import PREPROCESSORS, model_file, read_kept
from pipeline.preprocessing.columns import Columns

FOLDER = "predictor"


class Member(Protocol):
    """A fitted model of an ensemble."""

    def predict(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Class probabilities (n, C), or predictions (n, 1), of the rows of its view."""
        ...


class NetworkMember:
    """A network as it was stored."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        import torch

        from pipeline.networks.network import build_network
        from pipeline.scores import ClassificationScores, RegressionScores

        (n_features, n_outputs), (mean, scale) = state["sizes"], state["target"]
        self._network = build_network(
            state["settings"], n_features, n_outputs, cardinalities=state["cardinalities"], seed=state["seed"]
        ).eval()
        self._network.load_state_dict(state["weights"])
        classify = str(state["settings"]["loss"]).startswith("cross_entropy")
        self._scores = ClassificationScores(torch.ones(n_outputs)) if classify else RegressionScores(scale, mean)

    def predict(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Class probabilities (n, C), or predictions (n, 1) in the target's unit, of preprocessed rows."""
        import torch

        with torch.inference_mode():
            outputs = torch.cat([self._network(part) for part in torch.from_numpy(rows).split(8192)])
        return self._scores.predictions(outputs)


@dataclass(frozen=True)
class Predictor:
    """A weighted mean of members."""

    task: str
    """Name of the task that it was trained on."""
    columns: Columns
    """What a table must have."""
    classes: tuple[str, ...]  # (C,)
    """Class labels in the order of the probabilities; empty for regression."""
    names: tuple[str, ...]
    """Names of the members."""
    weights: tuple[float, ...]
    """Weights of the members, which sum to 1."""
    members: tuple[Member, ...]
    """The members themselves."""
    views: tuple[str, ...]
    """What each member sees of a table: the key of a preprocessor, or nothing for the raw numbers and codes."""
    preprocessors: Mapping[str, Any]
    """Fitted preprocessors by key; networks that differ in their training alone share one."""

    def predict_proba(self, table: pd.DataFrame) -> NDArray[np.float64]:  # (n, C)
        """Class probabilities of the rows of a table.

        Raises:
            UserError: if the table lacks columns, or the task was a regression.
        """
        if not self.classes:
            raise UserError(f"the task {self.task!r} is a regression, which has no probabilities: use `predict`")
        return self._mean(table)

    def predict(self, table: pd.DataFrame) -> NDArray[Any]:  # (n,)
        """Labels, or numbers in the target's unit, of the rows of a table.

        Raises:
            UserError: if the table lacks columns.
        """
        mean = self._mean(table)
        return np.array(self.classes, object)[mean.argmax(1)] if self.classes else mean[:, 0]

    def _mean(self, table: pd.DataFrame) -> NDArray[np.float64]:
        raw = self.columns.read(table)
        if not len(raw):
            return np.zeros((0, max(len(self.classes), 1)))
        seen = {view: self.preprocessors[view].transform(raw) if view else raw for view in set(self.views)}
        mean = np.zeros((len(raw), max(len(self.classes), 1)))
        for weight, member, view in zip(self.weights, self.members, self.views, strict=True):
            mean += weight * member.predict(seen[view]).astype(np.float64)
        return mean

    @classmethod
    def load(cls, path: str | Path) -> Predictor:
        """Load a predictor from its folder, or from the run directory around it.

        Raises:
            UserError: if there is none.
        """
        path = Path(path)
        folder = path if (path / "predictor.json").exists() else path / FOLDER
        if not (folder / "predictor.json").exists():
            raise UserError(f"{path} holds no predictor: name the directory of a finished run that kept its models, or its folder {FOLDER}")
        about = json.loads((folder / "predictor.json").read_text(encoding="utf-8"))
        members, views = zip(*(_load_member(folder, name) for name in about["members"]), strict=True)
        preprocessors = {view: _unpickled(folder / PREPROCESSORS / f"{view}.pkl") for view in set(views) - {""}}
        names, weights = zip(*about["members"].items(), strict=True)
        columns, classes = Columns.from_plain(about["columns"]), tuple(about["classes"])
        return cls(about["task"], columns, classes, names, weights, members, views, preprocessors)


def _load_member(folder: Path, name: str) -> tuple[Member, str]:
    """A member and its view."""
    path = model_file(folder, name)
    if path.suffix == ".pkl":
        return _unpickled(path), ""
    import torch

    torch.set_num_threads(1)
    state = torch.load(path, map_location="cpu", weights_only=True)
    return NetworkMember(state), state["arrays"]


def _unpickled(path: Path) -> Any:
    with path.open("rb") as file:
        return pickle.load(file)


def assemble(directory: Path, names: Sequence[str], weights: Sequence[float], task: str) -> Path:
    """Copy the members of an ensemble and what they need from a run directory into its folder ``predictor``, which is replaced whole."""
    folder, temporary = directory / FOLDER, directory / f".{FOLDER}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "members").mkdir(parents=True)
    (temporary / PREPROCESSORS).mkdir()
    for name in names:
        shutil.copy2(model_file(directory, name), temporary / "members")
    for key in {kept.arrays for name in names if (kept := read_kept(directory, name)) and kept.arrays}:
        shutil.copy2(directory / PREPROCESSORS / f"{key}.pkl", temporary / PREPROCESSORS)
    about = json.loads((directory / "prepared" / "raw" / "columns.json").read_text(encoding="utf-8"))
    about |= {"task": task, "members": dict(zip(names, map(float, weights), strict=True))}
    (temporary / "predictor.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    return temporary.rename(folder)
