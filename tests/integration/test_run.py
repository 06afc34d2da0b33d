"""A whole run over the simulated city: the balance, what is current, late, corrected and repeated files."""

import json
import logging
import shutil

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts import TABLES, Shard, conform
from pipeline.catalog import load
from pipeline.engine.books import Books
from pipeline.engine.records import read_runs
from pipeline.engine.run import count_pings, open_run, status
from pipeline.engine.store import ALL, Store
from pipeline.engine.trouble import RunError
from pipeline.logs import ROOT_LOGGER, JsonLines
from pipeline.settings import KEY_VARIABLE, Settings
from pipeline.sources.hashing import hash_id
from pipeline.stage import STAGES
from pipeline.stages.stays import StayParams
from tests.conftest import KEY, all_rows, run_all, shard_bytes
from tests.naive_centroid import naive_centroid_stays, naive_silences
from tests.naive_days import distance_m

PUBLIC = ("pings", "coverage", "stays", "locations", "visits", "gyration", "exploration")


@pytest.fixture(scope="module")
def done(city, tmp_path_factory):
    """The root of one whole run, and its summaries; beside it, all that the run logged."""
    import os

    os.environ[KEY_VARIABLE] = "a key for tests that is long enough"
    root = tmp_path_factory.mktemp("run") / "tables"
    handler = logging.FileHandler(root.parent / "log.json")
    handler.setFormatter(JsonLines())
    logger = logging.getLogger(ROOT_LOGGER)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield root, run_all(city.study(), root)
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def copy_of(root, tmp_path):
    return shutil.copytree(root, tmp_path / "tables")


def state(study, root, n_buckets=3):
    reports = status(study, Settings(root=root, n_buckets=n_buckets))
    return {f"{r.table}/{r.path}": r.state for r in reports}


def has_shards(root, table):
    return bool(Store(root).keys(TABLES[table]))


def reads_from(stage, table):
    """Whether a stage reads a table, be it through others."""
    reads = [t.name for t in STAGES[stage].reads]
    return table in reads or any(reads_from(name, table) for name in reads if name in STAGES)


def test_every_row_is_accepted_rejected_or_a_counted_duplicate(city, done):
    root, summaries = done
    counts, truth = count_pings(Store(root)), city.counts
    assert counts.n_read == truth["rows"]
    assert counts.n_duplicates == truth["duplicate"]
    assert counts.n_pings == truth["clean"] + truth["spike"]
    assert counts.n_read == counts.n_pings + counts.n_duplicates + counts.n_rejected
    expected = {
        "missing_device": truth["missing_device_id"],
        "missing_time": truth["missing_timestamp"],
        "missing_position": truth["missing_latitude"] + truth["missing_longitude"],
        "latitude_out_of_range": truth["latitude_beyond_pole"],
        "null_island": truth["null_island"],
        "outside_study": truth["outside_study"],
        "poor_accuracy": truth["terrible_accuracy"],
    }
    assert counts.reasons == {reason: n for reason, n in sorted(expected.items()) if n}
    assert summaries["pings"].details["n_read"] == truth["rows"]
    rejected = all_rows(root, "rejected_pings")
    assert rejected.num_rows == counts.n_rejected


def test_all_tables_conform_and_are_not_empty(done):
    root, _ = done
    for name in PUBLIC:
        data = all_rows(root, name)
        assert data.num_rows > 0, name
        conform(data, TABLES[name])


