"""Greatest value over each node's neighbours, with its gradient: numba on the CPU, plain torch elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel


def neighbour_max(values: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
    """Return the elementwise maximum over each node's neighbours, (n, width).

    `values` are (m, width) float32 and not below 0 (they come out of a ReLU), `neighbours` (n, k) rows of them, -1 for
    none; a node without any gets 0. The gradient goes to the first of the neighbours that share a maximum above 0.
    """
    if values.device.type == "cpu":
        return _NeighbourMax.apply(values, neighbours)
    padded = torch.cat([values, values.new_zeros(1, values.shape[1])])
    return padded[neighbours].max(dim=1).values if len(neighbours) else values.new_zeros(0, values.shape[1])


def max_over_all(
    values: NDArray[np.float32], first: NDArray[np.int64], last: NDArray[np.int64], neighbour: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the maximum over all rows ``neighbour[first[i]:last[i]]`` of values not below 0; 0 where there is none."""
    return _max_over_all(values, first, last, neighbour)


class _NeighbourMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
        greatest, row = _forward(values.detach().contiguous().numpy(), neighbours.numpy())
        ctx.row, ctx.n_rows = row, len(values)
        return torch.from_numpy(greatest)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return torch.from_numpy(_backward(gradients[0].contiguous().numpy(), ctx.row, ctx.n_rows)), None


@kernel
def _forward(values, neighbours):
    n, width = neighbours.shape[0], values.shape[1]
    greatest, row = np.zeros((n, width), values.dtype), np.full((n, width), -1, np.int32)
    for i in range(n):
        best, best_row = greatest[i], row[i]
        for k in range(neighbours.shape[1]):
            j = neighbours[i, k]
            if j >= 0:
                candidate = values[j]
                for c in range(width):
                    is_better = candidate[c] > best[c]
                    best[c] = candidate[c] if is_better else best[c]
                    best_row[c] = j if is_better else best_row[c]
    return greatest, row


@kernel
def _backward(gradient, row, n_rows):
    spread = np.zeros((n_rows, gradient.shape[1]), gradient.dtype)
    for i in range(gradient.shape[0]):
        for c in range(gradient.shape[1]):
            if row[i, c] >= 0:
                spread[row[i, c], c] += gradient[i, c]
    return spread


@kernel
def _max_over_all(values, first, last, neighbour):
    width = values.shape[1]
    greatest = np.zeros((first.size, width), values.dtype)
    for i in range(first.size):
        for k in range(first[i], last[i]):
            for c in range(width):
                greatest[i, c] = max(greatest[i, c], values[neighbour[k], c])
    return greatest
