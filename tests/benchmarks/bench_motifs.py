"""Motifs of days beside the truth: of how many simulated days is the network of places the true one.

``python -m tests.benchmarks.bench_motifs [--devices 60] [--days 4]`` prints, by hours observed, the share of days with
the true motif, places found and true, for the presets `default` and `app` of the stays.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.engine.run import open_run
from pipeline.settings import KEY_VARIABLE, Settings
from pipeline.simulation import CityParams, raw_dates, write_city, write_tracts
from pipeline.sources.hashing import hash_id
from pipeline.study import Study
from tests.conftest import COLUMNS, KEY, all_rows
from tests.naive_rhythm import naive_days, naive_motif

STAGES = ("tracts", "pois", "pings", "coverage", "stays", "locations", "visits", "daily_motifs")
HOURS = [7, 12, 16, 20, 24]
"""Bounds of the hours observed by which days are told apart."""


def study_of(folder: Path, city: CityParams, preset: str) -> Study:
    """Return the study over the city in a folder, whose areas are written there."""
    days = raw_dates(city)
    tracts = {"path": str(folder / "tracts.geojson"), "id_column": "tract_geoid", "population_column": "population"}
    source = {"path": str(folder / "raw"), "format": "parquet", "time_unit": "s", "columns": COLUMNS}
    params = {"pings": {"max_accuracy_m": 500.0}, "stays": {"preset": preset}}
    fields = {"start": days[0], "end": days[-1], "zone": city.zone, "sources": [source], "tracts": tracts}
    return Study.from_dict({"name": "motifs", "params": params, **fields})


def true_motifs(folder: Path, zone: str) -> dict:
    """Return (nodes, edges, motif, is closed) of each (device, local date) of the truth."""
    stays = pd.read_parquet(folder / "truth" / "stays")
    started, finished = (stays[name].dt.tz_convert(zone).dt.tz_localize(None) for name in ("started_at", "finished_at"))
    device = stays["device_id"].map(
        {text: hash_id(text.encode(), KEY.encode()) for text in stays["device_id"].unique()}
    )
    visits = [
        {"device": owner, "start": start.to_pydatetime(), "finish": finish.to_pydatetime(), "location": place}
        for owner, start, finish, place in zip(device, started, finished, stays["place_id"], strict=True)
    ]
    return {key: naive_motif(places, 6) for key, places in naive_days(visits).items()}


def show(root: Path, study: Study, truth: dict) -> None:
    """Compute the motifs and print how many are true."""
    with open_run(study, Settings(root=root, n_buckets=1, n_threads=1), "bench") as run:
        for name in run.stages:
            if name in STAGES:
                run.execute(name)
    coverage = all_rows(root, "coverage").to_pandas()
    days = all_rows(root, "daily_motifs").to_pandas().merge(coverage, on=["device_id", "date"])
    true = [truth[key] for key in zip(days["device_id"], days["date"], strict=True)]
    days = days.assign(
        is_true=[motif == found for (_, _, motif, _), found in zip(true, days["motif"], strict=True)],
        true_nodes=[nodes for nodes, *_ in true],
    )
    for name, rows in [("all", days), *days.groupby(pd.cut(days["hours_observed"], HOURS), observed=True)]:
        means = np.round(rows[["is_true", "n_nodes", "true_nodes"]].mean().to_numpy(float), 2)
        print(f"  hours {name!s:>9}: {len(rows):5} days, true motif {means[0]}, places {means[1]} of {means[2]}")


def main() -> None:
    """Simulate a city and show what its days look like from its pings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=60)
    parser.add_argument("--days", type=int, default=4)
    asked = parser.parse_args()
    os.environ[KEY_VARIABLE] = KEY
    city = CityParams(n_devices=asked.devices, n_days=asked.days, pings_per_day=250.0, faults=0.02)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_city(city, folder, 0, 1)
        write_tracts(city, folder)
        truth = true_motifs(folder, city.zone)
        for preset in ("default", "app"):
            print(f"stays of preset {preset}")
            show(folder / preset, study_of(folder, city, preset), truth)


if __name__ == "__main__":
    main()
