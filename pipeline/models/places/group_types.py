"""Node types of places from their categories: which group is the rare one is found from the data. No torch in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NO_GROUP = ""


class NodeTypes(NamedTuple):
    """Node types of places, 0 the rarest."""

    place_type: NDArray[np.int8]
    """Type of each place."""
    names: tuple[str, ...]
    """The group that each type is; of the last type "others"."""

    def type_of(self, category_path: str | None, separator: str = ">") -> int:
        """Return the type of one more place by its category path."""
        group = top_level(category_path, separator)
        return self.names.index(group) if group in self.names[:-1] else len(self.names) - 1


def node_types(
    category_paths: Sequence[str | None], n_places_per_type: int = 100, n_types: int = 2, separator: str = ">"
) -> NodeTypes:
    """Return the node type of each place from its category path, such as "Dining and Drinking > Bar".

    The top level of a path is its group. The rarest group of at least `n_places_per_type` places is type 0 (it plays
    the paper's audiobooks), of more than two types the next ones likewise; the commonest group, all other groups, and
    places without a category, are the last type (its podcasts). Ties go by name. Where too few groups are large enough
    there are fewer types, at least one. The method is ours.
    """
    groups = [top_level(path, separator) for path in category_paths]
    counted = Counter(group for group in groups if group != NO_GROUP)
    # The commonest group is no rare one, though it alone be large enough.
    but_commonest = sorted((n, group) for group, n in counted.items())[:-1]
    names = tuple(group for n, group in but_commonest if n >= n_places_per_type)[: n_types - 1]
    number = {group: i for i, group in enumerate(names)}
    place_type = np.array([number.get(group, len(names)) for group in groups], np.int8)
    return NodeTypes(place_type, (*names, "others"))


def top_level(category_path: str | None, separator: str = ">") -> str:
    """Return the first part of a category path; "" where there is none."""
    return category_path.split(separator)[0].strip() if isinstance(category_path, str) else NO_GROUP