def test_coverage_counts_every_ping_and_hour(done):
    root, _ = done
    pings = all_rows(root, "pings").to_pandas()
    local = pings["tracked_at"].dt.tz_localize(None) + pd.to_timedelta(pings["utc_offset_s"], unit="s")
    pings["date"], pings["hour"] = local.dt.date, pings["tracked_at"].dt.floor("h")
    expected = pings.groupby(["device_id", "date"]).agg(n_pings=("hour", "size"), hours_observed=("hour", "nunique"))
    found = all_rows(root, "coverage").to_pandas().set_index(["device_id", "date"])
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_stays_are_those_of_the_naive_method_over_the_whole_span(done):
    root, _ = done
    pings = all_rows(root, "pings").to_pandas()
    pings = pings[~pings["is_jump"]]
    found = all_rows(root, "stays").to_pandas()
    rules = StayParams().model_dump()
    n_inferred = 0
    for device in pings["device_id"].unique()[:10]:
        mine = pings[pings["device_id"] == device]
        rows = list(
            zip(mine["tracked_at"].astype("int64") / 1e6, mine["lon_e7"] / 1e7, mine["lat_e7"] / 1e7, strict=True)
        )
        observed = naive_centroid_stays(rows, mine["accuracy_m"].tolist(), rules)
        inferred = naive_silences(rows, rules["gap_s"], rules["infer_gap_s"], rules["infer_m"])
        expected = sorted(
            [(s[0][0], s[-1][0], len(s), False) for s in observed] + [(a[0], b[0], 2, True) for a, b in inferred]
        )
        stays = found[found["device_id"] == device]
        started, finished = (stays[name].astype("int64") / 1e6 for name in ("started_at", "finished_at"))
        assert list(zip(started, finished, stays["n_pings"], stays["is_inferred"], strict=True)) == expected
        n_inferred += len(inferred)
    assert n_inferred > 20


def test_locations_hold_every_stay_once_and_visits_follow(done):
    root, _ = done
    stays, locations, visits = (all_rows(root, t).to_pandas() for t in ("stays", "locations", "visits"))
    assert locations["n_stays"].sum() == len(stays) == visits["n_stays"].sum()
    assert locations["stays_started_at"].map(len).sum() == len(stays)
    assert locations["n_visits"].sum() == len(visits) == locations["visits_started_at"].map(len).sum()
    assert visits["is_new"].sum() == len(locations)
    assert visits["tract_geoid"].notna().mean() > 0.95
    assert visits["dwell_s"].sum() == pytest.approx(locations["dwell_s"].sum())


def test_new_locations_of_all_windows_sum_to_the_distinct_ones(done):
    root, _ = done
    exploration, locations = (all_rows(root, t).to_pandas() for t in ("exploration", "locations"))
    for _, rows in exploration.groupby("window"):
        assert rows["n_new_locations"].sum() == len(locations)


def test_home_and_work_lie_as_far_apart_as_in_truth(city, done):
    """Of the people who have a workplace and for whom one was found."""
    people = pd.read_parquet(city.folder / "truth" / "people").dropna(subset="work_lon")
    apart_m = {
        hash_id(person.device_id.encode(), KEY.encode()): distance_m(
            (person.home_lon, person.home_lat), (person.work_lon, person.work_lat)
        )
        for person in people.itertuples()
    }
    found = all_rows(done[0], "commutes").to_pandas().query("window == 'study'").set_index("device_id")
    error_m = (found["home_work_distance_m"] - found.index.map(apart_m)).abs().dropna()
    assert len(error_m) > 10
    assert error_m.max() < 25
    assert (found["n_trips"] >= found["n_to_work"] + found["n_to_home"]).all()
    assert found["n_to_work"].sum() > 20


def test_a_second_run_computes_nothing_and_touches_no_file(city, done, tmp_path):
    root = copy_of(done[0], tmp_path)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in root.rglob("*.parquet")}
    summaries = run_all(city.study(), root)
    assert {s for name in summaries for s in summaries[name].shards} == {"current"}
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in root.rglob("*.parquet")} == before
    assert set(state(city.study(), root).values()) == {"current"}


def test_changing_a_parameter_makes_stale_what_depends_on_it_and_no_more(city, done):
    study = city.study(params={"pings": {"max_accuracy_m": 500.0}, "locations": {"eps_m": 90.0}})
    states = state(study, done[0])
    stale, waiting = ({name.split("/")[0] for name, s in states.items() if s == one} for one in ("stale", "waiting"))
    assert stale == {"locations"}
    assert waiting == {name for name in STAGES if reads_from(name, "locations") and has_shards(done[0], name)}
    assert {"visits", "gyration", "exploration"} < waiting and not {"pings", "coverage", "stays"} & waiting


