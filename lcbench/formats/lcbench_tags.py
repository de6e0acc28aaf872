"""The names and units that LCBench's published files use, and the planes of our tables that hold the same quantity.

Values are stored as they were published, accuracies in percent, so that nothing is rounded on the way in or out; the unit
of the plane says so (`CurveTable.units`) and the benchmarks convert.
"""

from __future__ import annotations

import re

SPLITS = ("train", "val", "test")
STATISTICS = ("max", "mean", "median", "std", "q10", "q25", "q75", "q90")
"""Statistics of gradients, in LCBench's order."""

_TAGS = {
    "Train/loss": "train_loss",
    "Train/lr": "learning_rate",
    "Train/test_result": "test_accuracy",  # the published name; there is no tag Train/test_accuracy
    "Train/gradient_norm": "gradient_norm",
    **{f"Train/{split}_accuracy": f"{split}_accuracy" for split in ("train", "val")},
    **{f"Train/{split}_{name}": f"{split}_{name}" for split in SPLITS for name in ("balanced_accuracy", "cross_entropy")},
    **{f"Train/gradient_{statistic}": f"gradient_{statistic}" for statistic in STATISTICS},
}
_COLUMNS = {column: tag for tag, column in _TAGS.items()}
_LAYER_TAG = re.compile(r"Train/layer_wise_gradient_(\w+)_layer_(0|[1-9]\d*)")
_LAYER_COLUMN = re.compile(r"gradient_(\w+)_layer_(0|[1-9]\d*)")

RESULTS = (
    "final_train_cross_entropy",
    "final_train_accuracy",
    "final_train_balanced_accuracy",
    "final_val_cross_entropy",
    "final_val_accuracy",
    "final_val_balanced_accuracy",
    "final_test_cross_entropy",
    "final_test_accuracy",
    "final_test_balanced_accuracy",
)
"""Scalar tags that become `CurveTable.results` under their own names; accuracies in percent, as published."""
TASK_RESULTS = ("OpenML_task_id", "test_split", "instances", "classes", "features")
"""Scalar tags that describe the task; equal in every entry of a data set."""

CONSTANTS = {
    "imputation_strategy": "mean",
    "learning_rate_scheduler": "cosine_annealing",
    "loss": "cross_entropy_weighted",
    "network": "shapedmlpnet",
    "normalization_strategy": "standardize",
    "optimizer": "sgd",
    "cosine_annealing_eta_min": 1e-08,
    "activation": "relu",
    "mlp_shape": "funnel",
}
"""Keys of a published configuration that never vary, with the values of LCBench's generator."""

HORIZON = "cosine_annealing_T_max"
"""Key of a published configuration that holds the annealing horizon, in epochs."""

TASKS = {
    "APSFailure": 168868,
    "Amazon_employee_access": 34539,
    "Australian": 167104,
    "Fashion-MNIST": 189908,
    "KDDCup09_appetency": 3945,
    "MiniBooNE": 168335,
    "adult": 126025,
    "airlines": 189354,
    "albert": 189866,
    "bank-marketing": 126029,
    "blood-transfusion-service-center": 167184,
    "car": 189905,
    "christine": 168908,
    "cnae-9": 167185,
    "connect-4": 167201,
    "covertype": 7593,
    "credit-g": 167161,
    "dionis": 189873,
    "fabert": 168910,
    "helena": 168329,
    "higgs": 167200,
    "jannis": 168330,
    "jasmine": 189862,
    "jungle_chess_2pcs_raw_endgame_complete": 189909,
    "kc1": 167181,
    "kr-vs-kp": 167149,
    "mfeat-factors": 167152,
    "nomao": 126026,
    "numerai28.6": 167083,
    "phoneme": 167190,
    "segment": 189906,
    "shuttle": 146212,
    "sylvine": 189865,
    "vehicle": 167168,
    "volkert": 168331,
}
"""The data sets of the published files, in their order, and their OpenML tasks."""
RESPLIT = frozenset(
    {
        "APSFailure",
        "Amazon_employee_access",
        "KDDCup09_appetency",
        "MiniBooNE",
        "airlines",
        "christine",
        "covertype",
        "fabert",
        "helena",
        "jannis",
        "shuttle",
        "volkert",
    }
)
"""Data sets whose task has no hold-out split of its own: LCBench took 33 % of the rows for testing, with seed 42."""


def column_of(tag: str) -> str | None:
    """Name of the plane that holds the list tag `tag`, None if LCBench has no such tag.

    >>> column_of("Train/test_result"), column_of("Train/layer_wise_gradient_q10_layer_2"), column_of("Train/f1")
    ('test_accuracy', 'gradient_q10_layer_2', None)
    """
    if match := _LAYER_TAG.fullmatch(tag):
        return f"gradient_{match[1]}_layer_{match[2]}" if match[1] in STATISTICS else None
    return _TAGS.get(tag)


def tag_of(column: str) -> str | None:
    """The inverse of `column_of`: the list tag of a plane, None if LCBench does not record it.

    >>> tag_of("test_accuracy"), tag_of("val_loss")
    ('Train/test_result', None)
    """
    if match := _LAYER_COLUMN.fullmatch(column):
        return f"Train/layer_wise_gradient_{match[1]}_layer_{match[2]}" if match[1] in STATISTICS else None
    return _COLUMNS.get(column)


def layer_of(column: str) -> int | None:
    """Number of the layer that a plane belongs to, None if it belongs to the whole network."""
    match = _LAYER_COLUMN.fullmatch(column)
    return int(match[2]) if match else None


def unit_in_file(column: str) -> str:
    """Unit that LCBench's files use for a plane: accuracies are percent, but balanced accuracies fractions."""
    if column.endswith("cross_entropy") or column.endswith("_loss"):
        return "nat"
    if column.endswith("balanced_accuracy"):
        return "fraction"
    return "percent" if column.endswith("_accuracy") else ""
