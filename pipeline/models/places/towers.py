"""Two towers: persons and places as vectors whose products say who goes where (2403.05185, section 1.6)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional


class TowerShape(NamedTuple):
    """What the towers are given; zeros leave an input out."""

    n_groups: int
    """Groups of places whose graph vectors are averaged per person; 0: no graph vectors in either tower."""
    graph_width: int
    text_width: int
    has_history: bool
    """Whether persons have a history vector: the mean text of all their places."""
    n_categories: int
    """Codes of categories, `UNKNOWN` included; so too of areas."""
    n_areas: int
    n_home_areas: int


class PersonInputs(NamedTuple):
    """What the person tower takes, one row each."""

    home_area: torch.Tensor
    graph_means: torch.Tensor
    """(n, n_groups * graph_width), 0 where there is no history."""
    has_graph_means: torch.Tensor
    """(n, n_groups), 1 where there is one: a cold person differs from one whose mean is 0."""
    history: torch.Tensor
    """(n, text_width), or no columns."""


class PlaceInputs(NamedTuple):
    """What the place tower takes, one row each."""

    category: torch.Tensor
    area: torch.Tensor
    text: torch.Tensor
    graph: torch.Tensor
    """(n, graph_width), or no columns."""


class TwoTowers(torch.nn.Module):
    """Fully connected layers, 512 to 256 to 128 as published; ReLU between them and none at the end [INF].

    Vectors have length 1 (ours: the printed loss has no lower bound without). The paper's inputs and what stands for
    them here (ours): age and country: the code of the home's area; its vector of music: the mean text of the places in
    the history; language and genre: codes of area and category.
    """

    def __init__(self, shape: TowerShape, widths: tuple[int, ...], code_width: int) -> None:
        """Make both towers for inputs of the given shape."""
        super().__init__()
        self.width = widths[-1]
        """Numbers of a vector."""
        self.home_area = torch.nn.Embedding(shape.n_home_areas, code_width)
        self.category = torch.nn.Embedding(shape.n_categories, code_width)
        self.area = torch.nn.Embedding(shape.n_areas, code_width)
        history_width = shape.text_width if shape.has_history else 0
        graph_width = shape.graph_width if shape.n_groups else 0
        n_person_inputs = code_width + shape.n_groups * (graph_width + 1) + history_width
        self.person_tower = _layers(n_person_inputs, widths)
        self.place_tower = _layers(2 * code_width + shape.text_width + graph_width, widths)

    def persons(self, inputs: PersonInputs) -> torch.Tensor:
        """Return the vectors of persons, (n, last width), of length 1."""
        parts = [self.home_area(inputs.home_area), inputs.graph_means, inputs.has_graph_means, inputs.history]
        return functional.normalize(self.person_tower(torch.cat(parts, dim=1)), dim=1)

    def places(self, inputs: PlaceInputs) -> torch.Tensor:
        """Return the vectors of places, (n, last width), of length 1."""
        parts = [self.category(inputs.category), self.area(inputs.area), inputs.text, inputs.graph]
        return functional.normalize(self.place_tower(torch.cat(parts, dim=1)), dim=1)

    def forward(self, persons: PersonInputs, places: PlaceInputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the vectors of persons and of places."""
        return self.persons(persons), self.places(places)


def literal_loss(
    persons: torch.Tensor, places: torch.Tensor, place: torch.Tensor, log_share: torch.Tensor, is_corrected: bool
) -> torch.Tensor:
    """Return the printed loss: the mean over in-batch negatives of o_u o_n - o_u o_a (2403.05185, section 1.6).

    Row i of `persons` goes with row i of `places`, whose number is ``place[i]``; other rows of that number are no
    negatives. Corrected, negatives weigh by the inverse of their share of the training pairs, weights of a row adding
    to 1 (our reading of "weighted by inverse item occurrence probability"). Bounded only as vectors have length 1.
    """
    similarity = persons @ places.T
    gap = similarity - similarity.diagonal()[:, None]
    weight = torch.exp(-log_share - (-log_share).max()) if is_corrected else torch.ones_like(log_share)
    weights = weight * (place[:, None] != place[None, :])
    return ((weights * gap).sum(dim=1) / weights.sum(dim=1).clamp(min=torch.finfo(weights.dtype).tiny)).mean()


def sampled_softmax_loss(
    persons: torch.Tensor,
    places: torch.Tensor,
    place: torch.Tensor,
    log_share: torch.Tensor,
    is_corrected: bool,
    temperature: float,
) -> torch.Tensor:
    """Return the mean of -log softmax of each person's own place among those of the batch (ours, for the printed loss).

    Arguments as in `literal_loss`. Corrected, log Q is taken off every similarity, Q being the place's share of the
    training pairs, by which it comes into a batch (Yi et al. 2019 [2ND]): popular places are not pushed away for being
    negatives more often.
    """
    logits = persons @ places.T / temperature
    if is_corrected:
        logits = logits - log_share
    own = torch.eye(len(place), dtype=torch.bool, device=place.device)
    logits = logits.masked_fill((place[:, None] == place[None, :]) & ~own, float("-inf"))
    return functional.cross_entropy(logits, torch.arange(len(place), device=place.device))


def _layers(n_inputs: int, widths: tuple[int, ...]) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for n_before, n_after in zip((n_inputs, *widths), widths, strict=False):
        layers += [torch.nn.Linear(n_before, n_after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])
