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
from pipeline.study import Study
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
        "is_undecided": np.array([s == "undecided" for s in given], bool),
        "loss_probability": np.array([np.nan if v is None else v for v in value], float),
        "status": pd.Series(given, dtype="str").replace("undecided", "unknown"),
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


STUDY = Study(name="rates", start="2020-03-01", end="2020-04-30", zone="UTC", sources=())


def rates(employment, weights=None, n_buckets=1, seed=0, study=STUDY, **params):
    """The table that the engine would make of some buckets, before small rows are removed."""
    chosen = UnemploymentParams(**params)
    weights = empty("panel_weights") if weights is None else weights
    bucket = employment["device_id"] % n_buckets
    parts = [unemployment(employment[bucket == b], weights, study, seed, chosen) for b in range(n_buckets)]
    together = pd.concat([p for p in parts if len(p)] or parts[:1], ignore_index=True)
    return _finish(together, weights, study, seed, chosen)


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


def crowd(homes, first=0, monday=MONDAYS[0], value=0.0):
    """Rows of so many devices by home area."""
    return [(first + k, monday, home, value) for k, home in enumerate(h for h, n in homes.items() for _ in range(n))]


def published(employment, weights=None, **params):
    """Regions and their devices in the first week under each weighting, as the store lets them out."""
    table = rates(employment, weights, **params)
    table = table[(table["n_devices"] >= 10) & (table["window"] == "week") & (table["window_started"] == "2020-03-23")]
    return {w: dict(rows[["region_geoid", "n_devices"]].to_numpy()) for w, rows in table.groupby("weighting")}


def test_no_difference_tells_of_a_county_that_is_hidden():
    # 36 less its counties 36001 and 36003 would be the four of 36005: the smaller county is hidden with it
    found = published(make_employment(crowd({"36001": 30, "36003": 20, "36005": 4, "04001": 40})))
    assert found == {"none": {"all": 94, "36": 54, "04": 40, "36001": 30, "04001": 40}}
    # of two states one is small: the other would give it away, and so would the counties inside it
    assert published(make_employment(crowd({"36001": 30, "36003": 20, "04001": 3}))) == {"none": {"all": 53}}
    # two hidden counties of ten devices together tell nothing
    found = published(make_employment(crowd({"36001": 30, "36003": 5, "36005": 5})))
    assert found["none"] == {"all": 40, "36": 40, "36001": 30}


def test_no_difference_tells_of_devices_without_a_home_area():
    weights = make_weights({"36001": (1.0, 2.0), "04001": (1.0, 0.5)})
    rows = crowd({"36001": 30, "04001": 20, None: 5})
    # five do not count in "all" ...
    regions = {"all": 50, "36": 30, "04": 20, "36001": 30, "04001": 20}
    assert published(make_employment(rows), weights) == {"none": regions, "area": regions, "raked": regions}
    # ... ten do; without regions "all" by equal weights would tell of the five
    more = published(make_employment(crowd({"36001": 30, "04001": 20, None: 10})), weights)
    assert (more["none"]["all"], more["area"]["all"]) == (60, 50)
    assert published(make_employment(rows), weights, region_digits=()) == {"none": {"all": 55}, "raked": {"all": 50}}


def test_a_region_hidden_under_one_weighting_is_hidden_under_all():
    # six of 36003 lie in an area without a weight: what is left of it under weights is small
    weights = make_weights({"36001": (1.0, None), "360031": (2.0, None), "36005": (1.0, None), "360030": (None, None)})
    rows = crowd({"36001": 30, "36005": 20, "360030": 6, "360031": 6})
    found = published(make_employment(rows), weights)
    assert found["none"] == {"all": 62, "36": 62, "36001": 30, "36003": 12}
    assert found["area"] == {"all": 56, "36": 56, "36001": 30}


def apart(rows, digits):
    """Devices that rows of one weighting tell of: each shown region less all that is shown inside it, at any level."""
    for region, n in rows.items():
        inside = [r for r in rows if r != "all" and r != region and (region == "all" or r.startswith(region))]
        nearest = [r for r in inside if not any(r != other and r.startswith(other) for other in inside)]
        yield n - sum(rows[r] for r in nearest)


@given(
    st.dictionaries(
        st.sampled_from(["01001", "01003", "01005", "02001", "02003", "03001", "7", None]),
        st.integers(0, 16),
        max_size=8,
    ),
    st.booleans(),
    st.sampled_from([(2, 5), (5, 2), (5,), (2,)]),
)
@settings(max_examples=60, deadline=None)
def test_what_is_published_tells_of_nobody(homes, is_weighted, digits):
    weights = make_weights({home: (1.0, None) for home in homes if home}) if is_weighted else None
    rows = crowd(homes)
    for regions in published(make_employment(rows), weights, region_digits=digits, n_replicates=20).values():
        assert all(n == 0 or n >= 10 for n in apart(regions, digits))


def test_weeks_whose_absences_are_too_young_to_judge_are_provisional():
    # true share without work: 10, 10 and 20 % of 100; the last ten are undecided in the third week
    rows = [
        (device, monday, "36001", *((1.0, "not_employed") if device < 10 else (0.0, "employed")))
        for device in range(90)
        for monday in MONDAYS
    ]
    rows += [(d, m, "36001", 0.0, "employed") for d in range(90, 100) for m in MONDAYS[:2]]
    rows += [(d, MONDAYS[2], "36001", None, "undecided") for d in range(90, 100)]
    table = rates(make_employment(rows))
    last = rate_of(table, "all", "week", MONDAYS[2])
    assert (last["n_devices"], last["rate"]) == (90, pytest.approx(1 / 9))
    states = table[table["region_geoid"] == "36"].set_index(["window", "window_started"])["is_provisional"]
    assert states["week"].tolist() == [False, False, True]
    # March is whole and known; April begins with the week that is not
    assert states["month"].tolist() == [False, True]
    assert not rates(make_employment(rows), max_undecided_share=0.1)["is_provisional"].any()


def test_months_not_wholly_in_the_study_are_provisional():
    days = [date(2020, 2, 24), *MONDAYS, date(2020, 5, 25)]
    employment = make_employment([(d, monday, "36001", 0.0) for d in range(12) for monday in days])

    def provisional(**span):
        table = rates(employment, study=STUDY.model_copy(update=span))
        rows = table[(table["region_geoid"] == "all") & (table["window"] == "month")]
        assert not table.loc[table["window"] == "week", "is_provisional"].any()
        return dict(zip(rows["window_started"].dt.month, rows["is_provisional"], strict=True))

    whole = {2: False, 3: False, 4: False, 5: False}
    assert provisional(start=date(2020, 2, 1), end=date(2020, 5, 31)) == whole
    # a study from the 1st of March: its first Sunday is of the week of a Monday in February
    assert provisional(start=date(2020, 3, 1), end=date(2020, 5, 30)) == {**whole, 2: True, 5: True}


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
    assert not checked["is_provisional"].any()
