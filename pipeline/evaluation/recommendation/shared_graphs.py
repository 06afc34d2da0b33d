"""One training of a graph network for all methods that have the same: their checkpoint of it is found done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.params import digest

if TYPE_CHECKING:
    from pipeline.models.places.params import PlaceModelParams
    from pipeline.models.places.recommender import Variant
    from pipeline.models.protocol import FitRun

PHASE = "hgnn"
"""Phase of a fit in which the graph network learns."""
WITH_PLACE_GRAPH: frozenset[Variant] = frozenset(
    ("hgnn", "two_tower_hgnn", "two_tower_hgnn_one_list", "graph_foundation")
)
"""Variants that begin with the same graph network over places."""


class SharedGraphs:
    """Folders of checkpoints, one for each graph network of an evaluation: that is, of one set of check-ins."""

    def __init__(self, folder: Path) -> None:
        """Keep them in an empty folder."""
        self._folder = folder

    def start(self, variant: Variant, params: PlaceModelParams, seed: int) -> tuple[FitRun, bool]:
        """Return how to fit, and whether the graph network is there already: the result is the same either way."""
        from pipeline.models.checkpoints import checkpoint_path
        from pipeline.models.protocol import FitRun

        if variant not in WITH_PLACE_GRAPH:
            return FitRun(seed=seed), False
        facts = params.model_dump(mode="json", exclude={"towers"})
        folder = self._folder / digest(facts | {"seed": seed})
        folder.mkdir(exist_ok=True)
        return FitRun(seed=seed, checkpoints=folder), checkpoint_path(folder, PHASE).exists()

    def end(self, run: FitRun) -> None:
        """Remove what the fit left but its graph network: other phases are of one method alone."""
        from pipeline.models.checkpoints import checkpoint_path

        for path in run.checkpoints.iterdir() if run.checkpoints else ():
            if path != checkpoint_path(path.parent, PHASE):
                path.unlink()
