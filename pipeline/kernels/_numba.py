"""The one place for numba settings.

Kernels are compiled once per machine and cached; they release the GIL so that the threads of a
Dask worker run side by side. ``fastmath`` stays off: reordering sums would make results depend on
the compiler, and Sojourn promises byte-equal reruns.

Numba notices an edit of the file that holds a kernel, but not of a file the kernel calls into, and
would go on running the old code. So the cache folder is named by a hash of all sources that hold
kernels: an edit anywhere begins a new cache.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])
KERNEL_FOLDERS = ("kernels", "simulation")


def _cache_folder() -> Path:
    package = Path(__file__).parents[1]
    sources = [path for name in KERNEL_FOLDERS for path in sorted((package / name).glob("*.py"))]
    digest = hashlib.blake2b(b"".join(path.read_bytes() for path in sources), digest_size=8).hexdigest()
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "sojourn" / f"kernels-{digest}"


setattr(numba.config, "CACHE_DIR", os.environ.get("NUMBA_CACHE_DIR") or str(_cache_folder()))  # noqa: B010


def kernel(function: F) -> F:
    """Return `function` compiled for flat arrays (cached on disk, GIL released)."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inline(function: F) -> F:
    """Return `function` compiled and inlined into the kernels that call it."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")(function))
