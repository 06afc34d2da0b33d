"""The report of a whole run: a valid page by itself, with the right numbers, no id and no position."""

import json
import re
import shutil
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts import COVERAGE, LOCATIONS, STAYS, TABLES, TRACTS, Release
from pipeline.cli import main
from pipeline.engine.run import count_pings
from pipeline.engine.store import ALL, ShardKey, Store
from pipeline.report import write_report
from pipeline.report.measures import measure_exploration, measure_radii, measure_seen, measure_stays
from pipeline.report.npi import draw_response
from pipeline.report.page import draw
from pipeline.report.page import measure as measure_all
from pipeline.report.people import measure_people
from pipeline.report.quality import measure_quality
from pipeline.settings import KEY_VARIABLE
from pipeline.stages.stays import StayParams
from tests.conftest import CITY, KEY, all_rows, run_all
from tests.integration.page import Page

IMAGES = ("pings", "hours", "periods", "radii", "exploration", "dwell", "week", "map")
OF_PEOPLE = ("places", "confidence", "statuses", "rates")
"""Images of people that a study without a census has."""


@pytest.fixture(scope="module")
def study(city, tmp_path_factory):
    """The city's study over two areas, large enough for ten of its thirty devices."""
    tracts = gpd.read_file(city.tracts)
    path = tmp_path_factory.mktemp("areas") / "areas.geojson"
    tracts.dissolve(np.arange(len(tracts)) % 2).to_file(path)
    return city.study(tracts={"path": str(path), "id_column": "tract_geoid"})


@pytest.fixture(scope="module")
def root(study, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        folder = tmp_path_factory.mktemp("report") / "tables"
        run_all(study, folder)
    return folder


@pytest.fixture(scope="module")
def text(study, root):
    return write_report(study, root, root.parent / "report.html").read_text()


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


# --- The page -----------------------------------------------------------------------------------


def test_the_page_is_valid_and_needs_nothing_else(text, page):
    assert text.startswith("<!doctype html>")
    assert page.of("html") == [{"lang": "en"}]
    assert not page.of("script", "link", "iframe", "base")
    assert not re.search(r"url\(|@import|https?://", text)
    for attributes in page.of(*{tag for tag, _ in page.tags}):
        for name in ("src", "href", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:image/svg+xml;base64,"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"].removeprefix("#") for a in page.of("a")} == set(ids)


def test_headings_are_in_order_and_tables_have_headers(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in th for th in page.of("th"))


def test_every_image_is_svg_with_a_text_for_who_cannot_see_it(study, root, page):
    results = measure_all(study, Store(root))
    assert set(draw(results)) == {*IMAGES, *OF_PEOPLE}
    of_response = [one.image.alt for one in draw_response(results.response)]
    alts = [image["alt"] for image in page.of("img")]
    assert len(alts) == len(set(alts)) == len(IMAGES) + len(OF_PEOPLE) + len(of_response)
    assert set(of_response) < set(alts)
    assert all(len(alt) > 30 and alt.endswith(".") for alt in alts)
    for svg in page.images:
        ET.fromstring(svg)
        assert not re.search(r"href=\"(?!#|data:)", svg)


def test_the_same_root_gives_the_same_bytes(study, root, text, tmp_path):
    assert write_report(study, root, tmp_path / "again.html").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["again.html"]


# --- Numbers ------------------------------------------------------------------------------------


def test_the_balance_and_the_run_are_told(root, page):
    counts = count_pings(Store(root))
    assert counts.n_rejected > 0 and counts.n_duplicates > 0
    assert (
        f"{counts.n_read:,} rows read from {counts.n_files:,} files = {counts.n_pings:,} pings "
        f"+ {counts.n_duplicates:,} duplicates + {counts.n_rejected:,} rejected." in page.text
    )
    for reason, n in counts.reasons.items():
        assert f"{reason.replace('_', ' ')} {n:,} " in page.text
    assert "Last run: test , finished , started" in page.text
    for table in ("tracts", "pings", "coverage", "stays", "locations", "visits", "gyration", "exploration"):
        assert re.search(rf"{table} \d+ computed [\d,]+ \d+\.\d", page.text), table
    assert f"{all_rows(root, 'stays').num_rows:,}" in page.text
    assert f"stays. roam_m {StayParams().roam_m:g} default" in page.text
    assert "pings. max_accuracy_m 500 study" in page.text
    assert "numpy " + np.__version__ in page.text


