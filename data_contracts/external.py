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

DEMOGRAPHICS = Table(
    name="demographics",
    row="area × axis × group",
    columns=(
        Column("tract_geoid", pa.string(), "The area's id as text, leading zeros kept"),
        Column(
            "axis",
            pa.string(),
            "What the groups divide people by",
            values=("sex", "age", "income", "race", "education"),
        ),
        Column("group", pa.string(), "The group, as the study names it"),
        Column("n_persons", pa.float64(), "Persons of the group; of a share, the share", "persons", 0),
    ),
    key=("tract_geoid", "axis", "group"),
    shard=Shard.STATIC,
    notes="The groups of one axis do not overlap; within an area and axis only their shares matter. An area has no "
    "rows of an axis of which a figure is missing, or in which nobody is counted.",
)

JOBS = Table(
    name="jobs",
    row="area × industry",
    columns=(
        Column("tract_geoid", pa.string(), "The area's id as text, leading zeros kept"),
        c.SECTOR,
        Column("n_jobs", pa.float64(), "Jobs of the industry in the area", "jobs", 0),
    ),
    key=("tract_geoid", "sector"),
    shard=Shard.STATIC,
    notes="Jobs are at the workplace (LODES WAC), not at the home. Areas without jobs have no rows.",
)

TELEWORK = Table(
    name="telework",
    row="industry",
    columns=(
        c.SECTOR,
        Column("telework_share", pa.float64(), "Share of its jobs that can be done at home", "1", 0, 1),
    ),
    key=("sector",),
    shard=Shard.STATIC,
)

OFFICIAL_RATES = Table(
    name="official_rates",
    row="region × official series × period",
    columns=(
        c.REGION_GEOID,
        Column(
            "series",
            pa.string(),
            "Unemployment rate of LAUS (month); initial and continued claims for benefits (week)",
            values=("laus_rate", "initial_claims", "continued_claims"),
        ),
        replace(c.WINDOW, values=("week", "month")),
        c.WINDOW_STARTED,
        Column(
            "value",
            pa.float64(),
            "Share of the labour force: of the month's for LAUS, of that of 2019 for claims",
            "1",
            0,
        ),
    ),
    key=("region_geoid", "series", "window_started"),
    shard=Shard.STATIC,
)

NPI_POLICIES = Table(
    name="npi_policies",
    row="region × date",
    columns=(
        replace(c.REGION_GEOID, description="Leading digits of the ids of the areas that the policies hold for"),
        replace(c.DATE, description="Date"),
        Column("stringency", pa.float64(), "Stringency of policies", "0 to 100", 0, 100),
    ),
    key=("region_geoid", "date"),
    shard=Shard.STATIC,
    notes="An area has the policies of the region with the longest id that begins its own.",
)

NPI_ORDERS = Table(
    name="npi_orders",
    row="region × kind of order",
    columns=(
        replace(c.REGION_GEOID, description="Leading digits of the ids of the areas that the order holds for"),
        Column("order", pa.string(), "Kind of order, in the words of its source"),
        Column("ordered_on", pa.date32(), "Date from which it holds; null: never ordered", "date", is_nullable=True),
    ),
    key=("region_geoid", "order"),
    shard=Shard.STATIC,
)

EPIDEMIC = Table(
    name="epidemic",
    row="region × date",
    columns=(
        replace(c.REGION_GEOID, description="Leading digits of the ids of the areas that the counts are of"),
        replace(c.DATE, description="Date"),
        Column("new_cases", pa.float64(), "New cases reported on the date; negative: a correction", "persons"),
        Column("new_deaths", pa.float64(), "New deaths reported on the date; negative: a correction", "persons"),
        Column("population", pa.float64(), "Residents of the region", "persons", 1),
    ),
    key=("region_geoid", "date"),
    shard=Shard.STATIC,
)
