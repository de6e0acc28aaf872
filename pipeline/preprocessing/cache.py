"""Preprocessed arrays, made once for all trials with the same preprocessing, and then mapped into memory; the oldest make room.

::

    prepared/raw/        the table as it came (`raw.RawTable`)
    prepared/<hash>/     what one preprocessing makes of it: arrays, and the fitted preprocessor
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.task import TaskInfo
from pipeline.balancing import balanced, changes
from pipeline.preprocessing.prepared import Prepared
from pipeline.preprocessing.preprocessor import Preprocessor
from pipeline.preprocessing.raw import SPLITS, RawTable, SplitName

CHOICES = ("coalescer", "encoder", "scaler", "preprocessor", "embedding", "over_sampling", "under_sampling", "target_size")
"""Settings that decide what the arrays are, each with the settings of the component that it names."""
ALONE = ("imputer.numerical",)
"""Further settings that do."""
MOST_BYTES, RECENT_SECONDS = 4 * 2**30, 600.0
"""All arrays of a run together take no more room on the disk, but for those that were asked for in the last minutes."""
OF_THE_NETWORK = ("learned.dimension_reduction",)
"""A setting of a component that does not."""


def relevant(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings on which the arrays depend."""
    chosen = tuple(f"{settings[choice]}." for choice in CHOICES)
    names = {*CHOICES, *ALONE} | {name for name in settings if name.startswith(chosen)}
    return {name: settings[name] for name in sorted(names - {*OF_THE_NETWORK})}


def folder(directory: Path, settings: Mapping[str, Any], seed: int, fold: int = 0) -> Path:
    """Where the arrays of these settings lie: a hash of all that they depend on, beside the table of the same directory."""
    text = json.dumps({"seed": seed, "fold": fold, **relevant(settings)}, sort_keys=True)
    return directory / hashlib.sha256(text.encode()).hexdigest()[:16]


def prepared(directory: Path, settings: Mapping[str, Any], seed: int, info: TaskInfo, fold: int = 0) -> Prepared:
    """The arrays of a preprocessing, from the cache, or made now and kept; several processes may ask at once."""
    path = folder(directory, settings, seed, fold)
    if (found := _used(path, info)) is not None:
        return found
    made, preprocessor = make(RawTable.load(directory / "raw", info).fold(fold), settings, seed)
    _keep(made, preprocessor, path)
    _make_room(directory)
    found = _used(path, info)
    return made if found is None else found


def _used(path: Path, info: TaskInfo) -> Prepared | None:
    """The arrays of a folder, which count as used now, None if there are none; on a disk of this machine what is mapped stays."""
    try:
        data = Prepared.load(path, info)
        os.utime(path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESTALE):
            raise
        return None
    return data


def _make_room(directory: Path) -> None:
    """Remove what a killed process left half written, and, if all arrays take more than `MOST_BYTES`, those asked for longest ago."""
    found = []
    for path in directory.iterdir():
        with suppress(OSError):  # another process may do the same
            if path.name.startswith("."):
                if time.time() - max(file.stat().st_mtime for file in (path, *path.iterdir())) > RECENT_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)
            elif path.name != "raw":
                found.append((path.stat().st_mtime, path, sum(file.stat().st_size for file in path.iterdir())))
    room = MOST_BYTES
    for asked_for, path, size in sorted(found, reverse=True):
        room -= size
        if room < 0 and time.time() - asked_for > RECENT_SECONDS:
            away = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            with suppress(OSError):
                path.rename(away)  # whole or not at all
            shutil.rmtree(away, ignore_errors=True)


def preprocessor_at(path: Path) -> Preprocessor:
    """The fitted preprocessor of a folder of the cache."""
    with (path / "preprocessor.pkl").open("rb") as file:
        return pickle.load(file)


def make(raw: RawTable, settings: Mapping[str, Any], seed: int) -> tuple[Prepared, Preprocessor]:
    """Fit a preprocessor on the training rows, transform every split, and balance the classes of the training rows."""
    info = raw.info
    preprocessor = Preprocessor(settings, raw.columns.nominal, info.kind, seed)
    values = {split: raw.values[raw.rows[split]] for split in SPLITS}
    y = {split: raw.target(split) for split in SPLITS}
    preprocessor.fit(values["train"], y["train"])
    start = time.perf_counter()
    X: dict[SplitName, NDArray[np.float32]] = {split: preprocessor.transform(values[split]) for split in SPLITS}
    ms = (time.perf_counter() - start) * 1e6 / sum(len(rows) for rows in X.values())
    shares: tuple[float, ...] = ()
    mean, scale = (0.0, 1.0) if info.kind == "classification" else (float(y["train"].mean()), float(y["train"].std()) or 1.0)
    if info.kind == "classification":
        X["train"], now = balanced(X["train"], y["train"], settings, seed)
        shares, y["train"] = changes(y["train"], now, info.n_classes), now
    else:
        y = {split: ((target - mean) / scale).astype(np.float32) for split, target in y.items()}
    sizes = preprocessor.cardinalities
    return Prepared(info, X, y, y_mean=mean, y_scale=scale, cardinalities=sizes, balanced=shares, ms=ms), preprocessor


def _keep(data: Prepared, preprocessor: Preprocessor, path: Path) -> None:
    """Write a folder of the cache, whole or not at all; where another process was faster, what it wrote stays."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")  # other machines may write here, too
    try:
        data.save(temporary)
        with (temporary / "preprocessor.pkl").open("wb") as file:
            pickle.dump(preprocessor, file)
    except BaseException:  # a full disk shall not stay full
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    try:
        temporary.rename(path)
    except OSError:
        shutil.rmtree(temporary)
