"""Which rows train, validate and test: LCBench's rules, the same for every configuration and every seed of a run.

Notation: n rows, `rest` the rows that are not tested on, K folds. About 45 / 22 / 33 % of a table train, validate and test, unless
cross-validation lets every row of the rest validate once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lcbench.errors import UserError

FRACTION = 0.33
"""Share of the table that is tested on, and of the rest that validates."""
SEED = 42
"""Seed of both splits in LCBench's generator; never the seed of a run."""
VALIDATION = "then 33 % of the training rows for validation, shuffled with seed 42"
FOLDS, FEW_ROWS = 5, range(50, 2000)
"""Unless told otherwise a task with so few rows beside the test rows is cut into so many folds: a third of them would say too little."""
SMALLEST = 3
"""With fewer rows one of the three parts would be empty."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The three parts of a table as row numbers, and how they were chosen."""

    train: NDArray[np.int64]
    """Rows to train on."""
    val: NDArray[np.int64]
    """Rows on which configurations are compared."""
    test: NDArray[np.int64]
    """Rows on which the incumbent is reported; there may be none."""
    words: str
    """How the rows were chosen, for `TaskInfo.split`."""
    notes: tuple[str, ...] = ()
    """What the reader should know about the choice."""


def validated(rest: NDArray[np.int64], test: NDArray[np.int64], words: str, notes: tuple[str, ...] = ()) -> Rows:
    """Take the validation rows from `rest`: shuffled with seed 42, the last 33 %, not stratified.

    This is `CrossValidation.shuffle_indices` and the cut that follows it in Auto-PyTorch (nodes/cross_validation.py), down
    to the rounding: `int(n * (1 - 0.33))` rows train.

    >>> rows = validated(np.arange(10), np.arange(10, 15), "all but the last five")
    >>> rows.train.tolist(), rows.val.tolist()
    ([8, 1, 5, 0, 7, 2], [9, 4, 3, 6])

    Raises:
        UserError: if there are too few rows to train and validate.
    """
    from sklearn.utils import shuffle

    _check_rest(len(rest))
    shuffled = shuffle(np.asarray(rest, np.int64), random_state=SEED)
    n_train = int(len(shuffled) * (1 - FRACTION))
    return Rows(shuffled[:n_train], shuffled[n_train:], np.asarray(test, np.int64), f"{words}, {VALIDATION}", notes)


def resplit(y: NDArray[np.int64] | NDArray[np.float64], *, classes: bool, name: str, share: float = FRACTION) -> Rows:  # (n,)
    """Split a table that brings no split of its own: 33 % test with seed 42, stratified by class where there are classes.

    Args:
        y: class codes, or the target of a regression.
        classes: True for class codes.
        name: the task, for messages.
        share: another share to test on; 0 for no test rows.

    Raises:
        UserError: if the share is out of range, or a part would be empty.
    """
    from sklearn.model_selection import train_test_split

    if not 0 <= share < 1:
        raise UserError(f"`test_share` is {share}, but must be a share of the rows below 1, or 0 for no test rows")
    if len(y) < SMALLEST:
        raise UserError(f"task {name!r} has {len(y)} rows, but at least {SMALLEST} are needed to train, validate and test: give more rows")
    if share == 0:
        return validated(np.arange(len(y)), np.arange(0), "no test rows")
    _check_rest(len(y) - int(np.ceil(share * len(y))))
    obstacle = _obstacle(y, share) if classes else ""
    stratify = y if classes and not obstacle else None
    rest, test = train_test_split(np.arange(len(y)), test_size=share, random_state=SEED, shuffle=True, stratify=stratify)
    words = f"{100 * share:.3g} % test with seed 42, "
    if obstacle:
        words += f"not stratified because {obstacle}"
        return validated(rest, test, words, (f"task {name!r} is split {words}",))
    return validated(rest, test, words + ("stratified by class" if classes else "shuffled"))


def _check_rest(n: int) -> None:
    """Refuse fewer than the two rows of which one trains and one validates."""
    if n < 2:
        raise UserError(f"the test rows leave {n} to train and validate, but at least 2 are needed: give more rows, or test on fewer")


def _obstacle(y: NDArray[np.int64] | NDArray[np.float64], share: float) -> str:
    """Why the rows cannot be split with every class on both sides, or nothing."""
    counts = np.unique(y, return_counts=True)[1]
    if counts.min() < 2:
        lonely = int((counts < 2).sum())
        return "one class has a single row" if lonely == 1 else f"{lonely} classes have a single row each"
    if len(counts) > min(np.ceil(share * len(y)), np.floor((1 - share) * len(y))):
        return f"{len(counts)} classes do not fit into the test rows of a table with {len(y)} rows"
    return ""


def folded(rest: NDArray[np.int64], y: NDArray[np.int64] | NDArray[np.float64], k: int, *, classes: bool) -> list[NDArray[np.int64]]:
    """Cut rows into K folds for cross-validation, shuffled with seed 42; stratified by class where every class has K rows.

    Args:
        rest: row numbers.
        y: class codes or target of the whole table, (n,).
        k: number of folds, 2..len(rest).
        classes: True for class codes.

    >>> [fold.tolist() for fold in folded(np.array([4, 5, 6, 7]), np.array([0, 0, 0, 0, 0, 1, 0, 1]), 2, classes=True)]
    [[5, 6], [4, 7]]
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    rest = np.sort(rest)
    stratify = classes and np.unique(y[rest], return_counts=True)[1].min() >= k
    cut = (StratifiedKFold if stratify else KFold)(k, shuffle=True, random_state=SEED)
    return [rest[fold] for _, fold in cut.split(rest, y[rest])]
