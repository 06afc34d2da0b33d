"""Reference data from outside, checked on arrival."""

from dataclasses import replace

import pyarrow as pa

from data_contracts import columns as c
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

POIS = Table(
    name="pois",
    row="place of interest (shop, school, park, station)",
    columns=(
        c.POI_ID,
        c.POI_CATEGORY,
        replace(c.LON, description="Longitude, WGS 84"),
        replace(c.LAT, description="Latitude, WGS 84"),
        Column("usual_dwell_s", pa.float64(), "Median dwell of visits to such a place", "s", 1, is_nullable=True),
        Column("weight", pa.float64(), "Popularity beside other places; null counts as 1", "1", 0, is_nullable=True),
    ),
    key=("poi_id",),
    shard=Shard.STATIC,
)
