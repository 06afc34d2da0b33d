"""Frames of people at work made by hand, as the stages of employment receive them."""

import numpy as np
import pandas as pd

from data_contracts import TABLES
from pipeline.stages.presence import PresenceParams, presence
from pipeline.study import Study
from tests.stay_rows import as_times, empty, through_contract

MONDAY = np.datetime64("2020-01-06")
DAY_S, HOUR_S = 86_400, 3_600
HOME, WORK, OTHER, NEXT_DOOR = 0, 1, 2, 3
PLACES = {HOME: 0.0, WORK: 0.05, OTHER: 0.1, NEXT_DOOR: 0.051}
"""Location → degrees of longitude east of the home, at the equator; next door is 111 m from work."""
N_BASELINE_WEEKS = 4


def make_study(n_weeks, start=MONDAY):
    end = start + np.timedelta64(7 * n_weeks - 1, "D")
    return Study.from_dict({"name": "x", "start": str(start), "end": str(end), "zone": "UTC", "sources": []})


def make_visits(rows, device_id=1, utc_offset_s=0):
    """Visits from (day since MONDAY, local start hour, hours, location)."""
    day, hour, hours, place = (np.array(column, float) for column in zip(*sorted(rows), strict=True))
    local_s = (MONDAY.astype("datetime64[s]").astype(np.int64)) + day * DAY_S + hour * HOUR_S
    n = day.size
    frame = pd.DataFrame({name: np.zeros(n) for name in TABLES["visits"].names})
    return frame.assign(
        device_id=np.full(n, device_id),
        started_at=as_times(local_s - utc_offset_s),
        finished_at=as_times(local_s - utc_offset_s + hours * HOUR_S),
        date=(local_s // DAY_S).astype("datetime64[D]").astype("datetime64[ms]"),
        utc_offset_s=np.full(n, utc_offset_s, np.int32),
        location_id=place.astype(np.int32),
        lon=[PLACES[int(p)] for p in place],
        lat=0.0,
    )


def make_coverage(days, device_id=1, hours=10):
    """Coverage of local days counted from MONDAY."""
    dates = MONDAY + np.array(sorted(days), "timedelta64[D]")
    return pd.DataFrame(
        {
            "device_id": np.full(len(days), device_id),
            "date": dates.astype("datetime64[ms]"),
            "n_pings": np.full(len(days), 50),
            "hours_observed": np.full(len(days), hours, np.int8),
        }
    )


def home_work_row(role, location_id, span="baseline", first_week=0, n_weeks=N_BASELINE_WEEKS, **columns):
    """One row of HOME_WORK; weeks are counted from MONDAY."""
    first = MONDAY + np.timedelta64(7 * first_week, "D")
    return {
        "device_id": 1,
        "span": span,
        "window_started": pd.Timestamp(first),
        "window_finished": pd.Timestamp(first + np.timedelta64(7 * n_weeks - 1, "D")),
        "role": role,
        "rank": 1,
        "location_id": location_id,
        "tract_geoid": f"tract of {role}",
        "n_days": 10,
        "share": 0.5,
        "confidence": 0.9,
        **columns,
    }


def make_home_work(*rows):
    """HOME_WORK of the device's baseline home and workplace, and of more rows."""
    base = [home_work_row("home", HOME), home_work_row("work", WORK)]
    return through_contract(pd.DataFrame([*base, *rows]), "home_work")


def week_of(week, place=WORK, days=range(5), hour=9.0, hours=8.0):
    """Visits to a place on some days of one week."""
    return [(7 * week + day, hour, hours, place) for day in days]


def presence_of(rows, n_weeks, coverage=None, home_work=None, params=None, utc_offset_s=0):
    """The presence of one device whose visits are `rows`, through its contract; by default every day is observed."""
    visits = make_visits(rows, utc_offset_s=utc_offset_s)
    coverage = make_coverage(range(7 * n_weeks)) if coverage is None else coverage
    home_work = make_home_work() if home_work is None else home_work
    found = presence(visits, coverage, home_work, make_study(n_weeks), PresenceParams(**(params or {})))
    return through_contract(found, "presence")


def presence_rows(rows):
    """PRESENCE from (device, week, work tract or None, is_observed, is_at_risk, is_undecided)."""
    frame = pd.DataFrame(rows, columns=["device_id", "week", "tract", "is_observed", "is_at_risk", "is_undecided"])
    frame = frame.sort_values(["device_id", "week"], ignore_index=True)
    monday = pd.Series(MONDAY + 7 * frame["week"].to_numpy() * np.timedelta64(1, "D"))
    since = monday.where(frame["is_at_risk"])
    found = pd.DataFrame(
        {
            "device_id": frame["device_id"],
            "window_started": monday,
            "home_tract_geoid": pd.Series([None] * len(frame), dtype="str"),
            "work_location_id": 1,
            "work_tract_geoid": frame["tract"].astype("str").where(frame["tract"].notna()),
            "n_observed_days": np.where(frame["is_observed"], 7, 0),
            "is_observed": frame["is_observed"],
            "n_work_visits": 0,
            "work_dwell_s": 0.0,
            "expected_visits": 5.0,
            "visit_ratio": np.where(frame["is_observed"], 0.0, np.nan),
            "hours_ratio": np.where(frame["is_observed"], 0.0, np.nan),
            "is_absent": frame["is_at_risk"],
            "has_new_work": False,
            "is_at_risk": frame["is_at_risk"],
            "is_undecided": frame["is_undecided"],
            "absent_since_on": since,
            "known_on": since + pd.Timedelta(days=21),
        }
    )
    return through_contract(found.astype({"work_location_id": "int32"}), "presence")


def make_jobs(rows):
    """JOBS from (tract, sector, jobs)."""
    return (
        through_contract(pd.DataFrame(rows, columns=["tract_geoid", "sector", "n_jobs"]), "jobs")
        if rows
        else empty("jobs")
    )


def make_telework(shares):
    """TELEWORK from sector → share."""
    rows = sorted(shares.items())
    return (
        through_contract(pd.DataFrame(rows, columns=["sector", "telework_share"]), "telework")
        if rows
        else empty("telework")
    )
