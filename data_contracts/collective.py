"""Collective measures: what all devices together do in places and between them. All are releases."""

from dataclasses import replace

import pyarrow as pa

from data_contracts import columns as c
from data_contracts.spec import Column, Release, Shard, Table

AREA = Column("area", pa.string(), "Leading digits of a tract's id, or an H3 cell; all: every area")
N_DEVICES = Column("n_devices", pa.int64(), "Devices behind the row", "devices", 0)
N_TRIPS = Column("n_trips", pa.int64(), "Trips", "trips", 0)

OD_FLOWS = Table(
    name="od_flows",
    row="origin × destination × window × hour of the day with trips",
    columns=(
        replace(AREA, name="origin_area"),
        replace(AREA, name="destination_area"),
        c.WINDOW,
        c.WINDOW_STARTED,
        Column("day_hour", pa.string(), "Local hour of the arrival, 00 to 23; all: the whole day"),
        replace(N_TRIPS, description="Trips that arrive in the window", minimum=1),
        replace(N_DEVICES, description="Devices that made them; one may be in several rows", minimum=1),
        Column("distance_mean_m", pa.float64(), "Mean great-circle distance of the trips", "m", 0),
    ),
    key=("origin_area", "destination_area", "window", "window_started", "day_hour"),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="Margins are rows: origin_area, destination_area or day_hour is all. n_trips of a margin is the sum over "
    "its cells, hidden ones included; n_devices is not a sum. A pair without a row had no trips or is hidden: too few "
    "devices, or it would tell of such a row beside a margin. Trips with an end outside all areas are not counted.",
)

PLACE_VISITS = Table(
    name="place_visits",
    row="area × window with visits",
    columns=(
        AREA,
        c.WINDOW,
        c.WINDOW_STARTED,
        replace(c.N_VISITS, description="Visits in the area that start in the window"),
        replace(N_DEVICES, description="Devices that made them: visitors", minimum=1),
        Column("dwell_hours", pa.float64(), "Time they spent there", "h", 0),
        Column("visitor_entropy_bits", pa.float64(), "Entropy of the visits over visitors", "bit", 0),
        Column(
            "home_entropy_bits",
            pa.float64(),
            "Entropy of the visitors over their home areas; null of fewer than 10 with a known home",
            "bit",
            0,
            is_nullable=True,
        ),
        Column(
            "segregation",
            pa.float64(),
            "How unequally the time there is shared between groups of home areas: 0 equally, 1 all of one group; null "
            "where groups are unknown of all but fewer than 10 visitors",
            "1",
            0,
            1,
            is_nullable=True,
        ),
    ),
    key=("area", "window", "window_started"),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="Row all of area is the margin: n_visits and dwell_hours are sums over areas, hidden ones included. An area "
    "without a row had no visits or is hidden. Visits outside all areas are not counted. Divide visitor_entropy_bits "
    "by log2(n_devices) for the normalised entropy.",
)
