"""How figures look: a colour and a line for every optimizer by rule, type, axes, labels at the ends of lines, and the footer."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from analysis.options import AXES
from analysis.study import REFERENCE

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#332288", "#8A8A2B", "#111111")
"""Seven colours of Okabe and Ito (without the yellow, lost on white) and three darker ones of Tol; told apart without red or green."""
DASHES: tuple[tuple[float, ...], ...] = ((), (4.0, 1.4), (1.2, 1.2), (5.0, 1.4, 1.2, 1.4))
"""Line styles, as dashes and gaps in line widths; the second and later ones are for optimizers that share a colour."""
INK = "#222222"
GREY = "#767676"
RC: Mapping[str, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "text.color": INK,
    "lines.linewidth": 1.5,
    "savefig.dpi": 200,
    "figure.facecolor": "white",
}
"""matplotlib's settings for every figure; a font that comes with matplotlib, so that figures are the same everywhere."""
WIDE = 1000
"""A logarithmic axis that spans less than this factor has ticks at 1, 2 and 5, others at powers of ten."""
FOOTER_SIZE = 5.5
"""Points."""
MANY = 8
"""With more optimizers than this, bands are drawn fainter."""


@dataclass(frozen=True)
class Look:
    """How one optimizer is drawn."""

    color: str
    """Hexadecimal."""
    dashes: tuple[float, ...]
    """Dashes and gaps in line widths; empty for a solid line."""

    @property
    def line(self) -> dict[str, Any]:
        """Keyword arguments of a line."""
        return {"color": self.color, "dashes": self.dashes} if self.dashes else {"color": self.color, "linestyle": "-"}


def looks(names: Iterable[str]) -> dict[str, Look]:
    """The look of every optimizer, all different up to 40 of them.

    A name prefers the colour of its CRC-32, so that it mostly looks the same in every study. Where names collide, in alphabetical order,
    the next of the colours that are used least is taken. What shares a colour has different line styles: variants of an optimizer
    (``bohb`` and ``bohb:n_candidates=128``) always, others only when there are more of them than colours. Random search is grey: it is
    what others are measured against.
    """
    families: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        families.setdefault(name.partition(":")[0], []).append(name)
    uses = dict.fromkeys((*PALETTE, GREY), 0)
    result = {}
    for family, members in families.items():
        first = zlib.crc32(family.encode()) % len(PALETTE)
        colors = PALETTE[first:] + PALETTE[:first]
        color = GREY if family == REFERENCE else min(colors, key=lambda color: uses[color])
        for number, name in enumerate(members):
            if number and number % len(DASHES) == 0:
                color = min(colors, key=lambda color: uses[color])
            result[name] = Look(color, DASHES[uses[color] % len(DASHES)])
            uses[color] += 1
    return result


@contextmanager
def styled() -> Iterator[None]:
    """Draw with the settings of every figure."""
    with mpl.rc_context(dict(RC)):  # type: ignore[arg-type]
        yield


def footer(figure: Figure, facts: Sequence[str]) -> None:
    """Say at the foot of a figure what it rests on, in small type and as many lines as its width asks for."""
    room = figure.get_figwidth() * 72 / (0.58 * FOOTER_SIZE)  # characters of mean width
    lines = [""]
    for fact in facts:
        longer = f"{lines[-1]} · {fact}" if lines[-1] else fact
        if len(longer) > room and lines[-1]:
            lines.append(fact)
        else:
            lines[-1] = longer
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", multialignment="left", fontsize=FOOTER_SIZE, color=GREY)


def curves(axes: Axes, table: pd.DataFrame, *, label: bool = True) -> None:
    """Draw a step function with its band for every optimizer, from columns optimizer, share, value, low, high.

    Names stand at the ends of the lines, unless `label` is false.
    """
    names = list(dict.fromkeys(table["optimizer"]))
    look = looks(names)
    alpha = 0.16 if len(names) <= MANY else 0.05
    for name, rows in table.groupby("optimizer", sort=True, observed=True):
        at = rows["share"].to_numpy(float)
        value, low, high = (rows[column].to_numpy(float) for column in ("value", "low", "high"))
        axes.fill_between(at, low, high, color=look[name].color, alpha=alpha, linewidth=0, step="post")
        axes.plot(at, value, label=name, drawstyle="steps-post", zorder=2.5 if name == REFERENCE else 3, **look[name].line)
    if label:
        name_lines(axes)


