"""`visit_frequencies`: how often a device visits each of its locations, and how long until it returns, per window."""

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import VISIT_FREQUENCIES, VISITS
from pipeline.kernels.moves import SECOND_US
from pipeline.kernels.place_counts import PlaceRows, frequency_ranks, recency_ranks, rows_of_places
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import WindowKind, WindowParams, visits_by_window


class VisitFrequencyParams(WindowParams):
    """In which windows locations are counted."""

    windows: tuple[WindowKind, ...] = Field(default=("study",), min_length=1)
    """Kinds of window (ours: a row for each location of each, so that weeks are as many rows as visits or nearly)."""


@stage(reads=(VISITS,), writes=VISIT_FREQUENCIES, params=VisitFrequencyParams, needs=("study",))
def visit_frequencies(visits: pd.DataFrame, study: Study, params: VisitFrequencyParams) -> pd.DataFrame:
    """Return visits, time, ranks and return time of each location per device and window.

    frequency_rank is by visits, of equals the first visited first (scikit-mobility leaves their order open);
    recency_rank is by the start of the last visit. A return time is from the start of a visit to that of the next one
    to the same location, whatever is visited between.
    """
    return pd.concat([_of_windows(visits, kind, study, params) for kind in params.windows]).sort_values(
        list(VISIT_FREQUENCIES.key), ignore_index=True
    )


def _of_windows(visits: pd.DataFrame, kind: WindowKind, study: Study, params: WindowParams) -> pd.DataFrame:
    found = visits_by_window(visits, kind, study, params)
    group, (_, first, n_visits) = found.groups_of_places(), found.places
    rows = rows_of_places(found.start, found.place, found.places)
    dwell_s = np.bincount(rows.at, found.visits["dwell_s"].to_numpy(), first.size)
    owner = {name: found.columns[name][group] for name in ("device_id", "window_started", "n_visits")}
    return pd.DataFrame(
        {
            "device_id": owner["device_id"],
            "window": pd.Series([kind] * first.size, dtype="str"),
            "window_started": owner["window_started"],
            "location_id": found.visits["location_id"].to_numpy()[first],
            "n_visits": n_visits,
            "dwell_s": dwell_s,
            "visit_share": n_visits / owner["n_visits"],
            "dwell_share": _shares(dwell_s, group),
            "frequency_rank": frequency_ranks(found.places).astype(np.int32),
            "recency_rank": recency_ranks(found.places, rows).astype(np.int32),
            "return_time_median_s": _return_times(found.visits["started_at"], rows),
        }
    )


def _return_times(started_at: pd.Series, rows: PlaceRows) -> np.ndarray:
    """Return the median time (s) from a visit to the next of each place; NaN of those visited once."""
    started_us = started_at.astype("int64").to_numpy()
    return_s = pd.Series((started_us - started_us[rows.before]) / SECOND_US).where(rows.before >= 0)
    return return_s.groupby(rows.at).median().to_numpy()


def _shares(dwell_s: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the share of each place in its window's dwell; NaN where no time was spent."""
    total = np.bincount(group, dwell_s)[group]
    return np.minimum(np.divide(dwell_s, total, out=np.full(group.size, np.nan), where=total > 0), 1.0)
