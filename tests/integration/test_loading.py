"""Files that change names, contents or company, and runs killed between steps: always the rows of a fresh root."""

import os
import threading
import time
from datetime import date
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from data_contracts import TABLES
from pipeline.engine.books import Books
from pipeline.engine.lineage import code_digest
from pipeline.engine.plan import check_code, find_stage, work_for
from pipeline.engine.records import read_runs
from pipeline.engine.run import count_pings, open_run, status
from pipeline.engine.store import Store
from pipeline.engine.trace import trace
from pipeline.engine.trouble import RunError
from pipeline.settings import Settings
from pipeline.sources import read_blocks
from pipeline.study import Study
from tests.conftest import all_rows, run_all, shard_bytes

NOON_S = 1_577_880_000  # 2020-01-01 12:00 UTC
COLUMNS = {"device_id": "id", "tracked_at": "t", "lon": "lon", "lat": "lat", "utc_offset_s": "offset"}


def day(device, k, lon=10.0, n=30):
    """Half an hour at one place on day k, a ping a minute."""
    return [(device, NOON_S + 86_400 * k + 60 * m, lon, 50.0, 0) for m in range(n)]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(",".join(map(str, row)) for row in rows)
    path.write_text(f"id,t,lon,lat,offset\n{text}\n")
    later = time.time_ns() + hash(text) % 1_000_000_000
    os.utime(path, ns=(later, later))


class QuietFiles(SimpleHTTPRequestHandler):
    """A server of files that tells nobody what it does."""

    def log_message(self, *_):
        """Say nothing."""


def study(folder, **fields) -> Study:
    source = {"path": "raw/*.csv", "time_unit": "s", "columns": COLUMNS}
    values = {"name": "x", "start": "2020-01-01", "end": "2020-01-06", "zone": "UTC", "sources": [source]}
    return Study.from_dict(values | fields, folder=folder)


def run(a_study, root, **options):
    return run_all(a_study, root, n_buckets=1, n_threads=1, **options)


def states(a_study, root):
    return {f"{r.table}/{r.path}": r.state for r in status(a_study, Settings(root=root, n_buckets=1))}


def assert_like_fresh(a_study, root, fresh, **options):
    run(a_study, root, **options)
    run(a_study, fresh)
    assert shard_bytes(root) == shard_bytes(fresh)
    assert set(states(a_study, root).values()) <= {"current"}
    count_pings(Store(root))


@pytest.fixture
def raw(tmp_path):
    write(tmp_path / "raw" / "a.csv", day("A", 0) + day("A", 1))
    write(tmp_path / "raw" / "b.csv", day("B", 0) + day("B", 2))
    return tmp_path / "raw"


@pytest.mark.parametrize(
    "rows",
    [[("A", NOON_S + 3600 * k, 10 + k, 50, 0) for k in range(5)], [("A", NOON_S, 10, 50, 0)]],
    ids=["always moving", "one ping"],
)
def test_a_device_without_a_stay_stops_nothing(tmp_path, rows):
    write(tmp_path / "raw" / "a.csv", rows)
    run(study(tmp_path), tmp_path / "t")
    assert {t: all_rows(tmp_path / "t", t).num_rows for t in ("stays", "locations", "visits", "gyration")} == {
        "stays": 0,
        "locations": 0,
        "visits": 0,
        "gyration": 0,
    }


def test_stays_that_are_all_noise_have_no_location(raw, tmp_path):
    params = {"locations": {"min_samples": 9}, "stays": {"preset": "literature"}}
    run(study(tmp_path, params=params), tmp_path / "t")
    assert all_rows(tmp_path / "t", "stays").num_rows == 4
    assert all_rows(tmp_path / "t", "visits").num_rows == 0


def test_a_renamed_file_is_named_beside_the_rows_it_refused(tmp_path):
    write(tmp_path / "raw" / "a.csv", [*day("A", 0), ("B", NOON_S, 10.0, 99.0, 0)])
    run(study(tmp_path), tmp_path / "t")
    (tmp_path / "raw" / "a.csv").rename(tmp_path / "raw" / "z.csv")
    assert_like_fresh(study(tmp_path), tmp_path / "t", tmp_path / "fresh")
    assert all_rows(tmp_path / "t", "rejected_pings")["file"].to_pylist() == ["raw/z.csv"]


