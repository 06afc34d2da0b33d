"""`sojourn audit`: worked examples, what is found in tables and files, and that it tells nobody's id or place."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from data_contracts import TABLES
from pipeline.audit import AuditParams, audit, audit_uniqueness, read_points
from pipeline.cli import app
from pipeline.engine.store import ALL, Store
from pipeline.kernels.uniqueness import fewest_with_points, index_points, n_points_to_be_alone
from pipeline.study import StudyError
from tests.contract_rows import make_rows
from tests.private_rows import random_visits, write_root


def points(rows):
    """Points of (device, place, bin)."""
    return pd.DataFrame(rows, columns=["device", "place", "bin"])


def test_three_devices_by_hand():
    """0 and 1 share points 1 and 2, 1 has 3 besides; 2 has 3 alone."""
    device, point = np.array([0, 0, 1, 1, 1, 2]), np.array([1, 2, 1, 2, 3, 3])
    index = index_points(device, point, 3)
    assert n_points_to_be_alone(*index, np.array([0, 1, 0, 2, 1, 0]), 5).tolist() == [0, 2, 0]
    assert fewest_with_points(*index, 1).tolist() == [2, 2, 2]
    assert fewest_with_points(*index, 2).tolist() == [2, 1, 2]


def test_shares_by_hand():
    """Of 4 devices two have the same two points, two have a point of their own: half are alone, whichever is known."""
    rows = [(0, 1, 1), (0, 2, 1), (1, 1, 1), (1, 2, 1), (2, 3, 1), (2, 4, 1), (3, 5, 1)]
    found = audit_uniqueness(points(rows), AuditParams(max_points=3))
    assert [(one.n_devices, one.share) for one in found] == [(4, 0.5), (3, 1 / 3), (0, None)]
    assert found[0].low < 0.5 < found[0].high
    assert found[2].low is None


def test_the_worst_choice_is_tried_where_it_is_asked_for():
    """Two devices share a place and have one of their own: a random point tells them apart half of the time."""
    rows = points([(0, 1, 1), (0, 2, 1), (1, 1, 1), (1, 3, 1)])
    found = audit_uniqueness(rows, AuditParams(max_points=2, is_exhaustive=True))
    assert [one.share for one in found] == [1.0, 1.0]
    drawn = audit_uniqueness(rows, AuditParams(max_points=2, n_draws=400))
    assert 0.4 < drawn[0].share < 0.6 and drawn[1].share == 1.0
    many = points([(0, place, 0) for place in range(600)])
    with pytest.raises(StudyError, match="choices of points are more than"):
        audit_uniqueness(many, AuditParams(max_points=3, is_exhaustive=True))


def test_more_known_points_and_finer_bins_never_make_a_device_less_alone():
    chance = np.random.default_rng(1)
    rows = points(np.stack([chance.integers(0, n, 2_000) for n in (50, 12, 24)], axis=1))
    rows = rows.drop_duplicates(ignore_index=True)
    coarse = rows.assign(bin=rows["bin"] // 6).drop_duplicates(ignore_index=True)
    fine, wide = (audit_uniqueness(found, AuditParams()) for found in (rows, coarse))
    shares = [one.share for one in fine]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1
    assert all(a.share >= b.share for a, b in zip(fine[:3], wide[:3], strict=True))
    assert all(one.low <= one.share <= one.high for one in fine)


def test_points_of_files_do_not_depend_on_how_rows_are_cut(tmp_path):
    rows = random_visits(9, 3)
    found = []
    for n_buckets in (1, 3):
        root = write_root(tmp_path / str(n_buckets), rows, n_buckets)
        found.append(audit("visits", root, AuditParams(place="area")))
    assert found[0] == found[1]
    assert found[0].uniqueness[0].n_devices == 9


def test_cells_bins_and_dates_of_a_foreign_file(tmp_path):
    """Two positions within one cell are one place; 10:10 and 10:50 are one hour; ids may be texts."""
    path = tmp_path / "theirs.parquet"
    times = pd.to_datetime(["2024-01-01 10:10", "2024-01-01 10:50", "2024-01-01 11:10"], utc=True)
    lon = [10.0, 10.00001, 10.0]
    frame = pd.DataFrame({"device_id": list("aab"), "tracked_at": times, "lon": lon, "lat": 50.0})
    frame.to_parquet(path)
    found = read_points([path], AuditParams())
    assert found[["device", "place"]].to_numpy().tolist() == [[0, 0], [1, 0]]
    assert found["bin"].diff().tolist()[1] == 1
    dated = frame.assign(date=pd.Series(times).dt.date).drop(columns="tracked_at")
    dated.to_parquet(path)
    assert read_points([path], AuditParams(bin_h=24))["bin"].tolist() == [19_723, 19_723]
    with pytest.raises(StudyError, match="nothing to audit"):
        frame[["lon", "lat"]].to_parquet(path)
        audit(str(path), tmp_path, AuditParams())
    with pytest.raises(StudyError, match="neither a table computed"):
        audit("home_work", tmp_path, AuditParams())


def test_a_trip_is_at_its_origin_when_it_starts_and_at_its_destination_when_it_ends(tmp_path):
    """From a at 20:10 to b at 08:20: two points, of 20 and of 8 o'clock; an end outside all areas is none."""
    path = tmp_path / "trips.parquet"
    frame = pd.DataFrame(
        {"device_id": [1, 1], "origin_tract_geoid": ["a", "b"], "destination_tract_geoid": ["b", None]}
    )
    started, finished = ["2024-01-01 20:10", "2024-01-02 10:00"], ["2024-01-02 08:20", "2024-01-02 11:00"]
    frame = frame.assign(started_at=pd.to_datetime(started, utc=True), finished_at=pd.to_datetime(finished, utc=True))
    frame.assign(date=frame["finished_at"].dt.date).to_parquet(path)
    found = read_points([path], AuditParams(place="area")).sort_values("bin")
    found["hour"] = found["bin"] % 24
    assert found[["place", "hour"]].to_numpy().tolist() == [[0, 20], [1, 8], [1, 10]]
    frame.drop(columns=["started_at", "finished_at"]).to_parquet(path)
    with pytest.raises(StudyError, match="nothing to audit"):
        audit(str(path), tmp_path, AuditParams(place="area"))


