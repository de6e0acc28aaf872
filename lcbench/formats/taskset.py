"""TaskSet tables in: the learning curves of 1000 Adam configurations on one recurrent text classifier, 51 points each.

The tables come with DyHPO and DPL (releaunifreiburg, Apache-2.0) and hold results of TaskSet (Metz et al. 2020, arXiv
2002.11887). One file is one task: a JSON list, possibly packed with xz, of

    {"hp": {eight numbers}, "train": {"loss": [51 numbers]}, "valid": {"loss": [51]}, "test": {"loss": [51]}}

What the sources say, and what this module makes of it:

* TaskSet trains for 10,000 steps and evaluates before step 0 and after every 200 (google-research, task_set/train_inner.py),
  so point 0 is the untrained network (its loss is close to ln 2 where the head has two classes) and entry e of our curve the
  network after 200 e steps. One "epoch" is one recorded point.
* No point has a time. Seconds are one per point, and the provenance says so.
* DPL's public conversion (python_scripts/download_task_set_data.py), which writes this very layout, takes the mean of five
  seeds, so one diverged seed makes the mean NaN; and it fills "test" from the third of TaskSet's four losses, which is the
  *outer validation* split. Whether DyHPO's files were made by the same script is not stated anywhere that we could read.
* The space is TaskSet's own ``adam8p_wide_grid`` (task_set/optimizers/adam8p.py). There 1 - beta1 and 1 - beta2 are
  log-uniform; ConfigSpace has no such scale, so here both betas are linear and the space is not the sampling distribution.
"""

from __future__ import annotations

import json
import lzma
import math
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace, UniformFloatHyperparameter
from numpy.typing import NDArray

from lcbench.curve import LearningCurve
from lcbench.errors import UserError
from lcbench.space import key
from lcbench.table import CurveTable
from lcbench.task import Kind, TaskInfo
from lcbench.training import Training

N_ENTRIES = 51
"""Points of every curve: before training and after each of 50 stretches of 200 steps."""
STEPS_PER_ENTRY = 200
"""Steps of the optimizer between two points."""
SPLITS = {"train": "train_loss", "valid": "val_loss", "test": "test_loss"}
"""Keys of the file, and the planes of the table that they become."""
OBJECTIVE = "val_loss"

_LAYOUT = "one of DyHPO's TaskSet tables is wanted: see the docstring of lcbench/formats/taskset.py"


def taskset_space() -> ConfigurationSpace:
    """The eight hyperparameters of TaskSet's Adam8p with the ranges it samples from; all but the betas on log scale."""
    return ConfigurationSpace(
        name="taskset_adam8p",
        space=[
            UniformFloatHyperparameter("learning_rate", 1e-8, 10.0, log=True),
            UniformFloatHyperparameter("beta1", 0.0, 1 - 1e-4),
            UniformFloatHyperparameter("beta2", 0.0, 1 - 1e-6),
            UniformFloatHyperparameter("epsilon", 1e-10, 1e3, log=True),
            UniformFloatHyperparameter("l1", 1e-8, 10.0, log=True),
            UniformFloatHyperparameter("l2", 1e-8, 10.0, log=True),
            UniformFloatHyperparameter("linear_decay", 1e-7, 1e-4, log=True),
            UniformFloatHyperparameter("exponential_decay", 1e-6, 1e-3, log=True),
        ],
    )


def read_taskset(path: Path, kind: Kind | None = None) -> CurveTable:
    """Read one TaskSet table; the task is named after the file, the trials are numbered by their place in it.

    Losses are rounded to float32, in which TaskSet trained; what lies beyond its range becomes infinite. A training whose
    validation loss ends non-finite has the status ``diverged`` and keeps all its entries.

    Args:
        path: a ``.json`` or ``.json.xz`` file.
        kind: what the task is; None reads it off the name, and only a name that says "Classification" tells.

    Raises:
        UserError: if the file cannot be read or is laid out in any other way, or if the kind is not known.
    """
    name = _name(path)
    space = taskset_space()
    return CurveTable.of(
        task=_task(name, kind),
        space=space,
        objective=OBJECTIVE,
        trainings=[_training(path, i, entry, space) for i, entry in enumerate(_entries(path))],
        provenance=_provenance(path),
    )


def _name(path: Path) -> str:
    name = path.name.removesuffix(".xz").removesuffix(".json")
    if not name or path.name not in (f"{name}.json", f"{name}.json.xz"):
        raise UserError(f"`path` is {str(path)!r}, but a TaskSet table is a file <task>.json or <task>.json.xz")
    return name


