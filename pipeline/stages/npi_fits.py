"""`npi_fits`: which model foretells best how mobility answers to policies, severity and adaptation."""

import pandas as pd

from data_contracts import EPIDEMIC, NPI_FITS, NPI_POLICIES, REGION_CHANGES
from pipeline.npi_drivers import NpiParams, drivers_of
from pipeline.panel_models import compare_models
from pipeline.stage import stage


@stage(reads=(REGION_CHANGES, NPI_POLICIES, EPIDEMIC), writes=NPI_FITS, params=NpiParams, needs=("seed",))
def npi_fits(
    region_changes: pd.DataFrame, npi_policies: pd.DataFrame, epidemic: pd.DataFrame, seed: int, params: NpiParams
) -> pd.DataFrame:
    """Return the errors of candidate models in regions left out, by measure and group (`pipeline.panel_models`).

    A study without policies has no rows.
    """
    return compare_models(region_changes, drivers_of(region_changes, npi_policies, epidemic, params), params, seed)
