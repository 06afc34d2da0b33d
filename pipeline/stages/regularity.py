"""`regularity`: how often a device is where it usually is at that hour of the week, and how much it is at home."""

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import HOME_WORK, REGULARITY, VISITS
from pipeline.homes import baseline_homes
from pipeline.kernels.local_hours import HourPieces, cut_at_hours, places_of_hours
from pipeline.kernels.weekdays import EPOCH_WEEKDAY, WEEK_DAYS
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.visit_days import SECOND_US
from pipeline.windows import WindowKind, WindowParams, in_windows, to_dates

DAY_HOURS = 24
WINDOW = ["device_id", "window_started"]
HOUR = [*WINDOW, "hour_of_week"]
NO_PLACE = -1
"""Location of the home of a device that has none."""


class RegularityParams(WindowParams):
    """Which hours of the week are told."""

    windows: tuple[WindowKind, ...] = Field(default=("study", "month"), min_length=1)
    """Kinds of window. A local hour belongs to the window of its own date: visits are cut. A week sees no hour of the
    week twice, so it has a home_share and no regularity (ours)."""
    min_weeks: int = Field(default=2, ge=1)
    """Weeks of the window in which an hour of the week must be observed to count (ours): of one week the most usual
    location is the only one."""


@stage(reads=(VISITS, HOME_WORK), writes=REGULARITY, params=RegularityParams, needs=("study",))
def regularity(visits: pd.DataFrame, home_work: pd.DataFrame, study: Study, params: RegularityParams) -> pd.DataFrame:
    """Return regularity, observed hours and the share of time at home per device and window of local dates.

    After R(t) of Song et al. 2010 (recalled, unverified): of each of the 168 hours of the week, the share of the weeks
    in which the device is at the location most usual at that hour in that window; their mean. The location of a clock
    hour is the one with most time in it, of equal times the one seen first in the study; an hour without a visit is not
    observed and counts nowhere. Local time is by the offset with which a visit began.

    fastmob 0.3.2 calls regularity what knows no time: 1 less distinct locations by visits.
    """
    offset_us = visits["utc_offset_s"].to_numpy().astype(np.int64) * SECOND_US
    started, finished = (visits[name].astype("int64").to_numpy() + offset_us for name in ("started_at", "finished_at"))
    pieces = cut_at_hours(started, finished)
    hours, days = _hours(visits, pieces), _days(visits, pieces, home_work)
    found = [_of_windows(hours, days, kind, study, params) for kind in params.windows]
    return pd.concat(found).sort_values(list(REGULARITY.key), ignore_index=True)[REGULARITY.names]


def _hours(visits: pd.DataFrame, pieces: HourPieces) -> pd.DataFrame:
    """Return the location of each observed hour of each device."""
    device, place = (visits[name].to_numpy().astype(np.int64)[pieces.row] for name in ("device_id", "location_id"))
    main = places_of_hours(device, pieces.hour, place, pieces.spent_us)
    return pd.DataFrame(
        {
            "device_id": main.device,
            "date": to_dates(main.hour // DAY_HOURS),
            "hour_of_week": (main.hour + DAY_HOURS * EPOCH_WEEKDAY) % (DAY_HOURS * WEEK_DAYS),
            "location_id": main.place,
        }
    )


def _days(visits: pd.DataFrame, pieces: HourPieces, home_work: pd.DataFrame) -> pd.DataFrame:
    """Return the time at locations and at home, in µs, of each device and local date, and whether it has a home."""
    homes = baseline_homes(home_work).set_index("device_id")["location_id"]
    home = visits["device_id"].map(homes).fillna(NO_PLACE).to_numpy(np.int64)
    is_at_home = home == visits["location_id"].to_numpy()
    rows = pd.DataFrame(
        {
            "device_id": visits["device_id"].to_numpy()[pieces.row],
            "date": to_dates(pieces.hour // DAY_HOURS),
            "has_home": (home != NO_PLACE)[pieces.row],
            "spent_us": pieces.spent_us,
            "home_us": np.where(is_at_home[pieces.row], pieces.spent_us, 0),
        }
    )
    return rows.groupby(["device_id", "date", "has_home"], as_index=False, sort=True).sum()


def _of_windows(
    hours: pd.DataFrame, days: pd.DataFrame, kind: WindowKind, study: Study, params: RegularityParams
) -> pd.DataFrame:
    hours, days = (in_windows(rows, kind, study, params) for rows in (hours, days))
    time = days.groupby(WINDOW, sort=True).agg(
        has_home=("has_home", "first"), spent_us=("spent_us", "sum"), home_us=("home_us", "sum")
    )
    found = pd.DataFrame({"n_hours": hours.groupby(WINDOW, sort=True).size()})
    found["home_share"] = (time["home_us"] / time["spent_us"]).where(time["has_home"])
    weekly = _by_hour_of_week(hours, params.min_weeks).groupby(WINDOW, sort=True)["share"].agg(["size", "mean"])
    weekly = weekly.reindex(found.index)
    found["n_hours_of_week"] = weekly["size"].fillna(0).astype(np.int64)
    found["regularity"] = weekly["mean"]
    return found.reset_index().assign(window=pd.Series([kind] * len(found), dtype="str"))


def _by_hour_of_week(hours: pd.DataFrame, min_weeks: int) -> pd.DataFrame:
    """Return the share of the most usual location of each device, window and hour of the week observed often enough."""
    n_weeks = hours.groupby([*HOUR, "location_id"], sort=True).size()
    by_hour = n_weeks.groupby(level=HOUR, sort=True).agg(["max", "sum"])
    by_hour = by_hour[by_hour["sum"] >= min_weeks]
    return by_hour.assign(share=by_hour["max"] / by_hour["sum"])
