"""Pairs behind `contacts`, written down: for tests and scores only, no table of the pipeline holds them."""

import numpy as np
import pandas as pd

from pipeline.kernels.cell_reach import unit_vectors
from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.kernels.presence import DAY_US, DayPieces

CHUNK = 256


def list_meetings(visits: pd.DataFrame, pieces: DayPieces, contact_m: float, overlap_s: float) -> pd.DataFrame:
    """Return device_id, location_id, day, other_id, together_s of all meetings, all pieces beside all others."""
    offset = visits["utc_offset_s"].to_numpy().astype(np.int64)[pieces.row] * 1_000_000
    start, finish = (pieces.day * DAY_US - offset + at for at in (pieces.start_us, pieces.finish_us))
    device = visits["device_id"].to_numpy()[pieces.row]
    at = unit_vectors(visits["lon"].to_numpy()[pieces.row], visits["lat"].to_numpy()[pieces.row]) * EARTH_RADIUS_M
    line_m = 2 * EARTH_RADIUS_M * np.sin(contact_m / EARTH_RADIUS_M / 2)
    parts = []
    for first in range(0, device.size, CHUNK):
        me = slice(first, first + CHUNK)
        time_us = np.minimum(finish[me, None], finish) - np.maximum(start[me, None], start)
        mine, them = np.nonzero((time_us > 0) & (device[me, None] != device))
        is_near = ((at[me][mine] - at[them]) ** 2).sum(axis=1) <= line_m**2
        mine, them = mine[is_near], them[is_near]
        row = pieces.row[me][mine]
        parts.append(
            pd.DataFrame(
                {
                    "device_id": device[me][mine],
                    "location_id": visits["location_id"].to_numpy()[row],
                    "day": pieces.day[me][mine],
                    "other_id": device[them],
                    "together_s": time_us[mine, them] / 1e6,
                }
            )
        )
    rows = pd.concat(parts)
    met = rows.groupby(["device_id", "location_id", "day", "other_id"], as_index=False)["together_s"].sum()
    return met[met["together_s"] >= overlap_s]
