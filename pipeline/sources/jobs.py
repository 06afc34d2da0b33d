"""Jobs by industry, a column each, to the table `jobs`."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from data_contracts import JOBS
from pipeline.references import Jobs, columns_of
from pipeline.sources.errors import SourceError
from pipeline.sources.geo_files import members_digest
from pipeline.sources.pieces import expand
from pipeline.sources.reference_files import read_area_file

LOG = logging.getLogger(__name__)
LODES_SECTORS = {
    "11": "CNS01",
    "21": "CNS02",
    "22": "CNS03",
    "23": "CNS04",
    "31-33": "CNS05",
    "42": "CNS06",
    "44-45": "CNS07",
    "48-49": "CNS08",
    "51": "CNS09",
    "52": "CNS10",
    "53": "CNS11",
    "54": "CNS12",
    "55": "CNS13",
    "56": "CNS14",
    "61": "CNS15",
    "62": "CNS16",
    "71": "CNS17",
    "72": "CNS18",
    "81": "CNS19",
    "92": "CNS20",
}
"""Two-digit NAICS → column of LODES WAC (method page 2.4, and the Census's file structure)."""


def read_jobs(jobs: Jobs, folder: Path) -> pa.Table:
    """Return JOBS: a row per area and industry with jobs, in key order.

    Rows of one area (blocks or block groups of a tract) are added up; what is 0 then has no row, so an area without
    jobs has none. SourceError names the file and what is wrong: a column that is not there, an id that
    is there twice or shorter than its area's, a number that is missing or below 0.
    """
    declared = jobs.sectors or LODES_SECTORS
    columns = [name for named in declared.values() for name in columns_of(named)]
    areas, amounts = read_area_file(jobs, jobs.id_column, columns, folder, "jobs")
    n_missing = int(amounts.isna().any(axis=1).sum())
    if n_missing:
        raise SourceError(f"{jobs.path}: a number of jobs is missing in {n_missing} of {len(amounts)} rows")
    sums = amounts.groupby(areas.to_numpy(), sort=True).sum()
    sectors = sorted(declared)
    n_jobs = np.column_stack([sums[list(columns_of(declared[sector]))].sum(axis=1) for sector in sectors])
    row, column = np.nonzero(n_jobs)
    LOG.info("%s: %d rows added up to %d areas", jobs.path, len(amounts), len(sums))
    data = {
        "tract_geoid": sums.index.to_numpy()[row],
        "sector": np.array(sectors)[column],
        "n_jobs": n_jobs[row, column],
    }
    table = pa.Table.from_pandas(pd.DataFrame(data), preserve_index=False).cast(JOBS.schema)
    n_without = int((n_jobs.sum(axis=1) == 0).sum())
    return table.replace_schema_metadata({"n_areas": str(len(sums)), "n_areas_without_jobs": str(n_without)})


def jobs_digest(jobs: Jobs, folder: Path) -> str:
    """Return a hash of the contents of the files of jobs."""
    return members_digest(expand(jobs.path, folder))
