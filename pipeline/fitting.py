"""One traditional model of a run: fitted in a child, scored like everything else, and kept for the ensemble."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from lcbench.metric import Metric
from lcbench.task import TaskInfo
from pipeline.constant import Constant
from pipeline.ensemble import mean
from pipeline.members import TIMED_ROWS, Kept, keep_models
from pipeline.metrics import scores
from pipeline.preprocessing.raw import RawTable
from pipeline.traditional.model import build


def fit(directory: Path, info: TaskInfo, name: str, metric: Metric, seconds: float, seed: int, *, keep: bool = True) -> dict[str, Any]:
    """Fit the model called `name` on the training rows within `seconds`, store it if it is to `keep`, and return what there is to say.

    Returns:
        ``{"name", "seconds", "predict_seconds_per_1000", "scores": {"val_accuracy": …, "test_accuracy": …, …}}``.
    """
    start = time.perf_counter()
    raw = RawTable.load(directory / "prepared" / "raw", info)
    folds, models, left = [raw.fold(number) for number in range(raw.n_folds)], [], seconds
    for number, fold in enumerate(folds):
        model = Constant(info) if name == Constant.name else build(name, info, raw.columns.nominal, seed=seed)
        begun = time.monotonic()
        model.fit(*fold.part("train"), *fold.part("val"), deadline=begun + left / (len(folds) - number))
        left -= time.monotonic() - begun
        models.append(model)
    taken = time.perf_counter() - start
    held_out = [fold.values[fold.rows["val"]] for fold in folds]
    val = np.concatenate([model.predict(rows) for model, rows in zip(models, held_out, strict=True)])
    ms = sum(_milliseconds(model, rows[:TIMED_ROWS]) for model, rows in zip(models, held_out, strict=True))
    test, test_y = raw.part("test")
    kept = Kept(name, val, mean([model.predict(test) for model in models]), ms, taken)
    if keep:
        keep_models(directory, models, kept)
    found: dict[str, float] = {}
    for split, y, predictions in (("val", raw.target("val"), kept.val), ("test", test_y, kept.test)):
        if len(y) == 0:
            continue
        found |= {f"{split}_{column}": value for column, value in scores(info, y, predictions, metric).items()}
    return {"name": name, "seconds": taken, "predict_seconds_per_1000": kept.ms / 1000, "scores": found}


def _milliseconds(model: Any, rows: np.ndarray[Any, Any]) -> float:
    """Milliseconds per 1,000 rows."""
    start = time.perf_counter()
    model.predict(rows)
    return (time.perf_counter() - start) * 1e6 / len(rows)
