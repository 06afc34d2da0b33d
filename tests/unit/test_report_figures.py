"""The numbers behind the figures of the report, on frames small enough to count by hand."""

import base64
import xml.etree.ElementTree as ET
from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.report import figures
from pipeline.report.exploring import (
    Curve,
    exploration_curve,
    locations_by_day,
    panel_days,
    poisson_weights,
    visit_spans,
)
from pipeline.report.groups import MIN_DEVICES, Bars, Tally, log_edges, merge_bars, quantiles
from pipeline.report.maps import draw_map, outline, scale_length_m, scale_ticks, shown_box, to_metres
from pipeline.report.measures import (
    Seen,
    count_devices,
    count_starts,
    hexagon_shapes,
    hexagons_of,
    suppress_areas,
    suppress_starts,
)
from pipeline.report.quality import count_gaps, describe_devices, find_gaps, join_periods, period_kind
from pipeline.report.words import (
    format_km,
    format_known,
    format_number,
    format_param,
    format_part,
    format_percent,
    format_percent1,
    format_seconds,
)
from pipeline.stages.sector_absence import TeleworkSpan
from pipeline.study import Study


def days_of(*rows):
    """Coverage of (device, date, pings, hours)."""
    frame = pd.DataFrame(rows, columns=["device_id", "date", "n_pings", "hours_observed"])
    return frame.assign(date=pd.to_datetime(frame["date"]).astype("datetime64[ms]"))


def visits_of(*rows):
    """Visits of (device, date, is new)."""
    frame = pd.DataFrame(rows, columns=["device_id", "date", "is_new"])
    return frame.assign(date=pd.to_datetime(frame["date"]).astype("datetime64[ms]"))


def study_of(start, end):
    return Study(name="s", start=start, end=end, zone="UTC", sources=())


# --- Small groups -------------------------------------------------------------------------------


def merged(counts, min_devices):
    counts = np.array(counts)
    edges = np.arange(counts.size + 1.0)
    return merge_bars(edges, counts, lambda a, b: int(counts[a:b].sum()), min_devices)


def test_bars_are_joined_until_each_holds_enough_devices():
    bars = merged([0, 1, 2, 4, 0, 0, 3, 1, 0], 3)
    assert bars.edges.tolist() == [1, 3, 4, 5, 6, 8]
    assert bars.n_rows.tolist() == bars.n_devices.tolist() == [3, 4, 0, 0, 4]
    assert bars.shares.sum() == pytest.approx(1)


def test_what_is_left_at_the_right_joins_the_last_bar_with_devices():
    bars = merged([5, 0, 0, 2], 3)
    assert bars.edges.tolist() == [0, 4]
    assert bars.n_rows.tolist() == [7]


def test_too_few_devices_have_no_bars():
    assert merged([4, 5], 10) is None
    assert merged([0, 0], 10) is None
    assert merged([4, 6], 10).n_devices.tolist() == [10]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=12), st.integers(1, 15))
def test_bars_lose_no_row_and_show_no_small_group(counts, min_devices):
    bars = merged(counts, min_devices)
    if bars is None:
        assert sum(counts) < max(1, min_devices)
        return
    assert bars.n_rows.sum() == sum(counts)
    assert ((bars.n_devices == 0) | (bars.n_devices >= min_devices)).all()
    assert (np.diff(bars.edges) > 0).all()


def test_a_tally_counts_a_device_once_however_many_rows_it_brings():
    tally = Tally(np.array([0.0, 1.0, 2.0, 3.0]))
    tally.add(pd.Series([7, 7, 7, 8]), np.array([0.5, 0.5, 1.5, 1.5]))
    tally.add(pd.Series([9]), np.array([99.0]))
    bars = tally.bars(min_devices=1)
    assert bars.n_rows.tolist() == [2, 2, 1]
    assert bars.n_devices.tolist() == [1, 2, 1]
    assert tally.bars(min_devices=2).n_devices.tolist() == [3]
    assert tally.bars(min_devices=4) is None


def test_a_quantile_needs_a_group_on_either_side():
    values = np.arange(1.0, 41.0)
    assert quantiles(values, (0.25, 0.5, 0.75)) == [10.75, 20.5, 30.25]
    assert quantiles(values[:39], (0.25, 0.5, 0.75)) == [None, 20.0, None]
    assert quantiles(values[:19], (0.5,)) == [None]
    assert quantiles(np.empty(0), (0.5,)) == [None]


