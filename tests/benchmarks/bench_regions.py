"""Rates of job loss by region beside the truth of everybody who lives there, phone or not.

``python -m tests.benchmarks.bench_regions --city .bench/employment-dc-10000-273-0 [--digits 8]`` reads a city that
`bench_employment` has run, makes `unemployment` for regions of so many digits of the tracts' ids, and compares its
months with the true share without work among those who worked in the baseline: mean error (bias), mean absolute
error, and Pearson correlation over region-months and over the whole city's months, by weighting.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.catalog import load
from pipeline.engine.run import open_run
from pipeline.settings import Settings
from pipeline.study import Study
from tests.benchmarks.bench_employment import KEY

BASELINE_END = pd.Timestamp("2020-03-15")


def true_rates(city: Path, digits: int) -> pd.DataFrame:
    """Return the true share without work by region and month, of those who worked at the end of the baseline."""
    people, spells = (pd.read_parquet(city / "truth" / name) for name in ("people", "employment"))
    spells = spells.assign(**{name: pd.to_datetime(spells[name]) for name in ("started_on", "finished_on")})
    holds = (spells["started_on"] <= BASELINE_END) & (spells["finished_on"] >= BASELINE_END)
    workers = spells.loc[holds & (spells["status"] == "employed"), "device_id"]
    region = people.set_index("device_id")["home_tract_geoid"].astype(str)
    mine = spells[spells["device_id"].isin(workers)]
    rows = []
    for monday in pd.date_range("2020-01-06", spells["finished_on"].max(), freq="W-MON"):
        is_out = (mine["started_on"] <= monday) & (mine["finished_on"] >= monday) & (mine["status"] != "employed")
        out = workers.isin(mine.loc[is_out, "device_id"])
        rows.append(pd.DataFrame({"tract": workers.map(region), "monday": monday, "is_out": out}))
    weeks = pd.concat(rows)
    weeks["window_started"] = weeks["monday"].dt.to_period("M").dt.to_timestamp()
    by_region = weeks.assign(region_geoid=weeks["tract"].str[:digits])
    both = pd.concat([by_region, by_region.assign(region_geoid="all")])
    return both.groupby(["region_geoid", "window_started"])["is_out"].agg(true_rate="mean", n_rows="size").reset_index()


def found_rates(city: Path, root: Path, digits: int) -> pd.DataFrame:
    """Return the months of `unemployment` for regions of so many digits."""
    study = Study.from_toml(city / "study.toml", {"params": {"unemployment": {"region_digits": [digits]}}})
    with open_run(study, Settings(root=root, n_buckets=8), "bench") as run:
        for name in ("sector_absence", "employment", "panel_weights", "unemployment"):  # a benchmark left other rules
            run.execute(name)
    rates = load("unemployment", root=root)
    return rates[rates["window"] == "month"].assign(window_started=lambda t: pd.to_datetime(t["window_started"]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--city", type=Path, required=True)
    parser.add_argument("--digits", type=int, default=8)
    asked = parser.parse_args()
    os.environ["SOJOURN_KEY"] = KEY
    true = true_rates(asked.city / "city", asked.digits)
    pairs = found_rates(asked.city, asked.city / "tables", asked.digits).merge(
        true, on=["region_geoid", "window_started"]
    )
    rows = []
    for (weighting, is_all), group in pairs.groupby(["weighting", pairs["region_geoid"] == "all"]):
        error = group["rate"] - group["true_rate"]
        holds = (group["rate_low"] <= group["true_rate"]) & (group["true_rate"] <= group["rate_high"])
        rows.append(
            {
                "weighting": weighting,
                "regions": "all" if is_all else group["region_geoid"].nunique(),
                "region-months": len(group),
                "bias, pp": 100 * error.mean(),
                "mean error, pp": 100 * error.abs().mean(),
                "Pearson": np.corrcoef(group["rate"], group["true_rate"])[0, 1],
                "Spearman": group["rate"].corr(group["true_rate"], method="spearman"),
                "interval holds": holds.mean(),
            }
        )
    print(pd.DataFrame(rows).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
