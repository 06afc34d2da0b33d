"""What can be set of the evaluation of place recommendation."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.params import Params


class RecommendParams(Params):
    """How check-ins are split and lists are scored; the settings that simple rules choose from."""

    holdout_days: float = Field(default=14.0, gt=0)
    """Last days of the check-ins that are held out, where no second file holds them (2403.05185 [READ]: 14)."""
    training_days: float = Field(default=90.0, ge=0)
    """Days before the hold-out that all methods learn from; 0: all there are (2403.05185 [READ]: 90). Where a second
    file holds check-ins out: before each person's own last one of FILE. A shorter window of the models
    (graph.window_days) is made as long."""
    n_hits: int = Field(default=10, ge=1)
    """Length of the list a hit is looked for in (2403.05185 [READ]: 10)."""
    n_listed: int = Field(default=100, ge=1)
    """Length of the lists of MRR and coverage (2403.05185 [READ]: 100)."""
    weak: Literal["none", "single"] = "none"
    """Which check-ins are weak signals: none, or a person's only one at a place (ours)."""
    rare_share: float = Field(default=0.07, gt=0, lt=1)
    """Least share of places of a top category; the rarest such is the rare node type (ours; the paper's 250 K
    audiobooks beside 3.5 M podcasts [READ] are 7 %)."""
    hidden_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of people and of places made cold: their check-ins are taken out of training (ours)."""
    popular_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of places, the most visited, that are not the long tail (ours; the paper has five tiers)."""
    n_resamples: int = Field(default=2_000, ge=100)
    """Bootstrap samples of people and seeds for an interval (ours)."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Share of bootstrap samples inside an interval (ours)."""
    n_neighbours: tuple[int, ...] = (20, 100, 500, 2_000)
    """Most alike places kept by item-kNN, to choose from (ours)."""
    als_factors: tuple[int, ...] = (16, 64)
    """Numbers in a vector of iALS, to choose from (ours)."""
    als_regularization: tuple[float, ...] = (0.01, 1.0)
    """Regularisation of iALS, to choose from (ours)."""
    als_weight: tuple[float, ...] = (1.0, 10.0, 40.0)
    """Weight of a place visited against one not visited (alpha of iALS), to choose from (ours)."""
    als_iterations: int = Field(default=15, ge=1)
    """Rounds of iALS (ours; the library's default)."""
    nearby_m: tuple[float, ...] = (250.0, 1_000.0, 4_000.0)
    """Metres over which nearness to a person's places falls by a factor e, to choose from (ours)."""

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        if self.n_listed < self.n_hits:
            raise ValueError(f"hits among {self.n_hits} are not to be found in lists of {self.n_listed} (n_listed)")
        return self