def test_quality_counts_each_device_day_once(study, root):
    coverage = all_rows(root, "coverage").to_pandas()
    quality = measure_quality(Store(root), study)
    assert quality.n_devices == coverage["device_id"].nunique()
    assert quality.n_device_days == len(coverage) == quality.pings.n_rows.sum() == quality.hours.n_rows.sum()
    assert quality.weekday_days.sum() == len(coverage)
    by_day = coverage.groupby("date").size()
    shown = quality.periods.dropna().set_index("started")["n_devices"]
    assert shown.to_dict() == {pd.Timestamp(day): n for day, n in by_day.items() if n >= 10}
    assert len(shown) > 0


def test_measures_are_those_of_the_tables(root):
    store = Store(root)
    gyration = all_rows(root, "gyration").to_pandas()
    radii = measure_radii(store)
    expected = gyration.loc[gyration["window"] == "study", "gyration_m"]
    assert radii.n_devices == radii.bars.n_rows.sum() == len(expected)
    assert radii.quartiles_m == [None, expected.median(), None]  # thirty devices: no quartiles
    stays = all_rows(root, "stays").to_pandas()
    found = measure_stays(store)
    assert (found.n_stays, found.n_inferred) == (len(stays), stays["is_inferred"].sum())
    assert 0 < found.dwell.n_rows.sum() == (~stays["is_inferred"]).sum()
    assert found.starts["n_stays"].sum() <= len(stays)
    assert found.starts["n_stays"].sum() > 0


def test_the_exploration_curve_ends_at_the_locations_of_the_panel(root):
    visits = all_rows(root, "visits").to_pandas().assign(date=lambda v: pd.to_datetime(v["date"]))
    curve = measure_exploration(Store(root), seed=0)
    n_days = int(curve.points["day"].max())
    dates = visits.groupby("device_id")["date"]
    first = dates.transform("min")
    near = visits[(visits["date"] - first).dt.days <= n_days]
    followed = (dates.max() - dates.min()).dt.days >= n_days
    expected = near.groupby("device_id")["location_id"].nunique()[followed].mean()
    assert curve.points["n_locations"].iloc[-1] == pytest.approx(expected)
    assert curve.n_panel == followed.sum()


# --- Privacy ------------------------------------------------------------------------------------


def test_no_device_and_no_position_is_in_the_page(city, root, text, page):
    everything = "\n".join([text, *page.images])
    hashed = {str(device) for device in all_rows(root, "coverage")["device_id"].to_pylist()}
    raw = {str(d) for path in city.files for d in pq.read_table(path, columns=["device_id"])[0].unique().to_pylist()}
    assert len(hashed) == CITY.n_devices and len(raw) >= CITY.n_devices
    as_hex = {format(int(device) & (2**64 - 1), "016x") for device in hashed}
    for device in (hashed | raw | as_hex) - {"None", ""}:
        assert device not in everything
    written = " ".join([page.text, *(" ".join(image["alt"] for image in page.of("img"))), *comments(page)])
    for degrees in (CITY.centre_lat, CITY.centre_lon):
        assert not re.search(rf"\b{int(abs(degrees))}\.\d{{2,}}", written)
    for geoid in all_rows(root, "tracts")["tract_geoid"].to_pylist():
        assert geoid not in everything


def told(path):
    """What a file tells, as text: of Parquet its schema, its footer and its rows."""
    if path.suffix != ".parquet":
        return path.read_bytes().decode(errors="replace")
    data = pq.read_table(path, partitioning=None)
    return f"{data.schema}\n{pq.read_metadata(path).metadata}\n{data.to_pandas().to_csv()}"


