"""Contacts are those of the slow twin, wherever on Earth, however cut into cells, blocks, buckets and parts."""

from itertools import pairwise
from unittest.mock import patch

import h3
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.naive_contacts as naive
from pipeline.h3_cells import MAX_REACH_M, RESOLUTION, cells_in_reach
from pipeline.kernels.contacts import OWN, Presences, meet_people
from pipeline.kernels.geodesy import EARTH_RADIUS_M, haversine_m
from pipeline.stages import contacts as _registered  # noqa: F401
from tests.contact_rows import FIRST_DAY, contacts_of, home, homes_of, visit, visits_of

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
CENTRES = [(0.0, 0.0), (180.0, 10.0), (-179.99999, -60.0), (30.0, 90.0), (10.0, -89.9999), (-74.0, 40.7)]
CELL = "882a107251fffff"
CORNER = h3.cell_to_boundary(CELL)[0][::-1]
PENTAGON_EDGE = h3.cell_to_boundary(h3.get_pentagons(RESOLUTION)[3])[1][::-1]


def moved(lon: float, lat: float, bearing: float, distance_m: float) -> tuple[float, float]:
    """The position at a distance and bearing (radians) on the sphere."""
    d, phi = distance_m / EARTH_RADIUS_M, np.radians(lat)
    sin_phi = np.sin(phi) * np.cos(d) + np.cos(phi) * np.sin(d) * np.cos(bearing)
    east, north = np.sin(bearing) * np.sin(d) * np.cos(phi), np.cos(d) - np.sin(phi) * sin_phi
    turned = lon + float(np.degrees(np.arctan2(east, north)))
    return (turned + 180.0) % 360.0 - 180.0, float(np.degrees(np.arcsin(np.clip(sin_phi, -1, 1))))


positions = st.tuples(st.floats(0, 2 * np.pi), st.floats(0, 60))
stays = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 40), st.integers(1, 30)), min_size=2, max_size=30
)


@st.composite
def lives(draw):
    """Visits of up to six devices at up to three places each, near a point: without overlaps of a device."""
    lon, lat = draw(st.sampled_from([*CENTRES, CORNER, PENTAGON_EDGE]))
    places = {(d, p): moved(lon, lat, *draw(positions)) for d in range(6) for p in range(3)}
    offsets = [draw(st.sampled_from([0, -18_000, 20_700, 50_400, -43_200])) for _ in range(6)]
    clock = dict.fromkeys(range(6), 0)
    rows = []
    for device, place, wait_h, length in draw(stays):
        start = clock[device] + wait_h
        clock[device] = start + length
        rows.append(visit(device, place, start, length, *places[device, place], utc_offset_s=offsets[device]))
    return rows


def pieces_of(rows: list[dict], homes: dict[int, tuple[float, float]]) -> list[naive.Piece]:
    """Visits cut at local midnights, one minute of clockwork at a time."""
    pieces = []
    for row in rows:
        offset = row["utc_offset_s"] * 1_000_000
        edges = [row[name].value // 1000 for name in ("started_at", "finished_at")]
        first, last = ((edge + offset) // DAY_US for edge in edges)
        cuts = [day * DAY_US - offset for day in range(first + 1, last + 1)]
        for start, finish in pairwise(sorted({*edges, *cuts})):
            at = row["lon"], row["lat"], *homes.get(row["device_id"], (np.nan, np.nan))
            day = (start + offset) // DAY_US
            pieces.append(naive.Piece(row["device_id"], row["location_id"], day, start, finish, *at, 0))
    return pieces


def naive_table(rows: list[dict], homes: dict[int, tuple[float, float]], **rules) -> dict:
    """(device, day) → people, repeated, seconds, household, its seconds, of all places together."""
    found: dict = {}
    for (device, _, day), sums in naive.meet_people(pieces_of(rows, homes), **rules).items():
        total = found.setdefault((device, day), [0] * 5)
        for k, value in enumerate((sums[0], sums[2], sums[3], sums[4], sums[5])):
            total[k] += value
    return found


def as_sums(table: pd.DataFrame) -> dict:
    days = table["date"].to_numpy().astype("datetime64[D]").astype(int)
    names = ["n_people", "n_repeated", "contact_s", "n_household", "household_s"]
    scaled = table[names].mul([1, 1, 1_000_000, 1, 1_000_000]).round().astype("int64")
    keyed = scaled.groupby([table["device_id"], days]).sum()
    return {key: list(values) for key, values in zip(keyed.index, keyed.to_numpy().tolist(), strict=True)}


@settings(max_examples=60, deadline=None)
@given(lives(), st.sampled_from([1, 3, 7]), st.sampled_from([0.5, 1.0, 5.0]), st.sampled_from([1, 2, 28]))
def test_the_stage_finds_what_the_twin_finds(rows, repeat_days, overlap_h, block_days):
    """Near cell corners, poles and the antimeridian; days end apart where offsets differ; blocks of any length."""
    living = {row["device_id"]: (row["lon"], row["lat"]) for row in rows if row["location_id"] == 0}
    home_work = homes_of([home(device, 0) for device in living])
    rules = {"contact_m": 40.0, "household_m": 25.0, "repeat_days": repeat_days}
    expected = naive_table(rows, living, overlap_us=int(overlap_h * HOUR_US), **rules)
    with patch("pipeline.stages.contacts.BLOCK_DAYS", block_days):
        table = contacts_of(visits_of(rows), home_work, n_buckets=2, n_parts=3, overlap_s=overlap_h * 3600, **rules)
    assert as_sums(table) == expected


@settings(max_examples=40, deadline=None)
@given(lives(), st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3, 100]))
def test_buckets_parts_blocks_and_the_order_of_rows_change_nothing(rows, n_buckets, n_parts, block_days):
    visits = visits_of(rows)
    home_work = homes_of([home(d, 0) for d in range(6)])
    once = contacts_of(visits, home_work)
    with patch("pipeline.stages.contacts.BLOCK_DAYS", block_days):
        again = contacts_of(visits.iloc[::-1], home_work, n_buckets=n_buckets, n_parts=n_parts)
    pd.testing.assert_frame_equal(once, again)


