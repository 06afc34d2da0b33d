"""Homes and workplaces of labelled stops: our two methods beside HoWDe 2.0.0 on Spark, on the same stops.

    python -m tests.benchmarks.howde_environment      # once
    python -m tests.benchmarks.bench_home_work --data STOPS.parquet

STOPS has the columns of the HoWDe project's public test data: useruuid, loc, start, end (s, local). HoWDe's defaults
are used by both sides. "Kernel" is `howde_days` from arrays; "stage" is `home_work` from a frame of visits to a frame,
on one thread, with either method; HoWDe is timed from stops in Spark's memory to the labelled stops in pandas, on all
cores, without the start of Spark; its first round, in which Java warms up, does not count where there are several. Both
times are printed: by the clock, and of all processors together, which a busy machine does not spoil. Without HoWDe's
environment only ours are timed. Both must name the same places, but for ties (see `tests.oracle.test_howde`).
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.evaluation.labelled_stops import visits_of_stops
from pipeline.kernels.howde import HowdeDays, howde_days
from pipeline.stages.home_work import HomeWorkParams, home_work
from pipeline.study import Study
from tests.benchmarks.howde_environment import Answer, run_howde, why_not
from tests.shared import DATA

STUDY = Study.from_dict({"name": "x", "start": "1970-01-01", "end": "1973-12-31", "zone": "UTC", "sources": []})
COLUMNS = {"useruuid": "device_id", "loc": "location_id", "start": "started_s", "end": "finished_s"}
MAX_TIES = 0.001
"""Share of days on which ties may have been broken the other way."""


def read_stops(path):
    """Return device_id, location_id, started_s, finished_s by device and start."""
    stops = pd.read_parquet(path, columns=list(COLUMNS)).rename(columns=COLUMNS).astype("int64")
    return stops.sort_values(["device_id", "started_s"], kind="stable", ignore_index=True)


def best_of(function, n_rounds):
    """Return (least seconds by the clock, least of the processor, the last result), after one round to compile."""
    clock, processor = [], []
    for _ in range(n_rounds + 1):
        began, cpu_began = time.perf_counter(), time.process_time()
        result = function()
        clock.append(time.perf_counter() - began)
        processor.append(time.process_time() - cpu_began)
    return min(clock[1:]), min(processor[1:]), result


def check(stops, ours: HowdeDays, theirs: Answer):
    """Return the number of days that differ; fail where there are more than ties explain."""
    devices = stops["device_id"].unique()
    found = pd.DataFrame({"device_id": devices[ours.device], "day": ours.day, "home": ours.home, "work": ours.work})
    both = found.merge(theirs.days, on=["device_id", "day"], how="outer", suffixes=("", "_theirs"))
    n = int(((both["home"] != both["home_theirs"]) | (both["work"] != both["work_theirs"])).sum())
    if n > MAX_TIES * len(both):
        raise SystemExit(f"answers differ on {n} of {len(both)} days")
    return n, len(both)


def time_ours(stops, n_rounds):
    """Return name → (seconds by the clock, of the processor), and what the kernel found."""
    starts = np.append(np.unique(stops["device_id"].to_numpy(), return_index=True)[1], len(stops)).astype(np.int64)
    arrays = [stops[name].to_numpy() for name in ("started_s", "finished_s", "location_id")]
    visits = visits_of_stops(
        stops.assign(started_us=stops["started_s"] * 1_000_000, finished_us=stops["finished_s"] * 1_000_000)
    )
    runs = {
        "exact, kernel": lambda: howde_days(starts, *arrays),
        "exact, stage": lambda: home_work(visits, STUDY, HomeWorkParams(method="howde")),
        "default, stage": lambda: home_work(visits, STUDY, HomeWorkParams()),
    }
    timed = {name: best_of(run, n_rounds) for name, run in runs.items()}
    return {name: each[:2] for name, each in timed.items()}, timed["exact, kernel"][2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA / "howde_worldbank" / "stops.parquet")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-rounds", type=int, default=3)
    args = parser.parse_args()
    if not args.data.exists():
        raise SystemExit(f"no stops at {args.data}: name a file with --data, or set SOJOURN_SHARED")
    stops = read_stops(args.data)
    print(f"{len(stops):,} stops of {stops['device_id'].nunique():,} people")
    ours, days = time_ours(stops, args.rounds)
    peer = None
    if why_not():
        print(f"HoWDe is left out: {why_not()}")
    else:
        with tempfile.TemporaryDirectory() as folder:
            answer = run_howde(stops, Path(folder), args.peer_rounds)
        n_ties, n_days = check(stops, days, answer)
        print(f"the same homes and workplaces on {n_days - n_ties:,} of {n_days:,} days; ties on {n_ties}")
        warm = slice(1 if args.peer_rounds > 1 else 0, None)
        peer = answer.seconds[warm].min(), answer.cpu_seconds[warm].min()
        print(f"HoWDe on Spark      {peer[0]:9.2f} s by the clock {peer[1]:9.2f} s of all processors")
    for name, (clock, cpu) in ours.items():
        ratios = f"; ratios {peer[0] / clock:,.0f} and {peer[1] / cpu:,.0f}" if peer else ""
        print(f"ours, {name:14}{clock:9.3f} s by the clock {cpu:9.3f} s of all processors{ratios}")


if __name__ == "__main__":
    main()