def test_a_corrected_file_of_a_server_that_marks_no_contents_is_read_again(tmp_path):
    """Such a server tells the second of the last write at most, in which a file may be written twice."""
    (tmp_path / "served").mkdir()
    handler = partial(QuietFiles, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = {"path": f"http://127.0.0.1:{server.server_port}/a.csv", "time_unit": "s", "columns": COLUMNS}
        served = study(tmp_path, sources=[source])
        for lon in (10.0, 20.0):
            write(tmp_path / "served" / "a.csv", day("A", 0, lon=lon))
            run(served, tmp_path / "t")
            assert set(all_rows(tmp_path / "t", "pings")["lon_e7"].to_pylist()) == {round(lon * 1e7)}
        server.shutdown()


def test_a_renamed_file_can_still_be_corrected(raw, tmp_path):
    run(study(tmp_path), tmp_path / "t")
    (raw / "a.csv").rename(raw / "c.csv")
    run(study(tmp_path), tmp_path / "t")
    write(raw / "c.csv", day("A", 3))
    assert_like_fresh(study(tmp_path), tmp_path / "t", tmp_path / "fresh")


def test_of_two_copies_one_is_removed_and_the_other_corrected(raw, tmp_path):
    write(raw / "z.csv", day("A", 0) + day("A", 1))
    run(study(tmp_path), tmp_path / "t")
    (raw / "a.csv").unlink()
    write(raw / "z.csv", day("A", 4))
    assert_like_fresh(study(tmp_path), tmp_path / "t", tmp_path / "fresh")


def test_equal_rows_in_two_files_named_for_devices_are_two_devices(tmp_path):
    rows = [row[1:] for row in day("", 0)]
    for name in ("p1", "p2"):
        path = tmp_path / "raw" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("t,lon,lat,offset\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n")
    columns = {name: column for name, column in COLUMNS.items() if name != "device_id"}
    source = {"path": "raw/*.csv", "time_unit": "s", "columns": columns, "device_from": "file_stem"}
    run(study(tmp_path, sources=[source]), tmp_path / "t")
    assert all_rows(tmp_path / "t", "pings").to_pandas()["device_id"].nunique() == 2
    assert count_pings(Store(tmp_path / "t")).n_read == 60


def test_an_unreadable_file_that_is_needed_again_loses_nothing(raw, tmp_path, monkeypatch):
    run(study(tmp_path), tmp_path / "t")
    before = shard_bytes(tmp_path / "t")
    write(raw / "b.csv", day("B", 0, lon=20.0))
    whole = (raw / "a.csv").read_text()
    monkeypatch.setattr("pipeline.engine.ingest.read_blocks", _fails_on("a.csv"))
    with pytest.raises(RunError, match=r"Nothing more was loaded.*a\.csv"):
        run(study(tmp_path), tmp_path / "t")
    monkeypatch.undo()
    monkeypatch.setenv("SOJOURN_KEY", "a key for tests that is long enough")
    assert shard_bytes(tmp_path / "t", "pings", "stays") == {
        p: b for p, b in before.items() if p.startswith(("pings", "stays"))
    }
    assert (raw / "a.csv").read_text() == whole
    assert_like_fresh(study(tmp_path), tmp_path / "t", tmp_path / "fresh")


def _fails_on(name):
    from pipeline.sources import SourceError

    def read(piece, key):
        if piece.path.name == name:
            raise SourceError(f"{name}: the compressed file is truncated or damaged")
        return read_blocks(piece, key)

    return read


def _killed_at_wave(number, monkeypatch):
    """Raise where the records of that wave should be written, once: the next run gets through."""
    real, calls = Books.add, []

    def add(self, records):
        calls.append(len(records))
        if len(calls) == number:
            raise RuntimeError
        real(self, records)

    monkeypatch.setattr(Books, "add", add)
    return calls


def _files_read(monkeypatch):

    found = []

    def read(piece, key):
        found.append(piece.path.name)
        return read_blocks(piece, key)

    monkeypatch.setattr("pipeline.engine.ingest.read_blocks", read)
    return found


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_run_killed_in_a_wave_goes_on_with_it(raw, tmp_path, monkeypatch, number):
    write(raw / "c.csv", day("C", 0) + day("C", 1) + [("C", NOON_S, 200, 50, 0)])
    _killed_at_wave(number, monkeypatch)
    with pytest.raises(RunError):
        run(study(tmp_path), tmp_path / "t", wave_bytes=1)
    found = _files_read(monkeypatch)
    run(study(tmp_path), tmp_path / "t", wave_bytes=1)
    assert found == ["a.csv", "b.csv", "c.csv"][number - 1 :]
    assert_like_fresh(study(tmp_path), tmp_path / "t", tmp_path / "fresh")
    assert not list((tmp_path / "t" / "_scratch").rglob("*.arrow"))


@pytest.mark.parametrize("number", [None, 1, 2])
def test_shards_are_built_anew_in_waves_killed_or_not(raw, tmp_path, monkeypatch, number):
    """The corrected file shares shards with one before and one after it, which are needed again."""
    write(raw / "c.csv", day("C", 0) + day("C", 2) + day("C", 3))
    run(study(tmp_path), tmp_path / "t")
    write(raw / "b.csv", day("B", 0, lon=20.0) + day("B", 1))
    if number:
        calls = _killed_at_wave(number, monkeypatch)
        with pytest.raises(RunError):
            run(study(tmp_path), tmp_path / "t", wave_bytes=1)
        assert len(calls) == number
    assert_like_fresh(study(tmp_path), tmp_path / "t", tmp_path / "fresh", wave_bytes=1)


def test_an_unreadable_file_of_a_later_wave_loses_nothing_either(raw, tmp_path, monkeypatch):
    run(study(tmp_path), tmp_path / "t")
    before = shard_bytes(tmp_path / "t")
    write(raw / "a.csv", day("A", 0, lon=20.0))
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.engine.ingest.read_blocks", _fails_on("b.csv"))
        with pytest.raises(RunError, match=r"Nothing more was loaded.*b\.csv"):
            run(study(tmp_path), tmp_path / "t", wave_bytes=1)
    assert shard_bytes(tmp_path / "t") == before
    assert_like_fresh(study(tmp_path), tmp_path / "t", tmp_path / "fresh", wave_bytes=1)


def test_a_lost_shard_of_pings_is_built_again(raw, tmp_path):
    run(study(tmp_path), tmp_path / "t")
    whole = shard_bytes(tmp_path / "t")
    next((tmp_path / "t" / "pings").rglob("*.parquet")).unlink()
    assert "stale" in states(study(tmp_path), tmp_path / "t").values()
    run(study(tmp_path), tmp_path / "t")
    assert shard_bytes(tmp_path / "t") == whole


def test_killed_between_what_a_date_leaves_open_and_its_stays_then_corrected(raw, tmp_path, monkeypatch):
    fields = {"params": {"stays": {"gap_s": float("inf")}}}
    write_shard = Store.write

    def killed(self, table, key, data, made_from):
        if table.name == "stays":
            raise RuntimeError
        return write_shard(self, table, key, data, made_from)

    monkeypatch.setattr(Store, "write", killed)
    with pytest.raises(RunError):
        run(study(tmp_path, **fields), tmp_path / "t")
    monkeypatch.setattr(Store, "write", write_shard)
    write(raw / "a.csv", day("A", 3))
    write(raw / "b.csv", day("B", 4))
    assert_like_fresh(study(tmp_path, **fields), tmp_path / "t", tmp_path / "fresh")


def test_killed_before_a_file_is_recorded_then_corrected(raw, tmp_path, monkeypatch):
    bad = [("A", NOON_S, 200, 50, 0)]
    write(raw / "a.csv", day("A", 0) + bad)

    def killed(self, records):
        raise RuntimeError

    monkeypatch.setattr(Books, "add", killed)
    with pytest.raises(RunError):
        run(study(tmp_path), tmp_path / "t")
    assert trace(tmp_path / "t", "pings", None, 0)["inputs"][0]["name"] == "a file not yet recorded"
    monkeypatch.undo()
    monkeypatch.setenv("SOJOURN_KEY", "a key for tests that is long enough")
    write(raw / "a.csv", day("A", 1) + bad)
    assert_like_fresh(study(tmp_path), tmp_path / "t", tmp_path / "fresh")
    assert all_rows(tmp_path / "t", "rejected_pings").num_rows == count_pings(Store(tmp_path / "t")).n_rejected == 1


def test_a_source_taken_out_of_the_study_is_withdrawn(raw, tmp_path):
    run(study(tmp_path), tmp_path / "t")
    only_a = [{"path": "raw/a.csv", "time_unit": "s", "columns": COLUMNS}]
    assert_like_fresh(study(tmp_path, sources=only_a), tmp_path / "t", tmp_path / "fresh")
    assert count_pings(Store(tmp_path / "t")).n_files == 1


def test_status_foresees_what_follows_from_missing_dates_and_waiting_files(raw, tmp_path):
    run(study(tmp_path), tmp_path / "t", dates=[date(2020, 1, 1)])
    found = states(study(tmp_path), tmp_path / "t")
    assert found["stays/date=2020-01-03/bucket=0000.parquet"] == "missing"
    # Stays of new dates are new inputs; what visits are made of is there, and may come out the same.
    assert found["locations/bucket=0000.parquet"] == "stale"
    run(study(tmp_path), tmp_path / "t")
    write(raw / "late.csv", day("C", 1))
    found = states(study(tmp_path), tmp_path / "t")
    assert found["source files/raw/late.csv"] == "missing"
    assert found["visits/bucket=0000.parquet"] == "waiting"


def test_lineage_of_a_stay_that_spans_dates_names_the_pings_of_all(raw, tmp_path):
    fields = {"params": {"stays": {"gap_s": float("inf")}}}
    run(study(tmp_path, **fields), tmp_path / "t")
    tree = trace(tmp_path / "t", "stays", date(2020, 1, 6), 0)
    assert tree["inputs"][0]["n_rows"] == 120


def test_another_key_is_refused_and_changes_nothing(raw, tmp_path, monkeypatch):
    run(study(tmp_path), tmp_path / "t")
    before = shard_bytes(tmp_path / "t")
    with monkeypatch.context() as patch:
        patch.setenv("SOJOURN_KEY", "another key that is long enough")
        for command in (run, states):
            with pytest.raises(RunError, match="hashed with another SOJOURN_KEY"):
                command(study(tmp_path), tmp_path / "t")
    assert_like_fresh(study(tmp_path), tmp_path / "t", tmp_path / "fresh")
    assert shard_bytes(tmp_path / "t") == before


def test_a_worker_with_other_code_refuses_to_compute(raw, tmp_path):
    work = work_for(find_stage("coverage"), study(tmp_path), Settings(root=tmp_path / "t"))
    check_code(work)
    assert work.parts["code"] == code_digest("pipeline.stages.coverage") != code_digest("pipeline.stages.visits")
    work.parts["code"] = "of yesterday"
    with pytest.raises(RunError, match="restart the workers"):
        check_code(work)


def test_a_day_spent_crossing_all_zones_is_counted(tmp_path):
    rows = [("A", NOON_S + 3600 * h, 10, 50, 50_400 if h < 14 else -50_400) for h in range(48)]
    write(tmp_path / "raw" / "a.csv", rows)
    run(study(tmp_path), tmp_path / "t")
    assert all_rows(tmp_path / "t", "coverage").to_pandas()["n_pings"].sum() == 48


def test_runs_within_one_second_keep_their_records(raw, tmp_path):
    settings = Settings(root=tmp_path / "t", n_buckets=1)
    for fails in (True, False):
        try:
            with open_run(study(tmp_path), settings, "test"):
                if fails:
                    raise RunError("first")
        except RunError:
            pass
    assert [r["state"] for r in read_runs(tmp_path / "t")] == ["failed", "finished"]


def test_a_declared_device_name_is_not_written_down(tmp_path):
    path = tmp_path / "raw" / "a.csv"
    path.parent.mkdir()
    path.write_text("t,lon,lat,offset\n" + "\n".join(",".join(map(str, row[1:])) for row in day("", 0)) + "\n")
    columns = {name: column for name, column in COLUMNS.items() if name != "device_id"}
    source = {"path": "raw/*.csv", "time_unit": "s", "columns": columns}
    source |= {"device_from": "constant", "device_name": "356938035643809"}
    run(study(tmp_path, sources=[source]), tmp_path / "t")
    assert all_rows(tmp_path / "t", "pings").num_rows == 30
    assert not [p for p in (tmp_path / "t").rglob("*") if p.is_file() and b"356938035643809" in p.read_bytes()]


@pytest.mark.parametrize("params", [{"stays": {"dwell_s": 0}}, {"gyration": {"windows": ["week", "week"]}}])
def test_settings_that_would_fail_late_are_refused_at_once(raw, tmp_path, params):
    from pipeline.study import StudyError

    with pytest.raises(StudyError):
        run(study(tmp_path, params=params), tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_two_pieces_of_one_file_and_two_sources(raw, tmp_path, monkeypatch):
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    for name in ("a", "b"):
        pq.write_table(pc.read_csv(raw / f"{name}.csv"), raw / f"{name}.parquet", row_group_size=7)
    parquet = {"path": "raw/a.parquet", "format": "parquet", "time_unit": "s", "columns": COLUMNS}
    text = {"path": "raw/b.csv", "time_unit": "s", "columns": COLUMNS}
    monkeypatch.setattr("pipeline.sources.parquet.PIECE_ROWS", 20)
    run(study(tmp_path, sources=[parquet, text]), tmp_path / "t")
    run(study(tmp_path), tmp_path / "fresh")
    for table in ("pings", "stays", "visits"):
        assert all_rows(tmp_path / "t", table).equals(all_rows(tmp_path / "fresh", table)), TABLES[table].name
