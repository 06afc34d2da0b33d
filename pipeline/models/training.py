"""The training loop that all models share: one process or several, resumed exactly, logged, stopped early.

`accelerate` chooses devices, starts processes, spreads the module (DistributedDataParallel) and sets mixed precision.
The steps themselves are plain torch, so that a step costs what a loop written by hand costs.

Nothing of a step depends on what was drawn before it: what torch draws of itself is seeded from (seed, phase, process,
step), the batches of an epoch are a function of its number, and the learning rate is one of the step's. So weights,
the optimiser's state and a few counts are all that a checkpoint needs for a resumed run to end with the very weights
of a run that was never stopped (on CUDA: as far as the operations are deterministic).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Literal, Protocol

import torch
from pydantic import Field
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from pipeline.models.checkpoints import (
    CheckpointError,
    checkpoint_path,
    copied,
    kept_tensors,
    optimizer_tensors,
    read_checkpoint,
    restore,
    restore_optimizer,
    write_checkpoint,
)
from pipeline.models.devices import kept_torch_state, keyed_seed, set_default_generators
from pipeline.models.processes import Processes, own_batches
from pipeline.models.progress import History, Progress, TrainingError
from pipeline.models.protocol import FitRun, Precision
from pipeline.models.training_logs import TrainingLog
from pipeline.params import Params, digest

STEPS_PER_LOOK = 50
"""Steps after which losses are looked at (fetched from the device, checked, logged); a look at each costs time."""
LOOK_S = 1.0
"""Seconds after which they are looked at anyway, so that slow steps show progress."""


class TrainingParams(Params):
    """How the loop trains; they change the numbers."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Step size of AdamW (Adam where weight_decay is 0)."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay of AdamW."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the learning rate rises to its value."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How it goes on: constant, or down along a half cosine that reaches 0 after the last step of the last epoch."""
    max_epochs: int = Field(default=50, ge=1)
    """Most epochs."""
    patience: int = Field(default=10, ge=1)
    """Epochs without a better validation after which training stops; the best epoch is kept."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    precision: Precision = "float32"
    """Mixed precision of the forward pass; float16 needs CUDA."""


class Learner(Protocol):
    """What is trained: the parameters of its module that require gradients.

    The module is put in train mode before each epoch, and in eval mode after it; one with a frozen part that stays in
    eval mode says so in its `train`. What is constant in it is best a buffer with persistent=False: checkpoints leave
    it out.

    It may have `batches_from(epoch, start)` as well: the batches of an epoch but for the first `start`, which are
    else drawn and thrown away when a training is resumed.
    """

    module: torch.nn.Module
    n_batches: int | None
    """Batches of an epoch, where known."""

    def batches(self, epoch: int) -> Iterable[Any]:
        """Return the batches of an epoch (tensors, or tuples or dicts of tensors): the same for the same epoch."""

    def loss(self, batch: Any) -> torch.Tensor:
        """Return the mean loss of a batch that lies on the module's device."""

    def validate(self) -> float:
        """Return the validation score, lower is better, called after each epoch in eval mode without gradients."""


def train(learner: Learner, params: TrainingParams, run: FitRun, phase: str = "training") -> History:
    """Train the learner's module in place, keep the weights of the best epoch and return what training went through.

    The history's losses are means over an epoch's batches, `best_epoch` counts from 0 and `seconds` is wall time over
    all runs. The module is left on the device it was trained on, in eval mode.

    A checkpoint of the same training in `run.checkpoints` is gone on from. The last one stays, so that a fit which is
    killed in a later phase finds this one done: who gave the folder removes it. Where a launcher started P processes
    (`models.launched`), each takes every P-th batch and the gradients of P batches are averaged to one step.

    TrainingError where there is nothing to train (no batch, no parameter), where a loss, a gradient or a validation
    score is not finite, or where the cosine is asked for and the number of batches is not known; CheckpointError where
    a checkpoint is damaged or of another training; NoDeviceError where CUDA is asked for and absent.
    """
    with kept_torch_state():
        return _Training(learner, params, run, phase).run_to_end()


def learning_rate(params: TrainingParams, step: int, n_steps: int | None) -> float:
    """Return the learning rate of a step, counted from 0, of a training of n_steps (only the cosine needs them)."""
    if step < params.warmup_steps:
        return params.learning_rate * (step + 1) / params.warmup_steps
    if params.schedule == "constant" or n_steps is None:
        return params.learning_rate
    share = min(1.0, (step - params.warmup_steps) / max(1, n_steps - params.warmup_steps))
    return params.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))


