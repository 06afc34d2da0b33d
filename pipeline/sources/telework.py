"""Share of jobs that can be done at home by industry to the table `telework`."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts import TELEWORK
from pipeline.references import Telework
from pipeline.sources.errors import SourceError
from pipeline.sources.geo_files import members_digest, text_ids
from pipeline.sources.pieces import expand
from pipeline.sources.reference_files import find_reference, read_amounts, read_columns

LOG = logging.getLogger(__name__)
GOVERNMENT = "92"
"""Public administration in NAICS."""
PER_CENT = 100.0


def read_telework(telework: Telework, folder: Path) -> pa.Table:
    """Return TELEWORK: a row per industry, by industry; the metadata says which row is public administration.

    Where the file has no "92", the row `telework.government` names is taken for it; where it has one, that row
    is left out, because it counts the same jobs. SourceError where there is neither, where shares are missing,
    above 1 or plainly not in the unit stated, and where an industry is there twice.
    """
    files = find_reference(telework.path, folder, "telework")
    if len(files) > 1:
        raise SourceError(f"{telework.path}: {len(files)} files, where one is read")
    path = files[0]
    named = [telework.sector_column, telework.share_column]
    data = read_columns(path, named, telework.delimiter, None, "telework")
    sectors = text_ids(data[telework.sector_column].to_pandas(), path, "rows").str.strip()
    shares = _shares(read_amounts(data, telework.share_column, path), telework, path)
    sectors, shares, stands_for = _with_government(sectors, shares, telework, path)
    n_repeated = int(sectors.duplicated(keep=False).sum())
    if n_repeated:
        raise SourceError(f"{path}: {n_repeated} of {len(sectors)} rows share their {telework.sector_column}")
    frame = pd.DataFrame({"sector": sectors.to_numpy(), "telework_share": shares})
    table = pa.Table.from_pandas(frame, preserve_index=False).cast(TELEWORK.schema).sort_by("sector")
    return table.replace_schema_metadata({"government_row": stands_for})


def telework_digest(telework: Telework, folder: Path) -> str:
    """Return a hash of the contents of the file of telework."""
    return members_digest(expand(telework.path, folder))


def _shares(values: NDArray[np.float64], telework: Telework, path: Path) -> NDArray[np.float64]:
    """Return shares of 1; SourceError where one is missing or the unit cannot be the one stated."""
    column, n_missing = telework.share_column, int(np.isnan(values).sum())
    if n_missing or not values.size:
        raise SourceError(f"{path}: column {column} is missing in {n_missing} of {values.size} rows")
    if telework.unit == "percent" and values.max() <= 1:
        raise SourceError(f'{path}: column {column} is nowhere above 1; are these shares (unit = "share")?')
    shares = values / PER_CENT if telework.unit == "percent" else values
    n_above = int((shares > 1).sum())
    if n_above:
        hint = ' (unit = "percent"?)' if telework.unit == "share" else ""
        raise SourceError(f"{path}: column {column} is above 1 in {n_above} of {values.size} rows{hint}")
    return shares


def _with_government(
    sectors: "pd.Series[str]", shares: NDArray[np.float64], telework: Telework, path: Path
) -> "tuple[pd.Series[str], NDArray[np.float64], str]":
    """Return (industries, shares, the row taken for public administration)."""
    if not telework.government:
        return sectors, shares, GOVERNMENT if (sectors == GOVERNMENT).any() else ""
    is_stand_in = (sectors == telework.government).to_numpy()
    if (sectors == GOVERNMENT).any():
        kept = ~is_stand_in | (sectors == GOVERNMENT).to_numpy()
        return sectors[kept], shares[kept], GOVERNMENT
    if not is_stand_in.any():
        raise SourceError(
            f"{path}: no row {GOVERNMENT} (public administration) and no row {telework.government} to stand for it; "
            'name one (government = ...), or "" for none'
        )
    LOG.info("%s: %s stands for NAICS %s", path.name, telework.government, GOVERNMENT)
    return sectors.where(~is_stand_in, GOVERNMENT), shares, telework.government