@pytest.fixture
def unsafe(tmp_path):
    """A file that looks like a release, of which three rows are of too few devices."""
    path = tmp_path / "unsafe.parquet"
    pd.DataFrame({"region_geoid": list("abcde"), "n_devices": [3, 12, None, 9, 40]}).astype(
        {"n_devices": "Int64"}
    ).to_parquet(path)
    return path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_rows_of_few_devices_end_with_exit_code_3(unsafe, tmp_path):
    found = run("audit", unsafe, "--json")
    assert found.exit_code == 3
    assert json.loads(found.output)["audits"][0]["few_devices"] == {
        "n_rows": 5,
        "min_devices": 10,
        "smallest": 3,
        "n_rows_below": 3,
    }
    table = TABLES["region_changes"]
    Store(tmp_path).write(table, ALL, make_rows(table, 20), {})
    found = run("audit", "region_changes", "--root", tmp_path)
    assert (found.exit_code, "; 0 below the minimum of 10" in found.output) == (0, True)


def test_no_id_and_no_position_is_told(tmp_path):
    root = write_root(tmp_path, [(987_654_321 + device, k, area) for device, k, area in random_visits(9, 3)])
    for words in (("--json",), ("--place", "area")):
        found = run("audit", "visits", "trips", "--root", root, *words)
        assert found.exit_code == 0
        assert "9876543" not in found.output
        assert not re.search(r"\b0000000000\d\b", found.output)
    told = json.loads(run("audit", "visits", "--root", root, "--json").output)["audits"][0]["uniqueness"]
    assert {name for one in told for name in one} == {"n_known", "n_devices", "share", "low", "high"}
