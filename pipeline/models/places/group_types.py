"""Node types of places from their categories: which group is the rare one is found from the data. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class NodeTypes(NamedTuple):
    """Node types of places, 0 the rarest."""

    place_type: NDArray[np.int8]
    """Type of each place."""
    names: tuple[str, ...]
    """Groups of each type, joined by ", "."""


def node_types(
    category_paths: Sequence[str | None],
    n_places_per_type: int = 100,
    n_types: int = 2,
    separator: str = ">",
) -> NodeTypes:
    """Return the node type of each place from its category path, such as "Dining and Drinking > Bar".

    The top level of a path is its group. The rarest groups, taken together until they hold `n_places_per_type` places,
    are type 0 (they play the paper's audiobooks); of more than two types the next ones likewise; all other groups and
    places without a category are the last type (its podcasts). The method is ours.
    """
    raise NotImplementedError
