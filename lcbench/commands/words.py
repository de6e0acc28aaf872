"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BARS = "▁▂▃▄▅▆▇█"


def duration(seconds: float) -> str:
    """Seconds as the two largest units.

    >>> duration(0.123), duration(75), duration(7300), duration(200_000)
    ('0.12 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    for size, big, small, name, rest in ((86400, 86400, 3600, "d", "h"), (3600, 3600, 60, "h", "min"), (0, 60, 1, "min", "s")):
        if seconds >= size:
            return f"{int(seconds // big)} {name} {int(seconds % big // small)} {rest}"
    raise AssertionError("this is a bug: a duration of minutes has no unit")


def listed(numbers: Iterable[int]) -> str:
    """Distinct numbers in order, many of them shortened.

    >>> listed([3, 1, 2, 1]), listed(range(100))
    ('1, 2, 3', '0, 1, … 99 (100)')
    """
    shown = [str(number) for number in sorted(set(numbers))]
    return ", ".join(shown) if len(shown) <= 8 else f"{shown[0]}, {shown[1]}, … {shown[-1]} ({len(shown)})"


def spark(values: NDArray[np.floating], width: int = 40) -> str:
    """A curve as a line of blocks from its lowest to its highest value; what is not finite is left out.

    >>> spark(np.array([0.0, 0.5, 1.0]))
    '▁▅█'
    """
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return ""
    picked = values[np.unique(np.linspace(0, len(values) - 1, min(width, len(values))).round().astype(int))]
    low, span = picked.min(), np.ptp(picked)
    levels = (picked - low) / span * (len(_BARS) - 1) if span > 0 else np.zeros(len(picked))
    return "".join(_BARS[round(level)] for level in levels)


def short(value: Any) -> str:
    """A value of a configuration in three digits.

    >>> short(0.0123456), short(64), short("relu")
    ('0.0123', '64', 'relu')
    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)
