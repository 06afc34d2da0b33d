"""Stays about their mean against their naive twin, and the invariances a stay must have."""

import itertools

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.kernels.silences import midpoints, still_silences
from pipeline.kernels.stay_centroid import N_PINGS, CentroidRules
from pipeline.kernels.stay_centroid_sweep import centroid_stays, no_open_centroids
from pipeline.kernels.stay_geometry import Track
from pipeline.kernels.stays import Stays
from tests.naive import naive_distance_m, naive_mean_position
from tests.naive_centroid import naive_centroid_stays, naive_silences
from tests.property.test_stays_kernel import TURN_E7, WEEK_US, assert_bit_equal, pings, seconds_and_degrees

END_US = 10**17


@st.composite
def naive_rules(draw):
    """Rules in metres and seconds. Odd metres: no distance of the strategy's grid lies on a limit."""
    return {
        "roam_m": draw(st.sampled_from([41.3, 103.7, 5_003.1])),
        "dwell_s": draw(st.sampled_from([60, 300, 900])),
        "edge_dwell_s": draw(st.sampled_from([30, 120])),
        "gap_s": draw(st.sampled_from([300, 3600, 1e9])),
        "spread_m": draw(st.sampled_from([0.0, 20.0])),
        "dwell_s_per_m": draw(st.sampled_from([0.0, 17.3])),
        "noise_share": draw(st.sampled_from([0.0, 0.5])),
        "bridge_s": draw(st.sampled_from([0, 150, 600])),
        "bridge_share": draw(st.sampled_from([0.0, 0.5])),
        "max_bridge_s": 1800,
        "far_m": draw(st.sampled_from([303.3, 9_001.7])),
        "far_bridge_s": draw(st.sampled_from([0, 180])),
    }


def kernel_rules(rules, is_weighted=False):
    us = {name: round(rules[f"{name}_s"] * 1e6) for name in ("dwell", "edge_dwell", "gap", "bridge")}
    return CentroidRules(
        roam_m=rules["roam_m"],
        dwell_us=us["dwell"],
        edge_dwell_us=us["edge_dwell"],
        gap_us=us["gap"],
        spread_m=rules["spread_m"],
        dwell_us_per_m=rules["dwell_s_per_m"] * 1e6,
        noise_share=rules["noise_share"],
        bridge_us=us["bridge"],
        bridge_share=rules["bridge_share"],
        max_bridge_us=rules["max_bridge_s"] * 1_000_000,
        far_m=rules["far_m"],
        far_bridge_us=round(rules["far_bridge_s"] * 1e6),
        is_left_at_next_ping=False,
        is_weighted=is_weighted,
    )


def accuracies(columns):
    rng = np.random.default_rng(columns[0].size)
    return rng.choice(np.array([np.nan, 1, 5, 21, 70], np.float32), columns[0].size)


def whole(columns, rules, accuracy_m=None, is_weighted=False):
    track = Track(*columns[1:])
    kernel = kernel_rules(rules, is_weighted)
    stays, left = centroid_stays(columns[0], track, accuracy_m, no_open_centroids(), kernel, END_US, True)
    assert left.ints.shape[0] == 0
    return stays


def naive(columns, rules, accuracy_m):
    rows, found = seconds_and_degrees(columns), []
    for device in sorted({row[0] for row in rows}):
        mine = [k for k, row in enumerate(rows) if row[0] == device]
        stays = naive_centroid_stays([rows[k][1:] for k in mine], [float(accuracy_m[k]) for k in mine], rules)
        found += [(device, members) for members in stays]
    return found


@settings(max_examples=200, deadline=None)
@given(columns=pings(), rules=naive_rules(), has_accuracy=st.booleans())
def test_equal_to_the_naive_twin(columns, rules, has_accuracy):
    accuracy_m = accuracies(columns) if has_accuracy else np.full(columns[0].size, np.nan, np.float32)
    stays = whole(columns, rules, accuracy_m if has_accuracy else None)
    expected = naive(columns, rules, accuracy_m)
    assert stays.device_id.tolist() == [device for device, _ in expected]
    assert (stays.started_at / 1e6).tolist() == [members[0][0] for _, members in expected]
    assert (stays.finished_at / 1e6).tolist() == [members[-1][0] for _, members in expected]
    assert stays.n_pings.tolist() == [len(members) for _, members in expected]
    rows = seconds_and_degrees(columns)
    for max_gap_s, (device, members) in zip(stays.max_gap_s, expected, strict=True):
        # All pings count, those outside too: they are no silence.
        times = [t for d, t, *_ in rows if d == device and members[0][0] <= t <= members[-1][0]]
        assert max_gap_s == max((b - a for a, b in itertools.pairwise(times)), default=0)
    for lon, lat, (_, members) in zip(stays.lon, stays.lat, expected, strict=True):
        ones = [1.0] * len(members)
        mean = naive_mean_position([m[1] for m in members], [m[2] for m in members], ones)
        # Means of degrees and of unit vectors part by the square of the extent, most where meridians are close.
        stretch = 1 / max(1e-3, np.cos(np.radians(members[0][2])))
        assert naive_distance_m(lon, lat, *mean) <= 1e-3 + rules["roam_m"] ** 2 / 6.4e6 * stretch


