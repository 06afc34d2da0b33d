"""Seconds to simulate and to write the city: `python tests/benchmarks/bench_simulation.py [pings] [workers]`.

First one bucket in this process, step by step, in processor seconds (which other work on the machine
hardly disturbs), with the peak of memory; then the whole city of that many pings over that many
processes, in seconds of the clock and of the processors. Files go to a temporary folder and are removed.
"""

import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from pipeline.simulation import CityParams, suggest_n_buckets, write_city, write_tracts
from pipeline.simulation.bucket import draw_bucket, pings_table
from pipeline.simulation.params import PINGS_PER_BUCKET
from pipeline.simulation.people import device_ids

N_PINGS = 20_000_000
N_WORKERS = 2
REPEATS = 3


def city_of(n_pings: int) -> CityParams:
    """Return a city of a fortnight at 1,000 pings a day with about this many pings."""
    return CityParams(n_devices=max(1, n_pings // 14_000), n_days=14)


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def best_of(call) -> tuple[float, object]:
    """Return the least processor seconds of REPEATS calls and the last result."""
    seconds, result = [], None
    for _ in range(REPEATS):
        result = None  # so that two results are never held at once
        started = time.process_time()
        result = call()
        seconds.append(time.process_time() - started)
    return min(seconds), result


def report(label: str, seconds: float, pings: int) -> None:
    """Print one line: seconds and pings per second."""
    print(f"{label:44} {seconds:7.2f} s {pings / seconds / 1e6:6.2f} M pings/s")


def bench_one_bucket() -> None:
    """Print the steps of one bucket of the recommended size, in this process alone."""
    params = city_of(PINGS_PER_BUCKET)
    started = time.perf_counter()
    draw_bucket(city_of(100_000), 0, 1)
    print(f"{'compile or load kernels':44} {time.perf_counter() - started:7.2f} s, {peak_mb():.0f} MB")
    drawing_s, drawn = best_of(lambda: draw_bucket(params, 0, 1))
    pings = drawn.pings.owner.size
    ids = device_ids(params, drawn.people.person)
    table_s, _ = best_of(partial(pings_table, params, drawn.clock, drawn.pings, ids))
    del drawn
    report("generate (people, diaries, pings, order)", drawing_s, pings)
    report("make the table of a bucket", table_s, pings)
    with tempfile.TemporaryDirectory() as folder:
        whole_s, _ = best_of(lambda: write_city(params, Path(folder), 0, 1))
        report("write (tables and Parquet)", whole_s - drawing_s, pings)
        report("write_city, both", whole_s, pings)
        n_bytes = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
    print(f"{'bytes per ping on disk':44} {n_bytes / pings:7.1f}, peak memory {peak_mb():.0f} MB")


def _write_one(job: tuple[CityParams, Path, int, int]) -> tuple[int, float]:
    return write_city(*job)["rows"], peak_mb()


def bench_city(n_pings: int, n_workers: int) -> None:
    """Print how long a whole city takes over several processes, their start included."""
    params = city_of(n_pings)
    n_buckets = max(n_workers, suggest_n_buckets(params))
    with tempfile.TemporaryDirectory() as name:
        folder, started = Path(name), time.perf_counter()
        jobs = [(params, folder, bucket, n_buckets) for bucket in range(n_buckets)]
        with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as pool:
            done = list(pool.map(_write_one, jobs))
        write_tracts(params, folder)
        seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    report(f"city in {n_buckets} buckets, {n_workers} processes", seconds, sum(rows for rows, _ in done))
    print(f"{'processor seconds of all processes':44} {used.ru_utime + used.ru_stime:7.1f} s")
    print(f"{'peak memory of a process':44} {max(peak for _, peak in done):7.0f} MB")


if __name__ == "__main__":
    bench_one_bucket()
    bench_city(
        int(float(sys.argv[1])) if len(sys.argv) > 1 else N_PINGS,
        int(sys.argv[2]) if len(sys.argv) > 2 else N_WORKERS,
    )
