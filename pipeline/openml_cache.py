"""OpenML tasks on disk: read here, without the client that downloads them (openml_download.py).

The client (openml 0.15) writes pickles beside the files, deletes the folder of a task when one of them cannot be read, and
takes 1.5 s to import; reading needs none of this, and works on a cache that cannot be written.

The layout is the client's: ``org/openml/www/tasks/<id>/{task.xml, datasplits.arff}`` and
``org/openml/www/datasets/<id>/{description.xml, dataset_<id>.pq}``, or ``dataset.arff`` where OpenML has no Parquet file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lcbench.errors import UserError
from lcbench.task import Kind

VARIABLE = "OPENML_CACHE_DIR"
"""The client's own environment variable: set by `use_openml_cache`, so that the client and every child see the same cache."""
SITE = Path("org", "openml", "www")
KINDS: dict[str, Kind] = {"1": "classification", "2": "regression"}
"""OpenML's numbers of the two task types that are trained here."""
XML = "{http://openml.org/openml}"

Content = TypeVar("Content")


@dataclass(frozen=True)
class Problem:
    """What a task.xml says."""

    task: int
    """Number of the OpenML task."""
    kind: Kind
    """Classification or regression."""
    dataset: int
    """Number of the OpenML data set."""
    target: str
    """Name of the target column."""


def use_openml_cache(directory: str | None = None) -> Path:
    """Choose the cache directory for this process and its children.

    Args:
        directory: the directory that holds, or will hold, ``org/openml/www``; None for the environment variable
            OPENML_CACHE_DIR or, where it is not set, for the client's own default.

    Returns:
        the directory in use, absolute. It need not exist.
    """
    if directory is not None:
        os.environ[VARIABLE] = str(_absolute(directory))
    if VARIABLE in os.environ:
        return _absolute(os.environ[VARIABLE])
    return _absolute(client().config.get_config_as_dict()["cachedir"])


def _absolute(directory: str | Path) -> Path:
    return Path(directory).expanduser().resolve()


def read_problem(task: int, root: Path) -> Problem:
    """Read task.xml.

    Raises:
        UserError: if it cannot be read, or the task is neither a classification nor a regression.
    """
    path = root / SITE / "tasks" / str(task) / "task.xml"
    number, name, dataset, target = _read(path, _task_fields)
    if number not in KINDS:
        raise UserError(f"OpenML task {task} is of type {name!r}, but must be Supervised Classification or Supervised Regression")
    return Problem(task, KINDS[number], dataset, target)


def _task_fields(path: Path) -> tuple[str, str, int, str]:
    document = ElementTree.parse(path)
    number = _text(document, "task_type_id")
    if number not in KINDS:
        return number, _text(document, "task_type"), 0, ""
    return number, "", int(_text(document, "data_set_id")), _text(document, "target_feature")


def _text(document: Any, name: str) -> str:
    text = document.findtext(f".//{XML}{name}")
    if text is None:
        raise ValueError(f"it has no {name}")
    return str(text).strip()


def read_table(problem: Problem, root: Path) -> pd.DataFrame:
    """Read the table of a task's data set, without the columns that OpenML marks as row numbers or to be ignored.

    Raises:
        UserError: if a file cannot be read, or the target is not among the columns.
    """
    folder = root / SITE / "datasets" / str(problem.dataset)
    excluded, arff_format = _read(folder / "description.xml", _description)
    path = _table_path(folder)
    if path.suffix == ".arff":
        table = _read(path, lambda arff: _read_arff(arff, problem.dataset, arff_format))
    else:
        table = _read(path, pd.read_parquet)
    if problem.target not in table.columns:
        raise UserError(f"{path} has no column {problem.target!r}, which is the target of OpenML task {problem.task}: {_REPAIR}")
    return table.drop(columns=[name for name in table.columns if name in excluded and name != problem.target])


def _description(path: Path) -> tuple[set[str], str]:
    document = ElementTree.parse(path)
    marked = [element.text for name in ("row_id_attribute", "ignore_attribute") for element in document.iter(f"{XML}{name}")]
    return {name.strip() for name in marked if name}, _text(document, "format")


def _table_path(folder: Path) -> Path:
    names = (f"dataset_{folder.name}.pq", "dataset.pq", "dataset.arff")  # newer, older clients, no Parquet on the server
    return next((folder / name for name in names if (folder / name).is_file()), folder / names[0])


def _read_arff(path: Path, dataset: int, arff_format: str) -> pd.DataFrame:
    data = client().datasets.OpenMLDataset(f"data set {dataset}", None, arff_format, dataset_id=dataset, data_file=str(path))
    return data.get_data()[0]


def read_folds(problem: Problem, root: Path, n: int) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Read the official split of a task: training and test rows of every fold of the first repeat, in the file's order.

    Args:
        problem: the task.
        root: the cache directory.
        n: number of rows of the table.

    Raises:
        UserError: if datasplits.arff cannot be read, or does not place every row once in every fold.
    """
    path = root / SITE / "tasks" / str(problem.task) / "datasplits.arff"
    return _read(path, lambda arff: _folds(arff, n))


def _folds(path: Path, n: int) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    names = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if words and words[0].lower() == "@attribute":
                names.append(words[1].strip("'\"").lower())
            if words and words[0].lower() == "@data":
                break
        rows = pd.read_csv(file, names=names, comment="%", skipinitialspace=True)
    rows = rows[rows["repeat"] == 0]
    folds = {}
    for fold in rows["fold"].unique():
        part = rows[rows["fold"] == fold]
        order = part["rowid"].to_numpy()
        if not np.array_equal(np.sort(order), np.arange(n)) or not part["type"].isin(["TRAIN", "TEST"]).all():
            raise ValueError(f"fold {int(fold)} does not place each of the {n} rows once")
        train = (part["type"] == "TRAIN").to_numpy()
        folds[int(fold)] = (order[train].astype(np.int64), order[~train].astype(np.int64))
    return folds


_REPAIR = "make it readable, or delete this file, and with internet the same command downloads it again"


def _read(path: Path, reader: Callable[[Path], Content]) -> Content:
    try:
        return reader(path)
    except Exception as error:  # xml, parquet, ARFF and pickles: whatever a damaged file raises
        raise UserError(f"{path} in the OpenML cache cannot be read ({reason(error)}): {_REPAIR}") from error


def missing_file(task: int, root: Path) -> Path | None:
    """The first file of a task that is not in the cache, or None.

    Raises:
        UserError: if the cache, or the task.xml in it, cannot be read.
    """
    try:
        folder = root / SITE / "tasks" / str(task)
        if not (folder / "task.xml").is_file():
            return folder / "task.xml"
        dataset = root / SITE / "datasets" / str(read_problem(task, root).dataset)
        needed = (folder / "datasplits.arff", dataset / "description.xml", _table_path(dataset))
        return next((path for path in needed if not path.is_file()), None)
    except OSError as error:
        raise UserError(f"the OpenML cache {root} cannot be read ({error}): make it readable, or set {VARIABLE} to another") from error


def reason(error: Exception) -> str:
    """An exception on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def client() -> Any:
    """The OpenML client, imported when it is needed.

    Raises:
        UserError: if it cannot make its folders.
    """
    try:
        import openml
    except OSError as error:  # the client makes its folders when it is imported
        raise UserError(
            f"the OpenML client cannot make its folders ({error}): set HOME and {VARIABLE} to directories that can be written"
        ) from error
    return openml
