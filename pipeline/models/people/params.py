"""What can be set of the training and the results of models of people; no torch in here."""

from typing import Any

from pydantic import Field

from pipeline.models.protocol import Precision
from pipeline.params import Params


class PeopleParams(Params):
    """What both models have in common. Sizes and rates are ours: small tables of people need no more."""

    test_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of the people on whom the model is scored, drawn by a hash of their id; nothing is learnt from them."""
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of the people whose loss says when training stops."""
    hidden: int = Field(default=64, ge=1)
    """Width of the two hidden layers."""
    batch_size: int = Field(default=512, ge=1)
    """Rows of a step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Step size of AdamW."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """Weight decay of AdamW."""
    max_epochs: int = Field(default=60, ge=1)
    """Most epochs."""
    patience: int = Field(default=8, ge=1)
    """Epochs without a better validation after which training stops."""
    precision: Precision = "float32"
    """Mixed precision of training: float32, bfloat16, or float16 on CUDA. A table is filled in float32 always."""
    ridge: float = Field(default=1.0, ge=0)
    """Penalty of the logistic regression it is compared with, on standardised features; 1: hardly any."""
    n_replicates: int = Field(default=500, ge=1)
    """Replicates of the bootstrap over people behind the intervals of the metrics."""

    def training(self) -> dict[str, Any]:
        """Return what the shared loop takes."""
        return self.model_dump(include={"learning_rate", "weight_decay", "max_epochs", "patience", "precision"})


class ExplorationTraining(PeopleParams):
    """How `exploration_forecasts` is trained."""

    n_lags: int = Field(default=6, ge=1)
    """Single weeks before the forecast that it sees, beside sums over all (ours)."""
    min_days: int = Field(default=1, ge=1, le=7)
    """A week is observed when visits start on so many of its days (ours); others are no target."""
    held_out_share: float = Field(default=0.25, gt=0, lt=1)
    """Share of the weeks, the last of the calendar, from which nothing is learnt (ours)."""
    most_kinds: int = Field(default=8, ge=0)
    """Kinds of places with a class of their own, the most frequent among new places (ours)."""
    min_kind_devices: int = Field(default=10, ge=1)
    """People of the training who went to new places of a kind, at least, for it to have a class: no name of a place
    that few know is kept."""
    kind_weight: float = Field(default=0.5, ge=0)
    """Weight of the loss of the kind beside that of whether there is a new place (ours)."""
    prior_weeks: float = Field(default=4.0, gt=0)
    """The baseline draws a device's own share to that of all, as if so many weeks more had been seen (ours)."""


class EmploymentTraining(PeopleParams):
    """How `employment_scores` is trained."""

    weeks_before: int = Field(default=12, ge=0)
    """Weeks before the one scored that it sees (ours)."""
    weeks_after: int = Field(default=8, ge=0)
    """Weeks after it: `employment` looks both ways, as leave and illness end (ours). 0: what is known in the week."""


class ExplorationOutput(Params):
    """Which weeks are forecast."""

    back_weeks: int = Field(default=0, ge=0)
    """So many weeks before the last are forecast too, each from what lies before it, to be checked (weeks)."""
