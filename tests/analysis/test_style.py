"""Looks by rule: all different, mostly the same from study to study; names placed apart."""

import io
import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.style import GREY, PALETTE, looks, name_lines, spread
from tests.analysis.fakes import OPTIMIZERS

NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=1, max_size=40, unique=True)


@given(NAMES)
def test_forty_optimizers_look_different(names):
    assert len(set(looks(names).values())) == len(names)


@given(NAMES)
def test_the_order_of_names_does_not_matter(names):
    assert looks(names) == looks(names[::-1]) == looks([*names, *names])


@given(NAMES)
def test_as_many_as_there_are_colours_have_all_different_ones_and_solid_lines(names):
    drawn = looks(names[: len(PALETTE)])
    assert len({look.color for look in drawn.values()}) == len(drawn)
    assert not any(look.dashes for look in drawn.values())


@given(st.text("abcdefgh", min_size=1, max_size=6))
def test_a_name_alone_has_its_own_colour(name):
    assert looks([name])[name] == looks([name, "random"])[name]


def test_more_variants_than_lines_look_different_all_the_same():
    names = ["bohb", *(f"bohb:n_candidates={n}" for n in range(6)), *OPTIMIZERS]
    assert len(set(looks(names).values())) == len(set(names))


def test_variants_share_a_colour_and_not_a_line():
    drawn = looks(["bohb", "bohb:n_candidates=128", "bohb:random_fraction=0.1", *OPTIMIZERS])
    bohb = [look for name, look in drawn.items() if name.startswith("bohb")]
    assert len({look.color for look in bohb}) == 1
    assert len({look.dashes for look in bohb}) == 3
    assert bohb[0].color not in {look.color for name, look in drawn.items() if not name.startswith("bohb")}


def test_random_search_is_grey_and_nobody_else():
    drawn = looks(["random", *"abcdefghijklmnopqrst"])
    assert [name for name, look in drawn.items() if look.color == GREY] == ["random"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_names_are_apart_in_the_same_order_and_inside(wanted):
    wanted, gap = np.array(wanted), 0.05
    placed = spread(wanted, gap)
    for i, j in itertools.permutations(range(len(wanted)), 2):
        assert abs(placed[i] - placed[j]) >= gap - 1e-9
        if wanted[i] < wanted[j]:
            assert placed[i] < placed[j]
    assert placed.min() >= -1e-9
    assert placed.max() <= 1 + 1e-9


def test_names_that_have_room_stay_where_they_are():
    np.testing.assert_allclose(spread(np.array([0.1, 0.9, 0.5]), 0.1), [0.1, 0.9, 0.5])
    np.testing.assert_allclose(spread(np.array([0.5, 0.5]), 0.1), [0.45, 0.55])


def test_a_line_that_ends_at_zero_on_a_logarithmic_axis_is_named_at_its_foot():
    """On a surrogate a regret may be negative: the layout must not follow the line to minus infinity."""
    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, end in (("above", 0.1), ("below", -0.1)):
        axes.plot([0.1, 1.0], [1.0, end], label=name)
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(0.01, 1)
    name_lines(axes)
    figure.savefig(io.BytesIO())  # a warning of a collapsed layout is an error here
    above, below = axes.texts
    assert above.xy[1] > 0.4
    assert below.xy[1] == 0
