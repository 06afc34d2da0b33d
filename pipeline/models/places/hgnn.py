"""The graph network of 2T-HGNN: heterogeneous GraphSAGE with the maximum over neighbours (2403.05185, section 1.3)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pipeline.models.places.covisit_graph import PlaceGraph
from pipeline.models.places.neighbour_max import max_over_all, neighbour_max

N_LAYERS = 2
"""Layers (2403.05185 [READ])."""
NODES_AT_ONCE = 1 << 16
"""Nodes whose vectors are computed at a time when all are wanted: bounds memory, changes nothing."""


class HeteroSageLayer(torch.nn.Module):
    """One layer: h_c = sigma(W_c h_c + sum over relations of max over neighbours of sigma(W_r h + b)).

    W_r is of the directed relation (type of neighbour -> type of node), W_c of the node's type [INF]; sigma is a ReLU
    [INF], which the outer one may be without (ours). There is no weight after the maximum, unlike in PyG's SAGEConv.
    """

    def __init__(self, n_types: int, n_inputs: int, width: int, is_rectified: bool) -> None:
        """Make the weights of a layer from `n_inputs` to `width` numbers per node."""
        super().__init__()
        self.n_types, self.width, self.is_rectified = n_types, width, is_rectified
        self.own = torch.nn.ModuleList(torch.nn.Linear(n_inputs, width, bias=False) for _ in range(n_types))
        self.relation = torch.nn.ModuleDict(
            {f"{s}_{t}": torch.nn.Linear(n_inputs, width) for s in range(n_types) for t in range(n_types)}
        )

    def messages(self, inputs: torch.Tensor, source: int, target: int) -> torch.Tensor:
        """Return what nodes of one type say to those of another: sigma(W_r h + b)."""
        return torch.relu(self.relation[f"{source}_{target}"](inputs))

    def update(self, own: torch.Tensor, greatest: torch.Tensor, node_type: int) -> torch.Tensor:
        """Return the vectors of nodes from their own ones and the sum over relations of their neighbours' maxima."""
        updated = self.own[node_type](own) + greatest
        return torch.relu(updated) if self.is_rectified else updated

    def forward(
        self,
        inputs: list[torch.Tensor],
        own: list[torch.Tensor],
        neighbours: Mapping[tuple[int, int], torch.Tensor],
    ) -> list[torch.Tensor]:
        """Return the vectors of the targets of each type; arguments as in `neighbourhoods.Hop`, inputs by type."""
        return [
            self.update(
                inputs[t][own[t]],
                sum(
                    (neighbour_max(self.messages(inputs[s], s, t), neighbours[t, s]) for s in range(self.n_types)),
                    start=inputs[t].new_zeros(()),
                ),
                t,
            )
            for t in range(self.n_types)
        ]


class Hgnn(torch.nn.Module):
    """Two layers, and vectors of length 1 at the end."""

    def __init__(self, n_types: int, n_inputs: int, width: int, is_last_rectified: bool) -> None:
        """Make the network for nodes of `n_types` types with `n_inputs` numbers each."""
        super().__init__()
        self.n_types, self.width = n_types, width
        self.layers = torch.nn.ModuleList(
            HeteroSageLayer(n_types, width if k else n_inputs, width, k < N_LAYERS - 1 or is_last_rectified)
            for k in range(N_LAYERS)
        )

    def layer(self, k: int) -> HeteroSageLayer:
        """Return layer k, 0 the first."""
        layer = self.layers[k]
        assert isinstance(layer, HeteroSageLayer)
        return layer

    def forward(
        self,
        inputs: list[torch.Tensor],
        own: list[list[torch.Tensor]],
        neighbours: list[Mapping[tuple[int, int], torch.Tensor]],
    ) -> torch.Tensor:
        """Return the vectors of the last hop's targets, of all types one after another, of length 1 (or 0)."""
        hidden = inputs
        for layer, layer_own, layer_neighbours in zip(self.layers, own, neighbours, strict=True):
            hidden = layer(hidden, layer_own, layer_neighbours)
        return functional.normalize(torch.cat(hidden), dim=1)


def hinge_loss(
    anchor: torch.Tensor, positive: torch.Tensor, negatives: torch.Tensor, is_there: torch.Tensor, margin: float
) -> torch.Tensor:
    """Return the mean over negatives of max(0, z_a z_n - z_a z_p + margin) (2403.05185, section 1.4).

    Anchors and positives are (n, width), negatives (n, k, width), `is_there` (n, k) whether the negative exists. 0
    where there is none.
    """
    near = (anchor * positive).sum(dim=1, keepdim=True)
    far = torch.einsum("nw,nkw->nk", anchor, negatives)
    lost = functional.relu(far - near + margin) * is_there
    return lost.sum() / is_there.sum().clamp(min=1)


def embed_places(network: Hgnn, graph: PlaceGraph, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vector of every node, (n_nodes, width), of length 1: each layer for all nodes, over all neighbours.

    Nothing is drawn here, so nothing is random. A node without links has a vector from its features alone, so a graph
    without links embeds places that nobody was at, and another city's graph embeds that city. The network stays on its
    device; a layer's vectors are kept on the CPU.
    """
    last = embed_layers(network, graph, features)[-1]
    return last / np.maximum(np.linalg.norm(last, axis=1, keepdims=True), np.finfo(np.float32).tiny)


@torch.no_grad()
def embed_layers(network: Hgnn, graph: PlaceGraph, features: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the features, then the vectors of every node after each layer; the last are not yet of length 1."""
    hidden = [np.ascontiguousarray(features, np.float32)]
    members = [np.flatnonzero(graph.node_type == t) for t in range(graph.n_types)]
    for k in range(N_LAYERS):
        hidden.append(_layer_of_all(network.layer(k), graph, hidden[-1], members))
    return hidden


def _layer_of_all(
    layer: HeteroSageLayer, graph: PlaceGraph, hidden: NDArray[np.float32], members: list[NDArray[np.int64]]
) -> NDArray[np.float32]:
    device = next(layer.parameters()).device
    width = layer.width
    updated = np.empty((graph.n_nodes, width), np.float32)
    row = np.empty(graph.n_nodes, np.int64)
    for nodes in members:
        row[nodes] = np.arange(nodes.size)
    rows = row[graph.neighbour]
    for t, targets in enumerate(members):
        greatest = np.zeros((targets.size, width), np.float32)
        for s, sources in enumerate(members):
            said = _in_chunks(lambda h, s=s, t=t: layer.messages(h, s, t), hidden[sources], device, width)
            greatest += max_over_all(said, graph.start[targets, s], graph.start[targets, s + 1], rows)
        for chunk in _chunks(targets.size):
            own = torch.from_numpy(hidden[targets[chunk]]).to(device)
            summed = torch.from_numpy(greatest[chunk]).to(device)
            updated[targets[chunk]] = layer.update(own, summed, t).cpu().numpy()
    return updated


def _in_chunks(function, values: NDArray[np.float32], device: torch.device, width: int) -> NDArray[np.float32]:
    computed = np.empty((len(values), width), np.float32)
    for chunk in _chunks(len(values)):
        computed[chunk] = function(torch.from_numpy(values[chunk]).to(device)).cpu().numpy()
    return computed


def _chunks(n: int) -> list[slice]:
    return [slice(first, min(first + NODES_AT_ONCE, n)) for first in range(0, n, NODES_AT_ONCE)]
