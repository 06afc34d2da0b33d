"""How the graph network learns: links of each relation, negatives, neighbourhoods, all drawn anew each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models import training
from pipeline.models.devices import keyed_seed, numpy_generator
from pipeline.models.places.covisit_graph import graph_of
from pipeline.models.places.hgnn import N_LAYERS, Hgnn, hinge_loss
from pipeline.models.places.initial_weights import set_initial_weights
from pipeline.models.places.neighbourhoods import rows_of, sampled_hops
from pipeline.models.places.params import HgnnParams
from pipeline.models.places.sampling import NOBODY, draw_negatives, oriented, supervision_links
from pipeline.models.protocol import FitRun

MAX_VALIDATION_LINKS = 4_096
"""Held-out links that the validation loss is a mean over (ours): its standard error is below a hundredth
then. Balanced, there are fewer: as many of each relation as the rarest has held out, so some hundred in a city."""

Batch = dict[str, torch.Tensor]


class HgnnFit(NamedTuple):
    """A trained network and what its training took."""

    network: Hgnn
    n_links: int
    """Links that an epoch was supervised by."""
    n_links_in_all: int
    """Links there were to learn from, which an epoch without balance or bound would be supervised by."""
    n_epochs: int
    n_steps: int
    """Batches of all epochs."""
    seconds: float


def fit_hgnn(
    links: NDArray[np.int64],
    node_type: NDArray[np.int8],
    features: NDArray[np.float32],
    params: HgnnParams,
    run: FitRun,
    anchor_type: int | None = None,
    n_types: int | None = None,
) -> HgnnFit:
    """Return the graph network that learnt to tell links from pairs without one.

    `links` are distinct, (n, 2), `features` (n_nodes, width). Part of the links are held out, neither learnt from nor
    passed along, to stop by. With `anchor_type` one end of every link is of that type: it is the anchor, and negatives
    are of the other types. Without links the network keeps its first weights.
    """
    n_types = int(node_type.max(initial=0)) + 1 if n_types is None else n_types
    network = Hgnn(n_types, features.shape[1], params.width, params.is_last_rectified)
    set_initial_weights(network, run.seed, "hgnn")
    learner = HgnnLearner(network, links, node_type, features, params, run.seed, anchor_type)
    if not len(learner.links) or not len(learner.held_out):
        return HgnnFit(network, 0, 0, 0, 0, 0.0)
    settings = training.TrainingParams(
        learning_rate=params.learning_rate, max_epochs=params.max_epochs, patience=params.patience
    )
    history = training.train(learner, settings, run, "hgnn")
    n_epochs = len(history.train_loss)
    n_steps = n_epochs * learner.batches_per_epoch
    return HgnnFit(network, learner.n_links, len(learner.links), n_epochs, n_steps, history.seconds)


class HgnnLearner:
    """What the training loop asks of the graph network (`training.Learner`)."""

    module: torch.nn.Module
    n_batches: int | None

    def __init__(
        self,
        network: Hgnn,
        links: NDArray[np.int64],
        node_type: NDArray[np.int8],
        features: NDArray[np.float32],
        params: HgnnParams,
        seed: int,
        anchor_type: int | None = None,
    ) -> None:
        """Hold links out, and make the graph that messages pass along of the others."""
        self.module, self.params, self.seed, self.anchor_type = network, params, seed, anchor_type
        self.features = torch.from_numpy(np.ascontiguousarray(features, np.float32))
        is_held_out = numpy_generator(seed, "hgnn validation").random(len(links)) < params.validation_share
        self.links, self.held_out = links[~is_held_out], links[is_held_out]
        self.graph = graph_of(self.links, node_type, network.n_types)
        # What is linked in truth is no negative, held out or not.
        self.all_links = graph_of(links, node_type, network.n_types)
        self.candidates = None if anchor_type is None else np.flatnonzero(node_type != anchor_type)
        self.n_links = len(self._drawn_links(0))
        self.batches_per_epoch = -(-self.n_links // params.batch_size)
        self.n_batches = self.batches_per_epoch

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, with everything that is drawn drawn anew."""
        yield from self._batches(self._drawn_links(epoch), "hgnn epoch", epoch)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the hinge loss of a batch."""
        layers, types = range(N_LAYERS), range(self.graph.n_types)
        vectors = self.module(
            [batch[f"inputs_{t}"] for t in types],
            [[batch[f"own_{k}_{t}"] for t in types] for k in layers],
            [{(t, s): batch[f"neighbours_{k}_{t}_{s}"] for t in types for s in types} for k in layers],
        )
        negatives = vectors[batch["negatives"].clamp(min=0)]
        is_there = batch["negatives"] != NOBODY
        return hinge_loss(
            vectors[batch["anchors"]], vectors[batch["positives"]], negatives, is_there, self.params.margin
        )

    def validate(self) -> float:
        """Return the mean loss of held-out links, with the same draws each time."""
        chance = numpy_generator(self.seed, "hgnn held out")
        node_type = self.graph.node_type
        links = supervision_links(self.held_out, node_type, chance, self.params.is_balanced, MAX_VALIDATION_LINKS)
        device = next(self.module.parameters()).device
        total = 0.0
        for batch in self._batches(links, "hgnn validation batches", 0):
            on_device = {name: values.to(device) for name, values in batch.items()}
            total += float(self.loss(on_device)) * len(batch["anchors"])
        return total / len(links)

    def _drawn_links(self, epoch: int) -> NDArray[np.int64]:
        chance = numpy_generator(self.seed, "hgnn links", epoch)
        params = self.params
        return supervision_links(
            self.links, self.graph.node_type, chance, params.is_balanced, params.max_links_per_epoch or None
        )

    def _batches(self, links: NDArray[np.int64], purpose: str, epoch: int) -> Iterator[Batch]:
        for first in range(0, len(links), self.params.batch_size):
            chance = numpy_generator(self.seed, purpose, epoch, first)
            keys = [keyed_seed(self.seed, f"{purpose} layer {k}", epoch, first) for k in range(N_LAYERS)]
            yield self._batch(links[first : first + self.params.batch_size], chance, keys)

    def _batch(self, links: NDArray[np.int64], chance: np.random.Generator, keys: list[int]) -> Batch:
        anchors, positives = self._ends(links, chance)
        negatives = draw_negatives(self.all_links, anchors, self.params.n_negatives, chance, self.candidates)
        both_ways = np.concatenate([links, links[:, ::-1]])
        masked = np.unique(both_ways[:, 0] * self.graph.n_nodes + both_ways[:, 1])
        nodes = np.unique(np.concatenate([anchors, positives, negatives[negatives != NOBODY]]))
        hops = sampled_hops(self.graph, nodes, N_LAYERS, self.params.fan_out, keys, masked)
        row = rows_of(np.arange(self.graph.n_nodes), hops[-1].targets, self.graph.n_nodes)
        batch: Batch = {f"inputs_{t}": self.features[nodes] for t, nodes in enumerate(hops[0].sources)}
        for k, hop in enumerate(hops):
            batch |= {f"own_{k}_{t}": torch.from_numpy(rows) for t, rows in enumerate(hop.own)}
            batch |= {f"neighbours_{k}_{t}_{s}": torch.from_numpy(r) for (t, s), r in hop.neighbours.items()}
        batch["anchors"], batch["positives"] = torch.from_numpy(row[anchors]), torch.from_numpy(row[positives])
        batch["negatives"] = torch.from_numpy(np.where(negatives == NOBODY, NOBODY, row[negatives]))
        return batch

    def _ends(
        self, links: NDArray[np.int64], chance: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return anchors and positives: either end by chance, or the one of the anchors' type first."""
        if self.anchor_type is None:
            turned = oriented(links, chance)
        else:
            is_second = self.graph.node_type[links[:, 1]] == self.anchor_type
            turned = np.where(is_second[:, None], links[:, ::-1], links)
        return turned[:, 0].copy(), turned[:, 1].copy()
