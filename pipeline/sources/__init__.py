"""Source files in, `raw_pings` out: one module per input format.

A caller loads a file only when all of its pieces were read to the end: a truncated or damaged file
raises `SourceError` at the point of damage, after blocks of its readable part were handed out.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pipeline.sources import delimited, geolife_plt, parquet
from pipeline.sources.areas import areas_digest, read_areas
from pipeline.sources.columns import possible_columns, settle_columns
from pipeline.sources.demographics import demographics_digest, read_demographics
from pipeline.sources.epidemic import epidemic_digest, read_epidemic
from pipeline.sources.errors import SourceError
from pipeline.sources.jobs import jobs_digest, read_jobs
from pipeline.sources.official_rates import official_rates_digest, read_official_rates
from pipeline.sources.orders import npi_orders_digest, read_npi_orders
from pipeline.sources.pieces import Piece, file_digest, find_files
from pipeline.sources.pois import pois_digest, read_pois
from pipeline.sources.policies import npi_policies_digest, read_npi_policies
from pipeline.sources.presets import PRESETS, fill
from pipeline.sources.telework import read_telework, telework_digest
from pipeline.study import Source

__all__ = [
    "PRESETS",
    "Piece",
    "SourceError",
    "areas_digest",
    "demographics_digest",
    "epidemic_digest",
    "file_digest",
    "find_files",
    "is_device_in_name",
    "jobs_digest",
    "npi_orders_digest",
    "npi_policies_digest",
    "official_rates_digest",
    "pois_digest",
    "possible_columns",
    "read_areas",
    "read_blocks",
    "read_demographics",
    "read_epidemic",
    "read_jobs",
    "read_npi_orders",
    "read_npi_policies",
    "read_official_rates",
    "read_pois",
    "read_telework",
    "settle_columns",
    "split_file",
    "telework_digest",
]

BLOCK_ROWS = 500_000
READERS = {
    "delimited": delimited.read_blocks,
    "parquet": parquet.read_blocks,
    "geolife_plt": geolife_plt.read_blocks,
}


def split_file(path: Path, source: Source) -> list[Piece]:
    """Return the pieces in which tasks read a file: row groups of Parquet, else the whole file.

    The declaration inside a piece has its preset filled in, and of lists of column names the one that the file has.
    SourceError where the file is absent, empty or not what the declaration says.
    """
    source = fill(settle_columns(path, source))
    if source.format == "parquet":
        return parquet.split(path, source)
    return [Piece(path, source, 0, 1, 0, None)]


def is_device_in_name(source: Source) -> bool:
    """Return whether a file's name, and not a column, says which device its rows are of."""
    filled = fill(source)
    return filled.device_from == "file_stem" or (filled.format == "geolife_plt" and filled.device_from != "constant")


def read_blocks(piece: Piece, key: bytes, block_rows: int = BLOCK_ROWS) -> Iterator[pa.Table]:
    """Yield the rows of a piece in order, as RAW_PINGS, at most `block_rows` rows at a time.

    Memory is bounded by a block, whatever the size of the file. Device ids are hashed under `key`.
    Every row of the file comes out; what cannot be read is null, with the fault named.
    """
    source = fill(piece.source)
    yield from READERS[source.format](piece._replace(source=source), key, block_rows)
