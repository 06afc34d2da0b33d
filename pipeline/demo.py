"""The demo: a simulated city as a study; the studies of employment, in a lockdown, and of policies, in an epidemic."""

from __future__ import annotations

import os
import shutil
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pipeline.references import Areas, Demographics, Jobs, Telework
from pipeline.simulation import (
    CityParams,
    Ground,
    employment_scenario,
    ground_of,
    npi_scenario,
    raw_dates,
    suggest_n_buckets,
    write_census,
    write_city,
    write_contacts,
    write_npi,
    write_pois,
    write_tracts,
)
from pipeline.sources.areas import read_areas
from pipeline.sources.demographics import read_demographics
from pipeline.sources.jobs import read_jobs
from pipeline.sources.telework import read_telework
from pipeline.study import Study

KEY = "the key of simulated people"
"""Hashes ids of the demo where SOJOURN_KEY is not set (ours): no secret, for these people do not exist."""

HEAD = """# {title} `sojourn run {path} --root {root}` brings its tables up to date.
name = "{name}"
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
"""

TRACTS = """
[tracts]
path = "city/tracts.geojson"
id_column = "tract_geoid"
population_column = "population"
"""

CENSUS = """
[jobs]
path = "city/jobs.csv"

[demographics]
path = "city/demographics.csv"
preset = "lodes_rac"
area_digits = 11

[telework]
path = "city/telework.csv"
"""

PARAMS = """
[params.pings]
max_accuracy_m = 500   # some phones report kilometres

[params.stays]
preset = "app"         # phones sampled by applications: bursts, long silences, positions that scatter

[params.locations]
eps_m = 100
"""

POIS = """
[pois]
path = "city/pois.csv"
id_column = "poi_id"
category_column = "category"
lon_column = "lon"
lat_column = "lat"
usual_dwell_column = "usual_dwell_min"
weight_column = "weight"
"""

NPI = """
[demographics]
path = "city/demographics.csv"
preset = "lodes_rac"
area_digits = 11

[npi_policies]
path = "city/policies.csv"

[npi_orders]
path = "city/orders.csv"

[epidemic]
path = "city/epidemic.csv"
"""

BASELINE = """
[params.{stage}]
baseline_start = {start}
baseline_end = {end}   # before the {event}
"""

LOCKDOWN = """
[params.sector_absence]
telework_uptake = 0.0  # outside these dates nobody works at home all week
telework_spans = [
    {{ start = {start}, end = {end}, uptake = {uptake} }},
    {{ start = {after}, end = {until}, uptake = {lingering:.2f} }},  # some go on working at home
]
"""

LINGERING_MEANS = 2
"""So many times the mean of how long telework goes on after a lockdown is how long the study expects it."""
LINGERING_SHARE = 0.43
"""Mean over those days of an exponential decay that is 1 at their start: (1 - exp(-2)) / 2."""


def make_demo_study(folder: Path, n_devices: int, n_days: int) -> Study:
    """Simulate a city under `folder` (raw files, areas, venues, truth) and return its study."""
    params = CityParams(n_devices=n_devices, n_days=n_days)
    _write_city(params, folder / "city", None)
    write_tracts(params, folder / "city")
    write_pois(params, folder / "city")
    return _write_study(folder, "demo-city", "The demo city.", params, TRACTS + POIS + PARAMS)


def make_employment_study(
    folder: Path,
    n_devices: int = 10_000,
    n_days: int = 273,
    census: str | None = None,
    affluent: tuple[str, str] | None = None,
    **changes: Any,
) -> Study:
    """Simulate a city where jobs are lost under `folder` (raw files, census, truth) and return its study.

    The city is that of ``employment_scenario``, with `changes` to its parameters. `census` is text of a study file
    with the sections [tracts], [jobs] and perhaps [demographics] and [telework], paths absolute: the
    city is then built on those areas, and the sections become the study's. `affluent` (axis, group)
    orders the areas by the share of a group of the demographics, see ``ground_of``.
    """
    ground = None
    if census is None:
        params = employment_scenario(n_devices, n_days, **changes)
    else:
        ground, shares = _read_census(tomllib.loads(census), folder, affluent)
        params = employment_scenario(n_devices, n_days, **changes)
        if params.employment and shares:
            employment = params.employment.model_copy(update={"telework_shares": shares})
            params = params.model_copy(update={"employment": employment})
    _write_city(params, folder / "city", ground)
    if ground is None:
        write_tracts(params, folder / "city")
        write_census(params, folder / "city")
    sections = f"\n{census}\n" if census else TRACTS + CENSUS
    return _write_study(folder, "employment", "Jobs lost and found.", params, sections + PARAMS + _lockdown(params))


