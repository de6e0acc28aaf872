"""One metric of many trainings as a matrix of rows and epochs: the fastest way to a value, and every look-up checked.

Notation: n trainings, epochs first..last of the view, N look-ups at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK = 1 << 14
"""Look-ups that are answered at a time: index arithmetic of so many stays in the cache of a core."""


class Plane:
    """Values of one metric; NaN where a training ended before the epoch, or the metric does not apply to it.

    >>> plane = Plane(np.array([[0.1, 0.5, 0.6], [0.2, 0.3, np.nan]]), first=1)
    >>> plane.at(0, 2), plane.curve(1).tolist(), plane.column(1).tolist(), plane.take([0, 1], [1, 1]).tolist()
    (0.6, [0.3, nan], [0.5, 0.3], [0.5, 0.3])
    """

    __slots__ = ("_factor", "_flat", "_scale", "_view", "first", "last", "n", "values")

    def __init__(self, values: NDArray[np.floating], *, first: int = 0, last: int | None = None, scale: float = 1.0) -> None:
        """Serve `values` (n, T), entry e being epoch e, from epoch `first` to `last`; nothing is copied.

        `scale` turns a stored value into the unit of its metric.
        """
        # "<f4" and "=f4" are equal here, but a memoryview reads only the latter.
        self.values = np.ascontiguousarray(values).view(np.dtype(values.dtype.char))  # (n, T)
        self.n = len(values)
        self.first = first
        self.last = values.shape[1] - 1 if last is None else last
        self._scale = scale
        self._factor = scale if scale == 1.0 else np.float64(scale)  # with a float of Python's, arrays would stay float32
        self._flat = self.values.reshape(-1)
        self._view = memoryview(self.values.data) if self.values.size else memoryview(b"")

    def at(self, row: int, epoch: int) -> float:
        """The value of one training after `epoch` epochs.

        Raises:
            IndexError: with what is there.
        """
        if 0 <= row < self.n and self.first <= epoch <= self.last:
            return self._view[row, epoch] * self._scale
        raise self._refusal(row, epoch)

    def curve(self, row: int) -> NDArray[np.floating]:  # (last - first + 1,)
        """All epochs of one training.

        Raises:
            IndexError: with what is there.
        """
        if not 0 <= row < self.n:
            raise self._refusal(row, self.first)
        return self.values[row, self.first : self.last + 1] * self._factor

    def column(self, epoch: int) -> NDArray[np.floating]:  # (n,)
        """All trainings after `epoch` epochs.

        Raises:
            IndexError: with what is there.
        """
        if not self.first <= epoch <= self.last:
            raise self._refusal(0, epoch)
        return self.values[:, epoch] * self._factor

    def matrix(self) -> NDArray[np.floating]:  # (n, last - first + 1)
        """Everything."""
        return self.values[:, self.first : self.last + 1] * self._factor

    def take(self, rows: ArrayLike, epochs: ArrayLike) -> NDArray[np.floating]:  # (N,) and (N,) -> (N,)
        """Many values at once; `rows` and `epochs` are broadcast against each other. The type is that of the table, float64 if it scales.

        Raises:
            IndexError: if any row or epoch is not there.
        """
        where, when = np.broadcast_arrays(_whole(rows, "rows"), _whole(epochs, "epochs"))
        found = np.empty(where.shape, self.values.dtype)
        flat_where, flat_when, out = where.reshape(-1), when.reshape(-1), found.reshape(-1)
        for start in range(0, out.size, BLOCK):
            block = slice(start, start + BLOCK)
            self._take_block(flat_where[block], flat_when[block], out[block])
        return found if self._scale == 1.0 else found * self._factor

    def _take_block(self, rows: NDArray[np.int64], epochs: NDArray[np.int64], out: NDArray[np.floating]) -> None:
        if not (rows.min() >= 0 and rows.max() < self.n and self.first <= epochs.min() and epochs.max() <= self.last):
            wrong = (rows < 0) | (rows >= self.n) | (epochs < self.first) | (epochs > self.last)
            raise self._refusal(int(rows[wrong][0]), int(epochs[wrong][0]))
        index = rows * self.values.shape[1]
        index += epochs
        self._flat.take(index, out=out, mode="clip")  # checked above; "raise" would buffer the output

    def _refusal(self, row: int, epoch: int) -> IndexError:
        if not 0 <= row < self.n:
            return IndexError(f"`row` is {row}, but there are {self.n} trainings, 0..{self.n - 1}")
        return IndexError(f"`epoch` is {epoch}, but the epochs of this view are {self.first}..{self.last}")


class Planes:
    """Several planes in one piece of memory, for look-ups that go across tasks and metrics at once."""

    def __init__(
        self, flat: NDArray[np.floating], offsets: Sequence[int], shapes: Sequence[tuple[int, int]], first: int, last: int | None = None
    ) -> None:
        """Serve planes of `shapes` (n, T) that begin at `offsets` of `flat`, epochs `first` to `last`, or as far as each goes."""
        self._flat = flat
        self._offsets = np.asarray(offsets, np.int64)
        self._n, self._t = np.asarray(shapes, np.int64).reshape(-1, 2).T
        self._first = first
        self._ends = self._t if last is None else np.minimum(self._t, last + 1)  # one after the last epoch

    def __len__(self) -> int:
        return len(self._offsets)

    def take(self, planes: ArrayLike, rows: ArrayLike, epochs: ArrayLike) -> NDArray[np.floating]:  # three (N,) -> (N,)
        """Many values at once, as stored.

        Raises:
            IndexError: if any plane, row or epoch is not there.
        """
        which, where, when = np.broadcast_arrays(_whole(planes, "planes"), _whole(rows, "rows"), _whole(epochs, "epochs"))
        found = np.empty(which.shape, self._flat.dtype)
        parts, out = [part.reshape(-1) for part in (which, where, when)], found.reshape(-1)
        for start in range(0, out.size, BLOCK):
            block = slice(start, start + BLOCK)
            self._take_block(parts[0][block], parts[1][block], parts[2][block], out[block])
        return found

    def _take_block(self, planes: NDArray[np.int64], rows: NDArray[np.int64], epochs: NDArray[np.int64], out: NDArray[np.floating]) -> None:
        if not (planes.min() >= 0 and planes.max() < len(self)):
            raise IndexError(f"`planes` holds {planes.min()} and {planes.max()}, but there are {len(self)} planes, 0..{len(self) - 1}")
        n_rows, ends = self._n[planes], self._ends[planes]
        if rows.min() < 0 or epochs.min() < self._first or (rows >= n_rows).any() or (epochs >= ends).any():
            wrong = int(np.flatnonzero((rows < 0) | (rows >= n_rows) | (epochs < self._first) | (epochs >= ends))[0])
            n, last = n_rows[wrong], ends[wrong] - 1
            raise IndexError(
                f"plane {planes[wrong]} was asked for row {rows[wrong]} at epoch {epochs[wrong]}, "
                f"but has rows 0..{n - 1} and epochs {self._first}..{last}"
            )
        t = self._t[planes]
        t *= rows
        t += epochs
        t += self._offsets[planes]
        self._flat.take(t, out=out, mode="clip")


def _whole(numbers: ArrayLike, name: str) -> NDArray[np.int64]:
    """Numbers that count something.

    Raises:
        IndexError: if they are not whole; a fraction would be cut off without a word.
    """
    given = np.asarray(numbers)
    if given.dtype.kind not in "iu" and given.size:
        raise IndexError(f"`{name}` must be whole numbers, but is of type {given.dtype}")
    return given.astype(np.int64, copy=False)
