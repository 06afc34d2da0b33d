"""A whole run beside the least anyone must do: read the same Parquet, sort it, write it back.

``python -m tests.benchmarks.bench_run --pings 20000000`` simulates a city once (kept in .bench),
then runs both, each in a process of its own and in turn, and prints medians, their ratio, the peak
memory of each and where the time of the run goes.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

BENCH = Path(".bench")
PINGS_PER_DAY, N_DAYS = 1000.0, 14


def make_city(n_pings: float, n_days: int = N_DAYS, pings_per_day: float = PINGS_PER_DAY) -> Path:
    """Simulate a city of about `n_pings` pings unless it is there; return its folder."""
    from pipeline.simulation import CityParams, suggest_n_buckets, write_city, write_tracts

    folder = BENCH / f"city-{n_pings:.0f}-{n_days}-{pings_per_day:.0f}"
    if (folder / "done").exists():
        return folder
    n_devices = round(n_pings / pings_per_day / n_days)
    params = CityParams(n_devices=n_devices, n_days=n_days, pings_per_day=pings_per_day)
    n_buckets = suggest_n_buckets(params)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for job in [pool.submit(write_city, params, folder, b, n_buckets) for b in range(n_buckets)]:
            job.result()
    write_tracts(params, folder)
    (folder / "done").touch()
    return folder


def floor(raw: str, out: str) -> dict:
    """Read, sort by (device, time) with numpy, write back; return seconds of each step."""
    import numpy as np
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    started = time.perf_counter()
    files = sorted(str(p) for p in Path(raw).rglob("*.parquet"))
    data = pq.read_table(files, read_dictionary=["device_id"], partitioning=None).unify_dictionaries().combine_chunks()
    read = time.perf_counter()
    codes = data["device_id"].chunk(0).indices.to_numpy(zero_copy_only=False)
    at = data["timestamp"].to_numpy(zero_copy_only=False)
    order = np.lexsort((at, codes))
    data = data.take(order)
    ordered = time.perf_counter()
    pq.write_table(data, out)
    written = time.perf_counter()
    del ds
    return {
        "rows": data.num_rows,
        "read_s": read - started,
        "sort_s": ordered - read,
        "write_s": written - ordered,
    }


def whole(city: str, root: str, n_threads: int) -> dict:
    """Run every stage over the city; return seconds of each."""
    os.environ["SOJOURN_KEY"] = "a key for benchmarks of good length"
    from pipeline.engine.run import open_run
    from pipeline.settings import Settings
    from pipeline.study import Study

    study = Study.from_dict(study_of(Path(city)))
    with open_run(study, Settings(root=Path(root), n_buckets=8, n_threads=n_threads), "bench") as run:
        return {name: run.execute(name).seconds for name in run.stages}


def study_of(city: Path) -> dict:
    """The fields of a study over a simulated city."""
    days = sorted(p.name.removeprefix("date=") for p in (city / "raw").iterdir())
    columns = {
        "device_id": "device_id",
        "tracked_at": "timestamp",
        "lon": "longitude",
        "lat": "latitude",
        "accuracy_m": "horizontal_accuracy",
        "utc_offset_s": "tz_offset_s",
    }
    source = {
        "path": str((city / "raw").resolve()),
        "format": "parquet",
        "time_unit": "s",
        "columns": columns,
    }
    tracts = {
        "path": str((city / "tracts.geojson").resolve()),
        "id_column": "tract_geoid",
        "population_column": "population",
    }
    return {
        "name": "bench",
        "start": days[0],
        "end": days[-1],
        "zone": "America/New_York",
        "sources": [source],
        "tracts": tracts,
    }


def timed(arguments: list[str]) -> dict:
    """Run this module as a process of its own; return its result with wall seconds and peak memory."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", __spec__.name, *arguments], check=True, capture_output=True, text=True)
    return {"wall_s": time.perf_counter() - started, **json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pings", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+")
    options = parser.parse_args()
    if options.only:
        kind, *rest = options.only
        result = floor(*rest) if kind == "floor" else whole(rest[0], rest[1], int(rest[2]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"steps": result, "peak_mib": round(peak)}))
        return
    city = make_city(options.pings)
    floors, wholes = [], []
    for _ in range(options.rounds):
        out, root = BENCH / "floor.parquet", BENCH / "tables"
        floors.append(timed(["--only", "floor", str(city / "raw"), str(out)]))
        out.unlink()
        shutil.rmtree(root, ignore_errors=True)
        wholes.append(timed(["--only", "whole", str(city), str(root), str(options.threads)]))
    report(floors, wholes)


def report(floors: list[dict], wholes: list[dict]) -> None:
    """Print medians, ratio, memory and steps, and one line of JSON."""
    a, b = (statistics.median(r["wall_s"] for r in runs) for runs in (floors, wholes))
    rows = floors[0]["steps"].pop("rows")
    print(f"{rows:,} rows; median of {len(floors)} rounds in turn, whole processes")
    for name, runs, seconds in (("read+sort+write", floors, a), ("whole run", wholes, b)):
        steps = {s: round(statistics.median(r["steps"].get(s, 0.0) for r in runs), 1) for s in runs[0]["steps"]}
        print(f"{name:16} {seconds:6.1f} s  peak {max(r['peak_mib'] for r in runs):6,} MiB  {steps}")
    print(f"ratio {b / a:.2f} (at most 3.00 wanted)")
    print(
        json.dumps(
            {
                "benchmark": "run",
                "rows": rows,
                "floor_s": a,
                "run_s": b,
                "ratio": b / a,
                "peak_mib": max(r["peak_mib"] for r in wholes),
            }
        )
    )


if __name__ == "__main__":
    main()
