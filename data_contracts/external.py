"""Reference data from outside, checked on arrival."""

import pyarrow as pa

from data_contracts.spec import Column, Shard, Table

TRACTS = Table(
    name="tracts",
    row="area (census tract or the study's own zone)",
    columns=(
        Column("tract_geoid", pa.string(), "The area's id as text, leading zeros kept"),
        Column("population", pa.float64(), "Residents", "persons", 0, is_nullable=True),
        Column("geometry", pa.binary(), "Polygon, WGS 84, well-known binary"),
    ),
    key=("tract_geoid",),
    shard=Shard.STATIC,
)
