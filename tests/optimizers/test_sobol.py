"""Sobol search: it is the sequence, one point at a time, without the points that are forbidden."""

import numpy as np
import pytest
from scipy.stats import qmc

from lcbench.cube import cube
from lcbench.space import decode, is_legal, lcbench_space
from optimizers.rungs import ladder
from optimizers.sobol import SobolSearch
from tests.fakes import mixed_space


@pytest.mark.parametrize("space", [lcbench_space, mixed_space])
@pytest.mark.parametrize("seed", range(3))
def test_asks_are_the_legal_points_of_the_sequence(space, seed):
    space = space()
    points = cube(space).fair(qmc.Sobol(len(space), rng=np.random.default_rng(seed)).random(128))
    legal = [decode(point, space)[0] for point in points if is_legal(point, space)]
    optimizer = SobolSearch(space, ladder(50, 6, 2), np.random.default_rng(seed))
    assert [optimizer.ask().configuration for _ in legal] == legal
    assert (len(legal) < 128) == bool(space.forbidden_clauses)


def test_seeds_scramble_the_sequence():
    firsts = [SobolSearch(lcbench_space(), ladder(50, 6, 2), np.random.default_rng(seed)).ask().configuration for seed in range(5)]
    assert all(a != b for n, a in enumerate(firsts) for b in firsts[:n])