def test_log_edges_reach_beyond_the_highest():
    edges = log_edges(10, 1000, per_decade=2)
    assert edges == pytest.approx([10, 31.6227766, 100, 316.227766, 1000])
    assert log_edges(1, 1e6, 5)[-1] >= 1e6 * (1 - 1e-12)


# --- Quality ------------------------------------------------------------------------------------


def test_gaps_are_runs_of_days_without_a_ping_of_one_device():
    days = days_of(
        (1, "2020-01-01", 5, 2), (1, "2020-01-02", 5, 4), (1, "2020-01-04", 5, 6), (1, "2020-01-09", 5, 4),
        (2, "2020-01-20", 5, 1), (2, "2020-03-20", 5, 1),
    )  # fmt: skip
    assert find_gaps(days)["n_days"].tolist() == [1, 4, 59]
    counts = count_gaps([find_gaps(days)], min_devices=1).set_index("gap")["n_gaps"]
    assert counts["1 day"] == counts["4 to 7 days"] == counts["more than 30 days"] == 1
    assert counts.sum() == 3


def test_gaps_of_few_devices_are_missing_and_none_is_zero():
    gaps = pd.DataFrame({"device_id": [*range(9), *range(10)], "n_days": [1] * 9 + [3] * 10})
    counts = count_gaps([gaps])["n_gaps"]
    assert np.isnan(counts[0])
    assert counts[1:].tolist() == [10, 0, 0, 0, 0]
    assert count_gaps([])["n_gaps"].tolist() == [0] * 6


def test_devices_are_described_by_share_of_days_and_mean_hours():
    days = days_of((1, "2020-01-01", 5, 2), (1, "2020-01-05", 5, 4), (2, "2020-01-03", 5, 7))
    found = describe_devices(days)
    assert found["n_days"].tolist() == [2, 1]
    assert found["day_share"].tolist() == [0.4, 1.0]
    assert found["hours"].tolist() == [3.0, 7.0]


def test_periods_cover_the_study_and_leave_small_groups_out():
    study = study_of(date(2020, 1, 1), date(2020, 1, 4))
    first, second = pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-03")
    parts = [pd.Series([6, 9], index=[first, second]), pd.Series([5], index=[first])]
    found = join_periods(parts, "day", study)
    assert len(found) == 4
    assert found["n_devices"].fillna(-1).tolist() == [11, -1, -1, -1]
    assert join_periods([], "day", study)["n_devices"].isna().all()


def test_long_studies_are_drawn_by_week_and_month():
    assert [period_kind(n) for n in (10, 365, 1900)] == ["day", "week", "month"]


# --- Exploration --------------------------------------------------------------------------------

VISITS = visits_of(
    (1, "2020-01-01", True), (1, "2020-01-01", True), (1, "2020-01-02", False), (1, "2020-01-03", True),
    (2, "2020-02-01", True), (2, "2020-02-02", True), (2, "2020-02-09", True),
    (3, "2020-01-01", True),
)  # fmt: skip


def test_the_panel_is_the_half_that_is_followed_longest():
    spans = visit_spans(VISITS)
    assert spans.tolist() == [2, 8, 0]
    assert panel_days(spans, min_devices=1) == 2
    assert panel_days(spans, min_devices=3) == 0
    assert panel_days(spans) is None


def test_distinct_locations_are_counted_from_each_first_visit():
    devices, counts = locations_by_day(VISITS, 2)
    assert devices.tolist() == [1, 2]
    assert counts.tolist() == [[2, 2, 3], [1, 2, 2]]


def test_the_curve_is_the_mean_of_the_panel():
    curve = exploration_curve([VISITS], 2, 3, seed=0, n_replicates=50)
    assert curve.points["n_locations"].tolist() == [1.5, 2.0, 2.5]
    assert (curve.n_panel, curve.n_devices) == (2, 3)
    assert (curve.points["low"] <= curve.points["n_locations"]).all()
    assert (curve.points["high"] >= curve.points["n_locations"]).all()


def test_the_band_does_not_depend_on_buckets_and_agrees_with_the_standard_error():
    rng = np.random.default_rng(5)
    ids = rng.integers(-(2**62), 2**62, 300)
    per_device = rng.integers(1, 9, ids.size)
    rows = [(device, "2020-01-01", True) for device, n in zip(ids, per_device, strict=True) for _ in range(n)]
    visits = visits_of(*rows)
    is_left = visits["device_id"] > 0
    whole = exploration_curve([visits], 0, ids.size, seed=3)
    split = exploration_curve([visits[is_left], visits[~is_left]], 0, ids.size, seed=3)
    pd.testing.assert_frame_equal(whole.points, split.points)
    half_width = 1.96 * per_device.std(ddof=1) / np.sqrt(ids.size)
    found = (whole.points["high"][0] - whole.points["low"][0]) / 2
    assert found == pytest.approx(half_width, rel=0.15)