def test_buckets_and_threads_change_no_row(city, done, tmp_path):
    run_all(city.study(), tmp_path / "other", n_buckets=7, n_threads=1)
    found = [name for name in STAGES if has_shards(done[0], name)]
    assert set(PUBLIC) <= set(found)
    for name in found:
        assert all_rows(tmp_path / "other", name).equals(all_rows(done[0], name)), name
        if TABLES[name].shard is Shard.STUDY:
            # The same bytes of data; the footers name other shards as what they were made from.
            mine, other = (Store(root).footer(TABLES[name], ALL) for root in (done[0], tmp_path / "other"))
            assert mine.content == other.content, name


def test_a_late_file_gives_the_bytes_of_a_run_that_had_it_from_the_start(city, done, tmp_path):
    root = tmp_path / "tables"
    late = city.files[1]
    run_all(city.study([f for f in city.files if f != late]), root)
    summaries = run_all(city.study(), root)
    assert summaries["pings"].shards["computed"] >= 1
    assert shard_bytes(root) == shard_bytes(done[0])


def test_a_repeated_file_is_loaded_once(city, done, tmp_path):
    copied = shutil.copy(city.files[0], tmp_path / "again.parquet")
    run_all(city.study([*city.files, copied]), tmp_path / "tables")
    assert shard_bytes(tmp_path / "tables") == shard_bytes(done[0])


