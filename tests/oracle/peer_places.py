"""Measures of places, by our releases and by the peers, of positions that many devices share."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from data_contracts import TABLES
from pipeline.area_cells import AreaParams, areas_of
from pipeline.stage import STAGES
from pipeline.verification.visits import WHOLE, Visits

RESOLUTION = 15
"""H3 cells of a square metre: a cell for each position."""
LAG_HOURS = 24
ENDS = ["origin_area", "destination_area"]
Answers = Mapping[str, pd.DataFrame]


def released(visits: Visits, name: str, **params: Any) -> pd.DataFrame:
    """Return a release made of these visits: parts and finish of its stage, all other tables empty."""
    stage = STAGES[name]
    frames = {"visits": visits.frame, "trips": visits.trips()}
    given = [frames[read.name] if read.name in frames else _empty(read.name) for read in stage.reads]
    wholes = [frame for read, frame in zip(stage.reads, given, strict=True) if read.shard.is_single]
    facts = {"study": visits.study, "seed": 0}
    needs = [facts[need] for need in stage.needs]
    chosen = stage.params(**params)
    return stage.finish(stage(*given, *needs, chosen), *wholes, *needs, chosen)


@cache
def _empty(name: str) -> pd.DataFrame:
    return TABLES[name].schema.empty_table().to_pandas(date_as_object=False)


def position_of(rows: pd.DataFrame) -> pd.Series:
    """Return the cell that stands for each position."""
    return areas_of(rows["lon"], rows["lat"], pd.Series(dtype="str"), AreaParams(areas="h3", resolution=RESOLUTION))


def by_position(rows: pd.DataFrame, value: str) -> pd.Series:
    """Return a column by position."""
    return pd.Series(rows[value].to_numpy(dtype=float), index=pd.Index(position_of(rows), name="place"))


def place_visits(visits: Visits) -> pd.DataFrame:
    """Return the release place_visits by position, without the margin."""
    found = released(visits, "place_visits", areas="h3", resolution=RESOLUTION, windows=WHOLE)
    return found[found["area"] != "all"].set_index("area").rename_axis("place")


def place_visits_column(name: str) -> Callable[[Visits, Answers], pd.Series]:
    """Return a column of place_visits by position."""
    return lambda visits, _: place_visits(visits)[name].astype(float)


def random_visitor_entropy(visits: Visits, _: Answers) -> pd.Series:
    """Return the logarithm of the devices seen at each position in bits."""
    return np.log2(place_visits(visits)["n_devices"])


def shown(visits: Visits, values: pd.Series) -> pd.Series:
    """Return the values of the positions that our release shows."""
    return values[values.index.isin(place_visits(visits).index)].astype(float).rename_axis("place")


def of_positions(name: str) -> Callable[[Visits, Answers], pd.Series]:
    """Return the reference's answer by position, of those that our release shows."""
    return lambda visits, answers: shown(visits, by_position(answers[name], answers[name].columns[-1]))


def visits_by_day(visits: Visits, _: Answers) -> pd.Series:
    """Return the visits of all positions by day."""
    found = released(visits, "place_visits", areas="h3", resolution=RESOLUTION, windows=("day",))
    found = found[found["area"] == "all"]
    return by_day(found["window_started"], found["n_visits"])


def of_days(visits: Visits, theirs: pd.Series) -> pd.Series:
    """Return the values of the days that our release shows."""
    return theirs[theirs.index.isin(visits_by_day(visits, {}).index)]


def by_day(day: pd.Series, n: pd.Series) -> pd.Series:
    """Return numbers by day, days being texts."""
    days = pd.to_datetime(day).dt.strftime("%Y-%m-%d").to_numpy()
    return pd.Series(n.to_numpy(dtype=float), index=pd.Index(days, name="place"))


def flows(visits: Visits, _: Answers) -> pd.Series:
    """Return the trips from position to position, without margins."""
    found = released(visits, "od_flows", areas="h3", resolution=RESOLUTION, windows=WHOLE)
    found = found[(found[ENDS] != "all").all(axis=1)]
    return found.set_index(ENDS)["n_trips"].astype(float).rename_axis(["place", "to"])


def ends_of(trips: pd.DataFrame) -> pd.DataFrame:
    """Return the cells that stand for both ends of trips."""
    ends = ("origin", "destination")
    at = {f"{end}_area": trips[[f"{end}_lon", f"{end}_lat"]].set_axis(["lon", "lat"], axis=1) for end in ends}
    return pd.DataFrame({name: position_of(rows) for name, rows in at.items()})


def displacement(visits: Visits, method: str) -> pd.Series:
    """Return our mean square displacement after a day, in square kilometres, under the one name `all`."""
    found = released(visits, "displacement", method=method, lags_hours=(LAG_HOURS,), n_replicates=20)
    return as_one(found["mean_square_km2"].iloc[0])


def as_one(value: float) -> pd.Series:
    """Return a value of all devices together."""
    return pd.Series([float(value)], index=pd.Index(["all"], name="place"))
