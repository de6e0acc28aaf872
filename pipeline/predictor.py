"""A model to keep: preprocessing, members and weights in one folder, for tables that nobody has seen yet.

::

    predictor/predictor.json           columns, classes, members with their weights
    predictor/members/<name>.pt|.pkl   networks and traditional models, each with one part per fold
    predictor/preprocessors/<key>.pkl  what the networks see of a table
    refitted/                          the same trained again on more rows, where that was asked for (`pipeline.refitting`)

It loads without the search: no ConfigSpace, no hydra, no optimizers. Traditional models and preprocessors are pickles, so load only a
predictor that you trust, with the library versions it was made with (a different one of scikit-learn warns).
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lcbench.errors import UserError
from pipeline.ensemble import mean
from pipeline.members import FOLDER as MEMBERS
from pipeline.members import PREPROCESSORS, Kept, model_file, read_kept
from pipeline.preprocessing.columns import Columns

FOLDER = "predictor"
REFITTED = "refitted"
"""Folder of the members that were trained again; in a run directory it comes first."""
ROWS = 8192
"""Rows that are predicted at once, which bounds the memory of all members' views of a table."""


class Model(Protocol):
    """A fitted network or traditional model."""

    def predict(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Class probabilities (n, C), or predictions (n, 1), of the rows of its view."""
        ...


class FittedNetwork:
    """A network as it was stored."""

    def __init__(self, state: Mapping[str, Any]) -> None:  # of `members.network_state`
        import torch

        from pipeline.networks.network import build_network
        from pipeline.scores import ClassificationScores, RegressionScores

        self.settings: Mapping[str, Any] = state["settings"]
        (n_features, n_outputs), (mean, scale) = state["sizes"], state["target"]
        self._network = build_network(
            state["settings"], n_features, n_outputs, cardinalities=state["cardinalities"], seed=state["seed"]
        ).eval()
        self._network.load_state_dict(state["weights"])
        classify = str(state["settings"]["loss"]).startswith("cross_entropy")
        self._scores: Any = RegressionScores(scale, mean)
        if classify:
            self._scores = ClassificationScores(torch.tensor(state["divisors"] or [1.0]))
            self._scores.unweighted = bool(state["divisors"])

    def predict(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Class probabilities (n, C), or predictions (n, 1) in the target's unit, of preprocessed rows."""
        import torch

        with torch.inference_mode(), _one_thread():
            outputs = torch.cat([self._network(part) for part in torch.from_numpy(rows).split(ROWS)])
        return self._scores.predictions(outputs)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch works in one thread, which small networks are fastest in, and afterwards in as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Part:
    """A model and what it sees of a table; a member has one for every fold."""

    model: Model
    """What predicts."""
    view: str = ""
    """The key of a preprocessor, or nothing for the raw numbers and codes."""


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
    members: tuple[tuple[Part, ...], ...]
    """The parts of each member, which all count the same."""
    preprocessors: Mapping[str, Any]
    """Fitted preprocessors by key; networks that differ in their training alone share one."""

    def predict_proba(self, table: pd.DataFrame) -> NDArray[np.float64]:  # (n, C)
        """Class probabilities of the rows of a table.

        Raises:
            UserError: if the table lacks columns, or the task was a regression.
        """
        if not self.classes:
            raise UserError(f"the task {self.task!r} is a regression, which has no probabilities: use `predict`")
        return self.answer(self.columns.read(table))

    def predict(self, table: pd.DataFrame) -> NDArray[Any]:  # (n,)
        """Labels, or numbers in the target's unit, of the rows of a table.

        Raises:
            UserError: if the table lacks columns.
        """
        answer = self.answer(self.columns.read(table))
        return np.array(self.classes, object)[answer.argmax(1)] if self.classes else answer[:, 0]

    def answer(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, columns) -> (n, C)
        """Class probabilities, or predictions (n, 1), of rows that `columns` has read."""
        answer = np.zeros((len(raw), max(len(self.classes), 1)))
        for start in range(0, len(raw), ROWS):
            answer[start : start + ROWS] = self._mean_of(raw[start : start + ROWS])
        return answer

    def _mean_of(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:  # (rows, columns) -> (rows, C)
        views = {part.view for parts in self.members for part in parts}
        seen = {view: self.preprocessors[view].transform(raw) if view else raw for view in views}
        total = np.zeros((len(raw), max(len(self.classes), 1)))
        for weight, parts in zip(self.weights, self.members, strict=True):
            total += weight * mean([part.model.predict(seen[part.view]) for part in parts]).astype(np.float64)
        return total

    @classmethod
    def load(cls, path: str | Path) -> Predictor:
        """Load a predictor from its folder, or from the run directory around it.

        Raises:
            UserError: if there is none.
        """
        path = Path(path)
        folder = next((one for one in (path, path / REFITTED, path / FOLDER) if (one / "predictor.json").exists()), None)
        if folder is None:
            raise UserError(f"{path} holds no predictor: name the directory of a finished run that kept its models, or its folder {FOLDER}")
        about = description(folder)
        members = tuple(load_parts(folder, name) for name in about["members"])
        views = {part.view for parts in members for part in parts} - {""}
        preprocessors = {view: unpickled(folder / PREPROCESSORS / f"{view}.pkl") for view in views}
        names, weights = zip(*about["members"].items(), strict=True)
        columns, classes = Columns.from_plain(about["columns"]), tuple(about["classes"])
        return cls(about["task"], columns, classes, names, weights, members, preprocessors)


def load_parts(folder: Path, name: str) -> tuple[Part, ...]:
    """The parts of a stored member."""
    path = model_file(folder, name)
    if path.suffix == ".pkl":
        return tuple(Part(model) for model in unpickled(path))
    return tuple(Part(FittedNetwork(state), state["view"]) for state in load_states(path))


def load_states(path: Path) -> list[dict[str, Any]]:
    """What `members.network_state` gave for every part of a network."""
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def unpickled(path: Path) -> Any:
    """Whatever a file holds."""
    with path.open("rb") as file:
        return pickle.load(file)


def assemble(directory: Path, names: Sequence[str], weights: Sequence[float], task: str) -> Path:
    """Copy the members of an ensemble and what they need from a run directory into its folder ``predictor``, which is replaced whole.

    What an earlier ensemble was refitted to goes with it.
    """
    about = json.loads((directory / "prepared" / "raw" / "columns.json").read_text(encoding="utf-8"))
    about = {"task": task, "columns": about["columns"], "classes": about["classes"]}
    with replacing_folder(directory / FOLDER) as temporary:
        for kept in filter(None, (read_kept(directory, name) for name in names)):
            copy_member(directory, kept, temporary)
        describe(temporary, about | {"members": dict(zip(names, map(float, weights), strict=True))})
    shutil.rmtree(directory / REFITTED, ignore_errors=True)
    return directory / FOLDER


def copy_member(source: Path, kept: Kept, to: Path) -> None:
    """Copy a stored model, with the preprocessors that it needs, from a run or a predictor into a predictor."""
    shutil.copy2(model_file(source, kept.name), to / MEMBERS)
    for key in kept.arrays:
        shutil.copy2(source / PREPROCESSORS / f"{key}.pkl", to / PREPROCESSORS)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """A new folder for a predictor, which takes the place of `folder` once it is complete."""
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    for name in (MEMBERS, PREPROCESSORS):
        (temporary / name).mkdir(parents=True)
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    with suppress(FileNotFoundError):
        folder.rename(old)  # a folder that is half removed would be read
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def describe(folder: Path, about: Mapping[str, Any]) -> None:
    """Write predictor.json: `task`, `columns`, `classes`, the weights of the `members`, and of a refit the `rows`."""
    (folder / "predictor.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def description(folder: Path) -> dict[str, Any]:
    """What `describe` wrote."""
    return json.loads((folder / "predictor.json").read_text(encoding="utf-8"))
