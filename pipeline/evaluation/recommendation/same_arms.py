"""Which ablations would be the whole model once more on the data at hand: equal numbers say nothing of a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.recommendation.learned import ABLATIONS, count_signals, events_of, with_changes
from pipeline.evaluation.recommendation.simple_rules import Data

if TYPE_CHECKING:
    from pipeline.models.places.params import PlaceModelParams


def why_equal(name: str, data: Data, params: PlaceModelParams) -> str:
    """Return why an ablation takes nothing away from 2T-HGNN here, "" where it does or is none."""
    ablation = ABLATIONS.get(name)
    if ablation is None:
        return ""
    if with_changes(params, ablation.changes) == params:
        return "it would be 2T-HGNN once more, which is set so already"
    if name == "no_weak":
        has_any = count_signals(data)["n_weak"] > 0
        return (
            "" if has_any else "it would be 2T-HGNN once more: there are no weak signals (--friends, --set weak=single)"
        )
    if data.split.world.n_types == 1:
        return "it would be no ablation: all places are of one node type (--set rare_share)"
    for first, second in ablation.changes.get("hgnn.dropped_relations", ()):
        if not _has_links(first, second, data, params):
            return "it would be 2T-HGNN once more: there are no such links"
    return ""


def _has_links(first: int, second: int, data: Data, params: PlaceModelParams) -> bool:
    """Return whether places of two node types are linked, as the models link them."""
    from pipeline.models.places.covisit_graph import covisit_links, relation_of

    links = covisit_links(events_of(data.split, data.params), params.graph)
    relation = relation_of(links, data.split.world.place_type)
    return bool((relation == np.array([first, second])).all(axis=1).any())
