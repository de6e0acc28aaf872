"""From raw numbers and codes to the inputs of a network, fitted on the training rows: the order of Auto-PyTorch 0.2.1.

Imputation -> coalescing -> scaling of numbers and encoding of categories -> feature preprocessing -> codes for embeddings.

Notation: n rows, c columns of the raw table, d columns after preprocessing.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcbench.errors import UserError
from lcbench.task import Kind
from pipeline.preprocessing.coalescer import Coalescer
from pipeline.preprocessing.encoding import EmbeddingCodes, distinct, indicators
from pipeline.preprocessing.imputation import imputer
from pipeline.settings import under

LARGEST = 1e30
"""Raw numbers and outputs are clipped to this size, which a float32 holds; the square of a raw number still fits a float64."""
LARGEST_FEATURE = 1e12
"""Inputs of feature preprocessors are clipped to this size: a polynomial kernel of degree 5 still fits a float64."""
CHUNK = 4096
"""Rows that are transformed at once, which bounds the memory of indicators and kernels."""


class Preprocessor:
    """A chain of imputer, coalescer, encoder, scaler and feature preprocessor, chosen by name.

    Args:
        settings: the canonical settings of a pipeline; the others are ignored.
        nominal: which columns hold codes of categories, (c,).
        kind: what the target is, for preprocessors that look at it.
        seed: of everything random in it.
    """

    cardinalities: tuple[int, ...]
    """Sizes of the columns that go to learned embeddings, which are the last ones: codes 0..cardinality-1, 0 for missing or unknown."""
    n_columns: int
    """The width d of the output, known after `fit`."""

    def __init__(self, settings: Mapping[str, Any], nominal: NDArray[np.bool_], kind: Kind, seed: int) -> None:
        self.settings = dict(settings)
        self.nominal = np.asarray(nominal, bool)
        self.kind = kind
        self.seed = seed % 2**32  # as scikit-learn wants it
        self.cardinalities = ()
        self.n_columns = 0

    def fit(self, raw: NDArray[np.float64], y: NDArray[Any]) -> Preprocessor:  # (n, c), (n,)
        """Learn from the training rows; `y` holds class codes or numbers.

        Raises:
            UserError: if no column has a value.
        """
        raw = _sized(raw)
        known = np.asarray((~np.isnan(raw)).any(axis=0))
        if not known.any():
            raise UserError(f"none of the {len(known)} columns has a value in the {len(raw)} training rows: give a table with features")
        self._coalescer = self._fitted_coalescer(raw)
        raw = self._coalesced(raw)
        self._assign(raw, known)
        with _undisturbed():
            self._imputer, self._scaler = self._fitted_numbers(raw)
            self._indicators = indicators().fit(raw[:, self._indicated]) if len(self._indicated) else None
            x = self._continuous(raw)
            self._feature = self._component("preprocessor", "pipeline.features", n_rows=len(x), n_columns=x.shape[1], kind=self.kind)
            if x.shape[1]:
                self._feature.fit(x, y)
        self._codes = EmbeddingCodes().fit(raw[:, self._embedded])
        self.cardinalities = self._codes.cardinalities
        self.n_columns = self._transformed(raw[:1]).shape[1]
        return self

    def transform(self, raw: NDArray[np.float64]) -> NDArray[np.float32]:  # (n, c) -> (n, d)
        """Finite inputs of a network for any rows; cells that are infinite count as missing."""
        if raw.shape[1] != len(self.nominal):
            raise ValueError(f"the table has {raw.shape[1]} columns, but {len(self.nominal)} were fitted")
        output = np.empty((len(raw), self.n_columns), np.float32)
        for start in range(0, len(raw), CHUNK):
            rows = slice(start, start + CHUNK)
            output[rows] = self._transformed(self._coalesced(_sized(raw[rows])))
        return output

    def _fitted_coalescer(self, raw: NDArray[np.float64]) -> Coalescer | None:
        if self.settings["coalescer"] == "none":
            return None
        return Coalescer(float(self.settings["minority.min_fraction"])).fit(raw[:, self.nominal])

    def _coalesced(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, c) -> (n, c)
        if self._coalescer is not None:
            raw[:, self.nominal] = self._coalescer.transform(raw[:, self.nominal])
        return raw

    def _assign(self, raw: NDArray[np.float64], known: NDArray[np.bool_]) -> None:
        """Decide which columns count as numbers, which become indicators, and which become codes for embeddings."""
        one_hot = self.settings["encoder"] == "one_hot"
        learned = one_hot and self.settings["embedding"] == "learned"
        nominal = self.nominal & known & one_hot
        many = np.zeros_like(nominal)
        if learned:
            least = int(self.settings["learned.min_unique_values"])
            many[nominal] = [len(distinct(raw[:, i])) >= least for i in np.flatnonzero(nominal)]
        self._numeric = np.flatnonzero(known & ~nominal)
        self._indicated = np.flatnonzero(nominal & ~many)
        self._embedded = np.flatnonzero(many)

    def _fitted_numbers(self, raw: NDArray[np.float64]) -> tuple[Any, Any]:
        fill, scaler = imputer(self.settings["imputer.numerical"]), self._component("scaler", "pipeline.scalers")
        if len(self._numeric):
            scaler.fit(fill.fit_transform(self._numbers(raw)))
        return fill, scaler

    def _numbers(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, numeric columns)
        return np.ascontiguousarray(raw[:, self._numeric])  # scikit-learn sums in another order where columns are contiguous

    def _component(self, choice: str, package: str, **about: Any) -> Any:
        """The unfitted transformer that a choice names."""
        name = self.settings[choice]
        return import_module(f"{package}.{name}").build(under(self.settings, name), seed=self.seed, **about)

    def _continuous(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:  # (n, numbers and indicators)
        parts = [np.empty((len(raw), 0))]
        if len(self._numeric):
            parts.append(self._scaler.transform(self._imputer.transform(self._numbers(raw))))
        if self._indicators is not None:
            parts.append(self._indicators.transform(raw[:, self._indicated]))
        largest = LARGEST if self.settings["preprocessor"] == "none" else LARGEST_FEATURE
        return _bounded(np.hstack(parts), largest)

    def _transformed(self, raw: NDArray[np.float64]) -> NDArray[np.float32]:  # (n, c) -> (n, d)
        with _undisturbed():
            x = self._continuous(raw)
            x = _bounded(self._feature.transform(x), LARGEST) if x.shape[1] else x
        return np.hstack([x.astype(np.float32), self._codes.transform(raw[:, self._embedded])])


def _sized(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """A copy with missing cells for infinite ones, and without numbers whose squares would overflow."""
    return np.clip(np.where(np.isfinite(raw), raw, np.nan), -LARGEST, LARGEST)


def _bounded(x: NDArray[np.float64], largest: float) -> NDArray[np.float64]:
    return np.clip(np.nan_to_num(x, nan=0.0, posinf=largest, neginf=-largest), -largest, largest)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Nobody can act on what scikit-learn warns of here: constant columns, steps that ran out, few rows; what comes out is made finite."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