def test_a_corrected_file_replaces_exactly_its_rows(city, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(city.folder / "raw", raw)
    files = sorted(raw.rglob("*.parquet"))
    whole = files[2].read_bytes()
    data = pq.read_table(files[2], partitioning=None)
    pq.write_table(data.slice(0, data.num_rows // 2), files[2])
    root = tmp_path / "tables"
    run_all(city.study([raw]), root)
    files[2].write_bytes(whole)
    run_all(city.study([raw]), root)
    fresh = tmp_path / "fresh"
    run_all(city.study([raw]), fresh)
    assert shard_bytes(root) == shard_bytes(fresh)
    assert len(Books(Store(root)).records) == len(files)


def test_another_key_makes_other_ids_of_the_same_devices(city, done, tmp_path, monkeypatch):
    root = tmp_path / "tables"
    monkeypatch.setenv(KEY_VARIABLE, "another key that is long enough")
    run_all(city.study(), root)
    old = set(all_rows(done[0], "pings")["device_id"].to_pylist())
    new = set(all_rows(root, "pings")["device_id"].to_pylist())
    assert len(new) == len(old) and not new & old
    assert count_pings(Store(root)) == count_pings(Store(done[0]))


def test_a_file_that_is_gone_stays_loaded_but_cannot_be_read_differently(city, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(city.folder / "raw", raw)
    root = tmp_path / "tables"
    run_all(city.study([raw]), root)
    before = shard_bytes(root)
    sorted(raw.rglob("*.parquet"))[0].unlink()
    run_all(city.study([raw]), root)
    assert shard_bytes(root) == before
    with pytest.raises(RunError, match="no longer there"):
        run_all(city.study([raw], params={"pings": {"max_accuracy_m": 100.0}}), root)


def test_two_runs_on_one_root_are_refused(city, tmp_path):
    from pipeline.engine.run import open_run

    settings = Settings(root=tmp_path / "tables", n_buckets=3)
    again = open_run(city.study(), settings, "test")
    with open_run(city.study(), settings, "test"), pytest.raises(RunError, match="another run"):
        again.__enter__()


def test_a_root_keeps_its_bucket_count(city, done):
    with pytest.raises(RunError, match="3 buckets, not 5: give --buckets 3"):
        run_all(city.study(), done[0], n_buckets=5)


def test_a_broken_file_is_named_and_the_others_are_loaded(city, done, tmp_path):
    root, broken, empty = tmp_path / "tables", tmp_path / "broken.parquet", tmp_path / "empty.parquet"
    broken.write_bytes(city.files[0].read_bytes()[:2000])
    empty.touch()
    with pytest.raises(RunError, match=r"2 source files cannot be read.*broken\.parquet.*empty\.parquet"):
        run_all(city.study([*city.files, broken, empty]), root)
    assert [r["state"] for r in read_runs(root)] == ["failed"]
    broken.unlink()
    empty.unlink()
    run_all(city.study(), root)
    assert shard_bytes(root) == shard_bytes(done[0])


def test_every_computed_shard_has_a_record_of_what_it_cost(done):
    """Seconds, rows, bytes and memory, beside what the shards themselves say."""
    root, summaries = done
    records = load("run_shards", root=root)
    shards = records[records["step"] == "shard"]
    assert shards.groupby("stage").size().to_dict() == {
        name: s.shards["computed"] for name, s in summaries.items() if s.shards.get("computed")
    }
    assert shards.groupby("stage")["n_rows_out"].sum().to_dict() == {
        name: s.n_rows for name, s in summaries.items() if s.shards.get("computed")
    }
    stays = shards[shards["stage"] == "stays"].set_index("shard")
    assert (stays["written_bytes"] >= stays.index.map(lambda s: (root / "stays" / s).stat().st_size)).all()
    pings = Store(root)
    rows_in = {key.path: pings.footer(TABLES["pings"], key).n_rows for key in pings.keys(TABLES["pings"])}
    coverage = shards[shards["stage"] == "coverage"].set_index("shard")["n_rows_in"]
    assert (coverage >= coverage.index.map(lambda s: rows_in.get(s, 0))).all()
    pieces = records[records["step"] == "read"]
    assert pieces["n_rows_in"].sum() == summaries["pings"].details["n_read"]
    assert (records["peak_memory_bytes"] > 50e6).all() and (records["peak_memory_bytes"] < 50e9).all()
    assert (records["duration_s"] >= records["cpu_s"] * 0.9 - 0.05).all()
    seconds = shards.groupby("stage")["duration_s"].max()
    assert all(seconds[name] <= summaries[name].seconds for name in seconds.index)


def test_a_run_that_computes_nothing_leaves_no_records_of_shards(city, done, tmp_path):
    root = copy_of(done[0], tmp_path)
    before = load("run_shards", root=root)
    run_all(city.study(), root)
    pd.testing.assert_frame_equal(load("run_shards", root=root), before)


def test_a_run_logs_its_beginning_every_stage_every_shard_and_its_end(done):
    root, summaries = done
    lines = [json.loads(line) for line in (root.parent / "log.json").read_text().splitlines()]
    (run,) = read_runs(root)
    lines = [line for line in lines if line["run_id"] == run["run_id"]]
    assert [lines[0]["event"], lines[-1]["event"]] == ["run started", "run finished"]
    finished = {line["stage"]: line["n_rows"] for line in lines if line["event"] == "stage finished"}
    assert finished == {name: s.n_rows for name, s in summaries.items()}
    shards = [line for line in lines if line["event"] == "shard computed"]
    assert len(shards) == len(load("run_shards", root=root))
    assert {line["level"] for line in shards} == {"debug"}


def test_nothing_a_run_leaves_outside_its_tables_names_a_device_or_a_position(city, done):
    root, _ = done
    pings = all_rows(root, "pings")
    hashed = {str(v) for v in pings["device_id"].to_pylist()}
    raw = set(
        pa.concat_tables([pq.read_table(f, columns=["device_id"], partitioning=None) for f in city.files])[
            "device_id"
        ].to_pylist()
    )
    written = "\n".join(p.read_text() for p in root.rglob("*.json")) + load("run_shards", root=root).to_csv()
    written += (root.parent / "log.json").read_text()
    footers = "\n".join(str(pq.read_metadata(p).metadata) for p in root.rglob("*.parquet"))
    for text in (written, footers):
        assert not [v for v in hashed if v in text]
        assert not [v for v in raw - {None} if v in text]


class Said(logging.Handler):
    """Keeps what is logged: pytest's own handler is silenced by Dask while a cluster in this process is open."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(record.getMessage())


def test_a_stage_tried_again_is_logged_as_such(city, done, tmp_path, caplog):
    settings, said = Settings(root=copy_of(done[0], tmp_path), n_buckets=3), Said()
    logging.getLogger(ROOT_LOGGER).addHandler(said)
    try:
        with caplog.at_level(logging.INFO, ROOT_LOGGER), open_run(city.study(), settings, "test") as run:
            for _ in range(2):
                run.execute("tracts")
    finally:
        logging.getLogger(ROOT_LOGGER).removeHandler(said)
    assert sum("stage started" in words for words in said.words) == 1
    assert sum("stage tried again" in words for words in said.words) == 1
