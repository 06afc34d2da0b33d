"""Which method is said to be better than which, and whether it is so here."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.evaluation.recommendation.comparing import Kind, Metric, Ordering, compare_people, compare_seeds
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.scoring import Ranks
from pipeline.evaluation.recommendation.splitting import ANY, EVERY_NEW, EVERY_RARE, NEW, RARE

PAPER, OURS = "paper", "ours"


class Claim(NamedTuple):
    """One method is better than another."""

    better: str
    worse: str
    metric: Metric = "hr"
    target: str = NEW
    people: Kind = "warm"
    by: str = OURS


def _of_paper(better: str, worse: str, metric: Metric = "hr", people: Kind = "warm") -> Claim:
    return Claim(better, worse, metric, RARE, people, PAPER)


FULL = "two_tower_hgnn"
ONE_LIST = "two_tower_hgnn_one_list"
"""What the tables are filled by."""
OF_PAPER = (
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
    _of_paper(FULL, "two_towers", people="cold"),
    _of_paper(FULL, "popularity", people="cold"),
    _of_paper("two_towers", FULL, "coverage", people="cold"),
)
"""Tables 1 to 3 of 2403.05185 [READ]: of lists of the rare type (its audiobooks), of warm users and of cold ones."""
BESIDE = (
    *(Claim(FULL, rule) for rule in ("item_knn", "ials", "nearby", "nearby_popular")),
    *(Claim(ONE_LIST, other) for other in (FULL, "popularity", "item_knn")),
    *(Claim("graph_foundation", other) for other in (FULL, "item_knn")),
    *(Claim(model, "own_history", target=ANY) for model in (FULL, "graph_foundation", "item_knn")),
)
"""What a user would ask beside; nobody claims it."""
CLAIMS = (*OF_PAPER, *(claim._replace(target=NEW, by=OURS) for claim in OF_PAPER), *BESIDE)
"""What the paper claims of lists of the rare type is looked at for lists of all places too, which is ours."""
EVERY = {NEW: EVERY_NEW, RARE: EVERY_RARE}
"""Targets of which there are more, so that chance is less: what is claimed of the first is looked at for all (ours)."""


def find_orderings(ranks: dict[str, dict[str, Ranks]], params: RecommendParams) -> list[Ordering]:
    """Return the claims whose two methods were run and whose people there are, each with difference and verdict."""
    of_every = (claim._replace(target=EVERY[claim.target], by=OURS) for claim in CLAIMS if claim.target in EVERY)
    found = (_find(claim, ranks.get(claim.target, {}), params) for claim in (*CLAIMS, *of_every))
    return [ordering for ordering in found if ordering and ordering.n_people]


def _find(claim: Claim, ranks: dict[str, Ranks], params: RecommendParams) -> Ordering | None:
    if not {claim.better, claim.worse} <= ranks.keys():
        return None
    better, worse = (ranks[name].of_kind(claim.people) for name in claim[:2])
    if claim.metric == "coverage":
        difference, verdict = compare_seeds(better.coverage(), worse.coverage())
    elif claim.metric == "hr":
        difference, verdict = compare_people(better.hits(params.n_hits), worse.hits(params.n_hits), params)
    else:
        difference, verdict = compare_people(better.reciprocal(), worse.reciprocal(), params)
    return Ordering(*claim, n_people=better.n_people, difference=difference, verdict=verdict)
