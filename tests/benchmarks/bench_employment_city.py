"""The city in which jobs are lost: `python -m tests.benchmarks.bench_employment_city [people] [days] [buckets]`.

Seconds per million pings and peak memory of writing so many buckets (default 1) of the ready
scenario of that size, then from the truth of those buckets: shares of people without the job, at
work and working at home by week, by sector, and of everybody beside those whose phone reports.
Files go to a temporary folder and are removed.
"""

import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.simulation import CityParams, employment_scenario, suggest_n_buckets, write_city
from tests.benchmarks.bench_simulation import peak_mb

SHOWN = ("72", "71", "81", "44-45", "62", "61", "54")


def write_buckets(params: CityParams, folder: Path, n_written: int) -> None:
    """Write some buckets of the city and print what it took."""
    n_buckets = suggest_n_buckets(params)
    write_city(params.model_copy(update={"n_devices": 4, "n_days": 3}), folder / "warm", 0, 1)
    started, clock = time.process_time(), time.perf_counter()
    rows = sum(write_city(params, folder / "city", bucket, n_buckets)["rows"] for bucket in range(n_written))
    seconds = time.process_time() - started
    n_bytes = sum(path.stat().st_size for path in (folder / "city" / "raw").rglob("*.parquet"))
    print(
        f"{n_written} of {n_buckets} buckets: {rows:,} pings, {seconds:.1f} s of processor, "
        f"{time.perf_counter() - clock:.1f} s, {seconds / rows * 1e6:.2f} s per million pings, "
        f"{n_bytes / rows:.1f} bytes a ping, peak {peak_mb():.0f} MB"
    )


def print_weeks(params: CityParams, truth: Path) -> None:
    """Print shares by week of those who began the study with a job."""
    people = pd.read_parquet(truth / "people").set_index("device_id")
    spells, stays = pd.read_parquet(truth / "employment"), pd.read_parquet(truth / "stays")
    spells = spells[spells.device_id.isin(people.index[people.is_employed])].join(people.has_phone, on="device_id")
    work = stays[stays.purpose == "work"]
    work_day = (work.started_at.dt.tz_convert(params.zone).dt.tz_localize(None) - pd.Timestamp(params.start)).dt.days
    n_people = people.is_employed.sum()
    print("week of     no job  (with phone)  at work  remote  no job in", "  ".join(f"{s:>5}" for s in SHOWN))
    for day in range(0, params.n_days - 6, 14):
        today = params.start + timedelta(days=day)
        now = spells[(spells.started_on <= today) & (spells.finished_on >= today)]
        lost = now.status == "not_employed"
        at_work = work.device_id[(work_day >= day) & (work_day < day + 7)].nunique() / n_people
        sectors = "  ".join(f"{np.mean(lost[now.sector == naics]):5.3f}" for naics in SHOWN)
        print(
            f"{today}   {lost.mean():.3f}      {lost[now.has_phone].mean():.3f}    {at_work:.3f}   "
            f"{now.is_remote.mean():.3f}            {sectors}"
        )


if __name__ == "__main__":
    n_devices, n_days, n_written = (int(text) for text in [*sys.argv[1:4], *("10000", "273", "1")[len(sys.argv) - 1 :]])
    scenario = employment_scenario(n_devices, n_days)
    with tempfile.TemporaryDirectory() as name:
        write_buckets(scenario, Path(name), n_written)
        print_weeks(scenario, Path(name) / "city" / "truth")
