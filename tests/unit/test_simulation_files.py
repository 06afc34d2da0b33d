import collections
import filecmp
from datetime import UTC, datetime

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely

from pipeline.simulation import (
    FAULTS,
    KINDS,
    CityParams,
    raw_dates,
    simulate_bucket,
    simulate_tracts,
    study_span_s,
    write_city,
    write_tracts,
    writing,
)

SMALL = CityParams(n_devices=30, n_days=3, pings_per_day=200, faults=0.03)
TOWN = CityParams(n_devices=150, n_days=14, pings_per_day=150)


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("delivery")
    counts = [write_city(SMALL, folder, bucket, 3) for bucket in range(3)]
    return folder, counts


def raw_rows(folder):
    """Every raw row with the date of its folder and the name of its file."""
    parts = []
    for path in sorted(folder.glob("raw/*/*.parquet")):
        rows = pq.ParquetFile(path).read().to_pandas()
        parts.append(rows.assign(folder_date=path.parent.name.removeprefix("date="), part=path.name))
    return pd.concat(parts, ignore_index=True)


def sorted_rows(frame):
    return frame.sort_values(list(frame.columns)).reset_index(drop=True)


# --- files --------------------------------------------------------------------------------------------


def test_counts_add_up_and_agree_with_the_files(delivery):
    folder, counts = delivery
    total = sum((collections.Counter(count) for count in counts), collections.Counter())
    assert all(count["rows"] == sum(count[kind] for kind in KINDS) for count in counts)
    rows = raw_rows(folder)
    opened_s, closed_s = study_span_s(SMALL)
    seen = {
        "rows": len(rows),
        "null_island": ((rows.latitude == 0) & (rows.longitude == 0)).sum(),
        "latitude_beyond_pole": (rows.latitude > 90).sum(),
        "terrible_accuracy": (rows.horizontal_accuracy >= SMALL.fault_accuracy_m).sum(),
        "outside_study": ((rows.timestamp < opened_s) | (rows.timestamp >= closed_s)).sum(),
        "missing_device_id": rows.device_id.isna().sum(),
        "missing_timestamp": rows.timestamp.isna().sum(),
        "missing_latitude": rows.latitude.isna().sum(),
        "missing_longitude": rows.longitude.isna().sum(),
        "duplicate": rows.duplicated().sum(),
        "people": len(pq.read_table(folder / "truth" / "people")),
        "stays": len(pq.read_table(folder / "truth" / "stays")),
    }
    assert all(total[fault] > 10 for fault in FAULTS)
    assert {name: int(seen[name]) for name in seen} == {name: total[name] for name in seen}
    keyed = rows.dropna(subset=["device_id", "timestamp"]).drop_duplicates()
    assert not keyed.duplicated(["device_id", "timestamp"]).any()


def test_raw_files_are_in_time_order_in_the_folder_of_their_date(delivery):
    folder, _ = delivery
    rows = raw_rows(folder)
    opened_s, closed_s = study_span_s(SMALL)
    rows = rows[(rows.timestamp >= opened_s) & (rows.timestamp < closed_s)]
    dates = [datetime.fromtimestamp(at, UTC).date().isoformat() for at in rows.timestamp]
    assert rows.folder_date.tolist() == dates
    assert sorted(set(rows.folder_date)) == [day.isoformat() for day in raw_dates(SMALL)]
    for _, file in rows.groupby(["folder_date", "part"]):
        assert file.timestamp.is_monotonic_increasing and file.device_id.nunique() > 1


def test_files_have_plain_columns_and_bounded_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "ROW_GROUP_ROWS", 500)
    write_city(SMALL, tmp_path, 0, 1)
    files = [pq.ParquetFile(path) for path in sorted(tmp_path.glob("raw/*/*.parquet"))]
    schema = {field.name: str(field.type) for field in files[0].schema_arrow}
    assert schema == {
        "device_id": "string", "timestamp": "int64", "latitude": "double", "longitude": "double",
        "horizontal_accuracy": "float", "tz_offset_s": "int32",
    }  # fmt: skip
    metas = [file.metadata for file in files]
    assert max(meta.num_row_groups for meta in metas) > 1
    assert all(meta.row_group(group).num_rows <= 500 for meta in metas for group in range(meta.num_row_groups))
    stays = pq.read_table(tmp_path / "truth" / "stays" / "part-000.parquet")
    assert str(stays.schema.field("started_at").type) == "timestamp[us, tz=UTC]"


def test_equal_params_give_byte_equal_files_and_leave_no_scraps(delivery, tmp_path):
    folder, _ = delivery
    for bucket in (2, 0, 1):
        write_city(SMALL, tmp_path, bucket, 3)
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.*") if path.is_file())
    assert names == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*") if path.is_file())
    assert len(names) == 3 * (len(raw_dates(SMALL)) + 2)
    assert all(filecmp.cmp(folder / name, tmp_path / name, shallow=False) for name in names)


def test_written_rows_are_the_simulated_rows(delivery):
    folder, _ = delivery
    written = raw_rows(folder).drop(columns=["folder_date", "part"])
    simulated = simulate_bucket(SMALL, 0, 1).pings.to_pandas().astype({"device_id": written.device_id.dtype})
    pd.testing.assert_frame_equal(sorted_rows(written), sorted_rows(simulated))


# --- tracts -------------------------------------------------------------------------------------------


def test_tracts_cover_the_city_without_overlap():
    town = simulate_bucket(TOWN, 0, 1)
    town_stays = town.stays.to_pandas()
    tracts = simulate_tracts(TOWN)
    metres = tracts.to_crs(tracts.estimate_utm_crs())
    assert len(tracts) == TOWN.n_tracts and tracts.is_valid.all()
    assert metres.area.sum() == pytest.approx(metres.union_all().area, rel=1e-6)
    points = gpd.GeoDataFrame(geometry=shapely.points(town_stays.lon, town_stays.lat), crs=4326)
    joined = points.sjoin(tracts, predicate="within")
    assert len(joined) == len(points)
    assert tracts.population.sum() == pytest.approx(TOWN.population, rel=1e-3)
    homes = town.people.to_pandas()
    joined = gpd.GeoDataFrame(geometry=shapely.points(homes.home_lon, homes.home_lat), crs=4326).sjoin(tracts)
    residents = joined.tract_geoid.value_counts().reindex(tracts.tract_geoid, fill_value=0)
    assert np.corrcoef(residents, tracts.population)[0, 1] > 0.4


def test_tract_file_keeps_leading_zeros_and_is_byte_equal(tmp_path):
    one, two = write_tracts(SMALL, tmp_path / "one"), write_tracts(SMALL, tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["tracts.geojson"]
    tracts = gpd.read_file(one)
    assert tracts.crs.to_epsg() == 4326
    assert tracts.tract_geoid.is_unique and tracts.tract_geoid.str.fullmatch(r"09003\d{6}").all()


def test_tracts_refuse_a_city_across_the_antimeridian():
    with pytest.raises(ValueError, match="antimeridian"):
        simulate_tracts(SMALL.model_copy(update={"centre_lon": 179.9}))
