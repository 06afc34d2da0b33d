"""`daily_motifs` and `motif_shares`: isomorphic days have one motif, and shares tell of no few devices."""

from itertools import groupby, pairwise

import fastmob
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.motifs import MOST_NODES, canonical_matrices, motif_names, pack_networks
from pipeline.stages.daily_motifs import DailyMotifParams, daily_motifs
from pipeline.stages.motif_shares import MotifShareParams, _finish, motif_shares
from tests.day_rows import as_date, day_of, make_day_coverage, make_day_visits, naive_visits
from tests.naive_rhythm import naive_code, naive_days, naive_motif, naive_motif_shares
from tests.stay_rows import empty, through_contract

DAY = 1440
OFFSETS = {1: -18_000, 2: 0, 3: 19_800}
PARAMS = DailyMotifParams(max_nodes=4)
SHARES = MotifShareParams(n_replicates=20)


@st.composite
def networks(draw, max_nodes=5):
    n = draw(st.integers(1, max_nodes))
    moves = draw(
        st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda move: move[0] != move[1]))
    )
    return n, moves


def pack(n, moves):
    return np.array([sum(1 << (n * n - 1 - a * n - b) for a, b in moves)], np.int64)


def graph_of(n, moves):
    graph = nx.DiGraph(list(moves))
    graph.add_nodes_from(range(n))
    return graph


def name_of(n, moves):
    return motif_names(np.array([n]), pack(n, moves))[0]