@settings(max_examples=150, deadline=None)
@given(
    columns=pings(),
    rules=naive_rules(),
    midnights=st.lists(st.integers(0, 40_000_000_000), max_size=4).map(sorted),
    is_weighted=st.booleans(),
)
def test_cutting_at_midnights_changes_no_bit(columns, rules, midnights, is_weighted):
    accuracy_m = accuracies(columns)
    expected = whole(columns, rules, accuracy_m, is_weighted)
    parts, state = [], no_open_centroids()
    for begin, end in itertools.pairwise([-1, *midnights, END_US]):
        today = (columns[1] >= begin) & (columns[1] < end)
        track = Track(*(column[today] for column in columns[1:]))
        kernel = kernel_rules(rules, is_weighted)
        is_last = end == END_US
        stays, state = centroid_stays(columns[0][today], track, accuracy_m[today], state, kernel, end, is_last)
        assert (state.ints[:, N_PINGS] > 0).all()
        parts.append(stays)
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((joined[1], joined[0]))
    assert_bit_equal(Stays(*(column[order] for column in joined)), expected)


@settings(max_examples=50, deadline=None)
@given(columns=pings(), rules=naive_rules(), turn=st.integers(-1_800_000_000, 1_800_000_000))
def test_weeks_and_turns_of_the_globe_move_stays_and_change_nothing_else(columns, rules, turn):
    device_id, at, lon, lat = columns
    turned = ((lon.astype(np.int64) + turn + TURN_E7 // 2) % TURN_E7 - TURN_E7 // 2).astype(np.int32)
    before, after = whole(columns, rules), whole((device_id, at + WEEK_US, turned, lat), rules)
    assert (after.started_at - before.started_at == WEEK_US).all()
    assert after.finished_at.tolist() == (before.finished_at + WEEK_US).tolist()
    assert after.n_pings.tolist() == before.n_pings.tolist()
    for x, y, x2, y2 in zip(before.lon, before.lat, after.lon, after.lat, strict=True):
        assert naive_distance_m(x + turn / 1e7, y, x2, y2) < 1e-3


@settings(max_examples=50, deadline=None)
@given(columns=pings(), rules=naive_rules())
def test_stays_do_not_overlap_and_count_no_ping_twice(columns, rules):
    """Stays hold their members and no others: the pings between start and finish that are outside are noise."""
    assume(columns[0].size)
    stays = whole(columns, rules)
    inside = [
        ((columns[0] == d) & (columns[1] >= a) & (columns[1] <= b)).sum()
        for d, a, b in zip(stays.device_id, stays.started_at, stays.finished_at, strict=True)
    ]
    assert (stays.n_pings <= np.array(inside, np.int64)).all()
    order = np.lexsort((stays.started_at, stays.device_id))
    assert order.tolist() == list(range(order.size))
    same = stays.device_id[1:] == stays.device_id[:-1]
    assert (stays.started_at[1:] >= stays.finished_at[:-1])[same].all()


@settings(max_examples=100, deadline=None)
@given(
    columns=pings(),
    gap_s=st.sampled_from([300, 3600]),
    infer_gap_s=st.sampled_from([3600, 9000, 86_400]),
    infer_m=st.sampled_from([40.1, 301.7]),
)
def test_still_silences_equal_their_naive_twin(columns, gap_s, infer_gap_s, infer_m):
    rows = still_silences(*columns, gap_s * 1_000_000, infer_gap_s * 1_000_000, infer_m)
    all_rows = seconds_and_degrees(columns)
    expected = [
        (device, a, b)
        for device in sorted({row[0] for row in all_rows})
        for a, b in naive_silences([r[1:] for r in all_rows if r[0] == device], gap_s, infer_gap_s, infer_m)
    ]
    assert [(all_rows[k][0], all_rows[k][1:], all_rows[k + 1][1:]) for k in rows] == expected
    lon, lat = midpoints(columns[2], columns[3], rows)
    for x, y, (_, a, b) in zip(lon, lat, expected, strict=True):
        assert abs(naive_distance_m(x, y, *a[1:]) - naive_distance_m(x, y, *b[1:])) < 1e-2
