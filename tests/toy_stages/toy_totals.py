"""Totals over what may leave: made of a whole table alone."""

import pandas as pd

from pipeline.params import NoParams
from pipeline.stage import stage
from tests.toy_stages import TOY_RELEASE, TOY_TOTALS


@stage(reads=(TOY_RELEASE,), writes=TOY_TOTALS, needs=("seed",))
def toy_totals(toy_release: pd.DataFrame, seed: int, params: NoParams) -> pd.DataFrame:
    """Return the devices and hours of all kinds together."""
    return pd.DataFrame(
        {
            "kind": ["all"],
            "n_devices": [toy_release["n_devices"].sum()],
            "hours": [toy_release["hours"].sum()],
            "n_drawn": [seed],
        }
    )
