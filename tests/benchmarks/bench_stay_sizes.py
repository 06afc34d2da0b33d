"""Time and memory of the stage `stays` from 1 M to 100 M pings: `python -m tests.benchmarks.bench_stay_sizes`.

A shard is one date of 2,000 devices, 1 M pings; the same day comes again and again, so that size is the
number of dates. The stage is called as a run calls it, date by date with what the date before left
open, one thread, frames in memory: what is timed is the stage, not reading or writing. Each size is a
process of its own, so that peak memory is that size's.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd

from data_contracts import OPEN_STAYS
from pipeline.stages.stays import StayParams, stays
from tests.benchmarks.bench_stays_kernel import one_person

SIZES_M = (1, 3, 10, 30, 100)
N_DEVICES, PINGS_EACH = 2_000, 500
DAY_S = 86_400
START = pd.Timestamp("2024-01-01", tz="UTC")


def one_date() -> pd.DataFrame:
    """Return a date of 1 M pings: each person's first 500, pressed into a day."""
    parts = []
    for device in range(N_DEVICES):
        seconds, lon, lat = one_person(np.random.default_rng([9, device]), PINGS_EACH)
        at = np.floor((seconds - seconds[0]) * (DAY_S - 1) / (seconds[-1] - seconds[0]) * 1e6).astype(np.int64)
        parts.append((np.full(PINGS_EACH, device), at, np.round(lon * 1e7), np.round(lat * 1e7)))
    device_id, at, lon, lat = (np.concatenate(column) for column in zip(*parts, strict=True))
    return pd.DataFrame(
        {
            "device_id": device_id,
            "tracked_at": START + pd.to_timedelta(at, unit="us"),
            "lon_e7": lon.astype(np.int32),
            "lat_e7": lat.astype(np.int32),
            "accuracy_m": np.full(device_id.size, np.nan, np.float32),
            "utc_offset_s": np.zeros(device_id.size, np.int32),
            "is_jump": np.zeros(device_id.size, bool),
        }
    ).astype({"tracked_at": "datetime64[us, UTC]"})


def run(n_dates: int) -> None:
    """Print one row of the table."""
    pings, params = one_date(), StayParams()
    left = OPEN_STAYS.schema.empty_table().to_pandas(date_as_object=False)
    n_stays, seconds = 0, 0.0
    for k in range(-1, n_dates):
        # The first turn compiles and is not counted.
        day_end = START + pd.Timedelta(days=max(k, 0) + 1)
        today = pings.assign(tracked_at=pings["tracked_at"] + pd.Timedelta(days=max(k, 0)))
        started = time.perf_counter()
        rows, carried = stays(today, left, day_end, k == n_dates - 1, params)
        if k >= 0:
            seconds += time.perf_counter() - started
            left, n_stays = carried, n_stays + len(rows)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{n_dates:>9} M {n_stays:>10,} {seconds:>9.2f} {seconds / n_dates:>14.3f} {peak_mib:>10,.0f}", flush=True)


def main() -> None:
    """Print the table of sizes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dates", type=int, help="one size only, in this process")
    arguments = parser.parse_args()
    if arguments.dates:
        run(arguments.dates)
        return
    print(f"{'pings':>11} {'stays':>10} {'seconds':>9} {'s per M pings':>14} {'peak MiB':>10}", flush=True)
    for size in SIZES_M:
        subprocess.run([sys.executable, "-m", "tests.benchmarks.bench_stay_sizes", "--dates", str(size)], check=True)


if __name__ == "__main__":
    main()
