"""How fast stays are found, beside fastmob: `python -m tests.benchmarks.bench_stays_kernel --pings 20000000`.

Both start from the same thing: the same simulated pings, sorted by device and time, as columns in
memory. fastmob is called twice: through `stay_locations` on an Arrow table (its cheapest public
input) and through its compiled kernel alone, with its row index prepared outside the clock. With
``--threads 2`` fastmob's pool has two threads and we split the devices in two. Rounds alternate,
medians are reported.

The first row is what a study runs by default: stays about their mean with the defaults of `stays`,
inferred silences included, which do more than fastmob does. The others take fastmob's definition and
parameters: about the first ping, 200 m, 10 minutes, with a gap rule of 60 minutes and without. Three
differences remain there, and the counts show them: fastmob takes the medians of the two coordinates and
we the means; it asks for strictly more than 10 minutes up to the first ping outside and we for at least
10 up to the last ping inside (ours is timed both ways); under the gap rule it drops a candidate that a
silence interrupts and we emit it.
"""

import argparse
import itertools
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import fastmob
import numpy as np
import pyarrow as pa
from fastmob import _core as fastmob_core

from pipeline.kernels.silences import still_silences
from pipeline.kernels.stay_centroid_sweep import centroid_stays, no_open_centroids
from pipeline.kernels.stay_density import dense_stays
from pipeline.kernels.stay_geometry import Track
from pipeline.kernels.stays import detect_stays, no_open_stays
from pipeline.stages.stays import StayParams, centroid_rules

ROAM_M = 200.0
DWELL_MIN = 10.0
GAPS_MIN = {"gap 60 min": 60.0, "no gap rule": math.inf}
START_US = 1_704_067_200_000_000
PINGS_PER_DEVICE = 5000
BYTES_PER_PING = 8 + 8 + 4 + 4


class Columns(NamedTuple):
    """Sorted pings."""

    device_id: np.ndarray
    at_us: np.ndarray
    lon_e7: np.ndarray
    lat_e7: np.ndarray


