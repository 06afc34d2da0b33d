"""Visits as two sides are asked about them, and what our stages make of them."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import pipeline.stages  # noqa: F401  (fills the registry)
from data_contracts import TABLES
from pipeline.kernels.grouping import group_starts
from pipeline.params import NoParams
from pipeline.stage import STAGES
from pipeline.study import Study

VISIT_COLUMNS = (
    "device_id",
    "started_at",
    "finished_at",
    "date",
    "hour_of_week",
    "utc_offset_s",
    "dwell_s",
    "location_id",
    "lon",
    "lat",
    "tract_geoid",
)
"""What of `visits` the measures need."""
WHOLE = ("study",)


class Visits:
    """The visits of some devices in order of device and start, and where each device begins."""

    def __init__(self, frame: pd.DataFrame, home_work: pd.DataFrame | None = None) -> None:
        """Sort the frame; it has VISIT_COLUMNS. `home_work` are the rows of that table; none by default."""
        self.home_work = _no_homes() if home_work is None else home_work
        self.frame = frame.sort_values(["device_id", "started_at"], kind="stable", ignore_index=True)
        self.start = group_starts(self.frame["device_id"].to_numpy())
        self.device = self.frame["device_id"].to_numpy()[self.start[:-1]]
        self.lon, self.lat = (self.frame[name].to_numpy() for name in ("lon", "lat"))
        self.place = self.frame["location_id"].to_numpy().astype(np.int64)
        self.started_us = self.frame["started_at"].astype("datetime64[us, UTC]").astype("int64").to_numpy()
        dates = pd.to_datetime(self.frame["date"])
        self.study = Study(name="shared", start=dates.min().date(), end=dates.max().date(), zone="UTC", sources=())

    def rows(self) -> pd.DataFrame:
        """Return the visits as the reference reads them: where, and since when."""
        return self.frame.rename(columns={"started_at": "tracked_at"})

    def by_device(self, values: np.ndarray) -> pd.Series:
        """Return one value for each device, by its id."""
        return pd.Series(values, index=pd.Index(self.device, name="device_id"))

    def trips(self) -> pd.DataFrame:
        """Return the trips between the visits."""
        return STAGES["trips"](self.frame, NoParams())

    def table(self, name: str, home_work: pd.DataFrame | None = None, **params: Any) -> pd.DataFrame:
        """Return a table of measures of these visits in the window that is the whole study.

        `home_work` are baseline homes by device_id and location_id, in place of the table's.
        """
        stage = STAGES[name]
        homes = self.home_work if home_work is None else home_work.assign(span="baseline", role="home", rank=1)
        frames = {"visits": self.frame, "trips": self.trips(), "home_work": homes}
        given = [frames[read.name] for read in stage.reads]
        return stage(*given, self.study, stage.params(windows=WHOLE, **params))

    def column(self, table: str, name: str, **given: Any) -> pd.Series:
        """Return a column of such a table by device."""
        return self.table(table, **given).set_index("device_id")[name].astype(float)

    def of_places(self, name: str) -> pd.Series:
        """Return a column of visit_frequencies by device and location."""
        return self.table("visit_frequencies").set_index(["device_id", "location_id"])[name].astype(float)

    def with_location(self, answer: pd.DataFrame, prefix: str = "") -> pd.DataFrame:
        """Return an answer of the reference with the location that stands at each position of a device."""
        names = ["lon", "lat", "location_id"]
        known = self.frame[["device_id", *names]].drop_duplicates(["device_id", "lon", "lat"])
        known = known.rename(columns={name: prefix + name for name in names})
        return answer.merge(known, on=["device_id", f"{prefix}lon", f"{prefix}lat"], how="left")


@cache
def _no_homes() -> pd.DataFrame:
    return TABLES["home_work"].schema.empty_table().to_pandas(date_as_object=False)


def in_turn(visits: Visits, values: np.ndarray) -> pd.Series:
    """Return what leads to each visit by device and number in turn, the first of a device left out."""
    device = visits.frame["device_id"]
    turn = (device.groupby(device).cumcount() - 1).rename("turn")
    found = pd.Series(values, index=pd.MultiIndex.from_arrays([device, turn]))
    return found[turn.to_numpy() >= 0]
