"""The demo: a simulated city as a study."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.simulation import CityParams, raw_dates, suggest_n_buckets, write_city, write_tracts
from pipeline.study import Study

STUDY = """# The demo city. `sojourn run {path} --root {root}` brings its tables up to date.
name = "demo-city"
start = {start}
end = {end}
zone = "{zone}"

[[sources]]
path = "city/raw"
format = "parquet"
time_unit = "s"

[sources.columns]
device_id = "device_id"
tracked_at = "timestamp"
lon = "longitude"
lat = "latitude"
accuracy_m = "horizontal_accuracy"
utc_offset_s = "tz_offset_s"

[tracts]
path = "city/{tracts}"
id_column = "tract_geoid"
population_column = "population"

[params.pings]
max_accuracy_m = 500   # some phones report kilometres

[params.stays]
preset = "app"         # phones sampled by applications: bursts, long silences, positions that scatter

[params.locations]
eps_m = 100
"""


def make_demo_study(folder: Path, n_devices: int, n_days: int) -> Study:
    """Simulate a city under `folder` (raw files, tracts, truth) and return the study written for it."""
    params = CityParams(n_devices=n_devices, n_days=n_days)
    city = folder / "city"
    shutil.rmtree(city, ignore_errors=True)  # an older, larger city would leave files among these
    n_buckets = suggest_n_buckets(params)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda bucket: write_city(params, city, bucket, n_buckets), range(n_buckets)))
    tracts = write_tracts(params, city)
    days = raw_dates(params)
    path = folder / "study.toml"
    text = STUDY.format(
        path=path, root=folder / "tables", start=days[0], end=days[-1], zone=params.zone, tracts=tracts.name
    )
    path.write_text(text)
    return Study.from_toml(path)
