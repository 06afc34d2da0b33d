"""Measures of a device's day, each a column over device-days: what `region_day` adds up, and in which unit."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.windows import monday_of, to_dates, to_days

DAY = ["device_id", "date"]
UNITS = {
    "distance_m": 1000.0,
    "gyration_m": 1000.0,
    "minutes": 60.0,
    "contact_minutes": 60.0,
    "household_minutes": 60.0,
}
"""Units of a measure in which sums are kept, so that those of many devices fit fixed point: km for m, h for minutes."""
MINUTE_S = 60.0
ROUTINES = ("n_routines", "routine_share", "routine_length")
ORDER = ("entropy_rate_bits", "predictability")
UNKNOWN_OF_SOME = {"gyration_m", *ROUTINES, *ORDER}
"""Measures that not every observed device has; of all others a device without a row has a 0."""

OF_OTHERS = ("contacts", "repeated_contacts", "contact_minutes", "contacts_weighted")
"""Measures that count other devices, of which there are fewer on a day on which fewer report."""


def is_of_others(measure: str) -> bool:
    """Return whether a measure, of any kind of place, counts other devices."""
    return measure.split(":")[0] in OF_OTHERS


def unit_of(measure: str) -> float:
    """Return how many units of a measure its sums count as one."""
    return UNITS.get(measure.split(":")[0], 1.0)


def is_of_category(measure: str) -> bool:
    """Return whether a measure is of one category of venues: visits:venue:Food."""
    return measure.count(":") > 1


def day_values(
    days: pd.DataFrame,
    venues: pd.DataFrame,
    contacts: pd.DataFrame,
    routines: pd.DataFrame,
    entropy: pd.DataFrame,
    is_population_known: bool,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and values of every measure over the rows of `days` (DEVICE_DAYS): float64, NaN where unknown.

    A device that was nowhere of a kind, or met nobody, has a 0. Routines and entropy are of the day's week.
    Weighted contacts are left out where no population is known, which is so for everybody or for nobody.
    """
    yield from ((name, days[name].to_numpy(np.float64)) for name in ("distance_m", "gyration_m"))
    yield "visits", days["n_visits"].to_numpy(np.float64)
    yield "minutes", days["dwell_s"].to_numpy(np.float64) / MINUTE_S
    row = pd.Series(np.arange(len(days)), index=pd.MultiIndex.from_frame(days[DAY]))
    yield from _venue_values(row, venues)
    yield from _contact_values(row, contacts, is_population_known)
    yield from _week_values(days, routines, ROUTINES)
    yield from _week_values(days, entropy, ORDER)


def _venue_values(row: pd.Series, venues: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    at = _rows_of(row, venues)
    label = venues["place_kind"].astype("str")
    of_category = label + ":" + venues["poi_category"].astype("str")
    for labels, is_in in (
        (label, np.ones(len(venues), bool)),
        (of_category, (venues["poi_category"] != "").to_numpy()),
    ):
        for name in sorted(set(labels[is_in])):
            rows = is_in & (labels == name).to_numpy()
            yield f"visits:{name}", _sum_at(row, at, venues["n_visits"], rows)
            yield f"minutes:{name}", _sum_at(row, at, venues["dwell_s"] / MINUTE_S, rows)


def _contact_values(
    row: pd.Series, contacts: pd.DataFrame, is_population_known: bool
) -> Iterator[tuple[str, np.ndarray]]:
    at, everywhere = _rows_of(row, contacts), np.ones(len(contacts), bool)
    yield "contacts", _sum_at(row, at, contacts["n_people"], everywhere)
    yield "repeated_contacts", _sum_at(row, at, contacts["n_repeated"], everywhere)
    yield "contact_minutes", _sum_at(row, at, contacts["contact_s"] / MINUTE_S, everywhere)
    yield "household_minutes", _sum_at(row, at, contacts["household_s"] / MINUTE_S, everywhere)
    if is_population_known:
        yield "contacts_weighted", _sum_at(row, at, contacts["people_weighted"], everywhere)
    for kind in sorted(set(contacts["place_kind"])):
        yield f"contacts:{kind}", _sum_at(row, at, contacts["n_people"], (contacts["place_kind"] == kind).to_numpy())


def _week_values(days: pd.DataFrame, windows: pd.DataFrame, names: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the measures of a week for each of its days; nothing where the windows are none of weeks."""
    weekly = windows[windows["window"] == "week"]
    if weekly.empty:
        return
    monday = to_dates(monday_of(to_days(days["date"])))
    keys = pd.DataFrame({"device_id": days["device_id"], "window_started": monday})
    found = keys.merge(weekly, on=["device_id", "window_started"], how="left")
    yield from ((name, found[name].to_numpy(np.float64)) for name in names)


def _rows_of(row: pd.Series, frame: pd.DataFrame) -> np.ndarray:
    """Return the row of `days` that each row of a table of device-days falls into, -1 where there is none."""
    return row.reindex(pd.MultiIndex.from_frame(frame[DAY]), fill_value=-1).to_numpy()


def _sum_at(row: pd.Series, at: np.ndarray, values: pd.Series, is_in: np.ndarray) -> np.ndarray:
    inside = is_in & (at >= 0)
    return np.bincount(at[inside], weights=values.to_numpy(np.float64)[inside], minlength=len(row))