@settings(max_examples=40, deadline=None)
@given(lives())
def test_everybody_whom_a_device_meets_meets_it(rows):
    """On one clock, and at one place a device, people met and time with them are the same from both sides."""
    rows = [row | {"utc_offset_s": 0} for row in rows if row["location_id"] == 0]
    found = list(naive.meetings(pieces_of(rows, {}), 40.0, HOUR_US, 0.0))
    sides = {(device, them, day): time_us for device, _, day, them, time_us, _ in found}
    assert sides == {(them, device, day): time_us for (device, them, day), time_us in sides.items()}
    table = contacts_of(visits_of(rows), contact_m=40.0, overlap_s=3600.0)
    assert table["n_people"].sum() == len(sides)
    assert table["contact_s"].sum() * 1e6 == pytest.approx(sum(sides.values()))


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-180, 179.999), st.floats(-90, 90), st.floats(0, 2 * np.pi), st.floats(0, 1),
    st.floats(1, MAX_REACH_M), st.sampled_from([None, *CENTRES, CORNER, PENTAGON_EDGE]),
)  # fmt: skip
def test_all_that_lies_within_reach_lies_in_a_cell_within_reach(lon, lat, bearing, share, reach_m, near):
    if near:
        lon, lat = moved(*near, bearing * 3, share * 500)
    there = moved(lon, lat, bearing, share * reach_m)
    mine = cells_in_reach(np.array([lon]), np.array([lat]), reach_m)
    own = cells_in_reach(np.array([there[0]]), np.array([there[1]]), reach_m)
    assert own.cell[own.is_own][0] in mine.cell
    assert mine.is_own.sum() == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(CENTRES), st.floats(1, 200), st.integers(2, 50))
def test_the_kernel_finds_what_the_twin_finds_in_every_group(seed, centre, contact_m, n):
    """Any rows at all: one device twice at once, places that change position, days out of order."""
    chance = np.random.default_rng(seed)
    spots = [moved(*centre, *chance.uniform(0, [2 * np.pi, 300])) for _ in range(n)]
    day = chance.integers(0, 6, n)
    started = day * DAY_US + chance.integers(0, 24, n) * HOUR_US
    lon, lat = np.array(spots).T.copy()
    homes = np.where(chance.random(n) < 0.3, np.nan, chance.integers(0, 3, n) * 1e-3)
    device, place = chance.integers(0, 6, n), chance.integers(0, 3, n)
    rows = Presences(
        chance.integers(0, 2, n), np.full(n, OWN, np.int8), device, place, day, started,
        started + chance.integers(1, 9, n) * HOUR_US, lon, lat, homes, homes, device * 5 + 1,
    )  # fmt: skip
    met = meet_people(rows, contact_m, 2 * HOUR_US, 2, 50.0)
    keys = zip(*(rows[c][met.row].tolist() for c in (0, 2, 3, 4)), strict=True)
    found = dict(zip(keys, np.column_stack(met[1:]).tolist(), strict=True))
    expected = {}
    for group in (0, 1):
        pieces = [naive.Piece(*(column[k].item() for column in rows[2:])) for k in np.flatnonzero(rows.group == group)]
        for key, sums in naive.meet_people(pieces, contact_m, 2 * HOUR_US, 2, 50.0).items():
            expected[group, *key] = sums
    assert found == expected


def test_the_twin_measures_along_the_sphere():
    """A corner where three cells meet is 60 m from points in all of them."""
    around = [moved(*CORNER, bearing, 60.0) for bearing in np.arange(6)]
    assert all(haversine_m(*CORNER, *point) == pytest.approx(60.0) for point in around)
    cells = {h3.latlng_to_cell(lat, lon, RESOLUTION) for lon, lat in around}
    assert len(cells) == 3
    rows = [visit(k, 0, 1, 1, *point) for k, point in enumerate(around)]
    table = contacts_of(visits_of(rows), contact_m=121.0, n_parts=3)
    assert table["n_people"].tolist() == [5] * 6
    assert table["date"].to_numpy().astype("datetime64[D]").astype(int).tolist() == [FIRST_DAY] * 6
