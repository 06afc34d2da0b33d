"""The one place for numba settings.

Kernels are compiled once per machine and cached beside the source; they release the GIL so
that the threads of a Dask worker run side by side. ``fastmath`` stays off: reordering sums would
make results depend on the compiler, and Sojourn promises byte-equal reruns.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Return `function` compiled for flat arrays (cached on disk, GIL released)."""
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


def inline(function: F) -> F:
    """Return `function` compiled and inlined into the kernels that call it."""
    return numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")(function)
