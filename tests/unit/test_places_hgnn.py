"""The graph network: its layer by hand and against loops, its loss, learning on planted groups, unseen places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from pipeline.models.places import hgnn_training  # noqa: E402
from pipeline.models.places.covisit_graph import graph_of  # noqa: E402
from pipeline.models.places.hgnn import HeteroSageLayer, Hgnn, embed_places, hinge_loss  # noqa: E402
from pipeline.models.places.hgnn_training import HgnnLearner, fit_hgnn  # noqa: E402
from pipeline.models.places.initial_weights import set_initial_weights  # noqa: E402
from pipeline.models.places.neighbour_max import neighbour_max  # noqa: E402
from pipeline.models.places.neighbourhoods import sampled_hops  # noqa: E402
from pipeline.models.places.params import HgnnParams  # noqa: E402
from pipeline.models.places.sampling import draw_negatives  # noqa: E402
from pipeline.models.protocol import FitRun  # noqa: E402
from tests.naive_graph import naive_hinge, naive_layer, naive_neighbours, naive_unit  # noqa: E402

TYPES = np.array([0, 1, 1, 0, 1], np.int8)
LINKS = np.array([[0, 1], [0, 2], [1, 2], [1, 3]])


def weights_of(layer):
    own = {t: layer.own[t].weight.tolist() for t in range(layer.n_types)}
    pairs = [(s, t) for s in range(layer.n_types) for t in range(layer.n_types)]
    relation = {(s, t): layer.relation[f"{s}_{t}"].weight.tolist() for s, t in pairs}
    return own, relation, {(s, t): layer.relation[f"{s}_{t}"].bias.tolist() for s, t in pairs}


def naive_vectors(network, features, links, node_type):
    """Vectors of all nodes, each layer by loops over all neighbours."""
    vectors = features.tolist()
    for layer in network.layers:
        vectors = naive_layer(
            vectors,
            lambda node, s: naive_neighbours(links.tolist(), node_type, node, s),
            node_type,
            *weights_of(layer),
            layer.is_rectified,
        )
    return np.array([naive_unit(vector) for vector in vectors])


def seeded_network(n_types=2, n_inputs=3, width=4, is_last_rectified=False, seed=0):
    network = Hgnn(n_types, n_inputs, width, is_last_rectified)
    set_initial_weights(network, seed, "test")
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("bias"):
                weight.copy_(torch.linspace(-0.1, 0.2, len(weight)))
    return network


def test_a_layer_by_hand():
    """One type, W_c = 1, W_r = 2, b = -1. Node 0 (h 1) with neighbours 2 and 0.2: max(relu(3), relu(-0.6)) + 1."""
    layer = HeteroSageLayer(1, 1, 1, True)
    with torch.no_grad():
        layer.own[0].weight.fill_(1.0)
        layer.relation["0_0"].weight.fill_(2.0)
        layer.relation["0_0"].bias.fill_(-1.0)
        inputs = torch.tensor([[1.0], [2.0], [0.2], [-3.0]])
        neighbours = torch.tensor([[1, 2], [0, -1], [-1, -1], [-1, -1]])
        updated = layer([inputs], [torch.arange(4)], {(0, 0): neighbours})[0]
    # Node 1: relu(2 * 1 - 1) + 2; node 2 has no neighbours; node 3 is below 0 and rectified.
    assert updated.flatten().tolist() == pytest.approx([4.0, 3.0, 0.2, 0.0])


@pytest.mark.parametrize("is_last_rectified", [False, True])
def test_the_network_is_that_of_the_loops(is_last_rectified):
    network = seeded_network(is_last_rectified=is_last_rectified)
    features = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    graph = graph_of(LINKS, TYPES)
    expected = naive_vectors(network, features, LINKS, TYPES)
    assert embed_places(network, graph, features) == pytest.approx(expected, abs=1e-6)
    # With a fan-out that takes all neighbours the sampled network is the same.
    hops = sampled_hops(graph, np.array([1, 4, 3]), 2, 10, [1, 2])
    vectors = network(
        [torch.from_numpy(features[nodes]) for nodes in hops[0].sources],
        [[torch.from_numpy(rows) for rows in hop.own] for hop in hops],
        [{key: torch.from_numpy(rows) for key, rows in hop.neighbours.items()} for hop in hops],
    )
    assert vectors.detach().numpy() == pytest.approx(expected[np.concatenate(hops[-1].targets)], abs=1e-6)


def test_places_are_embedded_in_parts_alike(monkeypatch):
    network, features = seeded_network(), np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    whole = embed_places(network, graph_of(LINKS, TYPES), features)
    monkeypatch.setattr("pipeline.models.places.hgnn.NODES_AT_ONCE", 2)
    assert embed_places(network, graph_of(LINKS, TYPES), features) == pytest.approx(whole, abs=1e-6)


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=20)
def test_the_maximum_and_its_gradient_are_torchs(seed):
    chance = np.random.default_rng(seed)
    values = torch.from_numpy(np.maximum(chance.normal(size=(6, 3)), 0).astype(np.float32))
    neighbours = torch.from_numpy(chance.integers(-1, 6, (5, 4)))
    ours, theirs = values.clone().requires_grad_(), values.clone().requires_grad_()
    greatest = neighbour_max(ours, neighbours)
    padded = torch.cat([theirs, torch.zeros(1, 3)])[neighbours].amax(dim=1)
    assert torch.equal(greatest, padded)
    weights = torch.from_numpy(chance.normal(size=(5, 3)).astype(np.float32))
    (greatest * weights).sum().backward()
    (padded * weights).sum().backward()
    # torch divides a gradient among equal maxima: a node twice among the neighbours gets it all the same, and zeros
    # have none from the ReLU before.
    is_above = values > 0
    assert ours.grad[is_above].numpy() == pytest.approx(theirs.grad[is_above].numpy(), abs=1e-5)


def test_a_network_without_neighbours_has_no_maximum():
    assert neighbour_max(torch.ones(2, 3), torch.full((2, 4), -1)).tolist() == [[0.0] * 3] * 2


def test_the_hinge_loss_is_that_of_the_loops():
    chance = np.random.default_rng(3)
    anchors, positives, negatives = (chance.normal(size=shape) for shape in ((4, 3), (4, 3), (4, 2, 3)))
    is_there = np.array([[1, 1], [0, 1], [0, 0], [1, 1]], bool)
    told = [
        [row if there else None for row, there in zip(*both, strict=True)]
        for both in zip(negatives, is_there, strict=True)
    ]
    loss = hinge_loss(*map(torch.from_numpy, (anchors, positives, negatives, is_there)), 0.2)
    assert float(loss) == pytest.approx(naive_hinge(anchors, positives, told, 0.2))
    # z_a z_n = 0.5, z_a z_p = 0.6: 0.5 - 0.6 + 0.2.
    one = hinge_loss(torch.tensor([[1.0]]), torch.tensor([[0.6]]), torch.tensor([[[0.5]]]), torch.ones(1, 1), 0.2)
    assert float(one) == pytest.approx(0.1)


def planted(n=60, n_groups=4, seed=0):
    """Places of groups that their features hint at; each is linked to most others of its group, none beyond it."""
    chance = np.random.default_rng(seed)
    group = np.arange(n) % n_groups
    links = [(i, j) for i in range(n) for j in range(i + 1, n) if group[i] == group[j] and chance.random() < 0.6]
    features = np.eye(n_groups)[group] + chance.normal(0, 0.7, (n, n_groups))
    return np.array(links), (np.arange(n) % 3 == 0).astype(np.int8), features.astype(np.float32), group


QUICK = HgnnParams(width=16, max_epochs=6, batch_size=64, learning_rate=1e-2, n_negatives=4)


def test_it_learns_who_belongs_together_and_places_unseen_ones_by_their_features():
    links, node_type, features, group = planted()
    fit = fit_hgnn(links, node_type, features, QUICK, FitRun(seed=1, device="cpu"))
    vectors = embed_places(fit.network, graph_of(links, node_type), features)
    similarity = vectors @ vectors.T
    is_same = group[:, None] == group[None, :]
    assert similarity[is_same].mean() - similarity[~is_same].mean() > 0.2
    assert fit.n_links > 0 and fit.n_epochs == 6
    # Another city of the same groups, none of it seen; and places there that nobody was at.
    links, node_type, features, group = planted(seed=9)
    is_same = group[:, None] == group[None, :]
    for links_known in (links, links[:0]):
        vectors = embed_places(fit.network, graph_of(links_known, node_type), features)
        similarity = vectors @ vectors.T
        assert similarity[is_same].mean() - similarity[~is_same].mean() > 0.1


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    links, node_type, features, _ = planted()
    params = QUICK.model_copy(update={"max_epochs": 1})
    fits = [fit_hgnn(links, node_type, features, params, FitRun(seed=s, device="cpu")) for s in (1, 1, 2)]
    same, again, other = ([w.detach().numpy() for w in fit.network.parameters()] for fit in fits)
    assert all(np.array_equal(a, b) for a, b in zip(same, again, strict=True))
    assert not np.array_equal(same[0], other[0])


def test_supervised_links_carry_no_messages_and_held_out_ones_neither():
    links, node_type, features, _ = planted()
    learner = HgnnLearner(seeded_network(2, 4), links, node_type, features, QUICK, seed=0)
    assert len(learner.links) + len(learner.held_out) == len(links)
    assert np.array_equal(learner.graph.links(), learner.links)
    chosen = learner.links[:8]
    hops = sampled_hops(learner.graph, np.unique(chosen), 2, 99, [1, 2], np.unique(both(chosen) @ [60, 1]))
    passed = {(t, s) for hop in hops for t, s in messages(hop)}
    assert not passed & {tuple(pair) for pair in both(chosen).tolist()}
    assert passed <= {tuple(pair) for pair in both(learner.links).tolist()}


def test_training_masks_what_it_asks_for_and_takes_nothing_linked_for_a_negative(monkeypatch):
    """Each batch leaves out its own links, both ways; places linked by a held-out link are no negatives either."""
    links, node_type, features, _ = planted()
    learner = HgnnLearner(seeded_network(2, 4), links, node_type, features, QUICK, seed=0)
    asked, drawn = [], []

    def hops(graph, nodes, n_layers, fan_out, keys, masked=None):
        asked.append(masked)
        return sampled_hops(graph, nodes, n_layers, fan_out, keys, masked)

    def negatives(graph, anchors, *more):
        found = draw_negatives(graph, anchors, *more)
        drawn.extend((a, n) for a, row in zip(anchors.tolist(), found.tolist(), strict=True) for n in row)
        return found

    monkeypatch.setattr(hgnn_training, "sampled_hops", hops)
    monkeypatch.setattr(hgnn_training, "draw_negatives", negatives)
    chosen = learner.links[:8]
    list(learner._batches(chosen, "hgnn epoch", 0))
    assert [masked.tolist() for masked in asked] == [sorted((both(chosen) @ [60, 1]).tolist())]
    for epoch in range(10):
        list(learner.batches(epoch))
    assert len(learner.held_out) and len(drawn) > 1_000
    assert not set(drawn) & {tuple(pair) for pair in both(links).tolist()}


def both(links):
    return np.concatenate([links, links[:, ::-1]])


def messages(hop):
    for (t, s), rows in hop.neighbours.items():
        for target, row in zip(hop.targets[t].tolist(), rows, strict=True):
            yield from ((target, int(source)) for source in hop.sources[s][row[row >= 0]])


def test_each_epoch_draws_anew_and_the_same_again():
    links, node_type, features, _ = planted()
    learner = HgnnLearner(seeded_network(2, 4), links, node_type, features, QUICK, seed=0)
    first, second, first_again = (list(learner.batches(epoch)) for epoch in (0, 1, 0))
    assert len(first) == learner.n_batches
    assert all(torch.equal(a[name], b[name]) for a, b in zip(first, first_again, strict=True) for name in a)
    assert not torch.equal(first[0]["anchors"], second[0]["anchors"])


def test_without_links_the_network_keeps_its_first_weights():
    none = np.empty((0, 2), np.int64)
    fit = fit_hgnn(none, np.zeros(2, np.int8), np.ones((2, 3), np.float32), QUICK, FitRun(device="cpu"))
    assert fit.n_epochs == 0
    assert embed_places(fit.network, graph_of(none, np.zeros(2, np.int8)), np.ones((2, 3), np.float32)).shape == (2, 16)
