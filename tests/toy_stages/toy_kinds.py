"""Hours of all devices of a kind, gathered."""

import pandas as pd

from data_contracts import TRACTS
from pipeline.params import Params
from pipeline.stage import stage
from pipeline.sums import from_fixed, group_sums, to_fixed
from tests.toy_stages import TOY_HOURS, TOY_KINDS


class ToyKindsParams(Params):
    """What the tests turn."""

    times: int = 1
    """Each hour counts so often."""
    fails: str = ""
    """Where to fail: part, types or finish."""


def _finish(parts, tracts, seed, params):
    if params.fails == "finish":
        raise ValueError("device 12345 is secret")
    sums = group_sums(parts, ["kind"], ["n_devices", "hours"])
    return sums.assign(hours=from_fixed(sums["hours"]) * params.times, n_drawn=seed)


@stage(reads=(TOY_HOURS, TRACTS), writes=TOY_KINDS, params=ToyKindsParams, finish=_finish, needs=("seed",))
def toy_kinds(toy_hours: pd.DataFrame, tracts: pd.DataFrame, seed: int, params: ToyKindsParams) -> pd.DataFrame:
    """Return the sums of one bucket in fixed point."""
    if params.fails == "part":
        raise ValueError("device 12345 is secret")
    rows = toy_hours.assign(hours=to_fixed(toy_hours["hours"]), n_devices=1)
    part = group_sums(rows, ["kind"], ["n_devices", "hours"])
    return part.astype({"hours": float}) if params.fails == "types" and (part["kind"] == "rare").any() else part
