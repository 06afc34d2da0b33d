"""`npi_response`: how mobility answers to policies, severity and adaptation, by measure and group."""

import pandas as pd

from data_contracts import EPIDEMIC, NPI_FITS, NPI_POLICIES, NPI_RESPONSE, REGION_CHANGES
from pipeline.npi_drivers import NpiParams, drivers_of
from pipeline.panel_models import fit_response
from pipeline.stage import stage


@stage(reads=(REGION_CHANGES, NPI_POLICIES, EPIDEMIC, NPI_FITS), writes=NPI_RESPONSE, params=NpiParams)
def npi_response(
    region_changes: pd.DataFrame,
    npi_policies: pd.DataFrame,
    epidemic: pd.DataFrame,
    npi_fits: pd.DataFrame,
    params: NpiParams,
) -> pd.DataFrame:
    """Return the coefficients of the chosen models (`pipeline.panel_models`). A study without policies has no rows."""
    return fit_response(region_changes, drivers_of(region_changes, npi_policies, epidemic, params), npi_fits, params)
