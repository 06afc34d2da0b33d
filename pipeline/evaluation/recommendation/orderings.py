"""Which method is said to be better than which, and whether it is so here."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.comparing import Metric, Ordering, compare_people, compare_seeds
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.scoring import Ranks
from pipeline.evaluation.recommendation.splitting import ANY, EVERY_NEW, NEW

PAPER, OURS = "paper", "ours"


class Claim(NamedTuple):
    """One method is better than another."""

    better: str
    worse: str
    metric: Metric = "hr"
    target: str = NEW
    by: str = OURS


def _of_paper(better: str, worse: str, metric: Metric = "hr") -> Claim:
    return Claim(better, worse, metric, by=PAPER)


FULL = "two_tower_hgnn"
ONE_LIST = "two_tower_hgnn_one_list"
"""What the tables are filled by."""
CLAIMS = (
    _of_paper(FULL, "hgnn"),
    _of_paper("hgnn", "two_towers"),
    _of_paper(FULL, "two_towers"),
    _of_paper(FULL, "hgnn_with_users"),
    _of_paper(FULL, "text_knn"),
    _of_paper(FULL, "popularity"),
    _of_paper(FULL, "unbalanced"),
    _of_paper(FULL, "no_weak"),
    _of_paper(FULL, "no_common_links"),
    _of_paper(FULL, "no_rare_links"),
    _of_paper(FULL, "only_rare"),
    _of_paper(FULL, "only_common"),
    _of_paper("hgnn", FULL, "mrr"),
    _of_paper("hgnn", FULL, "coverage"),
    _of_paper("text_knn", FULL, "coverage"),
    _of_paper(FULL, "two_towers", "coverage"),
    *(Claim(FULL, rule) for rule in ("item_knn", "ials", "nearby", "nearby_popular")),
    *(Claim(ONE_LIST, other) for other in (FULL, "popularity", "item_knn")),
    *(Claim("graph_foundation", other) for other in (FULL, "item_knn")),
    *(Claim(model, "own_history", target=ANY) for model in (FULL, "graph_foundation", "item_knn")),
)
"""Tables 1 and 2 of 2403.05185 [READ], and what a user would ask beside (ours: nobody claims it)."""


def find_orderings(
    ranks: dict[str, dict[str, Ranks]], is_catalogued: NDArray[np.bool_], params: RecommendParams
) -> list[Ordering]:
    """Return the claims whose two methods were run, each with its difference and verdict.

    What is claimed of a person's first new place is looked at for every new place too: more places, less chance.
    """
    claims = [*CLAIMS, *(claim._replace(target=EVERY_NEW) for claim in CLAIMS if claim.target == NEW)]
    return [
        _find(claim, ranks[claim.target], is_catalogued, params)
        for claim in claims
        if {claim.better, claim.worse} <= ranks[claim.target].keys()
    ]


def _find(claim: Claim, ranks: dict[str, Ranks], is_catalogued: NDArray[np.bool_], params: RecommendParams) -> Ordering:
    better, worse = ranks[claim.better], ranks[claim.worse]
    if claim.metric == "coverage":
        difference, verdict = compare_seeds(better.coverage(is_catalogued), worse.coverage(is_catalogued))
    elif claim.metric == "hr":
        difference, verdict = compare_people(better.hits(params.n_hits), worse.hits(params.n_hits), params)
    else:
        difference, verdict = compare_people(better.reciprocal(), worse.reciprocal(), params)
    return Ordering(claim.better, claim.worse, claim.metric, claim.target, claim.by, difference, verdict)
