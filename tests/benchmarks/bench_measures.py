"""Measures shared with fastmob and scikit-mobility, side by side: `python -m tests.benchmarks.bench_measures`.

All start from the same rows in memory, sorted by device and time: pings of people who move between places, snapped to
a grid (`--pings`), and visits (`--visits`). Ours has them as arrays, fastmob 0.3.2 as an Arrow table, scikit-mobility
1.3.1 as its TrajDataFrame; making these is not timed. Ours includes finding where each device begins and numbering
places; fastmob's is its public function, which detects that rows are sorted. A place is `location_id` to us and an
exact position to the peers (to fastmob's real_entropy `location_id` too); there are as many of each.

One process for one thread and one for two: fastmob's pool is as large, and ours are that many equal parts of the
devices at once, whose answers about places are not added up. Rounds alternate and the best counts. Results are compared
before anything is timed. scikit-mobility runs once on the devices of the first rows (`--sample`), its time scaled to
all; its real_entropy is at least quadratic and runs on the first 200 rows of 50 devices, so that its time scaled is far
too short.

These are kernels, timed over arrays. A run calls stages: they take tables of pandas, cut them into windows and make
rows of more columns than the peer has. A second, shorter table has whole stages (`--stages` visits, one thread, one
window, in memory) beside the peer's functions with most of their numbers. Some kernels here no stage calls: moves
between places, and a home that is the place of most rows at night, which are the peers' own definitions. Not here:
predictability, visits per unit of time, matrices of origin and destination, and motifs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.reference.environment import is_installed, location, python_of
from tests.benchmarks.measure_stages import PEERS, stage_calls
from tests.benchmarks.measures import MEASURES, REAL_ENTROPY, Rows, check

PINGS_PER_DEVICE, VISITS_PER_DEVICE = 20_000, 250
START_US = 1_704_067_200_000_000
GRID_DEGREES = 1e-3
GRID_WIDTH = 5000
STAGE = "stage"
TOO_SLOW_S = 8.0
"""What takes longer than this is timed once."""


def simulated(n_rows: int, per_device: int, n_places: int, mean_run: int, stray: float, seed: int) -> Rows:
    """Return rows of devices with `per_device` each, who stay at one of their places for `mean_run` rows on average.

    Places of a device lie about its home, visited by Zipf's law; a share `stray` of rows is in a cell next to it.
    """
    rng = np.random.default_rng(seed)
    n_devices = max(2, n_rows // per_device)
    n = n_devices * per_device
    device = np.repeat(np.arange(n_devices), per_device)
    run = np.cumsum(rng.random(n) < 1 / mean_run) if mean_run > 1 else np.arange(n)
    share = 1 / np.arange(1, n_places + 1) ** 1.2
    chosen = rng.choice(n_places, run[-1] + 1, p=share / share.sum())[run]
    home = rng.integers(1000, 4000, (2, n_devices))
    offset = rng.integers(-60, 61, (2, n_devices, n_places))
    x, y = (home[k][device] + offset[k][device, chosen] for k in (0, 1))
    x = x + (rng.random(n) < stray)
    step_s = rng.integers(5, 120, n) * mean_run if mean_run > 1 else rng.integers(600, 20_000, n)
    at_us = START_US + np.cumsum(step_s.reshape(n_devices, per_device), axis=1).ravel() * 1_000_000
    return Rows(device * 1_000_003, at_us, -79.5 + x * GRID_DEGREES, 36.4 + y * GRID_DEGREES, y * GRID_WIDTH + x)


def both_data(n_pings: int, n_visits: int) -> dict[str, Rows]:
    """Return what measures are taken of."""
    return {
        "pings": simulated(n_pings, PINGS_PER_DEVICE, 100, 25, 0.1, 1),
        "visits": simulated(n_visits, VISITS_PER_DEVICE, 40, 1, 0.0, 2),
    }


def as_table(rows: Rows) -> pa.Table:
    """Return the rows as fastmob reads them."""
    return pa.table(
        {
            "uid": rows.device_id,
            "datetime": pa.array(rows.at_us).cast(pa.timestamp("us")),
            "lat": rows.lat,
            "lng": rows.lon,
            "location_id": rows.place,
        }
    )


def parts_of(rows: Rows, n_parts: int) -> list[Rows]:
    """Return the rows in parts of whole devices."""
    cuts = np.linspace(0, rows.device_id.size, n_parts + 1).astype(int)
    cuts[1:-1] = np.searchsorted(rows.device_id, rows.device_id[cuts[1:-1]])
    return [Rows(*(column[a:b] for column in rows)) for a, b in pairwise(cuts)]


def in_parts(pool: ThreadPoolExecutor, ours: Callable[[Rows], np.ndarray], parts: list[Rows]) -> list[np.ndarray]:
    """Return a measure of each part, all parts at once."""
    return list(pool.map(ours, parts))


def best_of(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the least seconds of each call, in turn: of the clock, and of the processor (cpu)."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            if not times[name] or times[name][0][1] < TOO_SLOW_S:
                began, cpu_began = time.perf_counter(), time.process_time()
                call()
                times[name].append((time.perf_counter() - began, time.process_time() - cpu_began))
    best = {name: [min(values) for values in zip(*pairs, strict=True)] for name, pairs in times.items()}
    return {name: clock for name, (clock, _) in best.items()} | {f"{name} cpu": cpu for name, (_, cpu) in best.items()}


def time_here(arguments: argparse.Namespace) -> None:
    """Time ours and fastmob with the threads asked for; print one line of JSON for each measure."""
    pa.set_cpu_count(arguments.threads)
    for small in both_data(40_000, 10_000).values():
        check(small, as_table(small))
    pool = ThreadPoolExecutor(arguments.threads)
    for data, rows in both_data(arguments.pings, arguments.visits).items():
        table, parts = as_table(rows), parts_of(rows, arguments.threads)
        for name, measure in MEASURES.items():
            if arguments.only and name not in arguments.only:
                continue
            calls = {"ours": partial(in_parts, pool, measure.ours, parts), "fastmob": partial(measure.fastmob, table)}
            print(json.dumps({"data": data, "measure": name, **best_of(calls, arguments.rounds)}), flush=True)
    if arguments.stages and arguments.threads == 1 and not arguments.only:
        rows = both_data(PINGS_PER_DEVICE, arguments.stages)["visits"]
        for name, calls in stage_calls(rows, as_table(rows)).items():
            print(json.dumps({"data": STAGE, "measure": name, **best_of(calls, arguments.rounds)}), flush=True)


def timed(arguments: argparse.Namespace, n_threads: int) -> dict[tuple[str, str], dict]:
    """Return what a process with so many threads measures, by data and measure."""
    asked = ["--threads", str(n_threads)]
    for name in ("pings", "visits", "stages", "rounds"):
        asked += [f"--{name}", str(getattr(arguments, name))]
    only = ["--only", *arguments.only] if arguments.only else []
    environment = os.environ | {"RAYON_NUM_THREADS": str(n_threads), "POLARS_MAX_THREADS": str(n_threads)}
    command = [sys.executable, "-m", "tests.benchmarks.bench_measures", *asked, *only]
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if found.returncode:
        sys.exit(found.stderr)
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    return {(line["data"], line["measure"]): line for line in lines}


def time_skmob(arguments: argparse.Namespace) -> dict[tuple[str, str], float]:
    """Return scikit-mobility's seconds, scaled to all rows, by data and measure; none where it is not installed."""
    if not is_installed():
        print("scikit-mobility is not here: `sojourn reference install` makes its environment")
        return {}
    worker = Path(__file__).with_name("measures_worker.py")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for data, rows in both_data(arguments.sample, arguments.sample).items():
            path = Path(folder) / "rows.parquet"
            pq.write_table(as_table(rows), path)
            names = arguments.only or list(MEASURES)
            command = [str(python_of(location())), str(worker), str(path), *names]
            answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            n_rows = getattr(arguments, data)
            for name, (seconds, n_seen) in json.loads(answer.splitlines()[-1]).items():
                found[data, name] = seconds * n_rows / n_seen
    return found


