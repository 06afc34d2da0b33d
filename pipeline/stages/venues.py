"""`venues`: how often and how long each device was at home, at work, at venues by category and elsewhere, by day."""

import numpy as np
import pandas as pd

from data_contracts import HOME_WORK, VENUES, VISITS
from pipeline.params import Params
from pipeline.place_kinds import VENUE, place_kinds
from pipeline.stage import stage
from pipeline.visit_days import SECOND_US, day_pieces
from pipeline.windows import to_dates

KEY = list(VENUES.key)


class VenueParams(Params):
    """Which visits count."""

    is_inferred_counted: bool = True
    """Whether visits count of which nothing was observed: silences that ended where they began. Without them nights at
    home are often missing (ours)."""


@stage(reads=(VISITS, HOME_WORK), writes=VENUES, params=VenueParams)
def venues(visits: pd.DataFrame, home_work: pd.DataFrame, params: VenueParams) -> pd.DataFrame:
    """Return visits and seconds of each device by local day, kind of place and category.

    A visit belongs to the day on which it starts, its time to the days on which it was spent. The kind of place is
    that of the visit's first day (`place_kinds`), so that a night is not divided between kinds. The method page finds
    neither source nor categories of the paper's venues: categories are those of the study's places of interest.
    """
    counted = visits if params.is_inferred_counted else visits[~visits["is_inferred"]]
    kind = place_kinds(counted, home_work)
    category = counted["poi_category"].where(kind == VENUE).fillna("").astype("str").to_numpy()
    pieces = day_pieces(counted)
    rows = pd.DataFrame(
        {
            "device_id": counted["device_id"].to_numpy()[pieces.row],
            "date": to_dates(pieces.day),
            "place_kind": kind[pieces.row],
            "poi_category": category[pieces.row],
            "n_visits": np.diff(pieces.row, prepend=-1) > 0,
            "spent_us": pieces.finish_us - pieces.start_us,
        }
    )
    sums = rows.groupby(KEY, as_index=False, sort=True).agg(n_visits=("n_visits", "sum"), spent_us=("spent_us", "sum"))
    return sums.assign(dwell_s=sums["spent_us"] / SECOND_US).drop(columns="spent_us")[VENUES.names]
