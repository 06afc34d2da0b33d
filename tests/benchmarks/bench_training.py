"""What the shared training loop costs: beside a bare torch loop, in memory as data grows, and when it is resumed.

Run: python -m tests.benchmarks.bench_training [--throughput] [--memory] [--resume] (all three without a word)

Throughput: the loops train equal modules on the same batches in the same order, with the same optimiser, clipping and
one thread, by turns of 50 steps. Each turn gives a ratio of processor times; the median is printed with the quartiles.
The bar is 0.95. The bare loop with torch's default AdamW (not fused) is printed beside it.
Memory: a process streams Parquet shards of 50,000 rows through an epoch, 1, 10 and 100 of them. Its peak is VmHWM.
Resume: seconds of a checkpoint written and read, and of taking up an epoch at its middle.
"""

import argparse
import contextlib
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pipeline.kernels.keyed_random import keyed_uniform
from pipeline.models import FitRun
from pipeline.models.checkpoints import checkpoint_path
from pipeline.models.streaming import StreamedRows
from pipeline.models.training import TrainingParams, train

MODULES = {"128-256-128, batch 256": ((128, 256, 128), 256), "16-16-1, batch 32": ((16, 16, 1), 32)}
N_BATCHES = 200
BLOCK = 50
"""Steps between two changes from one loop to another: short, so that what else the machine does meets all alike."""
BAR = 0.95
SHARD_ROWS = 50_000
N_FEATURES = 8
HELD_OUT_SHARE = 0.1


