"""Small things to train in tests, and a training in a process of its own that is killed at a step."""

import os
import signal
from pathlib import Path

import torch

from pipeline.models import FitRun, checkpoints
from pipeline.models.devices import kept_torch_state, torch_generator, torch_seed
from pipeline.models.training import TrainingParams, train

WIDTH = 6
PARAMS = TrainingParams(learning_rate=0.05, weight_decay=0.01, max_epochs=4, warmup_steps=3, schedule="cosine")


class Regression:
    """A noisy linear function of six numbers, learnt by a small network with dropout and batch norm."""

    def __init__(self, n_rows=40, batch_size=8, dropout=0.5, seed=0):
        with kept_torch_state():
            torch_seed(seed, "weights")
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


def train_and_die(folder: Path, step: int | None, in_write: int | None = None):
    """Train until `step` is done, or half of a checkpoint is written the n-th time, and die of SIGKILL; else save."""
    torch.set_num_threads(1)

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
