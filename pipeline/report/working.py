"""Who still works: devices by status week by week, and what is expected of each industry."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from data_contracts import EMPLOYMENT, SECTOR_ABSENCE
from pipeline.engine.store import Store
from pipeline.report.groups import MIN_DEVICES
from pipeline.report.missing import Missing, has_shards, not_computed
from pipeline.report.reading import bucket_frames, read_whole
from pipeline.study import Study

STATUSES = {"employed": "At work", "remote": "Working away", "not_employed": "Job lost"}
"""Status that is known → how it is told."""
SECTOR_NAMES = {
    "11": "Agriculture", "21": "Mining", "22": "Utilities", "23": "Construction", "31-33": "Manufacturing",
    "42": "Wholesale", "44-45": "Retail", "48-49": "Transport", "51": "Information", "52": "Finance",
    "53": "Real estate", "54": "Professional services", "55": "Management of companies",
    "56": "Administrative services", "61": "Education", "62": "Health care", "71": "Arts and recreation",
    "72": "Hotels and restaurants", "81": "Other services", "92": "Public administration",
    "unknown": "(area without jobs on file)",
}  # fmt: skip
"""NAICS → its title, shortened."""
LEAST_OF_FULLEST = 0.5
"""A peak is looked for among weeks with at least this share of the observed devices of the fullest (ours)."""


class Working(NamedTuple):
    """What `employment` says of those with a baseline workplace."""

    n_devices: int
    """Devices with a baseline workplace."""
    weeks: pd.DataFrame
    """``started``, ``n_known`` devices whose status is known, and their shares by status; missing where few."""


class SectorWeek(NamedTuple):
    """What `sector_absence` says of one week."""

    name: str
    monday: pd.Timestamp
    rows: pd.DataFrame
    """``label``, ``weight`` devices expected to work there, ``absent`` (r), ``telework`` (R), ``loss`` (P)."""
    n_hidden: int
    """Industries left out: fewer expected devices than the smallest group."""


def measure_working(store: Store) -> Working | Missing:
    """Return shares of devices by status, week by week."""
    if not has_shards(store, EMPLOYMENT):
        return not_computed(EMPLOYMENT)
    n_devices, parts = 0, []
    for frame in bucket_frames(store, EMPLOYMENT, ["device_id", "window_started", "status"]):
        n_devices += frame["device_id"].nunique()
        parts.append(count_statuses(frame))
    if not n_devices:
        return Missing("no device has a baseline workplace.")
    return Working(n_devices, share_statuses(parts))


def count_statuses(employment: pd.DataFrame) -> pd.DataFrame:
    """Return the number of devices by week (rows) and known status (columns)."""
    counts = employment.groupby(["window_started", "status"]).size().unstack("status", fill_value=0)
    return counts.reindex(columns=list(STATUSES), fill_value=0)


def share_statuses(parts: list[pd.DataFrame], min_devices: int = MIN_DEVICES) -> pd.DataFrame:
    """Return devices with a known status by week and the share of each; missing below the smallest group.

    A status that 1 to `min_devices` - 1 devices have in a week is missing there; one that nobody has is 0.
    """
    counts = pd.concat(parts).groupby(level=0).sum().astype(float)
    n_known = counts.sum(axis=1)
    is_told = (counts == 0) | (counts >= min_devices)
    shares = counts.div(n_known.where(n_known >= min_devices), axis=0).where(is_told)
    weeks = shares.assign(n_known=n_known.where(n_known >= min_devices))
    return weeks.rename_axis(index="started", columns=None).reset_index()


def measure_sectors(store: Store, study: Study) -> list[SectorWeek] | Missing:
    """Return absence, telework and the probability of job loss by industry, in the peak week and the last."""
    if study.jobs is None:
        return Missing("no [jobs] in the study, so the industry of nobody is known.")
    table = read_whole(store, SECTOR_ABSENCE)
    if table is None:
        return not_computed(SECTOR_ABSENCE)
    sums = join_waves(table)
    weeks = choose_weeks(sums)
    if not weeks:
        return Missing(f"in no week are {MIN_DEVICES} devices with a workplace observed.")
    return [tabulate_sectors(sums, *week) for week in weeks]


def join_waves(sector_absence: pd.DataFrame) -> pd.DataFrame:
    """Return one row a week and industry: r and R added over waves, and P averaged over those at risk.

    Columns window_started, sector, weight, absent, telework, loss; loss is 0 where nobody is at risk.
    """
    lost = sector_absence["at_risk_share"] * sector_absence["loss_probability"]
    grouped = sector_absence.assign(lost=lost).groupby(["window_started", "sector"])
    sums = grouped[["at_risk_share", "telework_share", "lost"]].sum()
    loss = (sums["lost"] / sums["at_risk_share"]).where(sums["at_risk_share"] > 0, 0.0)
    found = {"absent": sums["at_risk_share"], "telework": sums["telework_share"], "loss": loss}
    return pd.DataFrame({"weight": grouped["weight"].first(), **found}).reset_index()


def choose_weeks(sums: pd.DataFrame, min_devices: int = MIN_DEVICES) -> list[tuple[str, pd.Timestamp]]:
    """Return the week in which most of all devices are absent, and the last; only one where they are the same."""
    by_week = (
        sums.assign(at_risk=sums["weight"] * sums["absent"]).groupby("window_started")[["weight", "at_risk"]].sum()
    )
    by_week = by_week[by_week["weight"] >= min_devices]
    if by_week.empty:
        return []
    full = by_week[by_week["weight"] >= LEAST_OF_FULLEST * by_week["weight"].max()]
    peak, last = (full["at_risk"] / full["weight"]).idxmax(), full.index.max()
    return [("Last week", last)] if peak == last else [("Peak week", peak), ("Last week", last)]


def tabulate_sectors(sums: pd.DataFrame, name: str, monday: pd.Timestamp, min_devices: int = MIN_DEVICES) -> SectorWeek:
    """Return the industries in which at least `min_devices` devices are expected to work in a week.

    Expected, not devices that might work there: an industry can have many of the latter, and its figures be those of
    one of them.
    """
    of_week = sums[sums["window_started"] == monday].sort_values("sector")
    rows = of_week[of_week["weight"] >= min_devices].reset_index(drop=True)
    label = rows["sector"].map(lambda code: f"{code} {SECTOR_NAMES[code]}" if code in SECTOR_NAMES else code)
    columns = ["label", "weight", "absent", "telework", "loss"]
    return SectorWeek(name, monday, rows.assign(label=label)[columns], len(of_week) - len(rows))


def join_weeks(weeks: list[SectorWeek]) -> list[tuple[str, list[dict[str, float] | None]]]:
    """Return each industry that is shown in a week: its label, and for every week its figures, None where hidden."""
    labels = sorted({label for week in weeks for label in week.rows["label"]})
    of_week = [week.rows.set_index("label").to_dict("index") for week in weeks]
    return [(label, [rows.get(label) for rows in of_week]) for label in labels]
