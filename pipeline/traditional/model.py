"""What all traditional learners share: columns, classes, one thread and the deadline are settled here, before a library is asked.

Notation: n rows, C classes of the task, k <= C classes that occur in the rows trained on, d columns that vary in these rows.

A file of this package whose name does not begin with an underscore is a learner: it offers ``build``, and nothing is registered.
"""

from __future__ import annotations

import pkgutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lcbench.errors import UserError
from lcbench.machine import on_one_thread
from lcbench.task import TaskInfo

ORDER = {
    "classification": (
        "lightgbm_default",
        "random_forest",
        "catboost",
        "lightgbm",
        "extra_trees",
        "catboost_default",
        "linear",
        "knn",
        "svm",
    ),
    "regression": (
        "lightgbm_default",
        "catboost",
        "extra_trees",
        "lightgbm",
        "catboost_default",
        "random_forest",
        "linear",
        "knn",
        "svm",
    ),
}
"""Fast and strong first, so that there is a model within seconds, and a short budget has trained the best of them: trees on all rows before
the learners that need distances.

The boosters and the two forests alternate, because two learners of one sort err alike and add less to an ensemble. In regression the
forests look at every column in every split, which makes them the slowest, and extra trees the faster of the two.
Linear, kNN and SVM are seldom the best alone. Auto-PyTorch began with the forests, whose first trees came soonest, and had no booster with
its library's defaults, which nobody should be behind of.
"""
LARGEST = 1e30
"""Numbers beyond this count as this: their squares stay finite in float64 and they themselves in float32."""
PILOT_ROWS = 2000
"""Rows of the pilot: one step of training on them tells how many rows the deadline allows."""
SHARE = 0.5
"""Part of the time left that the first step on all rows may take by the pilot's rate; the rest is for rates that grow with the rows."""
BATCH_ROWS = 1024
"""Rows predicted at once: some learners need memory per row and training row, or per row and pair of classes."""
FAR = 1000
"""A column that lies so many times its range away from 0 is moved there: in the float32 of some learners an hour of today is one number."""
PROBE_ROWS = 256
"""Rows that are predicted to tell how long others will take."""

Target = NDArray[np.int64] | NDArray[np.float64]


class Part(NamedTuple):
    """Rows as a learner gets them."""

    X: NDArray[np.float64]  # (n, d)
    """Numbers with NaN where missing, and category codes; only columns that vary in training."""
    y: Target  # (n,)
    """Codes 0..k-1 of the classes that occur in training, or the target standardised by the rows trained on."""


