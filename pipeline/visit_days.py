"""Visits by local day: what stages share that ask where devices were on which day."""

import numpy as np
import pandas as pd

from pipeline.kernels.presence import DayPieces, cut_at_midnights

SECOND_US = 1_000_000


def day_pieces(visits: pd.DataFrame) -> DayPieces:
    """Return the parts of visits that lie on one local day each, by the offset with which a visit began."""
    offset_us = visits["utc_offset_s"].to_numpy().astype(np.int64) * SECOND_US
    started, finished = (visits[name].astype("int64").to_numpy() + offset_us for name in ("started_at", "finished_at"))
    return cut_at_midnights(started, finished)
