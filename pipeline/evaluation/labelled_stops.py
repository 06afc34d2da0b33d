"""Stops of known purpose out of a table, and what HOME_WORK finds in them: CSV or Parquet, one row a stop."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import ValidationError

import pipeline.stages  # noqa: F401  (fills the registry)
from data_contracts import HOME_WORK, VISITS
from pipeline.evaluation.columns import read_columns, to_texts
from pipeline.evaluation.detection import frame_of
from pipeline.evaluation.tables import TruthFile, table_sources
from pipeline.kernels.weekdays import EPOCH_WEEKDAY
from pipeline.params import Params
from pipeline.sources import SourceError
from pipeline.sources.hashing import IdHasher
from pipeline.sources.numbers import is_text, plain
from pipeline.sources.times import ISO_ZONE, to_times
from pipeline.stage import STAGES
from pipeline.study import Source, Study, StudyError

STOP_ROLES = ("device_id", "location_id", "started_at", "finished_at", "label")
TRUTH_ROLES = ("device_id", "place_id", "started_at", "finished_at", "purpose")
NO_PLACE = "-1"
"""What stop detectors (Infostop) call the place of a stop that belongs to none."""
HOUR_US = 3_600_000_000
HOURS_PER_WEEK = 168
US_PER_S = 1_000_000


class LabelTexts(NamedTuple):
    """Texts of a label column that mean a role, in lower case; every other one means neither."""

    home: frozenset[str] = frozenset(["home", "h"])
    work: frozenset[str] = frozenset(["work", "w"])

    def roles(self, texts: list[str | None]) -> NDArray[np.object_]:
        """Return home, work or other for each text."""
        known = dict.fromkeys(self.work, "work") | dict.fromkeys(self.home, "home")
        return np.array([known.get((text or "").lower(), "other") for text in texts], object)


class LabelledStops(NamedTuple):
    """Stops of a table, and what became of its rows."""

    stops: pd.DataFrame
    """device_id, location_id (from 0 per device, by first stop), started_us, finished_us (µs), label; by device and
    start."""
    rows: dict[str, int]


def read_labelled_stops(
    file: TruthFile, roles: tuple[str, ...], option: str, texts: LabelTexts, key: bytes | None = None
) -> LabelledStops:
    """Return the stops of a table, whose columns `file` names for the five `roles`, in their order.

    With `key` ids are hashed as those of the pings are, and times are instants. Without, devices are numbered as they
    come, and times are those of a local clock: one that carries its offset is refused. Rows that cannot be used and
    stops at no place ("-1" or empty) are left out and counted. StudyError, naming the option the table was given by,
    where there is no such file or column or nothing to be read.
    """
    hasher, numbers = IdHasher(key) if key else None, dict[str, int]()
    parts, n_malformed = [], 0
    try:
        for path, source in table_sources(file, "started_at"):
            for _, columns, n_unread in read_columns(path, source, [file.columns[role] for role in roles]):
                n_malformed += n_unread
                block = [plain(columns[file.columns[role]]) for role in roles]
                if hasher is None:
                    _refuse_offsets(block[2:4])
                parts.append(_read(block, source, hasher, numbers))
    except SourceError as error:
        raise StudyError(f"{option}: {error}") from None
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise StudyError(f"{option}: {'; '.join(problems)}") from None
    if not any(len(part) for part in parts):
        raise StudyError(f"{option}: {Path(file.path).name} holds no row that can be read")
    return _sort(pd.concat(parts, ignore_index=True), texts, n_malformed)


def _refuse_offsets(columns: list[pa.Array]) -> None:
    for column in columns:
        has_zone = pa.types.is_timestamp(column.type) and column.type.tz is not None
        if has_zone or (is_text(column.type) and pc.any(pc.match_substring_regex(column, ISO_ZONE)).as_py()):
            raise SourceError("times carry an offset: write those of the local clock, without one")


def _read(columns: list[pa.Array], source: Source, hasher: IdHasher | None, numbers: dict[str, int]) -> pd.DataFrame:
    """Return the columns of each row of a block, and whether the row is usable and has a place."""
    device, place, *clock, label = columns
    started, finished = (to_times(column, source) for column in clock)
    if hasher is not None:
        hashed = hasher.hash_column(device)
        is_usable, ids = hashed.is_valid().to_numpy(zero_copy_only=False), hashed.fill_null(0).to_numpy()
    else:
        names = to_texts(device).to_pylist()
        is_usable = np.array([name is not None for name in names], np.bool_)
        ids = np.array([-1 if name is None else numbers.setdefault(name, len(numbers)) for name in names], np.int64)
    is_usable &= finished.values >= started.values
    for times in (started, finished):
        is_usable &= ~(times.is_missing | times.is_bad)
    places = to_texts(place).to_pylist()
    return pd.DataFrame(
        {
            "device_id": ids,
            "place": pd.Series(places, dtype=object),
            "started_us": started.values,
            "finished_us": finished.values,
            "label": pd.Series(to_texts(label).to_pylist(), dtype=object),
            "is_usable": is_usable,
            "is_placed": [name is not None and name != NO_PLACE for name in places],
        }
    )


def _sort(rows: pd.DataFrame, texts: LabelTexts, n_malformed: int) -> LabelledStops:
    """Return the usable stops by device and start, places numbered, labels made roles."""
    is_used = rows["is_usable"] & rows["is_placed"]
    stops = rows[is_used].sort_values(["device_id", "started_us", "finished_us"], kind="stable", ignore_index=True)
    place = stops.groupby("device_id")["place"].transform(lambda names: pd.factorize(names)[0])
    columns = {
        "device_id": stops["device_id"],
        "location_id": place.astype("int64"),
        "started_us": stops["started_us"],
        "finished_us": stops["finished_us"],
        "label": texts.roles(stops["label"].tolist()),
    }
    n_unusable = int((~rows["is_usable"]).sum())
    counts = {
        "n_rows": len(rows) + n_malformed,
        "n_unusable": n_unusable + n_malformed,
        "n_without_place": len(rows) - n_unusable - len(stops),
        "n_stops": len(stops),
        "n_people": int(stops["device_id"].nunique()),
    }
    return LabelledStops(pd.DataFrame(columns), counts)


def visits_of_stops(stops: pd.DataFrame) -> pd.DataFrame:
    """Return local stops as VISITS: their clock is taken for UTC, and what stops do not tell is left plain.

    One ping and one stay each, at the centre of the map. Of stops that begin at one instant the longest is kept:
    a device cannot be at two places.
    """
    kept = stops.sort_values(["device_id", "started_us", "finished_us"]).drop_duplicates(
        ["device_id", "started_us"], keep="last"
    )
    started_us = kept["started_us"].to_numpy()
    at = {name: pd.to_datetime(kept[f"{name}_us"].to_numpy(), unit="us", utc=True) for name in ("started", "finished")}
    n = len(kept)
    texts = pd.Series([None] * n, dtype="str")
    lists = pd.Series([[] for _ in range(n)], dtype=object)
    values = {
        "device_id": kept["device_id"].to_numpy(),
        "started_at": at["started"],
        "finished_at": at["finished"],
        "date": at["started"].tz_localize(None).floor("D"),
        "hour_of_week": (started_us // HOUR_US + EPOCH_WEEKDAY * 24) % HOURS_PER_WEEK,
        "dwell_s": (kept["finished_us"].to_numpy() - started_us) / US_PER_S,
        "location_id": kept["location_id"].to_numpy(),
        "is_new": ~kept.duplicated(["device_id", "location_id"]).to_numpy(),
    }
    plain_values: dict[str, float] = {"utc_offset_s": 0, "n_stays": 1, "n_pings": 1, "is_inferred": False}
    plain_values |= dict.fromkeys(("inferred_s", "bridged_s", "max_gap_s", "lon", "lat"), 0.0)
    plain_values |= dict.fromkeys(("poi_distance_m", "poi_probability"), np.nan)
    nothing = dict.fromkeys(("tract_geoid", "poi_id", "poi_category"), texts)
    nothing |= dict.fromkeys(("candidate_poi_ids", "candidate_probabilities"), lists)
    return frame_of(VISITS, pd.DataFrame(values | nothing).assign(**plain_values)[VISITS.names])


def find_home_work(visits: pd.DataFrame, study: Study, params: Params) -> pd.DataFrame:
    """Return the HOME_WORK of visits, as a run of the study finds it."""
    stage = STAGES[HOME_WORK.name]
    facts = {"study": study}
    found = stage(visits, *(facts[name] for name in stage.needs), params)
    return frame_of(HOME_WORK, found.sort_values(list(HOME_WORK.key), ignore_index=True))
