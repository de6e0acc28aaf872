"""How much of a machine is taken."""

import numpy as np
from scipy.linalg import blas
from threadpoolctl import threadpool_info, threadpool_limits

from lcbench.machine import cores, on_one_thread


def threads():
    """The numbers of threads of the libraries that are loaded (numpy's and scipy's are)."""
    return {pool["num_threads"] for pool in threadpool_info()}


def test_there_is_a_core():
    assert cores() >= 1


def test_inside_it_is_one_thread_and_afterwards_as_many_as_before():
    assert np.ones(2) @ np.ones(2) == blas.ddot([1, 1], [1, 1])
    with threadpool_limits(2):
        with on_one_thread():
            assert threads() == {1}
            with on_one_thread():
                assert threads() == {1}
            assert threads() == {1}
        assert threads() == {2}
