"""Small things to train in tests, and trainings in processes of their own that are killed.

Run as a module (folder, scenarios as JSON) it imports torch once and forks a process for each training.
"""

import json
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path

import torch

from pipeline.models import FitRun, checkpoints
from pipeline.models.devices import kept_torch_state, keyed_seed, set_default_generators, torch_generator
from pipeline.models.training import TrainingParams, train

WIDTH = 6
PARAMS = TrainingParams(learning_rate=0.05, weight_decay=0.01, max_epochs=4, warmup_steps=3, schedule="cosine")


class Regression:
    """A noisy linear function of six numbers, learnt by a small network with dropout and batch norm."""

    def __init__(self, n_rows=40, batch_size=8, dropout=0.5, seed=0):
        with kept_torch_state():
            set_default_generators(keyed_seed(seed, "weights"))
            self.module = torch.nn.Sequential(
                torch.nn.Linear(WIDTH, 12, bias=False),
                torch.nn.BatchNorm1d(12),
                torch.nn.ReLU(),
                torch.nn.Dropout(dropout),
                torch.nn.Linear(12, 1),
            )
        draws = torch_generator(seed, "rows")
        self.x = torch.randn(n_rows, WIDTH, generator=draws)
        self.y = self.x @ torch.arange(WIDTH, dtype=torch.float32) + 0.1 * torch.randn(n_rows, generator=draws)
        self.batch_size, self.seed = batch_size, seed
        self.n_batches = -(-n_rows // batch_size)

    def batches(self, epoch):
        order = torch.randperm(len(self.x), generator=torch_generator(self.seed, "order", epoch))
        for rows in order.split(self.batch_size) if len(order) else ():
            yield {"x": self.x[rows], "y": self.y[rows]}

    def loss(self, batch):
        return torch.nn.functional.mse_loss(self.module(batch["x"]).squeeze(1), batch["y"])

    def validate(self):
        return self.loss({"x": self.x[:5], "y": self.y[:5]}).item()


class Scripted(Regression):
    """Validation scores come from a list, one of each epoch."""

    def __init__(self, scores, **kwargs):
        super().__init__(**kwargs)
        self.scores, self.weights = iter(scores), []

    def validate(self):
        self.weights.append(bits(self.module))
        return next(self.scores)


class PartlyFrozen(Regression):
    """The first layer stands still."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.module[0].requires_grad_(False)


def bits(module):
    """All of a module's state as bytes, by name."""
    return {name: tensor.detach().cpu().numpy().tobytes() for name, tensor in module.state_dict().items()}


def trained(learner, params=PARAMS, **run):
    """Train and return the bits and the history without its seconds."""
    history = train(learner, params, FitRun(**run))
    return bits(learner.module), history._replace(seconds=0.0)


class Plain(Regression):
    """Rows of a batch have nothing to do with each other: two batches at once are as good as one of both."""

    def __init__(self, **kwargs):
        super().__init__(dropout=0.0, **kwargs)
        del self.module[1]


def train_together(folder: Path, n_processes: int, port: int, index: int):
    """Train as one of the processes that `accelerate launch --cpu` starts; the first saves what came of it."""
    place = {"RANK": index, "LOCAL_RANK": index, "WORLD_SIZE": n_processes, "LOCAL_WORLD_SIZE": n_processes}
    os.environ.update({name: str(value) for name, value in (place | {"MASTER_PORT": port}).items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    learner = Plain()
    history = train(learner, PARAMS, FitRun(device="cpu", checkpoints=folder / str(index)))
    again = train(Plain(n_rows=8), PARAMS, FitRun(device="cpu"), "second")  # a model may have several phases
    torch.save([learner.module.state_dict(), [history.n_steps, again.n_steps]], folder / f"result{index}.pt")


def train_and_die(folder: Path, step: int | None = None, in_write: int | None = None):
    """Train until `step` is done, or half of a checkpoint is written the n-th time, and die of SIGKILL; else save."""

    def die_at(phase, done, of):
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    if in_write is not None:
        checkpoints.save_file = dies_in_write(in_write)
    learner = Regression()
    run = FitRun(seed=3, device="cpu", checkpoints=folder / "checkpoints", checkpoint_minutes=0.0, on_progress=die_at)
    history = train(learner, PARAMS, run)
    torch.save([bits(learner.module), list(history._replace(seconds=0.0))], folder / "result.pt")


def dies_in_write(n: int):
    """Like safetensors' save_file; the n-th file is cut in half and the process killed."""
    write, calls = checkpoints.save_file, []

    def save_file(tensors, path, metadata=None):
        write(tensors, path, metadata=metadata)
        calls.append(path)
        if len(calls) == n:
            with Path(path).open("r+b") as file:
                file.truncate(Path(path).stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    return save_file


def forked(*works) -> list[int]:
    """Do works at once, each in a fork of this process; return how each ended: 0, or minus the signal's number."""
    sys.stdout.flush()
    children = [start(work) for work in works]
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def start(work) -> int:
    """Do work in a fork of this process; return its id."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return child


def import_ahead():
    """Import what torch imports at the first step of an optimiser, which takes seconds, once for all forks."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    torch.optim.AdamW([parameter], fused=True).step()


def main(folder: Path, scenarios):
    """Run the trainings of each scenario one after the other; print how each ended and which files were left then."""
    torch.set_num_threads(1)
    import_ahead()
    for name, deaths in scenarios.items():
        place = folder / name
        for death in deaths:
            (code,) = forked(partial(train_and_die, place, **death))
            left = sorted(path.name for path in (place / "checkpoints").iterdir())
            print(json.dumps([name, code, left]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    print(json.dumps(["together", forked(*(partial(train_together, folder, 2, port, k) for k in range(2))), []]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
