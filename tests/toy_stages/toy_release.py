"""What may leave of the kinds: gathered from shares per bucket, and hours of the study."""

import pandas as pd

from pipeline.params import NoParams
from pipeline.stage import stage
from pipeline.sums import group_sums
from tests.toy_stages import TOY_KINDS, TOY_RELEASE, TOY_SHARES


def _finish(parts, toy_kinds, params):
    return group_sums(parts, ["kind"], ["n_devices"]).merge(toy_kinds[["kind", "hours"]], on="kind")


@stage(reads=(TOY_SHARES, TOY_KINDS), writes=TOY_RELEASE, finish=_finish)
def toy_release(toy_shares: pd.DataFrame, toy_kinds: pd.DataFrame, params: NoParams) -> pd.DataFrame:
    """Return how many devices of each kind a bucket has."""
    return group_sums(toy_shares.assign(n_devices=1), ["kind"], ["n_devices"])
