"""Whom each device meets: those of its kind, whatever their buckets."""

import numpy as np
import pandas as pd

from pipeline.params import Params
from pipeline.stage import MEETS_AT, stage
from tests.toy_stages import N_DEVICES_OF, TOY_HOURS, TOY_KINDS, TOY_MEETINGS


class ToyMeetingsParams(Params):
    """What the tests turn."""

    times: int = 1
    """Each device counts so often."""
    fails: str = ""
    """Where to fail: rows, types, meet or finish."""


def _meet(rows, params):
    if params.fails == "meet" and len(rows):
        raise ValueError("device 12345 is secret")
    others = rows.groupby(MEETS_AT)["device_id"].transform("size").to_numpy() - 1
    return rows[["device_id"]].assign(n_devices=others.astype(np.int64) * params.times)[others > 0]


def _finish(rows, params):
    if params.fails == "finish" and len(rows):
        raise ValueError("device 12345 is secret")
    return rows.groupby("device_id", as_index=False)["n_devices"].sum()


@stage(reads=(TOY_HOURS, TOY_KINDS), writes=TOY_MEETINGS, params=ToyMeetingsParams, meet=_meet, finish=_finish)
def toy_meetings(toy_hours: pd.DataFrame, toy_kinds: pd.DataFrame, params: ToyMeetingsParams) -> pd.DataFrame:
    """Return the devices of one bucket and where they meet; those of kind "rare" are by themselves."""
    if params.fails == "rows" and len(toy_hours):
        raise ValueError("device 12345 is secret")
    kinds = list(N_DEVICES_OF)
    at = np.array([kinds.index(kind) for kind in toy_hours["kind"]], dtype=np.int64)
    rows = toy_hours[["device_id"]].assign(**{MEETS_AT: at})
    rows = rows[toy_hours["kind"].to_numpy() != "rare"]
    return rows.astype({MEETS_AT: float}) if params.fails == "types" and len(rows) else rows
