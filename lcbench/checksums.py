"""Checksums of what a database holds: of every dataset, of its attributes, and of every single row."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lcbench.table import CurveTable


def crc_of_array(data: NDArray[Any]) -> int:
    """CRC-32 of the bytes of an array, in little-endian order."""
    return zlib.crc32(_bytes(data).data)


def crc_of_attributes(attributes: dict[str, Any]) -> int:
    """CRC-32 of attributes as JSON with sorted keys."""
    return zlib.crc32(json.dumps(attributes, sort_keys=True).encode())


def crcs_of_rows(table: CurveTable) -> NDArray[np.uint32]:  # (M + 1, n)
    """CRC-32 of every curve (m, i), and in the last line of everything else that row i holds."""
    n = len(table)
    crcs = np.zeros((len(table.metrics) + 1, n), np.uint32)
    if n == 0:
        return crcs
    for m, plane in enumerate(table.curves):
        crcs[m] = _crcs(plane)
    crcs[-1] = _crcs(table.seconds)
    for values in _other_columns(table):
        if values.dtype == object:
            pieces = [str(value).encode() for value in values.tolist()]
        else:
            pieces = [bytes(piece) for piece in _bytes(values).reshape(n, -1)]
        crcs[-1] = [zlib.crc32(piece, int(before)) for piece, before in zip(pieces, crcs[-1], strict=True)]
    return crcs


def _other_columns(table: CurveTable) -> list[NDArray[Any]]:
    named = [*sorted(table.columns.items()), *sorted((name, column.values) for name, column in table.configs.items())]
    return [values for _, values in [*named, *sorted(table.results.items())]]


def _crcs(plane: NDArray[Any]) -> list[int]:  # (n, T) -> n
    if plane.shape[1] == 0:
        return [0] * len(plane)
    rows = _bytes(plane).reshape(len(plane), -1)
    return [zlib.crc32(row.data) for row in rows]


def _bytes(data: NDArray[Any]) -> NDArray[np.uint8]:
    little_endian = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
    return little_endian.reshape(-1).view(np.uint8)
