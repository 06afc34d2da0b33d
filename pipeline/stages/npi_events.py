"""`npi_events`: what changes with the weeks since an order, beside regions without it."""

import pandas as pd

from data_contracts import NPI_EVENTS, NPI_ORDERS, REGION_CHANGES
from pipeline.npi_event_study import NpiEventParams, fit_events
from pipeline.stage import stage


@stage(reads=(REGION_CHANGES, NPI_ORDERS), writes=NPI_EVENTS, params=NpiEventParams)
def npi_events(region_changes: pd.DataFrame, npi_orders: pd.DataFrame, params: NpiEventParams) -> pd.DataFrame:
    """Return the event study of each kind of order (`pipeline.npi_event_study`). A study without orders has no rows."""
    return fit_events(region_changes, npi_orders, params)
