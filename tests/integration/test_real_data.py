"""The whole pipeline over real data, by column maps alone. Skipped where the data is absent."""

import numpy as np
import pandas as pd
import pytest

from data_contracts import TABLES, conform
from pipeline.audit import AuditParams, audit
from pipeline.engine.run import count_pings
from pipeline.engine.store import Store
from pipeline.study import Study
from tests.conftest import all_rows, run_all, shard_bytes

MEASURES = ("stays", "locations", "visits", "gyration", "exploration")


def study(start, end, zone, source, **fields) -> Study:
    return Study.from_dict({"name": "real", "start": start, "end": end, "zone": zone, "sources": [source]} | fields)


def geolife(shared_data, devices="*", **fields) -> Study:
    source = {"path": str(shared_data / f"geolife_users/{devices}.tar.gz"), "preset": "geolife"}
    areas = {
        "path": str(shared_data / "beijing_zones/voronoi_points_beijing.shp"),
        "id_column": "TID",
        "population_column": "POP",
    }
    return study("2007-04-01", "2012-08-01", "Asia/Shanghai", source, tracts=areas, **fields)


def check_tables(root, names=MEASURES):
    for name in names:
        data = all_rows(root, name)
        assert data.num_rows > 0, name
        conform(data, TABLES[name])


@pytest.mark.slow
def test_all_of_geolife_with_the_zones_of_beijing(shared_data, tmp_path):
    run_all(geolife(shared_data), tmp_path, n_buckets=1)
    counts = count_pings(Store(tmp_path))
    assert (counts.n_files, counts.n_read) == (27, 3_747_051)
    assert counts.n_read == counts.n_pings + counts.n_duplicates + counts.n_rejected
    assert counts.reasons == {"latitude_out_of_range": 1}
    check_tables(tmp_path, ("pings", "coverage", *MEASURES))
    coverage, visits = (all_rows(tmp_path, t).to_pandas() for t in ("coverage", "visits"))
    assert len(coverage) == 2_544
    assert coverage["device_id"].nunique() == 27
    assert 0.5 < visits["tract_geoid"].notna().mean() < 1.0
    check_days(tmp_path, coverage)
    check_audit(tmp_path)
    check_range(tmp_path, visits)
    check_collective(tmp_path)


def check_collective(root):
    """What 27 people do together: few areas have ten of them, all hours do."""
    check_tables(root, ("od_flows", "place_visits", "displacement", "gravity_fits", "epr_fits"))
    flows, places, lags, laws = (
        all_rows(root, t).to_pandas() for t in ("od_flows", "place_visits", "displacement", "epr_fits")
    )
    assert flows["n_devices"].between(10, 27).all()
    assert places["n_devices"].between(10, 27).all()
    assert lags["mean_square_km2"].iloc[0] < lags["mean_square_km2"].iloc[-1]
    laws = laws.set_index("parameter")["estimate"]
    assert 0 < laws["rho"] <= 1 and 0 < laws["gamma"] < 1


def check_audit(root):
    """A few hours and areas tell people of GeoLife from each other, coarser ones fewer of them."""
    fine, coarse = (
        audit("visits", root, params).uniqueness
        for params in (AuditParams(), AuditParams(place="area", bin_h=24.0, max_points=1))
    )
    assert [one.n_devices for one in fine] == [27, 26, 26, 26, 26]
    shares = [one.share for one in fine]
    assert shares == sorted(shares) and shares[-1] > 0.9
    assert coarse[0].share < shares[0]