def test_weights_are_poisson_with_mean_one():
    weights = poisson_weights(np.arange(2000, dtype=np.int64) - 1000, 100, seed=1)
    assert weights.shape == (100, 2000)
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights.var() == pytest.approx(1, abs=0.02)
    assert (weights == 0).mean() == pytest.approx(np.exp(-1), abs=0.005)
    assert abs(np.corrcoef(weights[0], weights[1])[0, 1]) < 0.1
    assert (poisson_weights(np.array([4]), 5, seed=-1) >= 0).all()


# --- Stays and areas ----------------------------------------------------------------------------


def test_stays_count_in_the_local_hour_of_the_week():
    started = pd.to_datetime(["2020-01-06T04:30", "2020-01-06T05:30", "2020-01-13T05:59"], utc=True)
    stays = pd.DataFrame({"device_id": [1, 1, 2], "started_at": started, "utc_offset_s": -5 * 3600})
    counts = count_starts(stays)  # Sunday 23:30, Monday 00:30, Monday 00:59
    assert counts["n_stays"].to_dict() == {0: 2, 167: 1}
    assert counts["n_devices"].to_dict() == {0: 2, 167: 1}
    found = suppress_starts([counts], min_devices=2)["n_stays"]
    assert found[0] == 2
    assert np.isnan(found[167])
    assert found.isna().sum() == 1
    assert found.sum() == 2


def test_an_area_with_nine_devices_is_not_shown():
    shapes = gpd.GeoSeries([shapely.box(k, 0, k + 1, 1) for k in range(4)], index=list("abcd"), crs="EPSG:4326")
    seen = suppress_areas(shapes, pd.Series({"a": 10, "b": 9, "c": 31}))
    assert seen["n_devices"].fillna(0).tolist() == [10, 0, 31, 0]
    assert "a" not in seen.reset_index().to_csv()


def test_a_device_counts_once_in_an_area_and_not_outside_all():
    found = count_devices(pd.Series([1, 1, 2, 2]), pd.Series(["a", "a", "a", None]))
    assert found.to_dict() == {"a": 2}


def test_hexagons_with_few_devices_are_not_even_drawn():
    places = pd.DataFrame({"lon": [4.9, 4.9, 5.9], "lat": [52.4, 52.4, 53.4]})
    cells = hexagons_of(places)
    assert cells[0] == cells[1] != cells[2]
    shapes = hexagon_shapes(pd.Series({cells[0]: 10, cells[2]: 9}))
    assert shapes.index.tolist() == [cells[0]]
    assert shapes.iloc[0].contains(shapely.Point(4.9, 52.4))


# --- The map ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lon", "lat"), [(10.0, 0.0), (10.0, 60.0), (179.999, -40.0)])
def test_a_square_on_the_ground_is_a_square_on_the_map(lon, lat):
    d_lat = 1000 / 111_195
    d_lon = d_lat / np.cos(np.radians(lat))
    corners = [
        (lon - d_lon, lat - d_lat),
        (lon + d_lon, lat - d_lat),
        (lon + d_lon, lat + d_lat),
        (lon - d_lon, lat + d_lat),
    ]
    wrapped = [((x + 180) % 360 - 180, y) for x, y in corners]
    square = gpd.GeoDataFrame({"n_devices": [10.0]}, geometry=[shapely.Polygon(wrapped)], crs="EPSG:4326")
    west, south, east, north = to_metres(square).total_bounds
    assert (east - west) == pytest.approx(2000, rel=0.01)
    assert (east - west) / (north - south) == pytest.approx(1, abs=0.01)


def test_the_map_is_cut_to_what_is_shown_only_where_that_is_little():
    areas = gpd.GeoDataFrame({"n_devices": [10.0, np.nan]}, geometry=[shapely.box(0, 0, 1, 1), shapely.box(1, 0, 9, 1)])
    assert shown_box(areas)[2] == pytest.approx(1.04)
    areas["n_devices"] = [np.nan, 12.0]
    assert shown_box(areas)[0] == pytest.approx(-9 * 0.04)


