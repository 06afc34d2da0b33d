"""Seconds that the contract check takes on pings: `python tests/benchmarks/bench_conform.py [rows]`."""

import sys
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa

from data_contracts import PINGS, conform

N_ROWS = 10_000_000
PINGS_PER_DEVICE = 400
REPEATS = 5
MASKS_ORIENTATION_S = 0.10
"""What row masks in pyarrow took on two cores when the architecture was chosen; no limit."""


def make_pings(n_rows: int) -> pa.Table:
    """Return random pings in key order, a fixed number a device."""
    random = np.random.default_rng(0)
    row = np.arange(n_rows)
    devices = np.sort(random.integers(-(2**63), 2**63 - 1, n_rows // PINGS_PER_DEVICE + 1))
    columns = {
        "device_id": devices[row // PINGS_PER_DEVICE],
        "tracked_at": 1_700_000_000_000_000 + row % PINGS_PER_DEVICE * 200_000_000,
        "lon_e7": random.integers(-1_800_000_000, 1_800_000_000, n_rows, dtype=np.int32),
        "lat_e7": random.integers(-900_000_000, 900_000_000, n_rows, dtype=np.int32),
        "accuracy_m": random.random(n_rows, dtype=np.float32),
        "utc_offset_s": np.zeros(n_rows, dtype=np.int32),
        "is_jump": np.zeros(n_rows, dtype=bool),
    }
    arrays = [pa.array(columns[c.name]).cast(c.dtype) for c in PINGS.columns]
    return pa.Table.from_arrays(arrays, schema=PINGS.schema)


def measure(label: str, data: pa.Table, table) -> None:
    """Print the fastest and slowest of REPEATS checks after one to warm up."""
    seconds = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        conform(data, table)
        seconds.append(time.perf_counter() - started)
    best, worst = min(seconds[1:]), max(seconds[1:])
    rate = data.num_rows / best / 1e6
    print(f"{label:32} {best:6.3f} s to {worst:6.3f} s, first {seconds[0]:6.3f} s, {rate:5.0f} M rows/s")


if __name__ == "__main__":
    pings = make_pings(int(sys.argv[1]) if len(sys.argv) > 1 else N_ROWS)
    print(f"{pings.num_rows} pings, {pa.cpu_count()} threads; column rules once took {MASKS_ORIENTATION_S} s")
    measure("column rules", pings, replace(PINGS, key=()))
    measure("column rules, key order, unique", pings, PINGS)