def check_days(root, coverage):
    """Days, meetings, routines and their sums of the people of GeoLife, some of whom worked in one building."""
    check_tables(root, ("device_days", "venues", "contacts", "routines", "entropy", "region_day"))
    days, venues, contacts = (all_rows(root, t).to_pandas() for t in ("device_days", "venues", "contacts"))
    assert len(days) == len(coverage)
    assert venues.groupby(["device_id", "date"])["dwell_s"].sum().max() <= 86_400
    assert venues["n_visits"].sum() == len(all_rows(root, "visits"))
    assert contacts["n_people"].sum() > 0 and contacts["n_people"].sum() % 2 == 0
    assert all_rows(root, "entropy").to_pandas()["predictability"].between(0, 1).any()
    sums = all_rows(root, "region_day").to_pandas()
    visits = sums[(sums["measure"] == "visits") & (sums["region_geoid"] == "all") & (sums["axis"] == "all")]
    observed = days[days["hours_observed"] >= 8]
    observed = observed[observed.groupby("device_id")["date"].transform("size") >= 14]
    assert visits["n_devices"].sum() == len(observed)
    assert visits["total"].sum() == observed["n_visits"].sum()
    check_rhythm(root, days)


def check_rhythm(root, days):
    """Motifs of days, regularity of weeks; nobody has a home in the first eight weeks of five years."""
    check_tables(root, ("daily_motifs", "motif_shares"))
    motifs, shares = (all_rows(root, t).to_pandas() for t in ("daily_motifs", "motif_shares"))
    assert 0 < len(motifs) <= (days["hours_observed"] >= 8).sum()
    # Who comes back every evening has as many moves as places at least.
    assert (motifs["n_edges"] >= motifs["n_nodes"] - 1).all()
    closed = motifs[motifs["is_closed"] & (motifs["n_nodes"] > 1)]
    assert (closed["n_edges"] >= closed["n_nodes"]).all()
    assert shares["n_days"].sum() == len(motifs)
    assert {"0", "rare"} <= set(shares["motif"])
    check_tables(root, ("regularity",))
    weeks = all_rows(root, "regularity").to_pandas()
    whole = weeks[weeks["window"] == "study"]
    assert whole["n_hours"].sum() == weeks.loc[weeks["window"] == "month", "n_hours"].sum()
    # People of GeoLife are at their usual place more often than not, and never less than one week in all.
    assert whole["regularity"].median() > 0.5
    assert whole["home_share"].isna().all()


def check_range(root, visits):
    """Distances and frequencies of the people of GeoLife add up to their trips and visits."""
    check_tables(root, ("distances", "visit_frequencies"))
    distances, places = (all_rows(root, t).to_pandas() for t in ("distances", "visit_frequencies"))
    sums = distances.groupby("window")[["n_visits", "n_trips", "distance_m"]].sum()
    assert sums.loc["study", "n_trips"] == sums.loc["week", "n_trips"] == len(all_rows(root, "trips"))
    assert sums.loc["study", "distance_m"] == pytest.approx(sums.loc["week", "distance_m"])
    assert places["n_visits"].sum() == sums.loc["study", "n_visits"] == len(visits)
    study = distances[distances["window"] == "study"]
    assert (study["max_distance_m"] >= study["jump_max_m"].fillna(0) * (1 - 1e-12)).all()
    # Some flew across a country.
    assert 1e6 < study["max_distance_m"].max() < 2e7


def test_geolife_files_in_any_order_give_the_bytes_of_one_run(shared_data, tmp_path):
    run_all(geolife(shared_data, "00[57]"), tmp_path / "whole", n_buckets=2)
    for names in ("007", "00[57]"):
        run_all(geolife(shared_data, names), tmp_path / "parts", n_buckets=2)
    assert shard_bytes(tmp_path / "parts") == shard_bytes(tmp_path / "whole")
    run_all(geolife(shared_data, "00[57]"), tmp_path / "other", n_buckets=3, n_threads=1)
    assert all_rows(tmp_path / "other", "stays").equals(all_rows(tmp_path / "whole", "stays"))


