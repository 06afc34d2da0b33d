"""Tables from raw rows to visits: what was measured, where a device stayed, what the place is."""

from dataclasses import replace

import pyarrow as pa

from data_contracts import columns as c
from data_contracts.spec import Column, Shard, Table

MAX_VISITS_PER_DEVICE = 50
"""Most visits, and trips, of one device in a private count (ours): two weeks of a phone. The noise grows with it."""
DAY_S = (0.0, 86_400.0)
"""Range of times in private sums (ours): a longer one counts as a day."""

REASONS = (
    "missing_device",
    "missing_time",
    "bad_time",
    "missing_position",
    "bad_position",
    "latitude_out_of_range",
    "longitude_out_of_range",
    "null_island",
    "outside_study",
    "bad_accuracy",
    "poor_accuracy",
    "bad_utc_offset",
    "malformed_row",
)
"""Why a row may be refused; a row that breaks several rules carries the first of this order."""

RAW_PINGS = Table(
    name="raw_pings",
    row="row of a source file, in Sojourn's units, before any check (in memory only)",
    columns=(
        Column("row_number", pa.int64(), "Row in the file, from 1, header lines not counted", "row", 1),
        replace(c.DEVICE_ID, is_nullable=True),
        replace(c.TRACKED_AT, is_nullable=True),
        Column("lon", pa.float64(), "Longitude as read, WGS 84", "degree", is_nullable=True),
        Column("lat", pa.float64(), "Latitude as read, WGS 84", "degree", is_nullable=True),
        replace(c.ACCURACY_M, minimum=None),
        Column("utc_offset_s", pa.int32(), "Local time minus UTC as the source states it", "s", is_nullable=True),
        Column("fault", pa.string(), "Why the reader could not read the row", values=REASONS, is_nullable=True),
    ),
    key=("row_number",),
    shard=Shard.FILE,
    notes="Readers hash the device id; the text of an id never reaches a stage.",
)

PINGS = Table(
    name="pings",
    row="accepted GPS fix",
    columns=(
        c.DEVICE_ID,
        c.TRACKED_AT,
        c.LON_E7,
        c.LAT_E7,
        c.ACCURACY_M,
        c.UTC_OFFSET_S,
        Column(
            "is_jump",
            pa.bool_(),
            "Reached from the device's ping before it, of the same UTC date, faster than the study's limit",
        ),
    ),
    key=("device_id", "tracked_at", "lon_e7", "lat_e7"),
    shard=Shard.DATE_BUCKET,
    notes="trackintel calls this a positionfix. Rows alike in the key are one ping: the most accurate is kept.",
)

REJECTED_PINGS = Table(
    name="rejected_pings",
    row="refused input row",
    columns=(
        Column("file", pa.string(), "Name of the source file, below the study's folder"),
        Column("row_number", pa.int64(), "Row in the file, from 1, header lines not counted", "row", 1),
        Column("reason", pa.string(), "First rule the row breaks", values=REASONS),
    ),
    key=("file", "row_number"),
    shard=Shard.FILE,
    notes="A refused row may have no date and no device, so this table is kept per source file.",
)

OPEN_DAYS = Table(
    name="open_days",
    row="device × local day that pings of a later UTC date may still reach",
    columns=(
        c.DEVICE_ID,
        Column("date", pa.date32(), "Local date", "local date"),
        c.N_PINGS,
        Column("hours_observed", pa.int8(), "UTC clock hours of the day with a ping so far", "h", 1, 54),
    ),
    key=("device_id", "date"),
    shard=Shard.DATE_BUCKET,
    is_carry=True,
)

COVERAGE = Table(
    name="coverage",
    row="device × local day with at least one ping",
    columns=OPEN_DAYS.columns,
    key=("device_id", "date"),
    shard=Shard.DATE_BUCKET,
    notes="Filed under the UTC date on which the local day was over for good. "
    "hours_observed counts UTC clock hours with a ping; a day spent crossing zones may have more than 25.",
)