def test_scale_bars_and_ticks_are_round():
    assert [scale_length_m(w) for w in (1000, 10_000, 17_000, 4e6)] == [200, 2000, 5000, 1e6]
    assert scale_ticks(57) == [10, 20, 50]
    assert len(scale_ticks(1e9)) <= 6


def test_holes_and_parts_become_rings():
    holed = shapely.box(0, 0, 4, 4) - shapely.box(1, 1, 2, 2)
    both = shapely.MultiPolygon([*shapely.get_parts(holed), shapely.box(9, 9, 10, 10)])
    assert (outline(both).codes == 1).sum() == 3


# --- Drawing ------------------------------------------------------------------------------------


def svg_of(image):
    head, _, data = image.uri.partition(",")
    assert head == "data:image/svg+xml;base64"
    text = base64.b64decode(data).decode()
    ET.fromstring(text)
    return text


BARS = Bars(np.array([1.0, 2.0, 8.0, 16.0]), np.array([10, 30, 20]), np.array([10, 12, 11]))


def test_the_area_of_a_bar_is_its_share():
    heights = figures.bar_heights(np.log2(BARS.edges), BARS.shares)
    assert heights == pytest.approx([10 / 60, 15 / 60, 20 / 60])
    assert (heights * np.diff(np.log2(BARS.edges))).sum() == pytest.approx(1)


def images():
    points = pd.DataFrame({"day": [0, 1], "n_locations": [1.0, 2.0], "low": [0.5, 1.5], "high": [1.5, 2.5]})
    started = pd.date_range("2020-01-06", periods=3)
    periods = pd.DataFrame({"started": started, "n_devices": [10, np.nan, 12]})
    week = np.where(np.arange(168) == 3, np.nan, 5.0)
    areas = gpd.GeoDataFrame(
        {"n_devices": [10.0, np.nan]}, geometry=[shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)], crs=4326
    )
    return {
        "log": figures.draw_log_bars(BARS, 1000, "km", "devices", "a"),
        "dwell": figures.draw_dwell(BARS._replace(edges=BARS.edges * 200), "a"),
        "hours": figures.draw_hours(BARS, "a"),
        "periods": figures.draw_periods(periods, "day", "a"),
        "exploration": figures.draw_exploration(Curve(points, 10, 12), "a"),
        "week": figures.draw_week(week, "a"),
        "map": draw_map(Seen(areas, True, 12, 0), "a"),
    }


def test_figures_are_the_same_bytes_each_time_and_need_nothing_else():
    first, second = images(), images()
    for name, image in first.items():
        text = svg_of(image)
        assert image == second[name], name
        assert "<metadata" not in text, name
        assert 'href="http' not in text, name


# --- Words --------------------------------------------------------------------------------------


def test_numbers_read_as_people_write_them():
    assert format_number(1234567) == "1,234,567"
    assert format_number(None) == format_number(float("nan")) == format_percent(None) == "not shown"
    assert format_percent(0.1234) == "12.3\N{NO-BREAK SPACE}%"
    assert format_percent(1e-9) == "< 0.001\N{NO-BREAK SPACE}%"
    assert format_km(2239.0) == "2.2 km"
    assert format_km(182_345.0) == "180 km"
    assert [format_seconds(s) for s in (30, 300, 7200, 864_000)] == ["30 s", "5 min", "2 h", "10 days"]
    assert [format_param(v) for v in (True, 1, 65.0, None, ("a", "b"))] == ["yes", "1", "65", "none", "a, b"]
    span = TeleworkSpan(start=date(2020, 3, 16), end=date(2020, 5, 15), uptake=0.9)
    assert format_param((span,)) == "(start 2020-03-16, end 2020-05-15, uptake 0.9)"
    assert [format_percent1(v) for v in (0.12345, 0.0, float("nan"))] == [
        "12.3\N{NO-BREAK SPACE}%",
        "0.0\N{NO-BREAK SPACE}%",
        "–",
    ]
    assert [format_known(v, 2) for v in (-0.5, 1234.0, float("nan"))] == ["−0.50", "1,234.00", "–"]


def test_neither_a_part_nor_the_rest_is_told_when_small():
    assert format_part(12, 40) == "12 of the 40 devices"
    assert format_part(0, 40) == "0 of the 40 devices"
    assert "fewer than 10" in format_part(MIN_DEVICES - 1, 40)
    assert "31" not in format_part(31, 40)
    assert format_part(40, 40) == "40 of the 40 devices"
