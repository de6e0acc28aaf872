"""What the machine offers this process, and how much of it is taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def cores() -> int:
    """Cores that this process may use: no more than its affinity (but on macOS) and the quota of its container allow."""
    from joblib import cpu_count

    return int(cpu_count())


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Inside, numpy, scipy and scikit-learn compute on the calling thread alone; afterwards on as many as before.

    Threads of a library wait for each other, on matrices as small as those of an optimizer longer than they compute, and where every core
    is busy until the scheduler gives each of them its turn.
    """
    import scipy.linalg.cython_blas  # noqa: F401 (what is loaded later is not limited)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
