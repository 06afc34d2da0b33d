"""Contacts beside NOMAD and fastmob, and their memory: `python -m tests.benchmarks.bench_contacts`.

One made-up city (`dense_city`), the same stays for all. Seconds are the processor's, so that threads count as what they
cost, and other work on the machine for little. Ours: the stage's three steps on frames in memory. NOMAD pairs stays
within a distance, as we do; fastmob those in one H3 cell of about that size, given beforehand, so each is timed per
pair × day it finds too. What ours does besides (households, repeated contacts, kinds of place) is in its time.

--run: 10 M stays through a run of the stage, peak memory included. --stadium: 50,000 people at once. --days: peak
memory of runs of more and more days. Each is a process of its own.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from data_contracts import HOME_WORK, PANEL_WEIGHTS, TRACTS, VISITS
from pipeline.engine.run import open_run
from pipeline.engine.store import ShardKey, Store
from pipeline.settings import Settings, throw_away_key
from pipeline.stages.contacts import ContactParams, contacts
from pipeline.study import Study
from tests.benchmarks.dense_city import START, city_visits, homes_of
from tests.benchmarks.nomad_environment import NOMAD

PARAMS = ContactParams()
H3_RESOLUTION = 11
"""Cells of 2,150 m2, near the size of a circle of 26 m."""
STADIUM_M = (230.0, 160.0)
WORKER = Path(__file__).with_name("nomad_contacts_worker.py")


def study_of(n_days: int) -> Study:
    """Return a study of so many days."""
    end = (START + pd.Timedelta(days=n_days - 1)).date()
    return Study.from_dict({"name": "x", "start": START.date(), "end": end, "zone": "UTC", "sources": []})


def empty(table) -> pd.DataFrame:
    """Return no rows of a table."""
    return table.schema.empty_table().to_pandas(date_as_object=False)


def ours(visits: pd.DataFrame, n_days: int) -> tuple[float, int]:
    """Return processor seconds and pairs × days found."""
    homes, study, nothing = homes_of(visits), study_of(n_days), (empty(TRACTS), empty(PANEL_WEIGHTS))
    started = time.process_time()
    rows = contacts(visits, homes, *nothing, study, PARAMS)
    table = contacts.finish(contacts.meet(rows, PARAMS), PARAMS)
    seconds = time.process_time() - started
    return seconds, int(table["n_people"].sum() + table["n_household"].sum()) // 2


def fastmobs(visits: pd.DataFrame) -> tuple[float, float, int]:
    """Return processor seconds of the contacts alone, and with H3 cells given to stays; pairs × days found."""
    import fastmob

    started = time.process_time()
    cells = fastmob.latlng_to_h3(visits, H3_RESOLUTION, lat_col="lat", lng_col="lon", output_col="location_id")
    names = {"uid_col": "device_id", "lat_col": "lat", "lng_col": "lon"}
    centres = cells.drop_duplicates("location_id")[["location_id", "lat", "lon"]]
    places = fastmob.Locations(centres, center_lat_col="lat", center_lng_col="lon", scope="global")
    stays = fastmob.Staypoints(cells, **names, started_at_col="started_at", finished_at_col="finished_at")
    ready = time.process_time()
    minutes = round(PARAMS.overlap_s / 60)
    found = fastmob.co_presence_graph_from_staypoints(stays, places, min_minutes_for_encounter=minutes)
    done = time.process_time()
    return done - ready, done - started, len(found.temporal_graph.edge_from)


def nomads(visits: pd.DataFrame) -> tuple[float, int] | None:
    """Return processor seconds and pairs of stays found, those of less overlap too; None without NOMAD."""
    if not NOMAD.is_installed():
        return None
    with tempfile.TemporaryDirectory() as folder:
        stops = pd.DataFrame({"user_id": visits["device_id"], "longitude": visits["lon"], "latitude": visits["lat"]})
        for name, column in (("start_timestamp", "started_at"), ("end_timestamp", "finished_at")):
            stops[name] = visits[column].astype("int64") // 1_000_000
        path = Path(folder) / "stops.parquet"
        stops.to_parquet(path)
        command = [str(NOMAD.python()), str(WORKER), str(path), str(PARAMS.contact_m)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(answer[0]), int(answer[2])


def line(name: str, n_stays: int, seconds: float, pairs: int) -> None:
    """Print one row of the table of peers."""
    each = f"{seconds / n_stays * 1e6:9.2f} {seconds / max(1, pairs) * 1e9:9.0f}"
    print(f"{name:<28} {n_stays:>11,} {seconds:>9.2f} {pairs:>13,} {each}", flush=True)


def peers(n_devices: int, n_days: int, with_nomad: bool) -> None:
    """Time all on the stays of a city."""
    ours(city_visits(200, 1), 1)
    visits = city_visits(n_devices, n_days)
    seconds, pairs = ours(visits, n_days)
    line("ours", len(visits), seconds, pairs)
    alone, with_cells, theirs = fastmobs(visits)
    line("fastmob, places given", len(visits), alone, theirs)
    line("fastmob, H3 cells included", len(visits), with_cells, theirs)
    print(f"  per pair × day: ours {alone / theirs / (seconds / pairs):.2f} × fastmob's speed, "
          f"{with_cells / theirs / (seconds / pairs):.2f} × with its cells", flush=True)  # fmt: skip
    answer = nomads(visits) if with_nomad else None
    if answer:
        line("NOMAD (pairs of stays)", len(visits), *answer)
        print(f"  on the same stays: ours {answer[0] / seconds:.1f} × NOMAD's speed", flush=True)
    elif with_nomad:
        print(f"NOMAD is not at {NOMAD.location()}: python -m tests.benchmarks.nomad_environment")


def write_tables(root: Path, n_devices: int, n_days: int, n_buckets: int) -> int:
    """Write visits and homes of a city as the stages before would have; return the visits."""
    store = Store(root)
    visits = city_visits(n_devices, n_days)
    bucket = visits["device_id"].to_numpy() % n_buckets
    for number in range(n_buckets):
        rows = visits[bucket == number]
        store.write(HOME_WORK, ShardKey(bucket=number), filled(homes_of(rows), HOME_WORK), {})
        store.write(VISITS, ShardKey(bucket=number), filled(rows, VISITS), {})
    return len(visits)


def filled(frame: pd.DataFrame, table) -> pa.Table:
    """Return a frame with the other columns of a table: the least they may hold."""
    data = {name: pa.Array.from_pandas(frame[name]) for name in frame.columns}
    n = len(frame)
    for column in table.columns:
        if column.name in data:
            continue
        if column.is_nullable:
            data[column.name] = pa.nulls(n, column.dtype)
        elif pa.types.is_list(column.dtype):
            data[column.name] = pa.array([[]] * n, column.dtype)
        elif pa.types.is_string(column.dtype):
            data[column.name] = pa.array([(column.values or ("",))[0]] * n)
        else:
            data[column.name] = pa.array(np.full(n, int(column.minimum or 0)))
    if "dwell_s" in data:
        data["dwell_s"] = pa.array((frame["finished_at"] - frame["started_at"]).dt.total_seconds())
    return pa.table({name: data[name].cast(table.schema.field(name).type) for name in table.names})


def run(root: Path, n_days: int, n_buckets: int) -> None:
    """Run the stage over tables that are there; print rows, seconds and peak memory of this process."""
    settings = Settings(root=root, n_buckets=n_buckets, n_threads=os.cpu_count() or 1)
    with throw_away_key(), open_run(study_of(n_days), settings, "bench") as opened:
        clock, processor = time.perf_counter(), time.process_time()
        summary = opened.execute("contacts")
        seconds = time.perf_counter() - clock, time.process_time() - processor
    print(f"{summary.n_rows:>12,} {seconds[0]:>9.1f} {seconds[1]:>9.1f} {peak_mib():>10,.0f}", flush=True)


def peak_mib() -> float:
    """Return the most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_apart(n_devices: int, n_days: int, n_buckets: int) -> None:
    """Write a city's tables in one process and run the stage in another."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = [folder, str(n_devices), str(n_days), str(n_buckets)]
        n_visits = _apart("--write", *sizes).split()[-1]
        print(f"{n_days:>5} {n_buckets:>8} {int(n_visits):>12,} {_apart('--execute', *sizes).strip()}", flush=True)


def _apart(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.benchmarks.bench_contacts", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def stadium(n_people: int) -> None:
    """Print time and memory of a game: everybody in one stadium for three hours."""
    ours(city_visits(200, 1), 1)
    visits = city_visits(n_people, 1).groupby("device_id").head(1).reset_index(drop=True)
    seat = np.random.default_rng(0).uniform(0, STADIUM_M, (n_people, 2)) / 111_195
    visits = visits.assign(lon=-73.95 + seat[:, 0] / np.cos(np.radians(40.75)), lat=40.75 + seat[:, 1], location_id=5)
    visits["finished_at"] = visits["started_at"] + pd.Timedelta(hours=3)
    before = peak_mib()
    seconds, pairs = ours(visits, 1)
    print(f"{n_people:,} people in a stadium: {pairs:,} pairs in {seconds:.1f} s, peak {peak_mib():,.0f} MiB "
          f"({peak_mib() - before:,.0f} more than before)", flush=True)  # fmt: skip


def main() -> None:
    """Print what is asked for; by default the peers on a city that all can bear."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--city-days", type=int, default=2)
    for flag in ("--run", "--stadium", "--days", "--no-nomad"):
        parser.add_argument(flag, action="store_true")
    for flag in ("--write", "--execute"):
        parser.add_argument(flag, nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        print(write_tables(Path(given.write[0]), *map(int, given.write[1:])))
    elif given.execute:
        run(Path(given.execute[0]), *map(int, given.execute[2:]))
    elif given.stadium:
        stadium(50_000)
    elif given.run or given.days:
        print(
            f"{'days':>5} {'buckets':>8} {'visits':>12} {'rows':>12} {'seconds':>9} {'processor':>9} {'peak MiB':>10}"
        )
        sizes = [(102_041, 14, 16)] if given.run else [(2_000, d, b) for b in (0, 4) for d in (14, 56, 224)]
        for n_devices, n_days, n_buckets in sizes:
            run_apart(n_devices, n_days, n_buckets or max(1, n_days // 14))
    else:
        print(f"{'':<28} {'stays':>11} {'seconds':>9} {'pairs':>13} {'us/stay':>9} {'ns/pair':>9}")
        peers(given.devices, given.city_days, not given.no_nomad)


if __name__ == "__main__":
    main()
