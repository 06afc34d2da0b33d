"""The co-visit graph, node types, and draws on the graph: against loops, and what chance may and may not do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from pipeline.models.devices import keyed_seed, numpy_generator
from pipeline.models.places.covisit_graph import covisit_links, graph_of
from pipeline.models.places.group_types import node_types
from pipeline.models.places.interactions import (
    Interactions,
    PlaceFeatures,
    add_friends_places,
    checked,
    mark_single_visits,
)
from pipeline.models.places.neighbourhoods import sampled_hops
from pipeline.models.places.params import GraphParams, HgnnParams
from pipeline.models.places.place_vectors import typed_links
from pipeline.models.places.sampling import NOBODY, draw_negatives, oriented, sample_neighbours, supervision_links
from tests.naive_graph import naive_links, naive_neighbours, naive_typed_links

N_PERSONS, N_PLACES = 4, 6
EVENTS = st.lists(
    st.tuples(st.integers(0, N_PERSONS - 1), st.integers(0, N_PLACES - 1), st.integers(0, 400_000), st.booleans()),
    max_size=30,
)


def interactions_of(events):
    person, place, time_s, is_weak = (list(column) for column in zip(*events, strict=True)) if events else ([],) * 4
    arrays = (np.array(person, int), np.array(place, int), np.array(time_s, int), np.array(is_weak, bool))
    return checked(Interactions(*arrays, N_PERSONS, N_PLACES))


def ring(n=12, n_types=2):
    """Every node is linked to the next and to the one after that; types take turns."""
    links = np.array(sorted(sorted(pair) for i in range(n) for pair in ((i, (i + 1) % n), (i, (i + 2) % n))))
    return graph_of(links, (np.arange(n) % n_types).astype(np.int8)), links


@given(EVENTS, st.integers(1, 2), st.integers(2, 4), st.sampled_from([1.0, 2.0, 90.0]), st.randoms())
@settings(deadline=None)
def test_links_are_those_of_the_definition(events, n_persons, max_places, window_days, chance):
    params = GraphParams(n_persons_per_link=n_persons, max_places_per_person=max_places, window_days=window_days)
    links = covisit_links(interactions_of(events), params)
    assert [tuple(pair) for pair in links.tolist()] == naive_links(events, n_persons, max_places, window_days * 86_400)
    chance.shuffle(events)
    assert np.array_equal(covisit_links(interactions_of(events), params), links)


@given(EVENTS, st.sampled_from([(), ((0, 0),), ((1, 0),), ((1, 1),), ((0, 0), (0, 1))]), st.sampled_from([None, 0, 1]))
@settings(deadline=None)
def test_ablations_leave_links_out(events, dropped, only):
    places = PlaceFeatures(
        np.array([0, 1, 1, 0, 1, 0], np.int8), np.zeros((6, 1), np.float32), *np.zeros((2, 6), np.int32)
    )
    params = HgnnParams(dropped_relations=dropped, only_type=only)
    types, links = typed_links(interactions_of(events), places, GraphParams(), params)
    expected = naive_typed_links(naive_links(events, 1, 200, 90 * 86_400), places.place_type.tolist(), dropped, only)
    assert [tuple(pair) for pair in links.tolist()] == expected
    # A network of one type's links is the same for all places.
    assert np.array_equal(types, places.place_type if only is None else np.zeros(6))


def test_links_in_many_small_parts_are_the_same(monkeypatch):
    chance = np.random.default_rng(1)
    events = list(zip(*(chance.integers(0, n, 60) for n in (4, 6, 1000)), np.zeros(60, bool), strict=True))
    whole = covisit_links(interactions_of(events), GraphParams(n_persons_per_link=2))
    monkeypatch.setattr("pipeline.models.places.covisit_graph.PAIRS_AT_ONCE", 1)
    assert np.array_equal(covisit_links(interactions_of(events), GraphParams(n_persons_per_link=2)), whole)


@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda p: p[0] < p[1])), st.integers(1, 3))
@settings(deadline=None)
def test_a_graph_lists_the_neighbours_of_each_type(links, n_types):
    links = np.array(sorted(links), np.int64).reshape(-1, 2)
    node_type = (np.arange(8) % n_types).astype(np.int8)
    graph = graph_of(links, node_type)
    for node in range(8):
        for s in range(n_types):
            found = graph.neighbour[graph.start[node, s] : graph.start[node, s + 1]].tolist()
            assert found == naive_neighbours(links.tolist(), node_type, node, s)
    assert np.array_equal(graph.links(), links)


def test_links_to_nowhere_are_refused():
    with pytest.raises(ValueError, match="outside 0 to 2"):
        graph_of(np.array([[0, 3]]), np.zeros(3, np.int8))


def test_node_types_take_the_rarest_group_that_is_large_enough():
    paths = ["Food > Bar"] * 7 + ["Arts > Museum"] * 3 + ["Arts"] + ["Odd > One"] + [None]
    found = node_types(paths, n_places_per_type=3)
    assert found.names == ("Arts", "others")
    assert found.place_type.tolist() == [1] * 7 + [0] * 4 + [1, 1]
    assert [found.type_of(path) for path in ("Arts > Opera", "Food", None)] == [0, 1, 1]
    assert node_types(paths, 1, n_types=3).names == ("Odd", "Arts", "others")
    # The commonest group is no rare one, also where no other is large enough; without categories there is one type.
    assert node_types(["Food"] * 3, 1).names == ("others",)
    alone = node_types(["Food"] * 500 + ["Arts"] * 3 + ["Shop"] * 20, 100)
    assert alone.names == ("others",) and not alone.place_type.any()
    assert node_types(["Food"] * 5 + ["Arts"] * 5 + ["Shop"] * 4, 5, n_types=3).names == ("Arts", "others")
    assert node_types([], 1).place_type.size == 0


def test_few_neighbours_are_all_drawn_and_many_in_part():
    graph, links = ring()
    all_of_them = sample_neighbours(graph, np.arange(12), 4, key=7)
    for node in range(12):
        for s in range(2):
            drawn = all_of_them[node, s][all_of_them[node, s] != NOBODY].tolist()
            assert sorted(drawn) == naive_neighbours(links.tolist(), graph.node_type, node, s)
    one_each = sample_neighbours(graph, np.arange(12), 1, key=7)
    assert one_each.shape == (12, 2, 1)
    assert np.isin(one_each[..., 0], all_of_them).all()


def test_draws_are_uniform_without_repeats_and_keyed():
    star = graph_of(np.array([[0, i] for i in range(1, 11)]), np.zeros(11, np.int8))
    counts = np.zeros(11)
    for key in range(2_000):
        drawn = sample_neighbours(star, np.array([0]), 3, key=keyed_seed(0, "test", key))[0, 0]
        assert len(set(drawn.tolist())) == 3
        counts[drawn] += 1
    # Each of ten is expected 600 times, with a standard deviation of 20.5; five of them are 102.
    assert np.abs(counts[1:] - 600).max() < 102
    again = [sample_neighbours(star, np.array([0]), 3, key=5) for _ in range(2)]
    assert np.array_equal(*again)
    # What else is asked for at the same time changes nothing.
    assert np.array_equal(sample_neighbours(star, np.array([3, 0, 4]), 3, key=5)[1], again[0][0])


def test_masked_links_are_not_drawn():
    graph, links = ring()
    masked = np.unique(np.concatenate([links, links[:, ::-1]]) @ [12, 1])
    assert (sample_neighbours(graph, np.arange(12), 4, 7, masked) == NOBODY).all()
    some = np.array([0 * 12 + 1, 1 * 12 + 0])
    drawn = sample_neighbours(graph, np.array([0, 1]), 4, 7, some)
    assert 1 not in drawn[0] and 0 not in drawn[1]
    assert {2, 10, 11} <= set(drawn[0].ravel().tolist())


def test_balanced_links_are_as_many_of_each_relation():
    node_type = np.array([0] * 4 + [1] * 30, np.int8)
    links = np.array([[i, j] for i in range(34) for j in range(i + 1, 34)])
    drawn = supervision_links(links, node_type, numpy_generator(0, "test"), is_balanced=True)
    kinds = node_type[drawn].sum(axis=1)
    assert np.bincount(kinds).tolist() == [6, 6, 6]
    assert {tuple(pair) for pair in drawn.tolist() if pair[1] < 4} == {
        (a, b) for a in range(4) for b in range(a + 1, 4)
    }
    assert len({tuple(pair) for pair in drawn.tolist()}) == 18
    other = supervision_links(links, node_type, numpy_generator(0, "test", 1), is_balanced=True)
    assert not np.array_equal(np.sort(drawn @ [34, 1]), np.sort(other @ [34, 1]))
    everything = supervision_links(links, node_type, numpy_generator(0, "test"), is_balanced=False)
    assert np.array_equal(np.sort(everything @ [34, 1]), np.sort(links @ [34, 1]))
    assert len(supervision_links(links, node_type, numpy_generator(0, "test"), False, max_links=5)) == 5
    assert supervision_links(links[:0], node_type, numpy_generator(0, "test"), True).shape == (0, 2)


def test_either_end_is_the_anchor():
    links = np.tile([[1, 2]], (200, 1))
    turned = oriented(links, numpy_generator(0, "test"))
    assert np.array_equal(np.sort(turned, axis=1), links)
    assert 60 < (turned[:, 0] == 2).sum() < 140


def test_negatives_are_neither_linked_nor_the_anchor():
    graph, links = ring(40)
    anchors = np.repeat(np.arange(40), 5)
    negatives = draw_negatives(graph, anchors, 6, numpy_generator(0, "test"))
    linked = {tuple(pair) for pair in np.concatenate([links, links[:, ::-1]]).tolist()}
    pairs = [(a, n) for a, row in zip(anchors.tolist(), negatives.tolist(), strict=True) for n in row]
    assert not linked & set(pairs) and all(a != n for a, n in pairs)
    # 35 of 40 nodes are free: eight draws find one but for once in 10^7.
    assert NOBODY not in negatives
    among = draw_negatives(graph, anchors, 6, numpy_generator(0, "test"), candidates=np.array([3, 30]))
    assert set(among.ravel().tolist()) <= {3, 30, NOBODY}


def test_an_anchor_linked_to_all_has_no_negatives():
    links = np.array([[0, 1], [0, 2], [1, 2]])
    assert (
        draw_negatives(graph_of(links, np.zeros(3, np.int8)), np.array([0]), 4, numpy_generator(0, "t")) == NOBODY
    ).all()


def test_hops_hold_what_the_layers_need():
    graph, links = ring()
    first, last = sampled_hops(graph, np.array([0, 5]), 2, 10, [1, 2])
    assert [nodes.tolist() for nodes in last.targets] == [[0], [5]]
    assert np.concatenate(first.targets).tolist() == np.concatenate(last.sources).tolist()
    for hop in (first, last):
        for t in range(2):
            assert np.array_equal(hop.sources[t][hop.own[t]], hop.targets[t])
            for s in range(2):
                for node, rows in zip(hop.targets[t], hop.neighbours[t, s], strict=True):
                    found = sorted(hop.sources[s][rows[rows != NOBODY]].tolist())
                    assert found == naive_neighbours(links.tolist(), graph.node_type, node, s)


def test_single_short_visits_are_weak():
    events = interactions_of([(0, 0, 1, False), (0, 0, 2, False), (0, 1, 3, False), (1, 0, 4, False)])
    assert mark_single_visits(events).is_weak.tolist() == [False, False, True, True]
    dwell_s = np.array([10.0, 10.0, 10.0, 5_000.0])
    assert mark_single_visits(events, dwell_s, 900.0).is_weak.tolist() == [False, False, True, False]


def test_friends_places_are_weak_and_new_to_the_person_then():
    events = interactions_of([(0, 0, 1, False), (1, 0, 2, False), (1, 3, 5, False), (1, 3, 9, False), (2, 4, 7, True)])
    friends = np.array([[0, 1], [1, 0], [0, 2]])
    more = add_friends_places(events, friends)
    added = sorted(zip(*(values[5:].tolist() for values in more[:4]), strict=True))
    # Person 2's only event is weak itself: friends of friends' hints are none.
    # Person 1 goes to place 0 too, but after the friend: the hint was there before.
    assert added == [(0, 3, 5, True), (1, 0, 1, True), (2, 0, 1, True)]
    assert np.array_equal(more.person[:5], events.person)
    latest = add_friends_places(interactions_of([(1, k, k, False) for k in range(5)]), np.array([[0, 1]]), 2)
    assert latest.place[5:].tolist() == [4, 3]


def test_a_friends_place_stays_a_hint_whether_or_not_the_person_goes_there_later():
    """Friend 1 at place 5 on day 10; person 0 there on day 100, at place 4 before the friend and never at place 3."""
    day = 86_400
    ahead = [(1, 5, 10 * day, False), (1, 4, 60 * day, False), (1, 3, 20 * day, False), (0, 4, 50 * day, False)]
    for events in (ahead, [*ahead, (0, 5, 100 * day, False)], [*ahead, (0, 5, 100 * day, True)]):
        more = add_friends_places(interactions_of(events), np.array([[0, 1]]))
        mine = (more.person == 0) & more.is_weak & (more.time_s < 100 * day)
        assert sorted(zip(more.place[mine].tolist(), (more.time_s[mine] // day).tolist(), strict=True)) == [
            (3, 20),
            (5, 10),
        ]
    same_time = [(1, 5, 10 * day, False), (0, 5, 10 * day, False)]
    assert not add_friends_places(interactions_of(same_time), np.array([[0, 1]])).is_weak.any()


def test_events_that_do_not_fit_are_refused():
    one = np.array([1])
    with pytest.raises(ValueError, match="differ in length"):
        checked(Interactions(np.arange(2), one, one, np.array([False]), 2, 2))
    with pytest.raises(ValueError, match="place has numbers outside 0 to 1"):
        checked(Interactions(one, np.array([2]), one, np.array([False]), 2, 2))
