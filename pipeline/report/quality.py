"""How well devices were observed: small frames from `coverage`, so that pings are never read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from data_contracts import COVERAGE
from pipeline.engine.store import Store
from pipeline.report.groups import MIN_DEVICES, Bars, Tally, log_edges, quantiles
from pipeline.report.reading import bucket_frames
from pipeline.study import Study
from pipeline.windows import WindowKind, window_starts

PING_EDGES = log_edges(1, 1e6, per_decade=5)
HOUR_EDGES = np.arange(1, 26, dtype=float)
GAP_EDGES = (1, 2, 4, 8, 15, 31)
GAP_LABELS = ("1 day", "2 to 3 days", "4 to 7 days", "8 to 14 days", "15 to 30 days", "more than 30 days")
MAX_DAYS_BY_DAY, MAX_DAYS_BY_WEEK = 100, 800


class Quality(NamedTuple):
    """What `coverage` says of a study."""

    n_devices: int
    n_device_days: int
    pings: Bars | None
    """Device-days by pings."""
    hours: Bars | None
    """Device-days by observed hours; 24 and more are one bin."""
    periods: pd.DataFrame
    """``started``, ``n_devices``: every day, week or month of the study; missing where few or none."""
    period_kind: WindowKind
    gaps: pd.DataFrame
    """``gap``, ``n_gaps``: runs of local days without a ping, missing where too few devices."""
    weekday_days: pd.Series
    """Device-days of each weekday, 0 Monday to 6 Sunday."""
    day_share: list[float | None]
    """Quartiles over devices of the share of days with a ping between first and last."""
    mean_hours: list[float | None]
    """Quartiles over devices of the mean of observed hours on days with a ping."""


def measure_quality(store: Store, study: Study) -> Quality:
    """Return how well devices were observed; the frames are empty where there is no coverage."""
    kind = period_kind(study.n_dates)
    pings, hours = Tally(PING_EDGES), Tally(HOUR_EDGES)
    periods, gaps, devices = [], [], []
    weekdays = pd.Series(0, index=range(7))
    for days in bucket_frames(store, COVERAGE, COVERAGE.names):
        days = days.sort_values(["device_id", "date"], ignore_index=True)
        pings.add(days["device_id"], days["n_pings"].to_numpy(float))
        hours.add(days["device_id"], days["hours_observed"].to_numpy(float))
        periods.append(count_devices_by_period(days, kind, study))
        gaps.append(find_gaps(days))
        devices.append(describe_devices(days))
        weekdays = weekdays.add(days["date"].dt.day_of_week.value_counts(), fill_value=0)
    per_device = pd.concat(devices) if devices else pd.DataFrame({"n_days": [], "day_share": [], "hours": []})
    quartiles = (0.25, 0.5, 0.75)
    return Quality(
        n_devices=len(per_device),
        n_device_days=int(per_device["n_days"].sum()),
        pings=pings.bars(),
        hours=hours.bars(),
        periods=join_periods(periods, kind, study),
        period_kind=kind,
        gaps=count_gaps(gaps),
        weekday_days=weekdays,
        day_share=quantiles(per_device["day_share"].to_numpy(float), quartiles),
        mean_hours=quantiles(per_device["hours"].to_numpy(float), quartiles),
    )


def period_kind(n_dates: int) -> WindowKind:
    """Return the kind of window in which a span of that many dates is drawn (ours)."""
    if n_dates <= MAX_DAYS_BY_DAY:
        return "day"
    return "week" if n_dates <= MAX_DAYS_BY_WEEK else "month"


def count_devices_by_period(days: pd.DataFrame, kind: WindowKind, study: Study) -> pd.Series:
    """Return the number of devices with a ping in each window that has any."""
    started = window_starts(days["date"], kind, study.start)
    pairs = pd.DataFrame({"device_id": days["device_id"], "started": started}).drop_duplicates()
    return pairs.groupby("started").size()


def join_periods(parts: list[pd.Series], kind: WindowKind, study: Study) -> pd.DataFrame:
    """Return every window of the study with its devices; missing below the smallest group, and where none."""
    counts = pd.concat(parts).groupby(level=0).sum() if parts else pd.Series(dtype=float)
    days = pd.Series(pd.date_range(study.start, study.end, unit="s"))
    started = window_starts(days, kind, study.start).drop_duplicates(ignore_index=True)
    n_devices = counts.reindex(pd.DatetimeIndex(started)).to_numpy(float)
    return pd.DataFrame({"started": started, "n_devices": np.where(n_devices >= MIN_DEVICES, n_devices, np.nan)})


def find_gaps(days: pd.DataFrame) -> pd.DataFrame:
    """Return device and length in days of every run of local days without a ping between two with one.

    `days` is coverage ordered by device and date.
    """
    step = days["date"].diff().dt.days
    is_gap = (step > 1) & (days["device_id"] == days["device_id"].shift())
    return pd.DataFrame({"device_id": days["device_id"][is_gap], "n_days": step[is_gap] - 1})


def count_gaps(parts: list[pd.DataFrame], min_devices: int = MIN_DEVICES) -> pd.DataFrame:
    """Return gaps per class of length; missing where 1 to `min_devices` - 1 devices have one."""
    gaps = pd.concat(parts) if parts else pd.DataFrame({"device_id": [], "n_days": []})
    label = np.searchsorted(GAP_EDGES, gaps["n_days"].to_numpy(), side="right") - 1
    grouped = gaps["device_id"].groupby(label)
    counts = pd.DataFrame({"n_gaps": grouped.size(), "n_devices": grouped.nunique()}, dtype=float)
    counts = counts.reindex(range(len(GAP_LABELS)), fill_value=0.0)
    is_small = counts["n_devices"].between(1, min_devices - 1)
    return pd.DataFrame({"gap": GAP_LABELS, "n_gaps": counts["n_gaps"].mask(is_small)})


def describe_devices(days: pd.DataFrame) -> pd.DataFrame:
    """Return per device: days with a ping, their share of those from first to last, mean observed hours."""
    grouped = days.groupby("device_id")
    n_days, dates = grouped.size(), grouped["date"]
    span = (dates.max() - dates.min()).dt.days + 1
    return pd.DataFrame(
        {"n_days": n_days, "day_share": n_days / span, "hours": grouped["hours_observed"].mean()}
    ).reset_index(drop=True)
