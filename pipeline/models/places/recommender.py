"""Place recommenders on plain arrays: one function that fits a variant by its name."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.models.places.interactions import Interactions, PersonFeatures, PlaceFeatures
from pipeline.models.places.params import PlaceModelParams
from pipeline.models.protocol import FitRun

Variant = Literal[
    "hgnn", "hgnn_with_users", "two_towers", "two_tower_hgnn", "two_tower_hgnn_one_list", "graph_foundation"
]
VARIANTS: tuple[Variant, ...] = get_args(Variant)


class Fitted(Protocol):
    """A recommender that was fitted: it serves any persons by their histories, also ones it never saw."""

    @property
    def variant(self) -> Variant:
        """Its name."""

    @property
    def seconds(self) -> float:
        """Time that fitting took, texts not included."""

    @property
    def graph_seconds(self) -> float:
        """Part of it that training the graph network took; 0 where there is none."""

    @property
    def n_links(self) -> int:
        """Links that the graph network was supervised by in one epoch; 0 where there is none."""

    @property
    def n_links_in_all(self) -> int:
        """Links of one epoch without balance or bound: times graph_seconds / (n_epochs * n_links) its full cost."""

    @property
    def n_epochs(self) -> int:
        """Epochs the graph network went through."""

    @property
    def n_steps(self) -> int:
        """Steps of the graph network in all epochs, a batch of links each."""

    @property
    def has_learnt(self) -> bool:
        """Whether there was something to learn from, for the graph network and for the towers it has; else it has its
        first weights, and scores are noise."""

    def score(
        self, histories: Interactions, persons: PersonFeatures | None = None, now_s: int | None = None
    ) -> NDArray[np.float32]:
        """Return how well each place suits each person, (n_persons, n_places), higher is better.

        Of the histories those events count that lie in the window (Param) before `now_s`, by default just after the
        last of them. Persons without any are cold: all score alike where the variant knows nothing else of them.
        Nothing is left out: places visited before have scores like all others. Scores compare within a person; of
        "two_tower_hgnn" the ranking within a node type is its towers', across types it is (ours) that of log
        probabilities, the person's share of each type in the history (smoothed) times the softmax within.
        """


def fit_variant(
    variant: Variant,
    interactions: Interactions,
    places: PlaceFeatures,
    persons: PersonFeatures | None,
    params: PlaceModelParams,
    run: FitRun,
) -> Fitted:
    """Return a fitted recommender.

    Variants: "hgnn" (a person is the mean of the graph vectors of the places in the history), "hgnn_with_users"
    (persons are nodes of the graph), "two_towers" (no graph vectors), "two_tower_hgnn" (2403.05185; one pair of towers
    per node type), "two_tower_hgnn_one_list" (ours: one pair of towers for all types and no history of texts),
    "graph_foundation" (2403.07478; one pair for all types). The registered models that fill tables have the design of
    the two last but differ in their links: towers there take vectors of links of `n_persons_per_kept_link` persons,
    here, where nothing is kept, of all that the graph network learns from (`params.served_graph`).

    Ablations are Params: `hgnn.is_balanced`, `hgnn.dropped_relations`, `hgnn.only_type`, `uses_weak_signals`. The
    result depends on the events, not their order, and on `run.seed`. ValueError for a variant that does not exist or
    features that do not fit.
    """
    if variant not in VARIANTS:
        raise ValueError(f"no variant {variant!r}; there are {', '.join(VARIANTS)}")
    # Not before: torch is imported here only, and asking for names needs none.
    from pipeline.models.places.fitted import fit

    return fit(variant, interactions, places, persons, params, run)