class Stopwatch:
    """Says after every step whether a step as long as the last one would still end in time."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self._last: float | None = None

    def has_time(self, steps: int = 1, reserve: float = 0.0) -> bool:
        """Whether `steps` more of the last step fit, and `reserve` seconds after them.

        The first call only looks at the clock, for the time before it was preparation.
        """
        now = time.monotonic()
        step = 0.0 if self._last is None else now - self._last
        self._last = now
        return now + steps * step + reserve < self.deadline


class Model(ABC):
    """A learner with fixed settings that keeps its deadline, knows every class of the task, and can be pickled.

    `fit` gives a constant prediction (class frequencies or mean) where there is nothing to learn: one class, one target value, or no
    column that varies. On more than `PILOT_ROWS` rows it first takes one step on a random `PILOT_ROWS` of them; if by this rate the
    first step on all rows would not end in time, it trains on as many random rows as it can, or keeps the pilot. Each learner stops
    itself after the step whose successor would not end in time. So the same seed gives the same model, to the last bit, unless the
    deadline cuts. Everything runs in one thread; trials run side by side instead.

    Args:
        info: the task: its kind and number of classes.
        nominal: which columns hold category codes, shape (columns,).
        seed: seed of every random choice; the global random states are never touched.
        rounds: most steps (boosting rounds, trees); None for the learner's own number. A refit passes `rounds_kept` of the first fit.
    """

    name: ClassVar[str]
    """Name of its file."""
    varies: ClassVar[bool] = True
    """Whether another seed gives another model of the same rows."""
    max_rows: ClassVar[int | None] = None
    """Most training rows, chosen at random where there are more; None for all."""

    def __init__(self, info: TaskInfo, nominal: NDArray[np.bool_], *, seed: int, rounds: int | None = None) -> None:
        self.info = info
        self.nominal = np.asarray(nominal, bool)
        self.seed = seed
        self.rounds = rounds
        self.rounds_kept: int | None = None
        """Steps of the fitted model (the best round of a booster, the trees of a forest); None where there are none."""

    @abstractmethod
    def _learn(self, train: Part, validation: Part | None, deadline: float) -> None:
        """Train at least one step, whatever the deadline, and stop in time for it."""

    @abstractmethod
    def _answer(self, X: NDArray[np.float64]) -> NDArray[Any]:
        """Probabilities (n, k) of the classes that occur in training, or standardised predictions (n,)."""

    def fit(
        self,
        raw: NDArray[np.float64],
        y: Target,
        validation_raw: NDArray[np.float64] | None,
        validation_y: Target | None,
        *,
        deadline: float,
    ) -> None:
        """Train until it is done or until the deadline; after the deadline, only the constant prediction is made.

        Args:
            raw: training rows (n, columns): numbers with NaN where missing, category codes in nominal columns.
            y: class codes, or the target in its own unit, shape (n,).
            validation_raw: rows for early stopping, or None in a refit.
            validation_y: their classes or targets.
            deadline: a time of `time.monotonic()`.
        """
        validation = None if validation_raw is None or validation_y is None else (validation_raw, validation_y)
        order = np.random.default_rng(self.seed).permutation(len(raw))
        n = min(len(raw), self.max_rows or len(raw))
        start = time.monotonic()
        if start >= deadline:
            self._summarise(raw, y, np.arange(len(raw)))
            self._can_answer = False
            return
        with on_one_thread():  # scikit-learn's OpenMP loops and BLAS do not know n_jobs
            if n > PILOT_ROWS:
                self._train(raw, y, np.sort(order[:PILOT_ROWS]), None, deadline=start)  # long over: one step
                rate = PILOT_ROWS / (time.monotonic() - start)
                n = int(min(n, SHARE * rate * (deadline - time.monotonic())))  # the deadline may be infinite
                if n <= PILOT_ROWS:
                    return
            self._train(raw, y, np.sort(order[:n]), validation, deadline)

    def predict(self, raw: NDArray[np.float64]) -> NDArray[np.float32]:
        """Probabilities (n, C) in the order of the class codes, zero for a class that was not trained on; or predictions (n, 1).

        Categories that were not trained on, and missing cells where training had none, are allowed.

        Raises:
            ValueError: if the number of columns is not that of the training rows.
        """
        if raw.shape[1] != len(self.nominal):
            raise ValueError(f"raw has {raw.shape[1]} columns, but the model was built for {len(self.nominal)}")
        with on_one_thread():
            batches = np.split(np.arange(len(raw)), range(BATCH_ROWS, len(raw), BATCH_ROWS)) if self._can_answer and len(raw) else []
            learned = np.concatenate([self._answer(self._inputs(raw, rows)) for rows in batches]) if batches else None
        if self.info.kind == "regression":
            z = np.zeros(len(raw)) if learned is None else learned
            return (self._mean + self._scale * z.astype(np.float64)).astype(np.float32)[:, None]
        known = np.tile(self._prior, (len(raw), 1)) if learned is None else learned.astype(np.float64)
        p = np.zeros((len(raw), self.info.n_classes), np.float32)
        p[:, self._classes] = known / known.sum(1, keepdims=True)
        return p

    @property
    def _n_known(self) -> int:
        """k, the number of classes that occur in the rows trained on."""
        return len(self._classes)

    @property
    def _known_nominal(self) -> NDArray[np.bool_]:  # (d,)
        """Which of the columns that vary hold category codes."""
        return self.nominal[self._columns]

    def _seconds_to_predict(self, X: NDArray[np.float64], answer: Callable[..., Any] | None = None) -> float:  # (n, d)
        """How long the validation and test rows of the task will take, by the rate of a few rows; `answer` is what predicts."""
        probe = X[:PROBE_ROWS]
        start = time.monotonic()
        (answer or self._answer)(probe)
        return (time.monotonic() - start) * (self.info.n_val + self.info.n_test) / len(probe)

    def _train(
        self, raw: NDArray[np.float64], y: Target, rows: NDArray[np.int64], validation: tuple[Any, Any] | None, deadline: float
    ) -> None:
        """Summarise some rows, then learn from them if there is something to learn."""
        self._summarise(raw, y, rows)
        if self._can_answer:
            held_out = None if validation is None else self._part(*validation, np.arange(len(validation[0])))
            self._learn(self._part(raw, y, rows), held_out if held_out and len(held_out.y) else None, deadline)

    def _summarise(self, raw: NDArray[np.float64], y: Target, rows: NDArray[np.int64]) -> None:
        """Note the columns that vary, the classes or the scale of the target, and whether there is something to learn."""
        self._columns = np.flatnonzero(_varies(raw, rows))
        self._shift = np.where(self._known_nominal, 0.0, _far_from_zero(raw[np.ix_(rows, self._columns)]))
        if self.info.kind == "classification":
            self._classes, counts = np.unique(y[rows].astype(np.int64), return_counts=True)
            self._prior = counts / len(rows)
            differs = len(counts) > 1
        else:
            self._mean, self._scale = float(y[rows].mean()), float(y[rows].std())
            differs = self._scale > 0
        self._can_answer = bool(differs and len(self._columns))

    def _part(self, raw: NDArray[np.float64], y: Target, rows: NDArray[np.int64]) -> Part:
        """Some rows for the learner; those of classes it does not know are left out."""
        if self.info.kind == "regression":
            return Part(self._inputs(raw, rows), (y[rows].astype(np.float64) - self._mean) / self._scale)
        rows = rows[np.isin(y[rows], self._classes)]
        return Part(self._inputs(raw, rows), np.searchsorted(self._classes, y[rows]).astype(np.int64))

    def _inputs(self, raw: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:  # (rows, d)
        chosen = raw[np.ix_(rows, self._columns)] - self._shift
        return np.clip(chosen, -LARGEST, LARGEST, out=chosen)


def _varies(raw: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:  # (columns,)
    """Which columns have two different cells in some rows; missing is a value like others."""
    chosen, first = raw[rows], raw[rows[0]]
    return ((chosen != first) & ~(np.isnan(chosen) & np.isnan(first))).any(axis=0)


def _far_from_zero(X: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, d) -> (d,)
    """The middle of each column that lies far from 0, 0 for others."""
    low, high = np.fmin.reduce(X), np.fmax.reduce(X)
    middle = low / 2 + high / 2
    return np.where((high > low) & (np.abs(middle) > FAR * (high - low)), middle, 0.0)


def names(info: TaskInfo) -> tuple[str, ...]:
    """Every learner of this package in the order in which they should be trained, see `ORDER`; one not mentioned there comes last."""
    found = {module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])} - {"model"}
    order = {name: i for i, name in enumerate(ORDER[info.kind])}
    return tuple(sorted((name for name in found if not name.startswith("_")), key=lambda name: (order.get(name, len(order)), name)))


def build(name: str, info: TaskInfo, nominal: NDArray[np.bool_], seed: int, rounds: int | None = None) -> Model:
    """A new, untrained learner; see `Model` for the arguments. This loads its library, so that `fit` has not to.

    Raises:
        UserError: if there is no learner of this name.
    """
    if name not in names(info):
        raise UserError(f"the traditional learner is {name!r}, but must be one of {', '.join(names(info))}: choose one of these")
    model: Model = import_module(f"pipeline.traditional.{name}").build(info, nominal, seed=seed, rounds=rounds)
    return model
