"""Radius of gyration per device: our kernel beside fastmob on the same arrays, one thread each.

    python tests/benchmarks/bench_gyration_kernel.py --pings 20000000

Rounds alternate between the contenders so that a busy machine disturbs all alike; medians are printed.
Every contender starts from positions in memory that are grouped by device. "fastmob core" is its compiled
function alone, given Arrow arrays and device ends; "fastmob" is its public function on an Arrow-backed
frame with integer device ids, which also finds the devices' ranges. Its results are compared with ours
before anything is timed. --spread-km above about 150 sends groups down the kernel's slow path.
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

from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.kernels.gyration import radius_of_gyration

FASTMOB_RADIUS_M = 6_371_008.8
SEED = 20


def make_pings(n_pings, n_devices, spread_km):
    """Return (device start, lon, lat): people who live about Washington and stray `spread_km` from home."""
    rng = np.random.default_rng(SEED)
    device = np.sort(rng.integers(0, n_devices, n_pings))
    start = np.searchsorted(device, np.arange(n_devices + 1))
    home = rng.normal(0, 0.5, (2, n_devices))[:, device]
    lon, lat = home + rng.normal(0, spread_km / 111.2, (2, n_pings))
    return start, lon - 77.0, lat + 38.9


def contenders(start, lon, lat):
    """Return the things timed by name, each a function that returns radii in metres."""
    arrow_lon, arrow_lat = pa.array(lon), pa.array(lat)
    ends = pa.array(start[1:].astype(np.uint64))
    device = np.repeat(np.arange(start.size - 1), np.diff(start))
    frame = pd.DataFrame({"uid": device, "datetime": np.arange(lon.size), "lat": lat, "lng": lon})
    frame["datetime"] = pd.to_datetime(frame["datetime"], unit="s")

    def of_core():
        radii_km, _ = _core.radius_of_gyration_presorted(arrow_lat, arrow_lon, ends)
        return np.asarray(radii_km) * 1000

    def of_public():
        return fastmob.radius_of_gyration(frame).sort_values("uid")["radius_of_gyration"].to_numpy() * 1000

    return {
        "kernel, sphere": lambda: radius_of_gyration(start, lon, lat),
        "kernel, degrees": lambda: radius_of_gyration(start, lon, lat, centre_space="degrees"),
        "fastmob core": of_core,
        "fastmob": of_public,
    }


def check(functions):
    """Stop unless fastmob's radii, on our sphere, are ours (this run also compiles the kernel)."""
    ours = functions["kernel, degrees"]()
    for name in ("fastmob core", "fastmob"):
        theirs = functions[name]() * (EARTH_RADIUS_M / FASTMOB_RADIUS_M)
        np.testing.assert_allclose(ours[np.isfinite(ours)], theirs, rtol=1e-9)
    functions["kernel, sphere"]()


def run(functions, n_pings, n_rounds):
    """Print each contender's median, fastest and slowest round and its ratio to fastmob's core."""
    seconds = {name: [] for name in functions}
    for _ in range(n_rounds):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        print(
            f"{name:16s} median {medians[name]:.3f} s ({min(values):.3f} to {max(values):.3f}), "
            f"{n_pings / medians[name] / 1e6:6.1f} M pings/s, "
            f"{medians['fastmob core'] / medians[name]:5.2f} x fastmob core"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pings", type=int, default=20_000_000)
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--spread-km", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(f"{args.pings} pings, {args.devices} devices, spread {args.spread_km} km, {args.rounds} rounds")
    functions = contenders(*make_pings(args.pings, args.devices, args.spread_km))
    check(functions)
    run(functions, args.pings, args.rounds)


if __name__ == "__main__":
    main()
