"""Width rules of shaped networks: how many units each layer has, from one maximum and the name of a shape.

Notation: d inputs, k outputs, U the searched maximum of units, M = max(d, U), L linear layers. Every rule returns the L
output widths of the layers, the last of which is k. Steps are truncated toward zero, as in the original (Auto-PyTorch,
branch TPAMI.2021.3067763), so that a width of the published LCBench is met exactly (tests/golden/test_shapes.py).
"""

from __future__ import annotations

from collections.abc import Callable


def widths(shape: str, d: int, k: int, units: int, n_layers: int) -> list[int]:
    """Output widths of `n_layers` linear layers of the given shape.

    >>> widths("funnel", 18, 4, 256, 3)
    [256, 130, 4]

    Raises:
        ValueError: if the shape is unknown, with the shapes there are.
    """
    if shape not in SHAPES:
        raise ValueError(f"`shape` is {shape!r}, but must be one of {', '.join(SHAPES)}")
    if n_layers <= 0:
        return []
    if n_layers == 1:
        return [k]
    return SHAPES[shape](d, k, max(d, units), n_layers)


def _step(high: int, low: int, n_layers: int) -> int:
    return max(0, int((high - low) / (n_layers - 1)))


def _brick(d: int, k: int, m: int, n_layers: int) -> list[int]:
    return [m] * (n_layers - 1) + [k]


def _funnel(d: int, k: int, m: int, n_layers: int) -> list[int]:
    step = _step(m, k, n_layers)
    return [m - i * step for i in range(n_layers - 1)] + [k]


def _triangle(d: int, k: int, m: int, n_layers: int) -> list[int]:
    step = _step(m, d, n_layers)
    return [d + i * step for i in range(1, n_layers - 1)] + [m, k]


def _long_funnel(d: int, k: int, m: int, n_layers: int) -> list[int]:
    flat = n_layers // 2
    return widths("brick", d, m, m, flat) + widths("funnel", d, k, m, n_layers - flat)


def _diamond(d: int, k: int, m: int, n_layers: int) -> list[int]:
    rising = n_layers // 2 + 1
    rise = widths("triangle", d, m, m, rising)
    dropped = len(rise) > 1
    rest = n_layers - rising + (2 if dropped else 0)
    return (rise[:-2] if dropped else rise) + widths("funnel", m, k, m, rest)


def _hexagon(d: int, k: int, m: int, n_layers: int) -> list[int]:
    side = n_layers // 3 + 1
    rise = widths("triangle", d, m, m, side)
    return rise + widths("brick", d, m, m, n_layers - 2 * side) + widths("funnel", d, k, m, side)


def _stairs(d: int, k: int, m: int, n_layers: int) -> list[int]:
    step = 2 * _step(m, k, n_layers)
    stairs = [m] * (2 if n_layers % 2 else 1)
    for _ in range(int(n_layers / 2 - 1)):
        stairs += [stairs[-1] - step] * 2
    return [*stairs, k]


SHAPES: dict[str, Callable[[int, int, int, int], list[int]]] = {
    "funnel": _funnel,
    "long_funnel": _long_funnel,
    "brick": _brick,
    "triangle": _triangle,
    "diamond": _diamond,
    "hexagon": _hexagon,
    "stairs": _stairs,
}
"""Every shape by name: rule(d, k, M, L)."""