def test_nothing_that_a_whole_run_writes_tells_of_a_device_or_its_place(
    city, study, root, text, tmp_path, monkeypatch, capsys, caplog
):
    """Exports, statements, the register, records, the report and what commands print; of tables the releases."""
    study_file = tmp_path / "study.toml"
    study_file.write_text(city.toml())
    printed = []
    for command in (
        ["export", "--root", root, "--out", tmp_path / "out", "--csv"],
        ["export", "visits", "--root", root, "--out", tmp_path / "out"],
        ["status", study_file, "--root", root],
        ["lineage", "visits", "--root", root],
    ):
        monkeypatch.setattr(sys, "argv", ["sojourn", *map(str, command)])
        with pytest.raises(SystemExit):
            main()
        printed += capsys.readouterr()
    assert "visits stays inside" in "".join(printed)
    exports = sorted((tmp_path / "out").iterdir())
    assert {"od_flows.csv", "od_flows.protection.md", "od_flows.parquet"} <= {path.name for path in exports}
    inside = {table.name for table in TABLES.values() if table.release is Release.INTERNAL}
    written = [path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] not in inside]
    assert any("_exports" in path.parts for path in written) and any("_runs" in path.parts for path in written)
    raw = {str(d) for path in city.files for d in pq.read_table(path, columns=["device_id"])[0].unique().to_pylist()}
    hashed = set(all_rows(root, "coverage")["device_id"].to_pylist())
    secrets = raw - {"None", ""} | {str(abs(h)) for h in hashed} | {format(h & (2**64 - 1), "016x") for h in hashed}
    # Degrees are told to two decimals at most: a kilometre.
    degrees = "|".join(str(int(abs(centre))) for centre in (CITY.centre_lat, CITY.centre_lon))
    position = re.compile(rf"(?<![\d.])({degrees})\.\d{{3,}}")
    for name, what in [
        *((path.name, told(path)) for path in [*written, *exports]),
        ("printed", "".join(printed)),
        ("log", caplog.text),
    ]:
        assert not [k for k, secret in enumerate(secrets) if secret in what], name
        assert not position.search(what), name
    for path in exports:
        if path.suffix == ".parquet":
            assert not {"device_id", "lon", "lat", "geometry"} & set(pq.read_schema(path).names)


def comments(page):
    """What is written in the images: letters are outlines, each with its text as a comment."""
    found = [comment.strip() for svg in page.images for comment in re.findall(r"<!--(.*?)-->", svg, re.S)]
    assert "Devices seen (log scale)" in found
    return found


def test_tests_of_positions_would_find_one(page):
    assert re.search(rf"\b{int(abs(CITY.centre_lat))}\.\d{{2,}}", f"{CITY.centre_lat + 0.0012345:.5f}")
    assert any("Share of devices" in comment for comment in comments(page))


