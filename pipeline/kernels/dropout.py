"""Dropout whose choices are a function of (key, number of the unit in the epoch): the same for any grouping, at a tenth of a nanosecond.

A unit is kept if a mixed 32-bit number is not below ``rate * 2^32``. The mixing is two rounds of multiply and shift (Wellons, "Prospecting
for hash functions", 2018) with one multiplier from the key, so that different keys give different permutations and not one permutation
read in another order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.blas import compiled

Key = tuple[np.uint32, np.uint32]
"""An offset and an odd multiplier."""


@compiled
def mixed(index: np.uint32, offset: np.uint32, multiplier: np.uint32) -> np.uint32:
    """The number of unit `index` under a key, as good as random in all 32 bits."""
    x = np.uint32(np.uint32(index * np.uint32(0x9E3779B9)) + offset)
    x ^= x >> np.uint32(16)
    x = np.uint32(x * multiplier)
    x ^= x >> np.uint32(15)
    x = np.uint32(x * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


def limit_and_scale(rate: float) -> tuple[np.uint32, np.float32]:
    """The number below which a unit is dropped, and what the kept ones are multiplied with: 1 / (1 - rate), or 0 where none is kept."""
    return np.uint32(min(round(rate * 2**32), 2**32 - 1)), np.float32(1 / (1 - rate) if rate < 1 else 0)


@compiled
def fill_mask(out: NDArray, start: int, key: Key, limit: np.uint32, scale: np.float32) -> None:  # (n,) float32
    """What the units `start`, `start` + 1, … are multiplied with; after 2**32 of them they come again."""
    for i in range(len(out)):
        kept = mixed(np.uint32(start + i), key[0], key[1]) >= limit
        out[i] = scale if kept else np.float32(0)
