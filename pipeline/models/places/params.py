"""What can be set of the place models. No torch in here."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from pipeline.params import Params


class GraphParams(Params):
    """How places are linked."""

    n_persons_per_link: int = Field(default=1, ge=1)
    """Persons who were at both of two places for a link (2403.05185 [READ]: 1)."""
    max_places_per_person: int = Field(default=200, ge=2)
    """Places of one person that make pairs, the most recent ones (ours, so that memory is bounded)."""
    window_days: float = Field(default=90.0, gt=0)
    """Days before the last event that links and a person's history are taken from (2403.05185 [READ]: 90)."""


class HgnnParams(Params):
    """The graph network over places (2403.05185, section 1.3 to 1.5 and 1.7 of its method page)."""

    width: int = Field(default=64, ge=1)
    """Numbers in a hidden and in an output vector (ours; not stated in the paper)."""
    fan_out: int = Field(default=10, ge=1)
    """Neighbours drawn per node, relation and hop (ours; not stated)."""
    n_negatives: int = Field(default=4, ge=1)
    """Negatives per link (ours; not stated)."""
    margin: float = Field(default=0.2, gt=0)
    """Margin of the hinge loss (ours; not stated)."""
    is_last_rectified: bool = False
    """Whether the last layer is rectified too, as the formula says; off (ours) vectors may point anywhere."""
    is_balanced: bool = True
    """Supervise as many links of each relation as the rarest has (2403.05185 [READ]); off: all links."""
    max_links_per_epoch: int = Field(default=20_000, ge=0)
    """Most links of one epoch, drawn anew each time (ours: bounds the time of an unbalanced epoch); 0: no bound."""
    dropped_relations: tuple[tuple[int, int], ...] = ()
    """Pairs of node types whose links are left out, the lower type first: the paper's ablations C and D."""
    only_type: int | None = Field(default=None, ge=0)
    """Node type whose links alone are kept, one network for all (ablations E and F: others from text); none: all."""
    batch_size: int = Field(default=256, ge=1)
    """Links of a batch (2403.05185 [READ]: 256)."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Step size of Adam (2403.05185 [READ]: 1e-3)."""
    max_epochs: int = Field(default=50, ge=1)
    """Most epochs (2403.05185 [READ]: 50)."""
    patience: int = Field(default=10, ge=1)
    """Epochs without a better validation loss before it stops (2403.05185 [READ]: 10)."""
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of links held out to stop by (2403.05185 [READ]: 10 % of the training split)."""


class TowerParams(Params):
    """The two towers (2403.05185, section 1.6 and 1.7 of its method page)."""

    widths: tuple[PositiveInt, ...] = Field(default=(512, 256, 128), min_length=1)
    """Outputs of the fully connected layers of each tower (2403.05185 [READ])."""
    code_width: int = Field(default=16, ge=1)
    """Numbers that stand for a category or area (ours)."""
    loss: Literal["sampled_softmax", "literal"] = "sampled_softmax"
    """In-batch softmax with log-Q correction (ours), or the printed linear loss on vectors of length 1."""
    is_popularity_corrected: bool = True
    """Correct for popular places being negatives more often (2403.05185 [READ])."""
    temperature: float = Field(default=0.07, gt=0)
    """Similarities are divided by this in the softmax (ours)."""
    is_new_only: bool = True
    """Learn from first visits to places only, since places never seen are what is recommended (ours)."""
    max_history: int = Field(default=200, ge=1)
    """Places of a person's history that are averaged per node type, those visited last (ours)."""
    n_folds: int = Field(default=5, ge=1)
    """Folds of persons that are trained with graph vectors free of their own links (ours); 1: as published."""
    batch_size: int = Field(default=128, ge=2)
    """Pairs of a batch (2403.05185 [READ]: 128)."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Step size of Adam (2403.05185 [READ]: 1e-3)."""
    max_epochs: int = Field(default=10, ge=1)
    """Most epochs (2403.05185 [READ]: 10)."""
    patience: int = Field(default=3, ge=1)
    """Epochs without a better validation loss before it stops (ours)."""
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of pairs held out to stop by (ours)."""


class PlaceModelParams(Params):
    """All of a place model but its texts."""

    graph: GraphParams = GraphParams()
    """How places are linked."""
    hgnn: HgnnParams = HgnnParams()
    """The graph network."""
    towers: TowerParams = TowerParams()
    """The two towers."""
    text_width: int = Field(default=64, ge=1)
    """Principal components that texts are turned to, at most their width (ours: the time of training)."""
    uses_weak_signals: bool = True
    """Whether weak events count in persons' histories (2403.05185 [READ]; off: its ablation B)."""

    @property
    def served_graph(self) -> GraphParams:
        """Links that vectors of places are made of, for towers and for serving: those that the network learns from."""
        return self.graph


class PlaceTraining(PlaceModelParams):
    """Training on VISITS and POIS."""

    text_encoder: Literal["sentences", "hashed"] = "sentences"
    """What turns categories into vectors: MiniLM, English only (the papers': multilingual), or n-grams (ours)."""
    category_separator: str = ">"
    """What stands between the levels of a category; the first level is its group."""
    n_types: int = Field(default=2, ge=1, le=8)
    """Node types: the rarest groups of categories, and others (2403.05185 [READ]: 2)."""
    n_places_per_type: int = Field(default=100, ge=1)
    """Places that a group needs to be a node type of its own (ours)."""
    area_resolution: int = Field(default=7, ge=0, le=12)
    """Resolution of the H3 cells that are areas (ours: cells of about 5 km2)."""
    weak_dwell_s: float = Field(default=900.0, ge=0)
    """Seconds below which a device's only visit to a place is a weak signal (ours: a quarter of an hour)."""
    n_persons_per_kept_link: int = Field(default=10, ge=2)
    """Persons at both of two places for a link to count in the vectors kept and served (ours; least group of exports).

    The graph network may learn from links of single persons; a vector made of these would tell where one of them was.
    Towers learn from vectors of the links that count, since they are served with these.
    """
    max_persons: int = Field(default=200_000, ge=1)
    """Most persons that are learnt from, drawn where there are more (ours: bounds memory, 32 bytes a visit)."""
    holdout_days: float = Field(default=14.0, gt=0)
    """Last days of the record that metrics are of, not learnt from (2403.05185 [READ]: 14)."""

    @model_validator(mode="after")
    def _check_only_type(self) -> Self:
        if self.hgnn.only_type is not None and self.hgnn.only_type >= self.n_types:
            raise ValueError(f"hgnn.only_type {self.hgnn.only_type} is none of {self.n_types} node types, from 0")
        return self

    @property
    def served_graph(self) -> GraphParams:
        """Links that vectors of places are made of: those of `n_persons_per_kept_link` persons or more."""
        n_persons = max(self.n_persons_per_kept_link, self.graph.n_persons_per_link)
        return self.graph.model_copy(update={"n_persons_per_link": n_persons})
