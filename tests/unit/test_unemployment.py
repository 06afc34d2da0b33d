"""Worked examples of unemployment: regions, weeks and months, weights, intervals and their coverage."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from data_contracts import TABLES
from pipeline.stages.unemployment import UnemploymentParams, _finish, unemployment
from tests.naive_weights import naive_unemployment
from tests.stay_rows import empty, through_contract

MONDAYS = [date(2020, 3, 23), date(2020, 3, 30), date(2020, 4, 6)]


def make_employment(rows):
    """Employment from (device, Monday, home area or None, probability or None[, status])."""
    frame = empty("employment")
    rows = sorted(rows, key=lambda row: row[:2])
    device, monday, home, value, *status = zip(*rows, strict=True) if rows else ((), (), (), ())
    given = (
        status[0] if status else ["unknown" if v is None else "not_employed" if v >= 0.5 else "employed" for v in value]
    )
    columns = {
        "device_id": np.array(device, np.int64),
        "window_started": pd.Series(pd.to_datetime(list(monday))).astype("datetime64[s]"),
        "home_tract_geoid": pd.Series(home, dtype="str"),
        "is_at_risk": np.array([bool(v) for v in value], bool),
        "is_undecided": np.array([v is None for v in value], bool),
        "loss_probability": np.array([np.nan if v is None else v for v in value], float),
        "status": pd.Series(given, dtype="str"),
    }
    frame = frame.reindex(range(len(rows)))
    return through_contract(frame.assign(**columns), "employment")


def make_weights(weights):
    """Panel weights from {home area: (area weight, raked weight)}."""
    frame = pd.DataFrame(
        [(home, 1, *pair) for home, pair in sorted(weights.items())],
        columns=["home_tract_geoid", "n_devices", "area_weight", "raked_weight"],
    )
    frame = frame.astype({"home_tract_geoid": "str", "n_devices": int, "area_weight": float, "raked_weight": float})
    return through_contract(empty("panel_weights").reindex(range(len(frame))).assign(**frame), "panel_weights")


def rates(employment, weights=None, n_buckets=1, seed=0, **params):
    """The table that the engine would make of some buckets, before small rows are removed."""
    chosen = UnemploymentParams(**params)
    weights = empty("panel_weights") if weights is None else weights
    bucket = employment["device_id"] % n_buckets
    parts = [unemployment(employment[bucket == b], weights, seed, chosen) for b in range(n_buckets)]
    return _finish(pd.concat([p for p in parts if len(p)] or parts[:1], ignore_index=True), weights, seed, chosen)


def rate_of(table, region, window, start, weighting="none"):
    row = table[
        (table["region_geoid"] == region)
        & (table["window"] == window)
        & (table["window_started"] == pd.Timestamp(start))
        & (table["weighting"] == weighting)
    ]
    assert len(row) == 1
    return row.iloc[0]


def test_weeks_months_and_regions_of_a_small_panel():
    rows = [
        (1, MONDAYS[0], "36061000100", 0.0), (1, MONDAYS[1], "36061000100", 0.4), (1, MONDAYS[2], "36061000100", 1.0),
        (2, MONDAYS[0], "36061000200", 0.6), (2, MONDAYS[1], "36061000200", None),
        (3, MONDAYS[0], "36005000100", 1.0), (3, MONDAYS[1], "36005000100", 1.0),
        (4, MONDAYS[0], None, 0.2), (4, MONDAYS[2], None, 0.5),
    ]  # fmt: skip
    table = rates(make_employment(rows))
    assert set(table["weighting"]) == {"none"}
    assert rate_of(table, "all", "week", MONDAYS[0])["rate"] == pytest.approx((0.0 + 0.6 + 1.0 + 0.2) / 4)
    assert rate_of(table, "36", "week", MONDAYS[0])["rate"] == pytest.approx(1.6 / 3)
    assert rate_of(table, "36061", "week", MONDAYS[0])["rate"] == pytest.approx(0.3)
    assert rate_of(table, "36005", "week", MONDAYS[1])["rate"] == 1
    # device 2 is unknown in the second week; March has the weeks of the 23rd and the 30th, each device once
    assert rate_of(table, "36061", "week", MONDAYS[1])["n_devices"] == 1
    march = rate_of(table, "36061", "month", "2020-03-01")
    assert (march["n_devices"], march["rate"]) == (2, pytest.approx((0.2 + 0.6) / 2))
    assert rate_of(table, "all", "month", "2020-04-01")["rate"] == pytest.approx((1.0 + 0.5) / 2)
    assert sorted(table["region_geoid"].unique()) == ["36", "36005", "36061", "all"]


def test_weights_of_home_areas():
    rows = [(1, MONDAYS[0], "01001", 1.0), (2, MONDAYS[0], "01001", 0.0), (3, MONDAYS[0], "01003", 0.5)]
    rows.append((4, MONDAYS[0], None, 1.0))
    weights = make_weights({"01001": (0.5, None), "01003": (2.0, None)})
    table = rates(make_employment(rows), weights)
    # (0.5 * 1 + 0.5 * 0 + 2 * 0.5) / 3; Kish: 3^2 / (0.25 + 0.25 + 4). The device without a home area has no weight
    area = rate_of(table, "all", "week", MONDAYS[0], "area")
    assert (area["n_devices"], area["rate"]) == (3, pytest.approx(0.5))
    assert area["n_effective"] == pytest.approx(2.0)
    none = rate_of(table, "all", "week", MONDAYS[0])
    assert (none["n_devices"], none["n_effective"], none["rate"]) == (4, 4, pytest.approx(0.625))
    assert "raked" not in set(table["weighting"])


def test_status_instead_of_probability():
    rows = [(1, MONDAYS[0], "01001", 0.6, "not_employed"), (2, MONDAYS[0], "01001", 0.45, "unknown")]
    rows += [(3, MONDAYS[0], "01001", 0.0, "employed"), (4, MONDAYS[0], "01001", 0.3, "remote")]
    employment = make_employment(rows)
    assert rate_of(rates(employment), "01", "week", MONDAYS[0])["rate"] == pytest.approx(1.35 / 4)
    hard = rate_of(rates(employment, count="status"), "01", "week", MONDAYS[0])
    assert (hard["n_devices"], hard["rate"]) == (3, pytest.approx(1 / 3))


def test_ids_shorter_than_the_digits_have_no_such_region():
    rows = [(1, MONDAYS[0], "7", 1.0), (2, MONDAYS[0], "012", 0.0)]
    table = rates(make_employment(rows))
    assert set(table["region_geoid"]) == {"all", "01"}
    assert set(rates(make_employment(rows), region_digits=())["region_geoid"]) == {"all"}


def test_nobody_known_gives_no_rows():
    assert rates(make_employment([])).empty
    assert rates(make_employment([(1, MONDAYS[0], "01001", None)])).empty


@pytest.mark.parametrize("digits", [(0,), (2, 2), (-1,)])
def test_digits_that_name_no_regions_are_refused(digits):
    with pytest.raises(ValueError, match="each once"):
        UnemploymentParams(region_digits=digits)


homes = st.sampled_from(["01001", "01003", "02001", "7", None])
values = st.sampled_from([None, 0.0, 0.25, 0.5, 1.0])


@given(
    st.dictionaries(
        st.integers(-(2**62), 2**62), st.tuples(homes, st.lists(values, min_size=3, max_size=3)), max_size=8
    ),
    st.dictionaries(
        st.sampled_from(["01001", "01003", "7"]),
        st.tuples(st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from([None, 0.2, 2.0])),
    ),
    st.integers(0, 3),
)
@settings(max_examples=20, deadline=None)
def test_table_equals_the_twin_whatever_the_buckets(people, weights, seed):
    rows = [
        (device, monday, home, value)
        for device, (home, found) in people.items()
        for monday, value in zip(MONDAYS, found, strict=True)
    ]
    table = rates(make_employment(rows), make_weights(weights), seed=seed, n_replicates=20)
    expected = naive_unemployment(rows, weights, (2, 5), "unemployment", seed, 20)
    found = {(r.region_geoid, r.window, r.window_started.date(), r.weighting): r for r in table.itertuples(index=False)}
    assert found.keys() == expected.keys()
    for key, (n, effective, rate, replicates) in expected.items():
        row = found[key]
        assert row.n_devices == n
        assert row.n_effective == pytest.approx(effective, abs=1e-6)
        assert row.rate == pytest.approx(rate, abs=1e-8)
        if not np.isnan(replicates).all():
            low, high = np.nanquantile(replicates, [0.025, 0.975])
            assert (row.rate_low, row.rate_high) == pytest.approx((low, high), abs=1e-8)
    other = rates(make_employment(rows), make_weights(weights), 3, seed, n_replicates=20)
    pd.testing.assert_frame_equal(other, table, check_exact=True)


def test_intervals_hold_the_truth_as_often_as_they_say():
    # 400 panels, each a region, of 150 devices of unequal weight; each has lost the job with probability 0.2
    chance, n_panels, n_devices = np.random.default_rng(7), 400, 150
    device = np.arange(n_panels * n_devices)
    homes = [f"{d // n_devices:05d}{d % 2}" for d in device]
    lost = (chance.random(device.size) < 0.2).astype(float)
    weights = make_weights({home: (0.5 + int(home[-1]), None) for home in set(homes)})
    employment = make_employment(list(zip(device, [MONDAYS[0]] * device.size, homes, lost, strict=True)))
    table = rates(employment, weights, region_digits=(5,))
    table = table[(table["window"] == "week") & (table["region_geoid"] != "all")]
    hits = table["rate_low"].le(0.2) & table["rate_high"].ge(0.2)
    for weighting in ("none", "area"):
        n_hits = int(hits[table["weighting"] == weighting].sum())
        # percentile intervals are a little short: 93 to 95 %; the bounds are those of chance at 0.001
        assert binom.ppf(0.001, n_panels, 0.93) <= n_hits <= binom.ppf(0.999, n_panels, 0.96), (weighting, n_hits)


def test_rows_pass_the_contract_once_small_ones_are_gone():
    rows = [(d, MONDAYS[0], "36061000100", d % 2) for d in range(30)]
    table = rates(make_employment(rows), make_weights({"36061000100": (1.0, 1.0)}))
    checked = through_contract(table[table["n_devices"] >= TABLES["unemployment"].min_devices], "unemployment")
    assert len(checked) == 3 * 2 * 3