def one_person(rng: np.random.Generator, n_pings: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(seconds, lon, lat) of a person who goes between ten places, seen irregularly and not always."""
    mean_step_s = rng.lognormal(math.log(120), 0.7)
    steps = rng.exponential(mean_step_s, n_pings)
    steps[rng.random(n_pings) < 0.01] += rng.exponential(3 * 3600)
    seconds = np.cumsum(np.maximum(1, np.round(steps)))
    n_legs = int(seconds[-1] / 3600) + 2
    durations = np.column_stack([rng.exponential(3 * 3600, n_legs), rng.uniform(600, 2400, n_legs)])
    corners = np.concatenate([[0.0], np.cumsum(durations)])[: 2 * n_legs]
    places = rng.normal(0, 0.05, (10, 2)) + rng.normal(0, 1.0, 2)
    visited = np.repeat(places[rng.zipf(1.6, n_legs) % 10], 2, axis=0)
    noise = rng.normal(0, 1e-4, (2, n_pings))
    noise[:, rng.random(n_pings) < 0.005] *= 40
    lon = -77 + np.interp(seconds, corners, visited[:, 0]) + noise[0]
    lat = 38.9 + np.interp(seconds, corners, visited[:, 1]) + noise[1]
    return seconds, lon, lat


def simulated_pings(n_pings: int, seed: int = 0) -> Columns:
    """About `n_pings` pings of devices with 5000 each."""
    people = []
    for person in range(max(1, n_pings // PINGS_PER_DEVICE)):
        people.append(one_person(np.random.default_rng([seed, person]), PINGS_PER_DEVICE))
    seconds, lon, lat = (np.concatenate(column) for column in zip(*people, strict=True))
    return Columns(
        np.repeat(np.arange(len(people)) * 1_000_003, PINGS_PER_DEVICE),
        START_US + seconds.astype(np.int64) * 1_000_000,
        np.round(lon * 1e7).astype(np.int32),
        np.round(lat * 1e7).astype(np.int32),
    )


def ours(
    pings: Columns,
    gap_min: float,
    criterion: str = "anchor",
    centre: str = "mean",
    leaves_at_next_ping: bool = False,
) -> int:
    """Run our kernel over the whole span; return the number of stays."""
    stays, _ = detect_stays(
        *pings,
        no_open_stays(),
        criterion=criterion,
        centre=centre,
        roam_m=ROAM_M,
        dwell_s=DWELL_MIN * 60,
        gap_s=gap_min * 60,
        leaves_at_next_ping=leaves_at_next_ping,
        day_end_us=int(pings.at_us.max()) + 1,
        is_last=True,
    )
    return stays.lon.size


def ours_default(pings: Columns, gap_min: float) -> int:
    """Run what a study runs by default, but for the gap rule: observed stays and inferred ones."""
    params = StayParams(gap_s=gap_min * 60)
    track = Track(pings.at_us, pings.lon_e7, pings.lat_e7)
    end = int(pings.at_us.max()) + 1
    stays, _ = centroid_stays(pings.device_id, track, None, no_open_centroids(), centroid_rules(params), end, True)
    longest_us = round(params.infer_gap_s * 1e6)
    gap_us = longest_us if gap_min == math.inf else round(params.gap_s * 1e6)
    silences = still_silences(pings.device_id, *track, gap_us, longest_us, params.infer_m)
    return stays.lon.size + silences.size


def ours_dense(pings: Columns, gap_min: float) -> int:
    """Run our stays by density, with their defaults."""
    params, end = StayParams(criterion="density"), int(pings.at_us.max()) + 1
    stays, _ = dense_stays(
        *pings,
        no_open_stays(),
        roam_m=params.roam_m,
        dwell_s=params.dwell_s,
        gap_s=gap_min * 60,
        reach_s=params.reach_s,
        density_share=params.density_share,
        day_end_us=end,
        is_last=True,
    )
    return stays.lon.size


def in_threads(run: Callable[[Columns], int], pings: Columns, n_threads: int) -> Callable[[], int]:
    """Return a call of `run` on equal parts of the devices at once."""
    if n_threads == 1:
        return lambda: run(pings)
    cuts = np.linspace(0, pings.device_id.size, n_threads + 1).astype(int)
    cuts[1:-1] = np.searchsorted(pings.device_id, pings.device_id[cuts[1:-1]])
    parts = [Columns(*(column[a:b] for column in pings)) for a, b in itertools.pairwise(cuts)]
    pool = ThreadPoolExecutor(n_threads)
    return lambda: sum(pool.map(run, parts))


def fastmob_table(pings: Columns) -> pa.Table:
    """The same pings as fastmob reads them: float degrees and timestamps in an Arrow table."""
    return pa.table(
        {
            "uid": pings.device_id,
            "datetime": pa.array(pings.at_us).cast(pa.timestamp("us")),
            "lat": pings.lat_e7 / 1e7,
            "lng": pings.lon_e7 / 1e7,
        }
    )


def fastmob_whole(table: pa.Table, gap_min: float) -> int:
    """Run fastmob's public function."""
    no_data = 1e12 if gap_min == math.inf else gap_min
    found = fastmob.stay_locations(
        table, minutes_for_a_stop=DWELL_MIN, spatial_radius_km=ROAM_M / 1000, no_data_for_minutes=no_data
    )
    return found.num_rows


def fastmob_kernel_inputs(pings: Columns) -> tuple:
    """Everything fastmob's compiled kernel reads, prepared as its Python layer does."""
    ends = np.append(np.flatnonzero(np.diff(pings.device_id)) + 1, pings.device_id.size)
    return (
        pa.array(pings.lat_e7 / 1e7),
        pa.array(pings.lon_e7 / 1e7),
        pings.at_us // 1000,
        fastmob_core.single_user_indices(pings.device_id.size)[0],
        pa.array(ends.astype(np.uint64)),
    )


def fastmob_kernel(inputs: tuple, gap_min: float) -> int:
    """Run fastmob's compiled kernel alone."""
    no_data = 1e12 if gap_min == math.inf else gap_min
    found = fastmob_core.detect_stay_locations_batch_indexed(*inputs, ROAM_M / 1000, DWELL_MIN, no_data, math.inf, True)
    return len(found[0])


def alternate(runs: dict, rounds: int) -> dict:
    """Median seconds (of the clock, of the CPU) and count of each run, one each per round, one to warm up."""
    timings = {name: [] for name in runs}
    counts = {}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            started, cpu_started = time.perf_counter(), time.process_time()
            counts[name] = run()
            if turn:
                timings[name].append((time.perf_counter() - started, time.process_time() - cpu_started))
    medians = {name: [statistics.median(t) for t in zip(*pairs, strict=True)] for name, pairs in timings.items()}
    return {
        name: {"seconds": clock, "cpu_seconds": cpu, "stays": counts[name]} for name, (clock, cpu) in medians.items()
    }


def floor_seconds(pings: Columns, rounds: int) -> float:
    """Median seconds to read every byte of the four columns once (numpy sums): the bandwidth floor."""
    return alternate({"read": lambda: sum(int(c.sum()) for c in pings)}, rounds)["read"]["seconds"]


def compare(pings: Columns, gap_min: float, rounds: int, n_threads: int) -> dict:
    """Every run under one gap rule."""
    table = fastmob_table(pings)
    inputs = fastmob_kernel_inputs(pings)
    mine = {
        "ours, default": lambda part: ours_default(part, gap_min),
        "ours, as fastmob, means": lambda part: ours(part, gap_min),
        "ours, leaving at the next ping": lambda part: ours(part, gap_min, leaves_at_next_ping=True),
        "ours, as fastmob (median too)": lambda part: ours(part, gap_min, "anchor", "median", True),
        "ours, diameter": lambda part: ours(part, gap_min, criterion="diameter"),
        "ours, density": lambda part: ours_dense(part, gap_min),
    }
    runs = {name: in_threads(run, pings, n_threads) for name, run in mine.items()}
    runs |= {
        "fastmob stay_locations": lambda: fastmob_whole(table, gap_min),
        "fastmob kernel alone": lambda: fastmob_kernel(inputs, gap_min),
    }
    return alternate(runs, rounds)


def main() -> None:
    """Print the table and one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pings", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    # Read by the thread pool of fastmob when it first runs, not when it is imported.
    os.environ["RAYON_NUM_THREADS"] = str(arguments.threads)
    pa.set_cpu_count(arguments.threads)
    pings = simulated_pings(arguments.pings)
    n = pings.device_id.size
    floor = floor_seconds(pings, arguments.rounds)
    report = {
        "pings": n,
        "bytes": n * BYTES_PER_PING,
        "read_floor_s": floor,
        "threads": arguments.threads,
        "python": sys.version.split()[0],
    }
    print(f"{n:,} pings, {BYTES_PER_PING} bytes each; reading them once takes {floor:.3f} s")
    for label, gap_min in GAPS_MIN.items():
        results = compare(pings, gap_min, arguments.rounds, arguments.threads)
        report[label] = results
        print(f"\n{label:32}  seconds   CPU s  M pings/s     stays  times default  by CPU")
        for name, result in results.items():
            rate = n / result["seconds"] / 1e6
            for unit in ("seconds", "cpu_seconds"):
                result[f"ratio_{unit}"] = result[unit] / results["ours, default"][unit]
            print(
                f"{name:32}{result['seconds']:9.3f}{result['cpu_seconds']:8.3f}{rate:11.1f}"
                f"{result['stays']:10,}{result['ratio_seconds']:15.2f}{result['ratio_cpu_seconds']:8.2f}"
            )
    print("\n" + json.dumps(report))


if __name__ == "__main__":
    main()