@given(networks(), networks(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_two_networks_have_one_motif_where_they_are_isomorphic(one, other, chance):
    order = list(range(one[0]))
    chance.shuffle(order)
    renamed = one[0], {(order[a], order[b]) for a, b in one[1]}
    assert name_of(*one) == name_of(*renamed) == naive_code(range(one[0]), one[1])
    assert (name_of(*one) == name_of(*other)) == nx.is_isomorphic(graph_of(*one), graph_of(*other))


def test_all_networks_of_three_places():
    """64 matrices are 16 networks, as is known of directed graphs of three nodes."""
    entries = [(a, b) for a in range(3) for b in range(3) if a != b]
    every = [{move for k, move in enumerate(entries) if number >> k & 1} for number in range(64)]
    assert len({name_of(3, moves) for moves in every}) == 16
    matrix = np.concatenate([pack(3, moves) for moves in every])
    assert np.unique(canonical_matrices(3, matrix)).size == 16


def test_the_largest_network_and_one_too_large():
    ring = {(k, (k + 1) % MOST_NODES) for k in range(MOST_NODES)}
    other = {(k, (k + 3) % MOST_NODES) for k in range(MOST_NODES)}
    assert name_of(MOST_NODES, ring) == name_of(MOST_NODES, other)
    with pytest.raises(ValueError, match="1 to 7 places, not 8"):
        canonical_matrices(8, np.array([1]))
    start, symbol = np.array([0, 8]), np.arange(8)
    matrix, n_edges = pack_networks(start, symbol, np.array([8]))
    assert (matrix.tolist(), n_edges.tolist()) == ([0], [7])
    with pytest.raises(ValueError, match="merge repeats"):
        pack_networks(np.array([0, 2]), np.array([0, 0]), np.array([1]))


@st.composite
def histories(draw):
    """Visits of three devices, one after the other, some over midnights, some of no length or back to back."""
    rows = []
    for device, offset in OFFSETS.items():
        at = draw(st.integers(0, DAY))
        for _ in range(draw(st.integers(0, 9))):
            at += draw(st.sampled_from([0, 1, 30, 600]))
            length = draw(st.sampled_from([0, 5, 90, DAY - at % DAY, 1500, 3000]))
            rows.append((device, at, length, draw(st.integers(0, 5)), None, offset))
            at += length + 1
    return rows or [(1, 0, 10, 0, None, 0)]


observed = st.sets(st.tuples(st.sampled_from(list(OFFSETS)), st.integers(0, 12)), min_size=1)


def motifs_of(rows, days):
    coverage = pd.concat([make_day_coverage(days), make_day_coverage({(4, 0)}, hours=7)], ignore_index=True)
    found = through_contract(daily_motifs(make_day_visits(rows), coverage, PARAMS), "daily_motifs")
    keys = zip(found["device_id"], found["date"].dt.date, strict=True)
    values = found[["n_nodes", "n_edges", "motif", "is_closed"]].itertuples(index=False, name=None)
    return dict(zip(keys, values, strict=True))


@given(histories(), observed)
@settings(max_examples=25, deadline=None)
def test_days_are_those_of_the_twin(rows, days):
    wanted = {(device, as_date(day)) for device, day in days}
    expected = {
        key: naive_motif(places, PARAMS.max_nodes)
        for key, places in naive_days(naive_visits(rows)).items()
        if key in wanted
    }
    assert motifs_of(rows, days) == expected


@given(histories(), observed, st.integers(1, 60))
@settings(max_examples=8, deadline=None)
def test_whole_days_later_the_motifs_are_the_same(rows, days, shift):
    before = motifs_of(rows, days)
    later = motifs_of([(d, at + shift * DAY, *rest) for d, at, *rest in rows], {(d, day + shift) for d, day in days})
    assert list(later.values()) == list(before.values())


def test_a_day_by_hand():
    """Home over night, work, lunch, work, home until the next noon; a day off at home is one of 0."""
    rows = [
        (1, 0, 480, 0, None, 0),
        (1, 540, 180, 1, None, 0),
        (1, 725, 30, 2, None, 0),
        (1, 760, 240, 1, None, 0),
        (1, 1030, 410 + 720, 0, None, 0),
    ]
    found = motifs_of(rows, {(1, 0), (1, 1), (1, 2)})
    assert found == {
        (1, as_date(0)): (3, 4, "001/001/110", True),
        (1, as_date(1)): (1, 0, "0", True),
    }
    unobserved = make_day_coverage({(1, 0)}, hours=7)
    assert daily_motifs(make_day_visits(rows), unobserved, PARAMS).empty
    none = daily_motifs(empty("visits"), empty("coverage"), PARAMS)
    assert through_contract(none, "daily_motifs").empty


def fastmob_motifs(days):
    """fastmob's code of each day of places in order, the place 0 being home."""
    rows = []
    for number, places in enumerate(days):
        midnight, length = pd.Timestamp("2020-01-06"), DAY // len(places)
        for k, place in enumerate(places):
            start = midnight + pd.Timedelta(minutes=k * length)
            purpose = "OTHER" if place else "HOME"
            rows.append((number, place, purpose, start, start + pd.Timedelta(minutes=length - 1)))
    names = ["uid", "location_id", "purpose", "start_timestamp", "end_timestamp"]
    found = fastmob.daily_motifs(pd.DataFrame(rows, columns=names))
    return dict(zip(found["uid"], found["motif_id"], strict=True))


def test_fastmob_groups_days_that_begin_and_end_at_home_as_we_do_but_for_which_place_is_home():
    """fastmob fixes the home: its motifs are ours where the home is marked, so each of ours is one or more of them."""
    rng = np.random.default_rng(4)
    drawn = [[0, *rng.integers(0, 5, rng.integers(0, 7)).tolist(), 0] for _ in range(300)]
    days = [[place for place, _ in groupby(day)] for day in drawn]
    theirs = fastmob_motifs(days)
    assert len(theirs) == len(days)
    ours = [naive_motif(day, 6)[2] for day in days]
    # A loop at the home marks it.
    rooted = [naive_code(sorted(set(day)), {*pairwise(day), (0, 0)}) for day in days]
    pairs = {(theirs[k], rooted[k]) for k in range(len(days))}
    assert len(pairs) == len(set(theirs.values())) == len(set(rooted)) > 30
    assert len({(theirs[k], ours[k]) for k in range(len(days))}) == len(set(theirs.values())) > len(set(ours))


def test_where_fastmob_differs():
    """It ends every day at home, leaves out days without home, and tells a star from a chain by where home is."""
    star, chain, one_way, away = [0, 1, 0, 2, 0], [0, 1, 2, 1, 0], [0, 1], [1, 2, 1]
    theirs = fastmob_motifs([star, chain, one_way, [0, 1, 0], away])
    assert theirs[0] != theirs[1] and theirs[2] == theirs[3] and 4 not in theirs
    ours = [naive_motif(day, 6)[2] for day in (star, chain, one_way, [0, 1, 0], away)]
    assert ours == ["001/001/110", "001/001/110", "00/10", "01/10", "01/10"]


MOTIFS = ["0", "01/10", "00/10", "other", "001/100/010"]


def daily_rows(days):
    """DAILY_MOTIFS from [(device, motif)], each on a day of its own."""
    rows = sorted(days)
    frame = pd.DataFrame(rows, columns=["device_id", "motif"]).astype({"device_id": "int64", "motif": "str"})
    frame["date"] = [day_of(number) for number in frame.groupby("device_id").cumcount()]
    return through_contract(frame.assign(n_nodes=1, n_edges=0, is_closed=True), "daily_motifs")


def shares_of(days, n_buckets, seed=1):
    daily = daily_rows(days)
    parts = [
        motif_shares(daily[daily["device_id"] % n_buckets == bucket].reset_index(drop=True), seed, SHARES)
        for bucket in range(n_buckets)
    ]
    return _finish(pd.concat([part for part in parts if len(part)] or parts, ignore_index=True), seed, SHARES)


device_days = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(MOTIFS)), min_size=1, max_size=80)