def test_geolife_dates_in_any_order_of_chunks_give_the_bytes_of_one_run(shared_data, tmp_path):
    whole = geolife(shared_data, "005")
    run_all(whole, tmp_path / "whole", n_buckets=1)
    days = np.array(whole.dates())
    chunks = np.array_split(np.random.default_rng(5).permutation(days), 4)
    for chunk in chunks:
        run_all(whole, tmp_path / "chunks", dates=list(chunk), n_buckets=1)
    assert shard_bytes(tmp_path / "chunks") == shard_bytes(tmp_path / "whole")


def test_nomad_parquet(shared_data, tmp_path):
    columns = {"device_id": "uid", "tracked_at": "timestamp", "lon": "longitude", "lat": "latitude"}
    source = {
        "path": str(shared_data / "nomad_gardencity/part-0.parquet"),
        "format": "parquet",
        "time_unit": "s",
        "columns": columns,
    }
    run_all(study("2024-01-01", "2024-01-16", "America/New_York", source), tmp_path)
    counts = count_pings(Store(tmp_path))
    assert counts.n_read == 114_526 == counts.n_pings + counts.n_duplicates + counts.n_rejected
    assert all_rows(tmp_path, "pings").to_pandas()["device_id"].nunique() == 100
    check_tables(tmp_path)


def test_nomad_folder_in_web_mercator_with_offsets_and_accuracy(shared_data, tmp_path):
    columns = {
        "device_id": "gc_identifier",
        "tracked_at": "unix_ts",
        "lon": "dev_x",
        "lat": "dev_y",
        "accuracy_m": "ha",
        "utc_offset_s": "tz_offset",
    }
    source = {
        "path": str(shared_data / "nomad_gardencity/gc_data_long"),
        "format": "parquet",
        "time_unit": "s",
        "crs": "EPSG:3857",
        "columns": columns,
    }
    run_all(study("2024-01-01", "2024-01-04", "UTC", source), tmp_path)
    counts = count_pings(Store(tmp_path))
    assert counts.n_read == 7_474 == counts.n_pings + counts.n_duplicates + counts.n_rejected
    pings = all_rows(tmp_path, "pings").to_pandas()
    assert pings["device_id"].nunique() == 37
    assert set(pings["utc_offset_s"]) == {-14_400}
    assert pings["accuracy_m"].notna().all()
    assert pings["lat_e7"].between(36.6e7, 36.7e7).all()
    check_tables(tmp_path)


TRACKINTEL = {
    "positionfixes.csv": (
        "tracked_at",
        "longitude",
        "latitude",
        "accuracy",
        "user_id",
        "2015-11-01",
        "2015-12-31",
    ),
    "positionfixes_mod_columns.csv": (
        "time",
        "lon",
        "lat",
        "accuracy",
        "user_id",
        "2015-11-01",
        "2015-12-31",
    ),
    "geolife_trajectory.csv": (
        "tracked_at",
        "longitude",
        "latitude",
        "accuracy",
        "user_id",
        "2008-01-01",
        "2009-12-31",
    ),
    "posmo_trajectory.csv": (
        "tracked_at",
        "longitude",
        "latitude",
        "accuracy",
        "user_id",
        "2019-01-01",
        "2019-12-31",
    ),
}


@pytest.mark.parametrize("name", TRACKINTEL)
def test_trackintel_variants(shared_data, tmp_path, name):
    tracked_at, lon, lat, accuracy, device, start, end = TRACKINTEL[name]
    path = shared_data / "trackintel" / name
    columns = {"device_id": device, "tracked_at": tracked_at, "lon": lon, "lat": lat, "accuracy_m": accuracy}
    source = {"path": str(path), "format": "delimited", "delimiter": ";", "columns": columns}
    run_all(study(start, end, "Europe/Zurich", source), tmp_path, n_buckets=1)
    counts = count_pings(Store(tmp_path))
    assert counts.n_read == len(pd.read_csv(path, sep=";")) == counts.n_pings + counts.n_duplicates
    assert counts.n_rejected == 0
    conform(all_rows(tmp_path, "stays"), TABLES["stays"])