OPEN_STAYS = Table(
    name="open_stays",
    row="device with a stay, or the start of one, open at the end of the UTC date, or a silence that may count",
    columns=(
        c.DEVICE_ID,
        replace(c.N_PINGS, minimum=0, description="Pings of the open candidate; 0: there is none"),
        Column("is_qualified", pa.bool_(), "Has already lasted long enough to be a stay"),
        Column("is_cut", pa.bool_(), "Begins with the record or after a long silence"),
        Column("anchor_lon_e7", pa.int32(), "Longitude of the first ping", "1e-7 degree"),
        Column("anchor_lat_e7", pa.int32(), "Latitude of the first ping", "1e-7 degree"),
        c.STARTED_AT,
        Column("last_at", c.TIME, "Last ping inside so far", "UTC"),
        Column("max_gap_us", pa.int64(), "Longest silence inside so far", "µs", 0),
        Column("sum_dlon_e7", pa.int64(), "Sum of longitudes minus the anchor's", "1e-7 degree"),
        Column("sum_dlat_e7", pa.int64(), "Sum of latitudes minus the anchor's", "1e-7 degree"),
        Column(
            "sum_distance", pa.float64(), "Sum of distances to the mean of the pings before", "units of the plane", 0
        ),
        Column("sum_accuracy_m2", pa.float64(), "Sum of squared accuracy radii of the pings that state one", "m²", 0),
        Column("sum_weight", pa.float64(), "Sum of weights by accuracy", "1/m²", 0),
        Column("weighted_dlon", pa.float64(), "Weighted sum of longitudes minus the anchor's", "1e-7 degree/m²"),
        Column("weighted_dlat", pa.float64(), "Weighted sum of latitudes minus the anchor's", "1e-7 degree/m²"),
        Column("utc_offset_s", pa.int32(), "Local time minus UTC at the first ping", "s", -50_400, 50_400),
        Column("kept_lon_e7", pa.list_(pa.int32()), "Pings still needed: longitudes", "1e-7 degree"),
        Column("kept_lat_e7", pa.list_(pa.int32()), "Pings still needed: latitudes", "1e-7 degree"),
        Column("kept_at", pa.list_(pa.int64()), "Pings still needed: times", "µs since 1970"),
        Column("kept_utc_offset_s", pa.list_(pa.int32()), "Pings still needed: local time minus UTC", "s"),
        Column("kept_accuracy_m", pa.list_(pa.float32()), "Pings still needed: accuracy, NaN where not stated", "m"),
        Column("ping_at", c.TIME, "Last ping of the device", "UTC"),
        Column("ping_lon_e7", pa.int32(), "Longitude of the last ping", "1e-7 degree"),
        Column("ping_lat_e7", pa.int32(), "Latitude of the last ping", "1e-7 degree"),
        Column("ping_utc_offset_s", pa.int32(), "Local time minus UTC at the last ping", "s", -50_400, 50_400),
    ),
    key=("device_id",),
    shard=Shard.DATE_BUCKET,
    is_carry=True,
)

STAYS = Table(
    name="stays",
    row="period of staying in one place",
    columns=(
        c.DEVICE_ID,
        c.STARTED_AT,
        c.FINISHED_AT,
        c.LON,
        c.LAT,
        c.UTC_OFFSET_S,
        c.N_PINGS,
        c.MAX_GAP_S,
        c.IS_INFERRED,
    ),
    key=("device_id", "started_at"),
    shard=Shard.DATE_BUCKET,
    notes="trackintel calls this a staypoint. Filed under the UTC date on which it was known to be over.",
)

LOCATIONS = Table(
    name="locations",
    row="device × recurrent place (clustered stays)",
    columns=(
        c.DEVICE_ID,
        c.LOCATION_ID,
        c.LON,
        c.LAT,
        replace(c.N_VISITS, description="Visits to the place in the study"),
        Column("n_stays", pa.int64(), "Stays at the place in the study", "stays", 1),
        Column("n_inferred_stays", pa.int64(), "Stays among them that were inferred from a silence", "stays", 0),
        replace(c.DWELL_S, description="Time spent at the place in the study: the dwell of its visits"),
        replace(c.INFERRED_S, description="Part of the dwell that inferred stays account for"),
        replace(c.BRIDGED_S, description="Part of the dwell that lies between stays of one visit"),
        Column("first_at", c.TIME, "Start of the first stay", "UTC"),
        Column("last_at", c.TIME, "Finish of the last stay", "UTC"),
        Column("radius_m", pa.float64(), "Root mean square distance of the stays to the centre", "m", 0),
        c.TRACT_GEOID,
        Column("stays_started_at", pa.list_(pa.int64()), "The stays at the place, by their start", "µs since 1970"),
        Column(
            "visits_started_at", pa.list_(pa.int64()), "The first stay of each visit, by its start", "µs since 1970"
        ),
    ),
    key=("device_id", "location_id"),
    shard=Shard.BUCKET,
    notes="Centre and radius are those of the observed stays; of a place where every stay is inferred, of all.",
)