class _Training:
    """One training on its way."""

    def __init__(self, learner: Learner, params: TrainingParams, run: FitRun, phase: str) -> None:
        self.learner, self.params, self.run, self.phase = learner, params, run, phase
        self.names = [name for name, p in learner.module.named_parameters() if p.requires_grad]
        if not self.names:
            raise TrainingError(f"{phase}: the module has no parameter that requires a gradient")
        self.processes = Processes(run.device, params.precision)
        self.loss = self.processes.spread(learner.module, learner.loss)
        self.trained = [p for p in learner.module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=params.learning_rate, weight_decay=params.weight_decay, fused=True
        )
        self.steps_per_epoch = self._steps_per_epoch(learner.n_batches)
        self.seed = keyed_seed(run.seed, phase, "step", self.processes.index)
        self.progress = Progress()
        self.best: dict[str, torch.Tensor] = {}
        self.losses: list[torch.Tensor] = []
        self.norms: list[torch.Tensor] = []
        self.path = checkpoint_path(run.checkpoints, phase) if run.checkpoints else None

    def _steps_per_epoch(self, n_batches: int | None) -> int | None:
        if n_batches is None and self.params.schedule == "cosine":
            raise TrainingError(
                f"{self.phase}: the cosine schedule needs the number of batches of an epoch (n_batches)"
            )
        return None if n_batches is None else math.ceil(n_batches / self.processes.count)

    def run_to_end(self) -> History:
        """Go on from a checkpoint or start, and return the history once the best weights are in place."""
        self._resume()
        self.started = time.monotonic() - self.progress.seconds
        self.next_write = time.monotonic() + self.run.checkpoint_minutes * 60
        with TrainingLog(self.run.logs if self.processes.is_main else None, self.phase, self.progress.n_steps) as log:
            self.log = log
            while not self.progress.is_done(self.params.max_epochs, self.params.patience):
                self._run_epoch()
        if self.progress.n_steps != self._n_steps_in_all():
            self._tell(self.progress.n_steps)  # it ended early: there is no more to come
        restore(self.learner.module, self.best)
        self.learner.module.eval()
        self.processes.wait()
        return self.progress.history()

    def _run_epoch(self) -> None:
        self.learner.module.train()
        self.next_look = time.monotonic() + LOOK_S
        for batch, weight in self._batches():
            self._run_step(batch, weight)
            if len(self.losses) >= STEPS_PER_LOOK or self._is_time_to_look():
                self._look()
        self._look()
        self.progress.check_count(self.phase, self.steps_per_epoch)
        self._validate()
        progress = self.progress
        progress.train_loss.append(progress.loss_sum / progress.step)
        progress.epoch, progress.step, progress.loss_sum = progress.epoch + 1, 0, 0.0
        self._write_checkpoint()

    def _batches(self) -> Iterator[tuple[Any, float]]:
        """Yield the batches of this epoch that are left, on the device, each with its weight.

        Drawing is seeded like the step, so that even a learner that draws from torch's default generator is resumed
        with the same batches, as long as what it draws for one does not depend on the one before.
        """
        epoch, done = self.progress.epoch, self.progress.step * self.processes.count
        self._seed_step()
        if done and hasattr(self.learner, "batches_from"):
            batches = iter(self.learner.batches_from(epoch, done))
        else:
            batches = islice(self.learner.batches(epoch), done, None)
        return own_batches(batches, self.processes)

    def _seed_step(self) -> None:
        set_default_generators(self.seed ^ self.progress.n_steps)

    def _run_step(self, batch: Any, weight: float) -> None:
        """Go one step down the gradient of a batch's loss."""
        progress, optimizer, scaler = self.progress, self.optimizer, self.processes.scaler
        self._seed_step()
        loss = self.loss(batch)
        if weight != 1.0:
            loss = loss * weight
        (scaler.scale(loss) if scaler else loss).backward()
        if scaler:
            scaler.unscale_(optimizer)
        self._clip()
        self.losses.append(loss.detach())
        optimizer.param_groups[0]["lr"] = self._learning_rate()
        if scaler:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
        for parameter in self.trained:
            parameter.grad = None
        progress.step += 1
        progress.n_steps += 1

    def _clip(self) -> None:
        """Scale the gradients down to the norm asked for, where they are longer.

        torch's clip_grad_norm_ multiplies by 1 where they are not; on the CPU, where looking costs nothing, that is
        left out: it is a tenth of a small step.
        """
        norm = get_total_norm([p.grad for p in self.trained if p.grad is not None])
        self.norms.append(norm)
        if self.processes.device.type != "cpu" or not norm.item() <= self.params.max_grad_norm:
            clip_grads_with_norm_(self.trained, self.params.max_grad_norm, norm)

    def _learning_rate(self) -> float:
        n_steps = self.steps_per_epoch and self.steps_per_epoch * self.params.max_epochs
        return learning_rate(self.params, self.progress.n_steps, n_steps)

    def _is_time_to_look(self) -> bool:
        """Return whether enough time is over; several processes look after equal steps only, as they look together."""
        if self.processes.count > 1:
            return False
        now = time.monotonic()
        return now >= self.next_look or (self.path is not None and now >= self.next_write)

    def _look(self) -> None:
        """Fetch the losses since the last look, check them, log, tell of progress, write a checkpoint if it is time."""
        if not self.losses:
            return
        progress, losses = self.progress, self.processes.mean(self.losses)
        norms = torch.stack(self.norms).tolist()
        self.losses.clear()
        self.norms.clear()
        progress.check_finite(self.phase, losses, norms, self.processes.scaler is not None)
        for loss in losses:
            progress.loss_sum += loss
        rate = self.optimizer.param_groups[0]["lr"]
        self.log.steps(progress.n_steps, sum(losses) / len(losses), rate, norms[-1])
        self._tell(self._n_steps_in_all())
        self.next_look = time.monotonic() + LOOK_S
        if time.monotonic() >= self.next_write:
            self._write_checkpoint()

    def _n_steps_in_all(self) -> int:
        """Return how many steps there are if patience lasts; 0 where batches are not known."""
        return (self.steps_per_epoch or 0) * self.params.max_epochs

    def _tell(self, of: int) -> None:
        if self.processes.is_main:
            self.run.on_progress(self.phase, self.progress.n_steps, of)

    def _validate(self) -> None:
        """Score the epoch; keep a copy of the weights where it is the best so far."""
        progress, module = self.progress, self.learner.module
        module.eval()
        set_default_generators(keyed_seed(self.run.seed, self.phase, "validation"))
        with torch.no_grad(), self.processes.autocast():
            score = self.processes.same(float(self.learner.validate()))
        if not math.isfinite(score):
            raise TrainingError(f"{self.phase}: the validation score is {score} after epoch {progress.epoch}")
        if progress.best_epoch < 0 or score < min(progress.validation):
            progress.best_epoch = progress.epoch
            self.best = copied(kept_tensors(module))
        progress.validation.append(score)
        self.log.validation(progress.n_steps, score)

    def _digest(self) -> str:
        """Return what identifies this training: a checkpoint of any other is refused."""
        shapes = {name: [str(t.dtype), list(t.shape)] for name, t in kept_tensors(self.learner.module).items()}
        facts = {"params": self.params.model_dump(), "seed": self.run.seed, "phase": self.phase, "shapes": shapes}
        return digest(facts | {"n_batches": self.learner.n_batches, "n_processes": self.processes.count})

    def _write_checkpoint(self) -> None:
        self.progress.seconds = time.monotonic() - self.started
        if self.path is None or not self.processes.is_main:
            return
        self._tell(self._n_steps_in_all())  # who listens may end it: a validation lies between the last look and here
        parts = {
            "module": kept_tensors(self.learner.module),
            "best": self.best,
            "optimizer": optimizer_tensors(self.optimizer, self.names),
        }
        tensors = {f"{part}:{name}": tensor for part, kept in parts.items() for name, tensor in kept.items()}
        scaler = self.processes.scaler.state_dict() if self.processes.scaler else {}
        write_checkpoint(self.path, tensors, {"progress": vars(self.progress), "scaler": scaler}, self._digest())
        self.next_write = time.monotonic() + self.run.checkpoint_minutes * 60

    def _resume(self) -> None:
        """Take up the checkpoint of this training where there is one."""
        checkpoint = read_checkpoint(self.path, self._digest()) if self.path else None
        if checkpoint is None:
            return
        parts: dict[str, dict[str, torch.Tensor]] = {"module": {}, "best": {}, "optimizer": {}}
        for key, tensor in checkpoint.tensors.items():
            part, name = key.split(":", 1)
            parts[part][name] = tensor.to(self.processes.device)
        restore(self.learner.module, parts["module"])
        restore_optimizer(self.optimizer, self.names, parts["optimizer"])
        self.best = parts["best"]
        vars(self.progress).update(checkpoint.facts["progress"])
        if self.processes.scaler:
            self.processes.scaler.load_state_dict(checkpoint.facts["scaler"])


__all__ = ["CheckpointError", "History", "Learner", "TrainingError", "TrainingParams", "learning_rate", "train"]