def name_lines(axes: Axes, size: float = 7) -> None:
    """Write the label of every line beside its last point, moved apart where names would overlap, with a thin leader to the line."""
    ends = [(line, *_end(line.get_xdata(), line.get_ydata())) for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    ends = [(line, x, y) for line, x, y in ends if np.isfinite(y)]
    if not ends:
        return
    height = axes.figure.get_figheight() * axes.get_position().height * 72  # type: ignore[union-attr]
    to_axes = axes.transData + axes.transAxes.inverted()
    places = [np.clip(to_axes.transform((x, y)), 0, 1) for _, x, y in ends]  # 0 or less has no place on a logarithmic axis
    placed = spread(np.array([place[1] for place in places]), size * 1.18 / height)
    for (line, _, _), place, at in zip(ends, places, placed, strict=True):
        axes.annotate(
            str(line.get_label()),
            xy=tuple(place),
            xycoords="axes fraction",
            xytext=(1.045, at),
            textcoords="axes fraction",
            fontsize=size,
            color=line.get_color(),
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.5, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)},
        )


def _end(x: object, y: object) -> tuple[float, float]:
    x, y = np.asarray(x, float), np.asarray(y, float)
    finite = np.flatnonzero(np.isfinite(y))
    return (x[finite[-1]], y[finite[-1]]) if finite.size else (np.nan, np.nan)


def spread(wanted: np.ndarray, gap: float) -> np.ndarray:
    """Places at least `gap` apart and as near to the wanted ones as can be, in the same order (isotonic regression on w_i − i · gap).

    Within [0, 1] as far as there is room for all.
    """
    order = np.argsort(wanted, kind="stable")
    blocks: list[list[float]] = []  # [mean, members]
    for value in wanted[order] - gap * np.arange(len(wanted)):
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, members = blocks.pop()
            blocks[-1] = [(blocks[-1][0] * blocks[-1][1] + mean * members) / (blocks[-1][1] + members), blocks[-1][1] + members]
    level = np.concatenate([np.full(int(members), mean) for mean, members in blocks])
    level = np.clip(level, 0, max(1 - gap * (len(wanted) - 1), 0))
    placed = np.empty(len(wanted))
    placed[order] = level + gap * np.arange(len(wanted))
    return placed


def budget_axis(axes: Axes, axis: str, first: float) -> None:
    """A logarithmic axis of shares of the budget, with halves as ticks."""
    axes.set_xscale("log")
    axes.set_xlim(first, 1)
    ticks = [0.5**k for k in range(64) if 0.5**k >= first * (1 - 1e-9)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: "1" if share == 1 else f"1/{1 / share:.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"share of the budget in {AXES[axis]}")


def positive_log(axes: Axes, table: pd.DataFrame) -> None:
    """A logarithmic y axis that holds the positive values and their bands; what is 0 or less lies below its foot.

    A band is shown down to a third of the smallest value: near 0 it would take most of the axis.
    """
    values = table["value"].to_numpy(float)
    positive = values[np.isfinite(values) & (values > 0)]
    axes.set_yscale("log", nonpositive="clip")
    if not positive.size:
        return
    foot, top = table["low"].min(), table["high"].max()
    low, high = max(foot, positive.min() / 3) / 1.1, max(top, positive.max()) * 1.1
    axes.set_ylim(low, high)
    subs = (1, 2, 5) if high / low < WIDE else (1,)
    plain_log(axes.yaxis, subs)


def plain_log(axis: Axis, subs: Sequence[float] = (1, 2, 5), unit: str = "") -> None:
    """Ticks of a logarithmic axis in plain decimals."""
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=30))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{unit}"))
    axis.set_minor_formatter(NullFormatter())
