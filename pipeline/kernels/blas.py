"""Products of matrices inside compiled code: the single-precision `sgemm` of the BLAS library that scipy brings."""

from __future__ import annotations

from typing import Any, NamedTuple

import llvmlite.binding
import numba
import numpy as np
from numba import types
from numba.extending import get_cython_function_address
from numpy.typing import NDArray

from pipeline.kernels import cache_folder

llvmlite.binding.add_symbol("lcbench_sgemm", get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))
_SGEMM: Any = types.ExternalFunction("lcbench_sgemm", types.void(*[types.uintp] * 13))  # by name, so that its callers can be kept on disk

_FOLDER = str(cache_folder())
Floats = NDArray[np.float32]


def compiled(kernel: Any) -> Any:
    """How every kernel is compiled: other threads run on, the code is kept on disk, and a division by zero is what it is in numpy."""
    elsewhere, numba.config.CACHE_DIR = numba.config.CACHE_DIR, _FOLDER  # read when a function is decorated
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy")(kernel)
    finally:
        numba.config.CACHE_DIR = elsewhere


class Box(NamedTuple):
    """Memory for the arguments of `sgemm`, which takes addresses only; one per thread."""

    letters: NDArray[np.uint8]  # (2,)
    ints: NDArray[np.int32]  # (6,)
    floats: Floats  # (2,)


def new_box() -> Box:
    """A box as the products expect it."""
    return Box(np.frombuffer(b"NT", np.uint8).copy(), np.zeros(6, np.int32), np.ones(2, np.float32))


@compiled
def _gemm(letters: tuple[int, int], shape: tuple[int, int, int], a: Any, b: Any, share: float, c: Any, box: Box) -> None:
    """C = op(A) op(B) + share C in Fortran's order: `shape` is (m, n, k), a matrix is (address, leading dimension)."""
    ints, floats = box.ints, box.floats
    ints[0], ints[1], ints[2] = shape
    ints[3], ints[4], ints[5] = a[1], b[1], c[1]
    floats[1] = share
    i, f, letter = ints.ctypes.data, floats.ctypes.data, box.letters.ctypes.data
    _SGEMM(letter + letters[0], letter + letters[1], i, i + 4, i + 8, f, a[0], i + 12, b[0], i + 16, f + 4, c[0], i + 20)


@compiled
def forward_product(x: Floats, weight: Floats, out: Floats, box: Box) -> None:  # (n, a), (b, a), (n, b)
    """Make `out` the product x weight^T."""
    n, (b, a) = len(x), weight.shape
    _gemm((1, 0), (b, n, a), (weight.ctypes.data, a), (x.ctypes.data, a), 0.0, (out.ctypes.data, b), box)


@compiled
def backward_product(delta: Floats, weight: Floats, share: float, out: Floats, box: Box) -> None:  # (n, b), (b, a), (), (n, a)
    """Make `out` share * out + delta weight: what the layer below is to change."""
    n, (b, a) = len(delta), weight.shape
    _gemm((0, 0), (a, n, b), (weight.ctypes.data, a), (delta.ctypes.data, b), share, (out.ctypes.data, a), box)


@compiled
def weight_gradient(delta: Floats, x: Floats, share: float, out: Floats, box: Box) -> None:  # (n, b), (n, a), (), (b, a)
    """Make `out` share * out + delta^T x; with the momentum as the share a gradient goes straight into its buffer."""
    n, (b, a) = len(x), out.shape
    _gemm((0, 1), (a, b, n), (x.ctypes.data, a), (delta.ctypes.data, b), share, (out.ctypes.data, a), box)
