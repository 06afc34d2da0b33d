"""Jump lengths, waiting times, distances from a point and extents of pings: kernels beside fastmob, one thread each.

    python -m tests.benchmarks.bench_range_kernels --pings 20000000

Rounds alternate between the contenders so that a busy machine disturbs all alike; medians are printed. Every contender
starts from arrays in memory that are grouped by device and in order of time. "fastmob core" is its compiled function
alone, given Arrow arrays and device ends; "fastmob" is its public function on a frame. Its answers are compared with
ours before anything is timed. It has no largest distance of any two positions: its maximum_distance is a jump.
"""

import argparse
import os
import statistics
import time

os.environ["RAYON_NUM_THREADS"] = "1"  # before fastmob loads its thread pool

import fastmob
import numpy as np
import pandas as pd
import pyarrow as pa
from fastmob import _core

from pipeline.kernels.extent import largest_distances
from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.kernels.moves import distances_from, jump_lengths, waiting_times
from tests.benchmarks.bench_gyration_kernel import FASTMOB_RADIUS_M, make_pings

PING_S = 60
KM_TO_M_ON_OUR_SPHERE = 1000 * EARTH_RADIUS_M / FASTMOB_RADIUS_M


def contenders(start, lon, lat):
    """Return the things timed by measure and name, each a function without arguments."""
    at_s = np.arange(lon.size, dtype=np.int64) * PING_S
    at_us = at_s * 1_000_000
    device = np.repeat(np.arange(start.size - 1), np.diff(start))
    frame = pd.DataFrame({"uid": device, "datetime": pd.to_datetime(at_s, unit="s"), "lat": lat, "lng": lon})
    arrow_lon, arrow_lat, arrow_at = pa.array(lon), pa.array(lat), pa.array(at_s * 1000)
    ends = pa.array(start[1:].astype(np.uint64))
    points = lon[start[:-1]], lat[start[:-1]]
    arrow_points = pa.array(points[1]), pa.array(points[0])
    return {
        "jump lengths": {
            "kernel": lambda: jump_lengths(start, lon, lat),
            "fastmob core": lambda: _core.jump_lengths_presorted(arrow_lat, arrow_lon, ends),
            "fastmob": lambda: fastmob.jump_lengths(frame, merge=True),
        },
        "waiting times": {
            "kernel": lambda: waiting_times(start, at_us),
            "fastmob core": lambda: _core.waiting_times_presorted_flat(arrow_at, ends),
            "fastmob": lambda: fastmob.waiting_times(frame, merge=True),
        },
        "farthest from a point": {
            "kernel": lambda: np.maximum.reduceat(distances_from(start, lon, lat, *points), start[:-1]),
            "fastmob core": lambda: _core.max_distance_from_point_presorted(*arrow_points, arrow_lat, arrow_lon, ends),
        },
        "largest distance": {"kernel": lambda: largest_distances(start, lon, lat)},
    }


def check(timed):
    """Stop unless fastmob's answers, on our sphere, are ours (this run also compiles the kernels)."""
    for name, factor in (("jump lengths", KM_TO_M_ON_OUR_SPHERE), ("waiting times", 1.0)):
        ours = timed[name]["kernel"]()
        np.testing.assert_allclose(ours[~np.isnan(ours)], np.asarray(timed[name]["fastmob"]()) * factor, rtol=1e-6)
    farthest = timed["farthest from a point"]
    theirs = np.asarray(pa.array(farthest["fastmob core"]()))
    np.testing.assert_allclose(farthest["kernel"](), theirs * KM_TO_M_ON_OUR_SPHERE, rtol=1e-6)
    timed["largest distance"]["kernel"]()


def run(timed, n_pings, n_rounds):
    """Print each contender's median, fastest and slowest round, and how much faster the kernel is."""
    seconds = {(measure, name): [] for measure, own in timed.items() for name in own}
    for _ in range(n_rounds):
        for measure, name in seconds:
            began = time.perf_counter()
            timed[measure][name]()
            seconds[measure, name].append(time.perf_counter() - began)
    for (measure, name), values in seconds.items():
        median = statistics.median(values)
        print(
            f"{measure:21s} {name:12s} median {median:.3f} s ({min(values):.3f} to {max(values):.3f}), "
            f"{n_pings / median / 1e6:6.1f} M pings/s, {median / statistics.median(seconds[measure, 'kernel']):5.1f} x "
            "the kernel's time"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pings", type=int, default=20_000_000)
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--spread-km", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"{args.pings} pings, {args.devices} devices, spread {args.spread_km} km, {args.rounds} rounds")
    timed = contenders(*make_pings(args.pings, args.devices, args.spread_km))
    check(timed)
    run(timed, args.pings, args.rounds)


if __name__ == "__main__":
    main()
