"""Homes and workplaces by rules that need no thought: what every answer has to be better than."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.home_work import FOUND_COLUMNS, ROLES, cut_by_day
from pipeline.kernels.howde import DAY_S, HOUR_S
from pipeline.kernels.weekdays import is_weekday

NIGHT = (0, 7)
"""Clock hours of HoWDe's bins of home."""
OFFICE = (9, 18)
"""Clock hours of HoWDe's bins of work, Monday to Friday."""


def trivial_roles(stops: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return rule → roles found over the whole span, as `home_work.score_home_work` takes them.

    `stops`: device_id, location_id, started_s, finished_s (s since 1970 by the local clock).

    - most_time: home is the place with the most time, work the second;
    - night_and_day: home is the place with the most time between midnight and 7, work that with the most between 9
      and 18 on weekdays, other than home;
    - every_place: every place is home and work at once. It names every true place, which is all that some rules ask.

    Of equal places the lower number; a place without time in the hours of a role does not get it.
    """
    time = _seconds_by_place(stops)
    most = time[time["total_s"] > 0].sort_values(["device_id", "total_s", "location_id"], ascending=[True, False, True])
    rank = most.groupby("device_id").cumcount()
    home = _first(time, "night_s")
    elsewhere = time.merge(home.assign(is_home=True), "left", ["device_id", "location_id"])
    work = _first(elsewhere[elsewhere["is_home"].isna()], "office_s")
    rules = {
        "most_time": (most[rank == 0], most[rank == 1]),
        "night_and_day": (home, work),
        "every_place": (time, time),
    }
    days = int(stops["started_s"].min()) // DAY_S, int(stops["finished_s"].max()) // DAY_S
    return {name: _as_found(places, days) for name, places in rules.items()}


def _seconds_by_place(stops: pd.DataFrame) -> pd.DataFrame:
    """Return total, night and office seconds of each device and location."""
    started_s, finished_s = (stops[name].to_numpy(np.int64) for name in ("started_s", "finished_s"))
    stop, day, seconds = cut_by_day(started_s, finished_s)
    parts = (
        stops[["device_id", "location_id"]]
        .iloc[stop]
        .assign(
            total_s=seconds,
            night_s=_seconds_within(started_s[stop], finished_s[stop], day, NIGHT),
            office_s=_seconds_within(started_s[stop], finished_s[stop], day, OFFICE) * is_weekday(day),
        )
    )
    return parts.groupby(["device_id", "location_id"], as_index=False).sum()


def _seconds_within(
    started_s: NDArray[np.int64], finished_s: NDArray[np.int64], day: NDArray[np.int64], hours: tuple[int, int]
) -> NDArray[np.int64]:
    """Return how long each stop lasts between two clock hours of a day."""
    first, last = (day * DAY_S + hour * HOUR_S for hour in hours)
    return np.maximum(np.minimum(finished_s, last) - np.maximum(started_s, first), 0)


def _first(time: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return the place of each device with the most of some time, if any."""
    most = time[time[by] > 0].sort_values(["device_id", by, "location_id"], ascending=[True, False, True])
    return most.drop_duplicates("device_id")[["device_id", "location_id"]]


def _as_found(places: tuple[pd.DataFrame, pd.DataFrame], days: tuple[int, int]) -> pd.DataFrame:
    first, last = (pd.Timestamp(day * DAY_S, unit="s") for day in days)
    rows = [
        each[["device_id", "location_id"]].assign(role=role, window_started=first, window_finished=last)
        for role, each in zip(ROLES, places, strict=True)
    ]
    return pd.concat(rows, ignore_index=True)[FOUND_COLUMNS]
