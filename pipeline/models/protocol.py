"""What a model is: it learns from tables and fills output tables. No torch in here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_contracts import Shard, Table
from pipeline.params import NoParams, Params

MODELS: dict[str, Model] = {}
"""Every model by name."""
OUTPUTS: dict[str, Output] = {}
"""Every table that models fill, by name. Several models may fill one: the study names which does."""


Precision = Literal["float32", "bfloat16", "float16"]
"""Of the forward pass in training; float16 needs CUDA."""


class ModelError(RuntimeError):
    """A model that cannot be trained or used; the message is for users and holds no data."""


@dataclass(frozen=True)
class State:
    """What was learnt: arrays by name, and facts that are plain JSON values (sizes, metrics, vocabularies are arrays).

    It names no device. What it learnt of a place that one person visits tells of that person: it is no release.
    """

    tensors: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)


class Tables(Protocol):
    """The tables a model learns from, never whole where they are kept in shards."""

    def shards(self, table: Table, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the rows of one device bucket after the other, each in the order of the table's key."""

    def whole(self, table: Table) -> pd.DataFrame:
        """Return a static or study table; a frame without rows where it is not there."""


@dataclass(frozen=True)
class FitRun:
    """How a model is fitted: of it the seed changes what is learnt, and the device its last bits."""

    seed: int = 0
    device: str = "auto"
    """"auto" (CUDA where there is one), "cpu" or "cuda"."""
    checkpoints: Path | None = None
    """Folder for checkpoints of trainings on the same data; a run that finds its own there goes on. None keeps none."""
    checkpoint_minutes: float = 10.0
    logs: Path | None = None
    """Folder for TensorBoard's event files; None writes none."""
    on_progress: Callable[[str, int, int], None] = lambda what, done, of: None
    """Told of steps done: name of the phase, steps done, steps in all."""


@dataclass(frozen=True)
class Output:
    """A table that models fill, as an ordinary stage reads and writes it."""

    table: Table
    reads: tuple[Table, ...]
    family: str
    """Package of the models that fill it, whose code its fingerprint covers."""
    params: type[Params] = NoParams

    def __post_init__(self) -> None:
        """Enter the registry; TypeError on a second declaration of one table, or one that no stage could fill."""
        is_whole = all(table.shard.is_single for table in self.reads)
        if self.table.shard is not (Shard.STUDY if is_whole else Shard.BUCKET):
            raise TypeError(f"{self.table.name}: kept per {self.table.shard}, which does not follow from what it reads")
        if OUTPUTS.setdefault(self.table.name, self) is not self:
            raise TypeError(f"two outputs declare {self.table.name}")


class Model(Protocol):
    """One model. An instance holds no state: `fit` returns what was learnt, `predict` is handed it."""

    name: str
    title: str
    """What it does, in one line."""
    source: str
    """Where the method is from, and what of it is ours."""
    inputs: tuple[Table, ...]
    """Tables it learns from."""
    outputs: tuple[Output, ...]
    params: type[Params]
    """What can be set of its training."""
    truth: Table | None
    """Contract of the ground truth it learns from beside the tables; None: it needs none."""

    def fit(self, tables: Tables, params: Any, run: FitRun, truth: pd.DataFrame | None = None) -> State:
        """Return what was learnt. Its facts have "metrics": {name: value} of held-out data, baselines among them.

        They may have a "summary": a few lines of these, first of people that nothing was learnt from, each beside its
        baselines, and a verdict at the end. Neither is part of the version.
        """

    def predict(
        self, output: Output, state: State, frames: Mapping[str, pd.DataFrame], params: Any, device: str = "auto"
    ) -> pd.DataFrame:
        """Return the rows of one shard of an output table from those of the tables it reads, by name.

        A row does not depend on the order or number of the others. Frames may be empty.
        """


def register(cls: type) -> type:
    """Add an instance of a model's class to the registry; TypeError where the name is taken."""
    model: Model = cls()
    if type(MODELS.setdefault(model.name, model)) is not cls:
        raise TypeError(f"two models are called {model.name}")
    return cls


LIBRARIES = ("torch", "safetensors", "accelerate")
"""What every trained model needs."""
SOJOURN_TORCH = "pip install 'sojourn[torch]'"
"""What installs them."""


def missing_libraries() -> list[str]:
    """Return those of the libraries that models need which are not installed."""
    return [name for name in LIBRARIES if find_spec(name) is None]


def float32(values: Any) -> NDArray[np.float32]:
    """Return values as the contiguous float32 array that states and networks take."""
    return np.ascontiguousarray(values, dtype=np.float32)
