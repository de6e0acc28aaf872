"""Moments and exact quantiles of many numbers in three passes: a histogram over the upper half of the bits finds where a rank lies."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.blas import compiled

SORTED_BELOW = 4096
"""So few numbers are sorted instead."""


LANES = 16
"""Sums that run side by side, so that the processor need not wait for one addition to begin the next."""


@compiled
def moments_and_quantiles(values: NDArray, shares: NDArray) -> NDArray:  # (n,) float32, (q,) -> (3 + q,)
    """Maximum, mean, standard deviation, then quantiles as numpy interpolates them; all NaN if one value is.

    Shares increase, and two of them lie at least a rank apart where there are more than `SORTED_BELOW` values.
    """
    n = len(values)
    found = np.full(3 + len(shares), np.nan)
    total, squares = _sums(values, np.float64(0))
    if math.isnan(squares):
        return found
    _, spread = _sums(values, total / n)
    ranks = np.empty(2 * len(shares) + 1, np.int64)
    for k in range(len(shares)):
        ranks[2 * k] = int(shares[k] * (n - 1))
        ranks[2 * k + 1] = min(ranks[2 * k] + 1, n - 1)
    ranks[-1] = n - 1
    at = _at_ranks(values, ranks)
    found[0], found[1], found[2] = at[-1], total / n, math.sqrt(spread / n)
    for k in range(len(shares)):
        found[3 + k] = at[2 * k] + (at[2 * k + 1] - at[2 * k]) * (shares[k] * (n - 1) - ranks[2 * k])
    return found


@compiled
def _sums(values: NDArray, center: float) -> tuple[float, float]:  # (n,) float32
    """The sum of the deviations from a centre, and of their squares."""
    sums, squares = np.zeros(LANES), np.zeros(LANES)
    whole = len(values) - len(values) % LANES
    for first in range(0, whole, LANES):
        for j in range(LANES):
            deviation = np.float64(values[first + j]) - center
            sums[j] += deviation
            squares[j] += deviation * deviation
    for i in range(whole, len(values)):
        deviation = np.float64(values[i]) - center
        sums[0] += deviation
        squares[0] += deviation * deviation
    return sums.sum(), squares.sum()


@compiled
def _at_ranks(values: NDArray, ranks: NDArray) -> NDArray:  # (n,) float32, (q,) -> (q,)
    """The numbers at these places of the sorted values; the places increase."""
    found = np.empty(len(ranks))
    if len(values) < SORTED_BELOW:
        ordered = np.sort(values)
        for k in range(len(ranks)):
            found[k] = ordered[ranks[k]]
        return found
    halves, counts = _upper_halves(values)
    wanted, ends = _bins(counts, ranks)
    starts, n_members = np.full(2**16, -1, np.int32), 0  # where the next number with an upper half goes, if it is wanted
    for k in range(len(ranks)):
        if starts[wanted[k]] < 0:
            starts[wanted[k]] = n_members
            n_members += counts[wanted[k]]
    members = np.empty(n_members, np.float32)
    for i in range(len(values)):
        place = starts[halves[i]]
        if place >= 0:
            members[place] = values[i]
            starts[halves[i]] += 1
    ordered = members
    for k in range(len(ranks)):
        end, n_equal = starts[wanted[k]], counts[wanted[k]]
        if k == 0 or wanted[k] != wanted[k - 1]:
            ordered = np.sort(members[end - n_equal : end])
        found[k] = ordered[ranks[k] - ends[k] + n_equal]
    return found


@compiled
def _bins(counts: NDArray, ranks: NDArray) -> tuple[NDArray, NDArray]:  # (65536,), (q,) -> twice (q,)
    """The bin that holds every rank, and how many numbers there are up to its end."""
    wanted, ends = np.empty(len(ranks), np.int64), np.empty(len(ranks), np.int64)
    half, end = 0, counts[0]
    for k in range(len(ranks)):
        while end <= ranks[k]:
            half += 1
            end += counts[half]
        wanted[k], ends[k] = half, end
    return wanted, ends


@compiled
def _upper_halves(values: NDArray) -> tuple[NDArray, NDArray]:  # (n,) float32 -> (n,) uint16, (65536,)
    """The upper 16 bits of every number, changed so that they order as the numbers do, and how often each occurs."""
    bits = values.view(np.uint32)
    halves, counts = np.empty(len(values), np.uint16), np.zeros(2**16, np.int32)
    for i in range(len(values)):
        half = np.uint16(bits[i] >> np.uint32(16))
        halves[i] = ~half if half & np.uint16(0x8000) else half | np.uint16(0x8000)
    for i in range(len(values)):
        counts[halves[i]] += 1
    return halves, counts
