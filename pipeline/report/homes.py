"""Where devices live and work: how many have a home or a workplace, and how sure that is. Nothing of where."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from data_contracts import COVERAGE, HOME_WORK
from pipeline.engine.store import Store
from pipeline.report.groups import MIN_DEVICES, Bars, Tally, hide_small
from pipeline.report.missing import Missing, has_shards, not_computed
from pipeline.report.reading import buckets_of, read_bucket
from pipeline.study import Study
from pipeline.windows import window_starts

ROLES = {"home": "Home", "work": "Workplace"}
SPANS = {"baseline": "in the baseline", "moving": "in any week"}
COLUMNS = (
    "device_id",
    "span",
    "window_started",
    "window_finished",
    "role",
    "rank",
    "location_id",
    "confidence",
)
PLACES = ("none found", "one", "two", "three or more")
CONFIDENCE_EDGES = np.linspace(0, 1, 21)
WEEK = pd.Timedelta(days=7)


class Homes(NamedTuple):
    """What `home_work` says of a study."""

    n_devices: int
    """Devices with a ping."""
    n_places: pd.DataFrame
    """One row a role and span, ``label`` and the columns of `PLACES`: devices; missing where they may not be told."""
    weeks: pd.DataFrame
    """``started``, ``seen``, ``home``, ``work``: devices with a ping in the week, and of them those with the place."""
    confidence: dict[str, Bars | None]
    """Role → main places of the baseline by confidence, one a device."""
    baseline: tuple[str, str] | None
    """First and last local date of the baseline; None where no place was found in it."""


def measure_homes(store: Store, study: Study) -> Homes | Missing:
    """Return how many devices have a home and a workplace, over the study and week by week."""
    if not has_shards(store, HOME_WORK):
        return not_computed(HOME_WORK)
    tallies = {role: Tally(CONFIDENCE_EDGES) for role in ROLES}
    n_devices, per_device, weeks, baseline = 0, [], [], None
    for bucket in buckets_of(store, HOME_WORK, COVERAGE):
        found = read_bucket(store, HOME_WORK, bucket, COLUMNS)
        days = read_bucket(store, COVERAGE, bucket, ["device_id", "date"])
        n_devices += pd.concat([days["device_id"], found["device_id"]]).nunique()
        per_device.append(count_places(found))
        weeks.append(count_weeks(found, days, study))
        main = found[(found["span"] == "baseline") & (found["rank"] == 1)]
        for role, tally in tallies.items():
            of_role = main[main["role"] == role]
            tally.add(of_role["device_id"], of_role["confidence"].to_numpy(float))
        baseline = baseline or span_of(main)
    return Homes(
        n_devices,
        suppress_places(per_device, n_devices),
        suppress_weeks(weeks, study),
        {role: tally.bars() for role, tally in tallies.items()},
        baseline,
    )


def count_places(home_work: pd.DataFrame) -> pd.Series:
    """Return the number of devices by role, span and number of distinct places (1, 2, 3 and more)."""
    n_places = home_work.groupby(["role", "span", "device_id"])["location_id"].nunique().clip(upper=3)
    return n_places.groupby([n_places.index.get_level_values(name) for name in ("role", "span")] + [n_places]).size()


def suppress_places(parts: list[pd.Series], n_devices: int, min_devices: int = MIN_DEVICES) -> pd.DataFrame:
    """Return a row per role and span: devices by number of places, so that no small group follows from the others.

    How many have a place at all is told elsewhere too unless few have none, so groups of those are hidden among
    themselves.
    """
    counts = pd.concat(parts).groupby(level=[0, 1, 2]).sum() if parts else pd.Series(dtype=float)
    rows = []
    for role, title in ROLES.items():
        for span, words in SPANS.items():
            some = [float(counts.get((role, span, k), 0)) for k in (1, 2, 3)]
            none = n_devices - sum(some)
            is_joint = 0 < none < min_devices
            shown = hide_small([none, *some], min_devices) if is_joint else [none, *hide_small(some, min_devices)]
            rows.append({"label": f"{title}, {words}", **dict(zip(PLACES, shown, strict=True))})
    return pd.DataFrame(rows)


def count_weeks(home_work: pd.DataFrame, days: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return devices by week: ``seen`` with a ping, and ``home`` and ``work`` of those with such a place then."""
    seen = pd.DataFrame({"device_id": days["device_id"], "started": window_starts(days["date"], "week", study.start)})
    seen = seen.drop_duplicates()
    counts = {"seen": seen.groupby("started").size()}
    for role in ROLES:
        of_role = home_work[(home_work["span"] == "moving") & (home_work["role"] == role)]
        counts[role] = seen.merge(weeks_of(of_role, study)).groupby("started").size()
    return pd.DataFrame(counts).fillna(0.0)


def weeks_of(spans: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return every device and Monday, once, of the weeks that spans of days lie in."""
    first, last = (window_starts(spans[name], "week", study.start) for name in ("window_started", "window_finished"))
    n_weeks = ((last - first) // WEEK + 1).to_numpy(np.int64)
    row = np.repeat(np.arange(len(spans)), n_weeks)
    since = np.arange(row.size) - np.repeat(np.cumsum(n_weeks) - n_weeks, n_weeks)
    started = first.to_numpy()[row] + since * np.timedelta64(7, "D")
    return pd.DataFrame({"device_id": spans["device_id"].to_numpy()[row], "started": started}).drop_duplicates()


def suppress_weeks(parts: list[pd.DataFrame], study: Study, min_devices: int = MIN_DEVICES) -> pd.DataFrame:
    """Return every week of the study; missing where few have a ping, or few have the place or few have it not."""
    total = pd.concat(parts).groupby(level=0).sum() if parts else pd.DataFrame(columns=["seen", *ROLES], dtype=float)
    total = total.reindex(pd.DatetimeIndex(study_weeks(study)), fill_value=0.0).astype(float)
    shown = {"seen": total["seen"].where(total["seen"] >= min_devices)}
    for role in ROLES:
        has_not = total["seen"] - total[role]
        is_small = [part.between(1, min_devices - 1) for part in (total[role], has_not)]
        shown[role] = total[role].mask(is_small[0] | is_small[1] | shown["seen"].isna())
    return pd.DataFrame(shown).rename_axis("started").reset_index()


def study_weeks(study: Study) -> pd.Series:
    """Return the Monday of every week that holds a date of the study."""
    days = pd.Series(pd.date_range(study.start, study.end, unit="s"))
    return window_starts(days, "week", study.start).drop_duplicates(ignore_index=True)


def span_of(rows: pd.DataFrame) -> tuple[str, str] | None:
    """Return first and last date of the first of some rows; None where there is none."""
    if rows.empty:
        return None
    first, last = (rows[name].iloc[0].strftime("%Y-%m-%d") for name in ("window_started", "window_finished"))
    return first, last
