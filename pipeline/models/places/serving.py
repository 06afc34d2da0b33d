"""The networks as modules over rows: what they give for a row does not hang on the other rows."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models.inference import in_fixed_batches
from pipeline.models.places.hgnn import N_LAYERS, Hgnn
from pipeline.models.places.interactions import PlaceFeatures
from pipeline.models.places.tower_training import place_inputs
from pipeline.models.places.towers import PersonInputs, PlaceInputs, TowerShape, TwoTowers


class _Alone(torch.nn.Module):
    """Places without links: a layer is its own weights alone."""

    def __init__(self, network: Hgnn) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: torch.Tensor, node_type: torch.Tensor) -> torch.Tensor:
        hidden = features
        for k in range(N_LAYERS):
            layer, greatest = self.network.layer(k), features.new_zeros(())
            of_types = [layer.update(hidden, greatest, t) for t in range(layer.n_types)]
            hidden = torch.stack(of_types, dim=1)[torch.arange(len(features)), node_type]
        return torch.nn.functional.normalize(hidden, dim=1)


class _Persons(torch.nn.Module):
    def __init__(self, network: TwoTowers) -> None:
        super().__init__()
        self.network = network

    def forward(self, home_area: torch.Tensor, means: torch.Tensor, has_means: torch.Tensor) -> torch.Tensor:
        return self.network.persons(PersonInputs(home_area, means, has_means, means[:, :0]))


class _Places(torch.nn.Module):
    def __init__(self, network: TwoTowers) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, category: torch.Tensor, area: torch.Tensor, text: torch.Tensor, graph: torch.Tensor
    ) -> torch.Tensor:
        return self.network.places(PlaceInputs(category, area, text, graph))


def vectors_from_features(network: Hgnn, features: PlaceFeatures) -> NDArray[np.float32]:
    """Return the graph vectors of places that nobody was at, from their text alone."""
    node_type = np.minimum(features.place_type, network.n_types - 1).astype(np.int64)
    return in_fixed_batches(_Alone(network), [features.text, node_type])


def tower_vectors_of_places(
    network: TwoTowers, shape: TowerShape, features: PlaceFeatures, vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the tower vectors of places from their features and graph vectors."""
    inputs = place_inputs(features, vectors, shape, np.arange(len(vectors)))
    return in_fixed_batches(_Places(network), [values.numpy() for values in inputs])


def tower_vectors_of_persons(
    network: TwoTowers, means: NDArray[np.float32], has_means: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the tower vectors of persons from the means of their places' graph vectors, one for each group."""
    n, n_groups, width = means.shape
    no_home = np.zeros(n, np.int64)
    return in_fixed_batches(_Persons(network), [no_home, means.reshape(n, n_groups * width), has_means])
