"""A table that a study declares as a section of its own, outside a run."""

import pandas as pd

from pipeline import sources
from pipeline.study import Study


def read_declared(study: Study, name: str) -> pd.DataFrame | None:
    """Return the table of the section `name`, as `npi_policies`, with dates as days; None without that section."""
    section = getattr(study, name)
    if section is None:
        return None
    table = getattr(sources, f"read_{name}")(section, study.folder)
    frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas(date_as_object=False)
    return frame
