"""The processes that train together: one, or those that `torchrun` or `accelerate launch` starts on CPUs or GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from itertools import islice, repeat
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    GradientAccumulationPlugin,
    InitProcessGroupKwargs,
    broadcast,
    send_to_device,
)

from pipeline.models.devices import pick_device
from pipeline.models.launched import n_processes
from pipeline.models.protocol import ModelError

PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
"""Words of accelerate for ours."""
PATIENCE = timedelta(days=1)
"""How long processes wait for each other (ours; torch: 10 or 30 minutes): the first may be waiting for the root. Where
one dies, the launcher ends the others."""

Loss = Callable[[Any], torch.Tensor]
"""Makes the loss of a batch."""


class Processes:
    """What this process knows of those it trains with, and what they do together."""

    def __init__(self, device: str, precision: str) -> None:
        """Find the device and the other processes; ModelError for float16 without CUDA, NoDeviceError without a GPU."""
        kind = pick_device(device).type
        if precision == "float16" and kind != "cuda":
            raise ModelError("precision float16 needs CUDA; on the CPU use bfloat16 or float32")
        # accelerate keeps the settings of the first training in the process and refuses others: forget them.
        AcceleratorState._reset_state(reset_partial_state=True)
        self.accelerator = Accelerator(
            mixed_precision=PRECISIONS[precision],
            cpu=kind == "cpu",
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
            kwargs_handlers=[
                DistributedDataParallelKwargs(find_unused_parameters=True),
                InitProcessGroupKwargs(timeout=PATIENCE),
            ],
        )
        self.count: int = self.accelerator.num_processes
        self.index: int = self.accelerator.process_index
        self.is_main: bool = self.accelerator.is_main_process
        self.device: torch.device = self.accelerator.device
        self.scaler: Any = self.accelerator.scaler
        """Scales losses in float16; None else."""

    def spread(self, module: torch.nn.Module, loss: Loss) -> Loss:
        """Return the loss in mixed precision, its gradients averaged over processes; put the module on the device."""
        if self.count == 1 and self.accelerator.mixed_precision == PRECISIONS["float32"]:
            module.to(self.device)
            return loss  # nothing to wrap, and a wrapper costs time in every step
        return self.accelerator.prepare_model(_Wrapped(module, loss))

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which a forward pass has the precision asked for."""
        return self.accelerator.autocast()

    def mean(self, values: list[torch.Tensor]) -> list[float]:
        """Return means over the processes of single numbers on the device."""
        stacked = torch.stack(values)
        if self.count > 1:
            stacked = self.accelerator.reduce(stacked, reduction="mean")
        return stacked.tolist()

    def same(self, value: float) -> float:
        """Return the main process's value, so that all processes decide alike."""
        if self.count == 1:
            return value
        return broadcast(torch.tensor([value], dtype=torch.float64, device=self.device)).item()

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.accelerator.wait_for_everyone()


def n_threads() -> int:
    """Return by how many threads sums are made: another number makes them in another order."""
    return int(torch.get_num_threads())


def wait_for_all(device: str) -> None:
    """Wait until all processes that train together are here; where there is one, do nothing."""
    if n_processes() > 1:
        Processes(device, "float32").wait()


class _Wrapped(torch.nn.Module):
    """A loss as a module, so that what wraps its forward (processes, precision) wraps the whole of it."""

    def __init__(self, module: torch.nn.Module, loss: Loss) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, batch: Any) -> torch.Tensor:
        return self.loss(batch)


def own_batches(batches: Iterable[Any], processes: Processes) -> Iterator[tuple[Any, float]]:
    """Return this process's share of the batches, on its device, each with the weight of its loss.

    Of every round of P batches process k takes the k-th. Where the last round has fewer, processes without a batch
    compute the gradient of another's with weight 0, and the others' weights make the mean over P that of the round.
    """
    dealt = (
        _dealt(iter(batches), processes.count, processes.index) if processes.count > 1 else zip(batches, repeat(1.0))
    )
    if processes.device.type == "cpu":
        return dealt
    return ((send_to_device(batch, processes.device, non_blocking=True), weight) for batch, weight in dealt)


def _dealt(batches: Iterator[Any], n_processes: int, index: int) -> Iterator[tuple[Any, float]]:
    while round_ := list(islice(batches, n_processes)):
        yield round_[index % len(round_)], n_processes / len(round_) if index < len(round_) else 0.0