def main() -> None:
    """Print the table, and the load of the machine before and after."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pings", type=int, default=20_000_000)
    parser.add_argument("--visits", type=int, default=10_000_000)
    parser.add_argument("--sample", type=int, default=200_000, help="rows for scikit-mobility; 0: leave it out")
    parser.add_argument("--stages", type=int, default=1_000_000, help="visits for whole stages; 0: leave them out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=sorted(MEASURES))
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.threads:
        time_here(arguments)
        return
    print(f"{arguments.pings:,} pings, {PINGS_PER_DEVICE:,} a device; {arguments.visits:,} visits, {VISITS_PER_DEVICE}")
    print(f"load before: {os.getloadavg()[0]:.1f}")
    one, two = timed(arguments, 1), timed(arguments, 2)
    skmob = time_skmob(arguments) if arguments.sample else {}
    print("seconds of the clock, and of the processor (cpu); ratio: fastmob's by ours; *: scaled from a sample")
    head = ("measure", "data", "ours", "fastmob", "skmob*", "ratio", "cpu ratio", "ours 2", "fastmob 2", "ratio 2")
    print("{:30}{:8}{:>9}{:>10}{:>10}{:>8}{:>11}{:>9}{:>11}{:>9}".format(*head))
    whole = {name: one.pop((data, name)) for data, name in list(one) if data == STAGE}
    for (data, name), first in one.items():
        second = two[data, name]
        print(
            f"{name:30}{data:8}{first['ours']:9.3f}{first['fastmob']:10.3f}{skmob.get((data, name), np.nan):10.0f}"
            f"{first['fastmob'] / first['ours']:8.1f}{first['fastmob cpu'] / first['ours cpu']:11.1f}"
            f"{second['ours']:9.3f}{second['fastmob']:11.3f}{second['fastmob'] / second['ours']:9.1f}"
        )
    if whole:
        print(f"whole stages, tables in and out, {arguments.stages:,} visits, one thread: seconds of the clock")
        for name, found in whole.items():
            print(f"{name:30}{found['ours']:9.3f}{found['fastmob']:10.3f}  fastmob: {', '.join(PEERS[name])}")
    print(f"load after: {os.getloadavg()[0]:.1f}")
    print(f"{REAL_ENTROPY} of scikit-mobility is scaled from sequences of 200")


if __name__ == "__main__":
    main()
