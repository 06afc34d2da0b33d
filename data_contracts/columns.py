"""Columns that several tables share: same meaning and unit, same name, one declaration."""

import pyarrow as pa

from data_contracts.spec import Column

TIME = pa.timestamp("us", tz="UTC")
STEP = 5
"""Counts of releases are exported to the nearest multiple of this (ours: half of the smallest group of ten, so that a
count moves by less than a quarter)."""
SHARE_STEP = 0.005
"""The same of shares and logarithms of ratios (ours: half a per cent, so that one does not give its counts away)."""
MAX_DWELL_S = 20 * 366 * 86_400.0
"""Twenty years: longer than any study, so a larger dwell is an error of units."""

DEVICE_ID = Column("device_id", pa.int64(), "Keyed hash of the source's device id", is_sequence=True)
TRACKED_AT = Column("tracked_at", TIME, "When the ping was measured", "UTC", is_sequence=True)
LON_E7 = Column(
    "lon_e7", pa.int32(), "Longitude, WGS 84", "1e-7 degree", -1_800_000_000, 1_800_000_000, is_sequence=True
)
LAT_E7 = Column("lat_e7", pa.int32(), "Latitude, WGS 84", "1e-7 degree", -900_000_000, 900_000_000, is_sequence=True)
LON = Column("lon", pa.float64(), "Longitude of the centre, WGS 84", "degree", -180, 180)
LAT = Column("lat", pa.float64(), "Latitude of the centre, WGS 84", "degree", -90, 90)
ACCURACY_M = Column("accuracy_m", pa.float32(), "Accuracy radius as the source states it", "m", 0, is_nullable=True)
UTC_OFFSET_S = Column("utc_offset_s", pa.int32(), "Local time minus UTC", "s", -50_400, 50_400)
STARTED_AT = Column("started_at", TIME, "First ping inside", "UTC", is_sequence=True)
FINISHED_AT = Column("finished_at", TIME, "Last ping inside", "UTC", is_sequence=True)
DATE = Column("date", pa.date32(), "Local date of the first ping", "local date")
DWELL_S = Column("dwell_s", pa.float64(), "Time from start to finish", "s", 0, MAX_DWELL_S)
N_PINGS = Column("n_pings", pa.int64(), "Pings behind the row", "pings", 1)
MAX_GAP_S = Column("max_gap_s", pa.float64(), "Longest silence between consecutive pings inside", "s", 0, MAX_DWELL_S)
IS_INFERRED = Column("is_inferred", pa.bool_(), "Not observed: a silence that ended where it began, taken for a stay")
INFERRED_S = Column(
    "inferred_s", pa.float64(), "Part of the dwell that inferred stays account for", "s", 0, MAX_DWELL_S
)
BRIDGED_S = Column(
    "bridged_s", pa.float64(), "Part of the dwell between one stay and the next of the visit", "s", 0, MAX_DWELL_S
)
HOUR_OF_WEEK = Column("hour_of_week", pa.int16(), "Local hour of the first ping, 0 Monday at midnight", "h", 0, 167)
LOCATION_ID = Column(
    "location_id", pa.int32(), "Place of this device, numbered from 0 by first stay in the study", minimum=0
)
TRACT_GEOID = Column(
    "tract_geoid", pa.string(), "Area that holds the location; null outside all areas", is_nullable=True
)
POI_ID = Column("poi_id", pa.string(), "The place's id as its source gives it")
POI_CATEGORY = Column("poi_category", pa.string(), "Kind of place, in the words of its source", is_nullable=True)
WINDOW = Column("window", pa.string(), "Kind of window", values=("study", "month", "week", "day", "sliding"))
WINDOW_STARTED = Column("window_started", pa.date32(), "First local date of the window", "local date")
N_VISITS = Column("n_visits", pa.int64(), "Visits that start in the window", "visits", 1)
N_LOCATIONS = Column("n_locations", pa.int64(), "Distinct locations visited in the window", "locations", 1)
SECTOR = Column("sector", pa.string(), "Industry: two-digit NAICS as the Census writes it (31-33, 44-45, 48-49)")
REGION_GEOID = Column("region_geoid", pa.string(), "Leading digits of its areas' ids; all: the whole study")