VISITS = Table(
    name="visits",
    row="visit to a location: a stay there, or several broken only by short absences",
    columns=(
        c.DEVICE_ID,
        c.STARTED_AT,
        c.FINISHED_AT,
        c.DATE,
        c.HOUR_OF_WEEK,
        replace(c.UTC_OFFSET_S, description="Local time minus UTC at the start"),
        replace(c.DWELL_S, description="Time from start to finish, inferred and bridged parts included", clip=DAY_S),
        c.INFERRED_S,
        c.BRIDGED_S,
        replace(c.IS_INFERRED, description="No part was observed: every stay of the visit is inferred"),
        Column("n_stays", pa.int64(), "Stays in the visit", "stays", 1),
        replace(c.N_PINGS, description="Pings of the observed stays; of an inferred visit, those of its stays"),
        c.MAX_GAP_S,
        c.LOCATION_ID,
        replace(c.LON, description="Longitude of the location's centre, WGS 84"),
        replace(c.LAT, description="Latitude of the location's centre, WGS 84"),
        c.TRACT_GEOID,
        Column("is_new", pa.bool_(), "First visit of the device to this location in the study"),
        replace(c.POI_ID, description="Most probable place of interest; null where none is near", is_nullable=True),
        c.POI_CATEGORY,
        Column("poi_distance_m", pa.float64(), "Distance of that place to the location", "m", 0, is_nullable=True),
        Column("poi_probability", pa.float64(), "Its probability among the candidates", "1", 0, 1, is_nullable=True),
        Column("candidate_poi_ids", pa.list_(pa.string()), "Places near the location, the most probable first"),
        Column("candidate_probabilities", pa.list_(pa.float64()), "Their probabilities, which sum to 1", "1"),
    ),
    key=("device_id", "started_at"),
    shard=Shard.BUCKET,
    max_rows_per_device=MAX_VISITS_PER_DEVICE,
    notes="Observed time is dwell_s - inferred_s - bridged_s. Where pings came to a visit and ceased again, what is "
    "observed of it and what is inferred are one visit; is_inferred marks those with nothing observed, to be left out "
    "where only observed visits count. Stays that belong to no location are not visits: noise (only when "
    "min_samples exceeds 1) and the inferred stays that the study leaves out.",
)

TRIPS = Table(
    name="trips",
    row="way from one visit of a device to its next",
    columns=(
        c.DEVICE_ID,
        replace(c.STARTED_AT, description="Finish of the visit before: when the device was last seen there"),
        replace(c.FINISHED_AT, description="Start of the visit after"),
        replace(c.DATE, description="Local date of the arrival"),
        replace(c.HOUR_OF_WEEK, description="Local hour of the arrival, 0 Monday at midnight"),
        Column(
            "duration_s",
            pa.float64(),
            "Time from start to finish, silences included",
            "s",
            0,
            c.MAX_DWELL_S,
            clip=DAY_S,
        ),
        Column("distance_m", pa.float64(), "Great-circle distance of the two locations", "m", 0, clip=(0.0, 100_000.0)),
        *(replace(c.LOCATION_ID, name=f"{end}_location_id") for end in ("origin", "destination")),
        *(
            replace(column, name=f"{end}_{column.name}", description=f"{what} of the {end}'s centre, WGS 84")
            for end in ("origin", "destination")
            for column, what in ((c.LON, "Longitude"), (c.LAT, "Latitude"))
        ),
        *(
            replace(
                c.TRACT_GEOID, name=f"{end}_tract_geoid", description=f"Area that holds the {end}; null outside all"
            )
            for end in ("origin", "destination")
        ),
    ),
    key=("device_id", "finished_at"),
    shard=Shard.BUCKET,
    max_rows_per_device=MAX_VISITS_PER_DEVICE,
    notes="A trip belongs whole to the local date, and so to the window, of its arrival. Two visits to one location "
    "between which something was missed have a trip of 0 m. A trip over a long silence may have been several: "
    "duration_s tells.",
)