def make_npi_study(folder: Path, n_devices: int = 2_000, n_days: int = 120, **changes: Any) -> Study:
    """Simulate a city in an epidemic under `folder` (raw files, policies, epidemic, truth) and return its study.

    The city is that of ``npi_scenario``, with `changes` to its parameters. What comes before the first order is the
    baseline.
    """
    params = npi_scenario(n_devices, n_days, **changes)
    _write_city(params, folder / "city", None)
    write_contacts(params, folder / "city")
    write_tracts(params, folder / "city")
    write_census(params, folder / "city")
    write_npi(params, folder / "city")
    baselines = (
        ""
        if params.policies is None
        else "".join(
            _baseline(params, stage, params.policies.first, "first order") for stage in ("home_work", "region_changes")
        )
    )
    sections = TRACTS + NPI + POIS + PARAMS + baselines
    return _write_study(folder, "npi", "Policies, an epidemic, and who answers how.", params, sections)


def _read_census(
    sections: dict[str, Any], folder: Path, affluent: tuple[str, str] | None
) -> tuple[Ground, dict[str, float]]:
    """Return the ground that the sections of a study declare, and the share of telework of each sector."""
    demographics, shares = None, {}
    if affluent and "demographics" in sections:
        demographics = read_demographics(Demographics(**sections["demographics"]), folder)
    if "telework" in sections:
        table = read_telework(Telework(**sections["telework"]), folder)
        shares = dict(zip(table["sector"].to_pylist(), table["telework_share"].to_pylist(), strict=True))
    tracts = read_areas(Areas(**sections["tracts"]), folder)
    jobs = read_jobs(Jobs(**sections["jobs"]), folder)
    return ground_of(tracts, jobs, demographics, affluent), shares


def _write_city(params: CityParams, city: Path, ground: Ground | None) -> None:
    """Write raw files and truth, several buckets at once."""
    shutil.rmtree(city, ignore_errors=True)  # an older, larger city would leave files among these
    n_buckets = suggest_n_buckets(params)

    def write(bucket: int) -> dict[str, int]:
        return write_city(params, city, bucket, n_buckets, ground)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(n_buckets)))


def _lockdown(params: CityParams) -> str:
    """Return what the study knows of the lockdown; nothing where there is none."""
    if params.lockdown is None:
        return ""
    lockdown = params.lockdown
    days = timedelta(days=max(1, round(LINGERING_MEANS * lockdown.lingering_days)))
    spans = LOCKDOWN.format(
        start=lockdown.start, end=lockdown.end, uptake=lockdown.telework_uptake,
        after=lockdown.end + timedelta(days=1), until=lockdown.end + days,
        lingering=lockdown.telework_uptake * LINGERING_SHARE,
    )  # fmt: skip
    return _baseline(params, "home_work", lockdown.start, "lockdown") + spans


def _baseline(params: CityParams, stage: str, until: date, event: str) -> str:
    """Return the dates before `until` as the baseline of a stage; nothing where there are none."""
    last = params.start + timedelta(days=params.n_days - 1)  # a short study ends before anything happens
    eve = min(until - timedelta(days=1), last)
    return BASELINE.format(stage=stage, start=params.start, end=eve, event=event) if eve > params.start else ""


def _write_study(folder: Path, name: str, title: str, params: CityParams, sections: str) -> Study:
    """Return the study written to ``study.toml``."""
    days, path = raw_dates(params), folder / "study.toml"
    head = HEAD.format(
        title=title, path=path, root=folder / "tables", name=name, start=days[0], end=days[-1], zone=params.zone
    )  # fmt: skip
    path.write_text(head + sections)
    return Study.from_toml(path)
