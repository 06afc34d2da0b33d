"""TensorBoard's event files of a training."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType

from pipeline.models.checkpoints import file_name


class TrainingLog:
    """Event files of one phase of a training, in a folder of its name; without a folder nothing is written."""

    def __init__(self, folder: Path | None, phase: str, first_step: int) -> None:
        """Open them; what an interrupted run wrote after `first_step` is left out of the curves.

        A training that starts anew replaces what an earlier one left in the folder.
        """
        self.writer = None
        if folder is not None:
            if not first_step:
                shutil.rmtree(folder / file_name(phase), ignore_errors=True)
            # Slow to import, and needed here only.
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(folder / file_name(phase), purge_step=first_step + 1 if first_step else None)

    def steps(self, n_steps: int, loss: float, learning_rate: float, gradient_norm: float) -> None:
        """Log the mean loss since the last point, and the learning rate and gradient norm of the last step."""
        if self.writer is None:
            return
        self.writer.add_scalar("loss/training", loss, n_steps)
        self.writer.add_scalar("learning_rate", learning_rate, n_steps)
        self.writer.add_scalar("gradient_norm", gradient_norm, n_steps)

    def validation(self, n_steps: int, score: float) -> None:
        """Log the validation score of an epoch that ended after n_steps."""
        if self.writer is not None:
            self.writer.add_scalar("loss/validation", score, n_steps)

    def __enter__(self) -> TrainingLog:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush and close, whatever happened."""
        if self.writer is not None:
            self.writer.close()
