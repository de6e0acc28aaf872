"""Ladders and brackets: the published tables number by number, and the integer definition for every range."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizers.rungs import Ladder, first_rung_size, hyperband_bracket, ladder, rung_sizes

# min, max, eta, budgets without rounding, trials per rung of one round of brackets (ground truth section 4.1)
HPBANDSTER = [
    (10, 50, 2, [12.5, 25, 50], [[4, 2, 1], [2, 1], [3]]),
    (6, 50, 2, [6.25, 12.5, 25, 50], [[8, 4, 2, 1], [4, 2, 1], [4, 2], [4]]),
    (5, 50, 3, [5.56, 16.67, 50], [[9, 3, 1], [3, 1], [3]]),
    (1, 50, 3, [1.85, 5.56, 16.67, 50], [[27, 9, 3, 1], [9, 3, 1], [6, 2], [4]]),
    (5, 150, 3, [5.56, 16.67, 50, 150], [[27, 9, 3, 1], [9, 3, 1], [6, 2], [4]]),
    (120, 6000, 3, [222.22, 666.67, 2000, 6000], [[27, 9, 3, 1], [9, 3, 1], [6, 2], [4]]),
]
LARGEST = 1000


def n_rungs_defined(r, R, eta):
    """1 + max k with r eta^k <= R, by products of integers."""
    k = 0
    while r * eta ** (k + 1) <= R:
        k += 1
    return 1 + k


@pytest.mark.parametrize(("r", "R", "eta", "budgets", "brackets"), HPBANDSTER)
def test_the_table_of_hpbandster(r, R, eta, budgets, brackets):
    rungs = ladder(R, r, eta)
    assert rungs.epochs == tuple(int(budget) for budget in budgets)
    m = len(budgets)
    for iteration in range(3 * m):
        bracket = hyperband_bracket(iteration, rungs)
        assert bracket.sizes == tuple(brackets[iteration % m])
        assert bracket.epochs == rungs.epochs[iteration % m :]


def test_the_two_tables_differ_in_one_bracket():
    rungs = ladder(50, 1, 3)
    assert [hyperband_bracket(i, rungs, "hpbandster").sizes[0] for i in range(4)] == [27, 9, 6, 4]
    assert [hyperband_bracket(i, rungs, "li2018").sizes[0] for i in range(4)] == [27, 12, 6, 4]


def test_the_cost_of_a_round_without_rounding_the_budgets():
    brackets = [hyperband_bracket(i, ladder(50, 1, 3)).sizes for i in range(4)]
    costs = [sum(n * Fraction(50, 3 ** (len(sizes) - 1 - j)) for j, n in enumerate(sizes)) for sizes in brackets]
    assert costs == [200, 150, 200, 200]


def test_the_example_of_the_paper():
    """Li et al. 2018, table 1: R = 81, eta = 3."""
    brackets = [hyperband_bracket(i, ladder(81, 1, 3), "li2018") for i in range(5)]
    assert [b.sizes for b in brackets] == [(81, 27, 9, 3, 1), (34, 11, 3, 1), (15, 5, 1), (8, 2), (5,)]
    assert [b.epochs[0] for b in brackets] == [1, 3, 9, 27, 81]


@pytest.mark.parametrize(
    ("r", "R", "eta", "n_rungs"), [(1, 243, 3, 6), (1, 1000, 10, 4), (1, 125, 5, 4), (50, 50, 2, 1), (26, 50, 2, 1), (25, 50, 2, 2)]
)
def test_ranges_where_logarithms_lose_a_rung(r, R, eta, n_rungs):
    assert len(ladder(R, r, eta).epochs) == n_rungs == n_rungs_defined(r, R, eta)


@pytest.mark.parametrize("eta", range(2, 11))
def test_every_range_has_the_rungs_that_the_definition_gives(eta):
    """For every R <= 1000 and every r at which the number of rungs could change; between those it cannot."""
    for R in range(1, LARGEST + 1):
        edges = {R // eta**k + step for k in range(11) for step in (-1, 0, 1)}
        for r in sorted(r for r in edges if 1 <= r <= R):
            assert len(ladder(R, r, eta).epochs) == n_rungs_defined(r, R, eta), (r, R, eta)


@st.composite
def ranges(draw):
    R = draw(st.integers(1, LARGEST))
    return draw(st.integers(1, R)), R, draw(st.integers(2, 10))


@given(ranges(), st.sampled_from(["hpbandster", "li2018"]))
def test_laws_of_ladders_and_brackets(limits, table):
    r, R, eta = limits
    rungs = ladder(R, r, eta)
    m = len(rungs.epochs)
    assert m == n_rungs_defined(r, R, eta)
    assert rungs.max == R
    assert rungs.epochs == tuple(R // eta**k for k in reversed(range(m)))
    for iteration in range(m):
        bracket = hyperband_bracket(iteration, rungs, table)
        assert len(bracket.sizes) == len(bracket.epochs) == m - iteration
        assert bracket.epochs[-1] == R
        assert all(after == max(before // eta, 1) for before, after in zip(bracket.sizes, bracket.sizes[1:], strict=False))
        assert bracket == hyperband_bracket(iteration + m, rungs, table)


def test_rung_sizes_do_not_fall_below_one():
    assert rung_sizes(3, 2, 4) == (3, 1, 1, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ladder(50, 51, 2), "`min_epochs` is 51, but must lie in 1..50"),
        (lambda: ladder(50, 0, 2), "`min_epochs` is 0"),
        (lambda: ladder(50, 1, 1), "`eta` is 1"),
        (lambda: Ladder((5, 5), 2), "increase strictly"),
        (lambda: Ladder((), 2), "increase strictly"),
        (lambda: first_rung_size(0, 3, 2, "smac"), "`table` is 'smac', but must be 'hpbandster' or 'li2018'"),
    ],
)
def test_refusals_say_what_is_accepted(call, message):
    with pytest.raises(ValueError, match=message):
        call()