class Fitted:
    """A network of layers of some widths that learns random targets from batches in memory."""

    def __init__(self, widths: Sequence[int], batch_size: int, n_batches: int) -> None:
        torch.manual_seed(0)
        pairs = list(itertools.pairwise(widths))
        layers = [layer for pair in pairs for layer in (torch.nn.Linear(*pair), torch.nn.ReLU())]
        self.module = torch.nn.Sequential(*layers[:-1])
        self.n_batches = n_batches
        self.rows = [
            (torch.randn(batch_size, widths[0]), torch.randn(batch_size, widths[-1])) for _ in range(n_batches)
        ]

    def batches(self, epoch: int) -> list:
        """Return the same batches for every epoch."""
        return self.rows

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the mean squared error."""
        return torch.nn.functional.mse_loss(self.module(batch[0]), batch[1])

    def validate(self) -> float:
        """Return nothing that costs time."""
        return 0.0


class BareLoop:
    """The loop one would write by hand, over a learner of its own."""

    def __init__(self, learner: Fitted, fused: bool) -> None:
        self.learner, self.parameters = learner, list(learner.module.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-3, weight_decay=0.0, fused=fused)
        learner.module.train()

    def run(self, batches: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Train on some batches."""
        for batch in batches:
            loss = self.learner.loss(batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()


class Interleaved(Fitted):
    """Gives the loop that asks for batches a block of them, then trains bare loops on as many, and times all."""

    def __init__(self, widths: Sequence[int], batch_size: int) -> None:
        super().__init__(widths, batch_size, N_BATCHES)
        twins = {"bare": True, "bare, default AdamW": False}
        self.bare = {name: BareLoop(Fitted(widths, batch_size, 0), fused) for name, fused in twins.items()}
        self.seconds: dict[str, list[float]] = {name: [] for name in ("ours", *self.bare)}

    def batches(self, epoch: int) -> Iterator:
        """Yield the batches; between blocks the others train on them."""
        for first in range(0, N_BATCHES, BLOCK):
            block = self.rows[first : first + BLOCK]
            for name, loop in self.bare.items():
                start = time.process_time()
                loop.run(block)
                self.seconds[name].append(time.process_time() - start)
            start = time.process_time()
            yield from block
            self.seconds["ours"].append(time.process_time() - start)


def run_ours(learner: Fitted, n_epochs: int, run: FitRun | None = None) -> None:
    """Train with the shared loop."""
    train(learner, TrainingParams(max_epochs=n_epochs, patience=n_epochs), run or FitRun(device="cpu"))


def timed(work: Callable[[], object]) -> float:
    """Return seconds by the clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure_throughput(n_epochs: int) -> None:
    """Print the ratios of steps per second of the shared loop over those of the bare one."""
    for title, (widths, batch_size) in MODULES.items():
        learner = Interleaved(widths, batch_size)
        start = time.perf_counter()
        run_ours(Fitted(widths, batch_size, 1), 1)
        around_ms = (time.perf_counter() - start) * 1e3
        run_ours(learner, n_epochs)
        blocks = {name: values[N_BATCHES // BLOCK :] for name, values in learner.seconds.items()}  # warm
        for name, values in blocks.items():
            print(f"{title:<24} {name:<20} {statistics.median(values) / BLOCK * 1e6:7.0f} us a step", end="")
            if name == "ours":
                print(f", {around_ms:.0f} ms around all steps, {len(values)} turns of {BLOCK} steps, bar {BAR} of bare")
                continue
            ratios = [value / ours for value, ours in zip(values, blocks["ours"], strict=True)]
            low, _, high = statistics.quantiles(ratios, n=4)
            of_sums = sum(values) / sum(blocks["ours"])
            print(f", ours / {name}: {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f}; of sums {of_sums:.3f})")


class Streamed(Fitted):
    """A small network that learns from streamed rows."""

    def __init__(self, folder: Path) -> None:
        super().__init__((N_FEATURES, 16, 1), 1, 0)
        names = [f"x{k}" for k in range(N_FEATURES)]

        self.training, self.held_out = (StreamedRows(1024, scratch=folder) for _ in range(2))
        for path in sorted(folder.glob("*.parquet")):
            frame = pd.read_parquet(path)
            device_id, x = frame["device_id"].to_numpy(), frame[names].to_numpy(np.float32)
            is_out = keyed_uniform(device_id, "held out", 0) < HELD_OUT_SHARE
            for side, chosen in ((self.training, ~is_out), (self.held_out, is_out)):
                side.add({"device_id": device_id[chosen], "x": x[chosen]})
        self.n_batches = self.training.n_batches

    def batches(self, epoch: int) -> Iterator:
        """Return the batches of an epoch."""
        return self.training.batches(epoch)

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the mean squared error of the sum of the features."""
        return torch.nn.functional.mse_loss(self.module(batch["x"]), batch["x"].sum(1, keepdim=True))

    def validate(self) -> float:
        """Return the mean of the loss over the people held out."""
        return statistics.fmean(self.loss(batch).item() for batch in self.held_out.batches(0))


def write_shards(folder: Path, n_shards: int) -> None:
    """Write shards of random features of as many devices as rows / 25."""
    for k in range(n_shards):
        rng = np.random.default_rng(k)
        columns = {f"x{j}": rng.normal(size=SHARD_ROWS).astype(np.float32) for j in range(N_FEATURES)}
        device_id = np.sort(rng.integers(0, SHARD_ROWS // 25, SHARD_ROWS) * n_shards + k)
        pd.DataFrame({"device_id": device_id, **columns}).to_parquet(folder / f"{k:04d}.parquet")


def peak_mb() -> float:
    """Return the most memory this process has held, in MB; that of its parent does not count, unlike ru_maxrss."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def stream_once(folder: Path) -> None:
    """Train for one epoch over streamed shards and print rows, seconds, and peak memory before and after."""
    run_ours(Fitted((N_FEATURES, 16, 1), 1024, 50), 1)
    before, start = peak_mb(), time.perf_counter()
    learner = Streamed(folder)
    read_s = time.perf_counter() - start
    run_ours(learner, 1)
    rows = learner.training.n_rows + learner.held_out.n_rows
    epoch_s = time.perf_counter() - start - read_s
    print(f"{rows:>10,} rows: {peak_mb():6.0f} MB at most ({before:.0f} MB before), read {read_s:.1f} s, ", end="")
    print(f"epoch {epoch_s:.1f} s ({rows * (8 + 4 * N_FEATURES) / 2**20:.0f} MB of rows)", flush=True)


def measure_memory(times: Sequence[int]) -> None:
    """Print the peak memory of processes that stream more and more shards."""
    for n_shards in times:
        with tempfile.TemporaryDirectory() as folder:
            write_shards(Path(folder), n_shards)
            command = [sys.executable, "-m", "tests.benchmarks.bench_training", "--stream", folder]
            subprocess.run(command, check=True)


class StopError(Exception):
    """Ends a training from within."""


def stopped_half_way(widths: Sequence[int], folder: Path) -> float:
    """Train to the middle of an epoch and return the size of the checkpoint in MB."""

    def stop(phase: str, done: int, of: int) -> None:
        if done == N_BATCHES // 2:
            raise StopError

    with contextlib.suppress(StopError):
        run_ours(Fitted(widths, 32, N_BATCHES), 1, FitRun(0, "cpu", folder, 0.0, on_progress=stop))
    return checkpoint_path(folder, "training").stat().st_size / 2**20


def seconds_of(widths: Sequence[int], n_batches: int, run: FitRun) -> float:
    """Return seconds of one epoch of so many batches."""
    learner = Fitted(widths, 32, n_batches)
    return timed(lambda: run_ours(learner, 1, run))


def measure_resume() -> None:
    """Print what checkpoints cost, and what it takes to go on from one."""
    half = N_BATCHES // 2
    seconds_of((8, 8), 1, FitRun(0, "cpu"))  # imports
    for title, widths in {"128-256-128": (128, 256, 128), "1024-1024-1024": (1024, 1024, 1024)}.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            size_mb = stopped_half_way(widths, folder)
            resumed_s = seconds_of(widths, N_BATCHES, FitRun(0, "cpu", folder))
            none_s = seconds_of(widths, half, FitRun(0, "cpu"))
            often_s = seconds_of(widths, half, FitRun(0, "cpu", folder / "often", 0.0))
        print(f"{title}: {size_mb:.1f} MB, {(often_s - none_s) / half * 1e3:.1f} ms a checkpoint written;")
        print(f"    half an epoch after resuming {resumed_s:.2f} s, without checkpoints {none_s:.2f} s")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    for part in ("throughput", "memory", "resume"):
        parser.add_argument(f"--{part}", action="store_true")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--stream", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.stream:
        stream_once(arguments.stream)
        return
    is_all = not (arguments.throughput or arguments.memory or arguments.resume)
    if arguments.throughput or is_all:
        measure_throughput(arguments.epochs)
    if arguments.memory or is_all:
        measure_memory(arguments.times)
    if arguments.resume or is_all:
        measure_resume()


if __name__ == "__main__":
    main()