def _task(name: str, kind: Kind | None) -> TaskInfo:
    if kind is None and "Classification" not in name:
        raise UserError(
            f"the name of the task {name!r} does not say whether it is a classification: pass kind='classification' or kind='regression'"
        )
    return TaskInfo(
        name=name,
        kind=kind or "classification",
        openml_task_id=None,
        fold=0,
        split="TaskSet's own train and inner validation parts; test may be its outer validation part; sizes are not recorded",
        n_train=0,
        n_val=0,
        n_test=0,
        n_features=0,
        n_classes=2 if "Classification_imdb" in name else 0,  # two logits in task_set/tasks/fixed/fixed_text_rnn_classification.py
    )


def _entries(path: Path) -> list[Any]:
    try:
        with lzma.open(path, "rb") if path.suffix == ".xz" else path.open("rb") as file:
            entries = json.loads(file.read(), parse_int=float)  # a whole number without end is infinite, not an error
    except (OSError, EOFError, lzma.LZMAError, ValueError, RecursionError) as error:  # ValueError: bad UTF-8 and bad JSON
        raise UserError(f"TaskSet table {str(path)!r} cannot be read ({error}): {_LAYOUT}") from error
    if not isinstance(entries, list) or not entries:
        raise UserError(f"TaskSet table {str(path)!r} holds {_shown(entries)} instead of a list of trainings: {_LAYOUT}")
    return entries


def _training(path: Path, i: int, entry: Any, space: ConfigurationSpace) -> Training:
    where = f"TaskSet table {str(path)!r}, training {i}"
    _check_keys(where, entry, {"hp", *SPLITS})
    configuration = _configuration(f"{where}, `hp`", entry["hp"], space)
    losses = {plane: _losses(f"{where}, `{split}`", entry[split]) for split, plane in SPLITS.items()}
    last = losses[OBJECTIVE][-1]
    diverged = not math.isfinite(last)
    return Training(
        trial=i,
        configuration=configuration,
        key=key(configuration),
        seed=0,
        horizon=N_ENTRIES - 1,  # both decays of the learning rate are laid out for the whole training
        origin="random",
        n_parameters=-1,
        status="diverged" if diverged else "success",
        error=f"the validation loss is {last} after epoch {N_ENTRIES - 1}" if diverged else "",
        curve=LearningCurve(np.arange(N_ENTRIES), np.arange(N_ENTRIES, dtype=np.float64), losses),
    )


def _configuration(where: str, values: Any, space: ConfigurationSpace) -> dict[str, float]:
    _check_keys(where, values, set(space))
    for name, value in values.items():
        lower, upper = space[name].lower, space[name].upper
        if not _is_number(value) or not lower <= value <= upper:
            raise UserError(f"{where}: `{name}` is {_shown(value)}, but TaskSet samples it from {lower:g} to {upper:.8g}: {_LAYOUT}")
    return {name: float(values[name]) for name in space}


def _losses(where: str, part: Any) -> NDArray[np.float64]:  # (T,)
    _check_keys(where, part, {"loss"})
    losses = part["loss"]
    if not isinstance(losses, list) or len(losses) != N_ENTRIES or not all(_is_number(loss) for loss in losses):
        raise UserError(f"{where}: `loss` is {_shown(losses)}, but must be a list of {N_ENTRIES} numbers: {_LAYOUT}")
    with np.errstate(over="ignore"):
        return np.array(losses, np.float64).astype(np.float32).astype(np.float64)  # as the table will hold them


def _check_keys(where: str, value: Any, keys: set[str]) -> None:
    if not isinstance(value, dict) or value.keys() != keys:
        found = f"the keys {sorted(value)}" if isinstance(value, dict) else _shown(value)
        raise UserError(f"{where} has {found}, but must have {sorted(keys)}: {_LAYOUT}")


def _is_number(value: Any) -> bool:
    return isinstance(value, float)  # `_entries` reads whole numbers as floats; true and false stay what they are


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _provenance(path: Path) -> dict[str, Any]:
    return {
        "licence": "Apache-2.0 as part of releaunifreiburg/DyHPO; TaskSet is by google-research (Apache-2.0): check its own terms first",
        "source": f"TaskSet (Metz et al. 2020, arXiv 2002.11887), file {path.name}",
        "epochs": f"one per recorded point, {STEPS_PER_ENTRY} steps each; entry 0 is the untrained network",
        "seconds": "not recorded; one per point",
        "seeds": "not recorded, written as 0; in the public conversion script every number is the mean of five",
        "test_loss": "TaskSet's outer validation part, if the file was made by the public conversion script",
    }
