"""Share of each device in the hours of its kind: a bucket that reads what was gathered from all."""

import pandas as pd

from pipeline.params import NoParams
from pipeline.stage import stage
from tests.toy_stages import TOY_HOURS, TOY_KINDS, TOY_SHARES


@stage(reads=(TOY_HOURS, TOY_KINDS), writes=TOY_SHARES)
def toy_shares(toy_hours: pd.DataFrame, toy_kinds: pd.DataFrame, params: NoParams) -> pd.DataFrame:
    """Return the share of each device; zero where its kind was not summed."""
    of_kind = toy_hours["kind"].map(toy_kinds.set_index("kind")["hours"]).astype(float)
    share = (toy_hours["hours"] / of_kind).fillna(0.0)
    return toy_hours[["device_id", "kind"]].assign(share=share)