@given(device_days, st.integers(2, 5))
@settings(max_examples=15, deadline=None)
def test_shares_are_those_of_the_twin_whatever_the_buckets(days, n_buckets):
    found = shares_of(days, 1)
    told = {row.motif: (row.n_devices, row.n_days, row.share) for row in found.itertuples()}
    assert told == naive_motif_shares(days, 10)
    pd.testing.assert_frame_equal(shares_of(days, n_buckets), found, check_exact=True)
    assert found["share"].sum() == pytest.approx(1)
    assert (found["n_devices"] >= 10).all() or set(found["motif"]) == {"rare"}


def test_few_devices_take_the_next_smallest_motif_in():
    """Three devices went one way: 15 at home all day are fewer than 20 there and back, two of the three among them."""
    days = [(k, "01/10") for k in range(20)] + [(k, "0") for k in range(15)] + [(k, "00/10") for k in (13, 14, 40)]
    found = shares_of(days * 2, 3).set_index("motif")
    assert found["n_devices"].to_dict() == {"01/10": 20, "rare": 16}
    assert found["n_days"].to_dict() == {"01/10": 40, "rare": 36}
    # Twelve devices with two rare motifs are enough, and leave the others alone.
    days += [(k, "other") for k in range(50, 59)]
    assert shares_of(days, 2).set_index("motif")["n_devices"].to_dict() == {"0": 15, "01/10": 20, "rare": 12}


def test_intervals_hold_the_share_and_narrow_with_devices():
    widths = []
    for n in (40, 640):
        found = shares_of([(k, MOTIFS[k % 2]) for k in range(n) for _ in range(3)], 2)
        assert ((found["share_low"] <= 0.5) & (found["share_high"] >= 0.5)).all()
        widths.append((found["share_high"] - found["share_low"]).max())
    # By sampling theory a quarter, 2 * 1.96 * 0.5 / sqrt(n).
    assert 0.15 < widths[1] / widths[0] < 0.4
    assert widths[0] == pytest.approx(2 * 1.96 * 0.5 / 40**0.5, rel=0.35)


def test_no_days_have_no_shares():
    none = _finish(motif_shares(empty("daily_motifs"), 1, SHARES), 1, SHARES)
    assert through_contract(none, "motif_shares").empty
