"""A module over rows, so that a row's result has the same bits whatever rows come with it, and in whatever order.

What it takes on the CPU was found by experiment (torch 2.13 with MKL, AVX2):

- one shape of batch, of a multiple of 64 rows: other numbers of rows choose other kernels, and leave an edge whose
  rows are summed in another order;
- matrix products of a width in and out that is a multiple of 16: with 2 to 11 columns out and a width in that is no
  multiple of 4, MKL sums rows differently by their place in the batch, and products of small matrices in batches do so
  at most sizes. They are filled up with zeros;
- attention and the like as the plain products it is made of, not as one operation that cannot be filled up;
- one thread, which keeps the work from being cut by the number of cores.

Some of it is set for the whole process, so threads of one worker run modules here one after the other.

Rows are independent only where the module keeps them so: no statistics over the batch (eval mode sees to batch norm).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad
from torch.utils._python_dispatch import TorchDispatchMode

ROWS_STEP = 64
"""Batches have a multiple of so many rows."""
WIDTH_STEP = 16
"""Matrix products have widths of a multiple of so many columns."""
_ONE_AT_A_TIME = RLock()
"""Held while torch is set so: a thread that ends would set it back under another, or leave it set for good."""
Rows = NDArray[Any] | Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]]


def in_fixed_batches(module: torch.nn.Module, arrays: Rows, batch_size: int = 1024) -> NDArray[np.float32]:
    """Return the module's result for each row: float32 of shape (rows, width…).

    `arrays` is one array, several (the module's arguments in order) or a mapping (its keyword arguments), of one
    length; the module runs where its parameters lie, in eval mode, and is left in the mode it was in. Rows are padded
    to batches of `batch_size`, rounded up to a multiple of 64, by repeating the last. Without rows it is run once on
    zeros to learn the width. ValueError where lengths differ or a result has not one row for each row.
    """
    names = list(arrays) if isinstance(arrays, Mapping) else None
    columns = list(arrays.values()) if isinstance(arrays, Mapping) else arrays
    columns = [columns] if isinstance(columns, np.ndarray) else list(columns)
    lengths = {len(column) for column in columns}
    if len(lengths) != 1:
        raise ValueError(f"arrays of rows differ in length, or there is none: {sorted(lengths)}")
    n_rows = lengths.pop()
    size = -(-batch_size // ROWS_STEP) * ROWS_STEP
    device = _device(module)
    results = []
    with _unvarying(module):
        for first in range(0, max(n_rows, 1), size):
            batch = [torch.from_numpy(_padded(column[first : first + size], size)).to(device) for column in columns]
            result = module(**dict(zip(names, batch, strict=True))) if names else module(*batch)
            if len(result) != size:
                raise ValueError(f"the module gives {len(result)} rows for {size}")
            results.append(result[: min(size, n_rows - first)].to("cpu", torch.float32).numpy())
    return np.concatenate(results)


class FilledProducts(TorchDispatchMode):
    """Fills matrix products up with zeros to widths whose rows are summed alike wherever they stand."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation of torch; those made of others (linear, attention) are taken apart first."""
        if function in PRODUCTS and not kwargs:
            return PRODUCTS[function](*args)
        with self:
            parts = function.decompose(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {})) if parts is NotImplemented else parts


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the product of two matrices; the rows of the left one are those of a batch, of a multiple of 64."""
    inner, outer = right.shape
    return torch.mm(_filled(left, 0, -inner), _filled(right, -inner, -outer))[:, :outer]


def _products(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the products of pairs of matrices, one pair for each row of a batch."""
    rows, (inner, outer) = left.shape[1], right.shape[1:]
    return torch.bmm(_filled(left, -rows, -inner), _filled(right, -inner, -outer))[:, :rows, :outer]


def _filled(matrices: torch.Tensor, minus_rows: int, minus_columns: int) -> torch.Tensor:
    more_rows, more_columns = minus_rows % WIDTH_STEP, minus_columns % WIDTH_STEP
    return pad(matrices, (0, more_columns, 0, more_rows)) if more_rows or more_columns else matrices


PRODUCTS: dict[Any, Callable[..., torch.Tensor]] = {
    torch.ops.aten.mm.default: _product,
    torch.ops.aten.addmm.default: lambda bias, left, right: _product(left, right) + bias,
    torch.ops.aten.bmm.default: _products,
    torch.ops.aten.baddbmm.default: lambda bias, left, right: _products(left, right) + bias,
}
"""Operations of torch that multiply matrices, and what is done in their place."""


@contextmanager
def _unvarying(module: torch.nn.Module) -> Iterator[None]:
    """Hold the module in eval mode and torch at one thread, without gradients, on the CPU with filled products.

    Other threads wait: of torch's settings here only the number of threads and the gradients are a thread's own.
    """
    with _ONE_AT_A_TIME, _set_so(module):
        yield


@contextmanager
def _set_so(module: torch.nn.Module) -> Iterator[None]:
    is_training = [(part, part.training) for part in module.modules()]
    n_threads, is_fused = torch.get_num_threads(), torch.backends.mha.get_fastpath_enabled()
    module.eval()
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)  # attention in one operation, whose products are not seen
    try:
        with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FilledProducts():
            yield
    finally:
        torch.set_num_threads(n_threads)
        torch.backends.mha.set_fastpath_enabled(is_fused)
        for part, mode in is_training:
            part.training = mode


def _device(module: torch.nn.Module) -> torch.device:
    tensors = [*module.parameters(), *module.buffers()]
    return tensors[0].device if tensors else torch.device("cpu")


def _padded(rows: NDArray[Any], size: int) -> NDArray[Any]:
    """Return rows with their last (zeros where there is none) repeated up to a size, as a copy torch may keep."""
    last = rows[-1:] if len(rows) else np.zeros((1, *rows.shape[1:]), rows.dtype)
    return np.ascontiguousarray(np.concatenate([rows, np.repeat(last, size - len(rows), axis=0)]))
