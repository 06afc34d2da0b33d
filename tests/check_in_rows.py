"""Small check-ins for tests of place recommendation."""

import numpy as np
import pandas as pd

from pipeline.evaluation.recommendation.check_ins import CheckIns
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.simple_rules import Data
from pipeline.evaluation.recommendation.splitting import DAY_US, make_split, split_check_ins
from pipeline.evaluation.recommendation.world import make_world

NO_FRIENDS = np.zeros((0, 2), np.int64)


def make_check_ins(rows, n_places=None, n_people=None, told=(), friends=NO_FRIENDS, **places):
    """Check-ins from (person, place, day) or (person, place, day, is_held_out).

    `places` are columns of the places, which check-ins tell, and a table of places those of `told`.
    """
    rows = [(*row, False)[:4] for row in rows]
    frame = pd.DataFrame(rows, columns=["person", "place", "day", "is_held_out"])
    frame["at_us"] = (frame.pop("day") * DAY_US).astype("int64")
    frame = frame.sort_values(["person", "at_us", "place"], ignore_index=True)
    n_places = n_places or int(frame["place"].max()) + 1
    nothing = {"name": None, "category": None, "area": None, "lon": np.nan, "lat": np.nan}
    described = pd.DataFrame(nothing | places, index=pd.RangeIndex(n_places))
    is_told = np.isin(np.arange(n_places), list(told))
    table = described.copy()
    for column, none in nothing.items():
        table[column] = described[column].where(is_told, none)
    table["is_told"] = is_told
    frame = frame.join(described, on="place")
    return CheckIns(frame, table, n_people or int(frame["person"].max()) + 1, np.asarray(friends), {})


def make_data(rows, vectors=None, params=None, **fields):
    """Data of check-ins, all of them training, asked on the day after the last."""
    params = params or RecommendParams()
    check_ins = make_check_ins(rows, **{"told": range(fields.get("n_places", 0))} | fields)
    world, _ = make_world(check_ins, check_ins.rows, False, params)
    training = check_ins.rows[["person", "place", "at_us"]]
    now_us = int(training["at_us"].max()) + DAY_US
    return Data(make_split(training, training, training.iloc[:0], now_us, world), params, vectors)


def split_data(check_ins, params=None, vectors=None):
    """Data of check-ins, split as the evaluation does."""
    params = params or RecommendParams()
    return Data(split_check_ins(check_ins, params), params, vectors)
