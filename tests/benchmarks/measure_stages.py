"""Whole stages of measures, as a run calls them, beside the peer's functions of the same rows (`bench_measures`)."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import fastmob
import numpy as np
import pandas as pd
import pyarrow as pa

import pipeline.stages  # noqa: F401
from data_contracts import TABLES
from pipeline.stage import STAGES
from pipeline.study import Study
from tests.benchmarks.measures import Rows

DAY_US = 24 * 3_600_000_000
DWELL_S = 300
PEERS = {
    "gyration": ("radius_of_gyration", "k_radius_of_gyration"),
    "exploration": ("number_of_visits", "number_of_locations"),
    "entropy": ("random_entropy", "uncorrelated_entropy", "real_entropy"),
    "visit_frequencies": ("location_frequency", "frequency_rank", "recency_rank"),
    "trips": ("jump_lengths",),
    "distances": ("waiting_times", "maximum_distance", "distance_straight_line", "max_distance_from_home"),
}
"""What of fastmob has the numbers of a stage, or the most of them: a stage gives more."""


def stage_calls(rows: Rows, table: pa.Table) -> dict[str, dict[str, Callable[[], object]]]:
    """Return the calls to be timed by stage: ours, the window being the study, and fastmob's."""
    visits = visits_of(rows)
    days = [datetime.fromtimestamp(int(at) // 1_000_000, UTC).date() for at in (rows.at_us.min(), rows.at_us.max())]
    study = Study(name="s", start=days[0], end=days[1] + timedelta(days=1), zone="UTC", sources=())
    tables = {"visits": visits, "home_work": homes_of(visits, study.start)}
    tables["trips"] = STAGES["trips"](visits, STAGES["trips"].params())
    return {name: {"ours": _ours(name, tables, study), "fastmob": _theirs(name, table)} for name in PEERS}


def visits_of(rows: Rows) -> pd.DataFrame:
    """Return VISITS of the rows: each a visit of five minutes to a place numbered within its device."""
    n = rows.at_us.size
    started_at = pd.Series(rows.at_us.astype("datetime64[us]")).dt.tz_localize("UTC")
    number = np.unique(rows.place, return_inverse=True)[1]
    filled = {name: np.zeros(n, np.int8) for name in TABLES["visits"].names}
    return pd.DataFrame(filled).assign(
        device_id=rows.device_id,
        started_at=started_at,
        finished_at=started_at + pd.Timedelta(seconds=DWELL_S),
        date=(rows.at_us // DAY_US).astype("datetime64[D]").astype("datetime64[ms]"),
        dwell_s=float(DWELL_S),
        location_id=number.astype(np.int32),
        lon=rows.lon,
        lat=rows.lat,
        tract_geoid=pd.Series(["42101000100"] * n, dtype="str"),
    )


def homes_of(visits: pd.DataFrame, day: date) -> pd.DataFrame:
    """Return HOME_WORK with the first place of each device for its home."""
    first = visits.drop_duplicates("device_id")
    return first[["device_id", "location_id", "tract_geoid"]].assign(
        span="baseline", role="home", rank=1, window_started=pd.Timestamp(day)
    )


def _ours(name: str, tables: dict[str, pd.DataFrame], study: Study) -> Callable[[], object]:
    stage = STAGES[name]
    params = stage.params(**({"windows": ("study",)} if stage.needs else {}))
    facts = [study] if stage.needs else []
    return lambda: stage(*(tables[table.name] for table in stage.reads), *facts, params)


def _theirs(name: str, table: pa.Table) -> Callable[[], object]:
    return lambda: [getattr(fastmob, peer)(table) for peer in PEERS[name]]
