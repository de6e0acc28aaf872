"""One thread per network: parallelism is over networks, and two threads of a BLAS library wait for each other on a busy machine."""

from __future__ import annotations

from functools import cache


@cache
def one_thread() -> None:
    """Make torch and every BLAS library of this process compute on the calling thread alone, for good."""
    import scipy.linalg.cython_blas  # noqa: F401 (what is loaded later is not limited)
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