def locations_of(devices, place, geoid):
    """Locations of some devices at one place."""
    n, at = len(devices), pd.Timestamp("2020-01-06", tz="UTC")
    return pd.DataFrame(
        {
            "device_id": devices,
            "location_id": np.full(n, place, np.int32),
            "lon": 4.9 + place,
            "lat": 52.4,
            "n_visits": 1,
            "n_stays": 1,
            "n_inferred_stays": 0,
            "dwell_s": 600.0,
            "inferred_s": 0.0,
            "bridged_s": 0.0,
            "first_at": at,
            "last_at": at,
            "radius_m": 0.0,
            "tract_geoid": geoid,
            "stays_started_at": [[at.value // 1000]] * n,
            "visits_started_at": [[at.value // 1000]] * n,
        }
    )


def write_locations(store, frame):
    frame = frame.sort_values(["device_id", "location_id"])
    names = [name for name in LOCATIONS.names if name in frame]
    schema = pa.schema([LOCATIONS.schema.field(name) for name in names])
    store.write(LOCATIONS, ShardKey(bucket=0), pa.Table.from_pandas(frame[names], schema, preserve_index=False), {})


def test_a_tract_with_nine_devices_is_not_shown(study, root, tmp_path):
    store, geoids = Store(tmp_path), all_rows(root, "tracts")["tract_geoid"].to_pylist()
    store.write(TRACTS, ALL, Store(root).read(TRACTS, ALL), {})
    ten, nine = list(range(1, 11)), list(range(20, 29))
    parts = [
        locations_of(ten, 0, geoids[0]),
        locations_of(ten, 1, geoids[0]),
        locations_of(nine, 2, geoids[1]),
    ]
    write_locations(store, pd.concat(parts))
    seen = measure_seen(store, study)
    assert seen.areas["n_devices"].dropna().tolist() == [10]
    assert np.isnan(seen.areas["n_devices"][1])
    assert (
        "Map, 1 area shaded" in Page(write_report(study, tmp_path, tmp_path / "r.html").read_text()).of("img")[0]["alt"]
    )


def test_a_study_without_areas_has_hexagons_of_ten_devices(study, root, tmp_path):
    store, plain = Store(tmp_path), study.model_copy(update={"tracts": None})
    write_locations(store, pd.concat([locations_of(list(range(10)), 0, None), locations_of(list(range(9)), 1, None)]))
    seen = measure_seen(store, plain)
    assert not seen.is_tracts
    assert seen.areas["n_devices"].tolist() == [10]
    page = Page(write_report(plain, tmp_path, tmp_path / "r.html").read_text())
    assert "Devices by hexagon" in page.text
    assert page.of("img")[0]["alt"].startswith("Map, 1 hexagon shaded")


def test_a_study_without_a_census_says_what_is_not_there(city, root, tmp_path):
    plain = city.study(tracts=None)
    words = Page(write_report(plain, root, tmp_path / "r.html").read_text()).text
    assert "Nothing to show: no [tracts] in the study" in words
    assert "No industries: no [jobs] in the study" in words
    assert "No comparison: no [official_rates] in the study" in words
    assert "Nothing to show: fewer than 10 devices with a job loss" in words
    with_areas = Page(write_report(city.study(), root, tmp_path / "r.html").read_text()).text
    assert "Nothing to show: no [demographics] in the study" in with_areas


def test_numbers_of_people_are_those_of_the_tables(study, root):
    found = measure_people(Store(root), study)
    homes = all_rows(root, "home_work").to_pandas()
    main = homes[(homes["span"] == "baseline") & (homes["rank"] == 1)]
    for role, bars in found.homes.confidence.items():
        n_devices = (main["role"] == role).sum()
        assert (bars.n_rows.sum() if bars else n_devices) == n_devices
    assert found.homes.n_devices == all_rows(root, "coverage").to_pandas()["device_id"].nunique()
    employment = all_rows(root, "employment").to_pandas()
    assert found.working.n_devices == employment["device_id"].nunique()
    known = employment[employment["status"] != "unknown"]
    for week in found.working.weeks.itertuples():
        statuses = known.loc[known["window_started"] == week.started.date(), "status"]
        assert week.n_known == len(statuses) or (np.isnan(week.n_known) and len(statuses) < 10)
        if len(statuses) >= 10 and not np.isnan(week.employed):
            assert week.employed == (statuses == "employed").mean()


# --- Roots that are not whole -------------------------------------------------------------------


def test_an_empty_root_has_a_report_that_says_so(study, tmp_path):
    page = Page(write_report(study, tmp_path / "nothing", tmp_path / "r.html").read_text())
    assert "Nothing has run on this root yet" in page.text
    assert "0 rows read from 0 files" in page.text
    assert not page.of("img")
    assert page.text.count("Not shown:") == len(IMAGES)


def test_missing_and_empty_tables_leave_out_only_what_needs_them(study, root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "tables")
    for table in ("visits", "gyration", "exploration", "locations", "home_work", "employment", "unemployment"):
        shutil.rmtree(copy / table)
    store = Store(copy)
    for key in store.keys(STAYS):
        store.write(STAYS, key, STAYS.schema.empty_table(), {})
    store.write(COVERAGE, store.keys(COVERAGE)[0], COVERAGE.schema.empty_table(), {})
    names = set(draw(measure_all(study, store)))
    assert names == {"pings", "hours", "periods"}
    page = Page(write_report(study, copy, tmp_path / "r.html").read_text())
    assert len(page.of("img")) == 3


def test_the_page_warns_of_another_study_and_of_a_run_that_failed(study, root, text, tmp_path):
    warning = "The last run was of another version of this study"
    assert warning not in text
    other = study.model_copy(update={"params": {"stays": {"roam_m": 100.0}}})
    assert warning in Page(write_report(other, root, tmp_path / "r.html").read_text()).text
    copy = shutil.copytree(root, tmp_path / "tables")
    record = next((copy / "_runs").glob("*.json"))
    facts = json.loads(record.read_text()) | {"state": "failed", "error": "a <b> & c"}
    record.write_text(json.dumps(facts))
    page = Page(write_report(study, copy, tmp_path / "r.html").read_text())
    assert "The last run ended as failed : a <b> & c." in page.text
    assert not page.of("b")
