"""Areas that flows and visits are counted in, tracts or H3 cells, and the windows they are counted over."""

from typing import Literal

import h3.api.basic_str as h3
import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from pipeline.params import Params
from pipeline.sums import group_sums
from pipeline.windows import CalendarKind

EVERYWHERE = "all"


class AreaParams(Params):
    """Which areas there are."""

    areas: Literal["tract", "h3"] = "tract"
    """"tract": the study's areas; a position outside all of them is in none. "h3": cells of the H3 grid."""
    area_digits: int = Field(default=15, ge=1)
    """Leading digits of a tract's id that name the area: 11 is a census tract, 5 a county; 15, a block, leaves shorter
    ids whole (ours)."""
    resolution: int = Field(default=7, ge=0, le=15)
    """Resolution of H3 cells: 7 is about 5 km2, 8 about 0.7 km2 (ours)."""


class AreaWindowParams(AreaParams):
    """Which areas and windows there are."""

    windows: tuple[CalendarKind, ...] = Field(default=("study", "week"), min_length=1)
    """Kinds of window; weeks begin on Monday. Weeks and months are not both told: they overlap, and their differences
    would tell of a few days; nor are windows that slide (ours)."""

    @field_validator("windows")
    @classmethod
    def _nest(cls, windows: tuple[CalendarKind, ...]) -> tuple[CalendarKind, ...]:
        if len(set(windows)) != len(windows) or {"week", "month"} <= set(windows):
            raise ValueError("each kind of window once, and not both weeks and months")
        return windows


def areas_of(lon: pd.Series, lat: pd.Series, tract_geoid: pd.Series, params: AreaParams) -> pd.Series:
    """Return the area of each position in degrees: text, missing outside all areas.

    Where areas are tracts that of `tract_geoid` counts, else that of the position.
    """
    if params.areas == "tract":
        return tract_geoid.astype("str").str[: params.area_digits]
    where = pd.DataFrame({"lon": lon, "lat": lat})
    number = where.groupby(["lon", "lat"], sort=False).ngroup().to_numpy()
    positions = where.drop_duplicates()[["lat", "lon"]].to_numpy()
    cells = np.array([h3.latlng_to_cell(*position, params.resolution) for position in positions.tolist()], dtype=object)
    return pd.Series(cells[number] if number.size else cells, index=lon.index, dtype="str")


def count_cells(rows: pd.DataFrame, key: list[str], margins: tuple[str, ...], sums: list[str]) -> pd.DataFrame:
    """Return the sums of rows of devices by cell: columns `key` and `sums`, and how many rows and devices there are.

    Columns of `key` among `margins` are "all". `sums` are integers; n_rows and n_devices are added to them.
    """
    cells = rows.assign(**dict.fromkeys(margins, EVERYWHERE), n_rows=1)
    cells = cells.astype(dict.fromkeys(margins, "str"))
    cells["n_devices"] = ~cells.duplicated([*key, "device_id"])
    return group_sums(cells, key, [*sums, "n_rows", "n_devices"])
