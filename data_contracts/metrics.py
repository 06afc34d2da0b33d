"""Tables of measures: one row per device and window."""

import pyarrow as pa

from data_contracts import columns as c
from data_contracts.spec import Column, Shard, Table

GYRATION = Table(
    name="gyration",
    row="device × window with at least one visit",
    columns=(
        c.DEVICE_ID,
        c.WINDOW,
        c.WINDOW_STARTED,
        c.N_VISITS,
        c.N_LOCATIONS,
        Column("gyration_m", pa.float64(), "Radius of gyration, each visit weighing one", "m", 0),
        Column(
            "gyration_dwell_m",
            pa.float64(),
            "Radius of gyration, each visit weighing its dwell; null where no time was spent",
            "m",
            0,
            is_nullable=True,
        ),
    ),
    key=("device_id", "window", "window_started"),
    shard=Shard.BUCKET,
    notes="A visit belongs whole to the window in which it starts, by local date.",
)

EXPLORATION = Table(
    name="exploration",
    row="device × window with at least one visit",
    columns=(
        c.DEVICE_ID,
        c.WINDOW,
        c.WINDOW_STARTED,
        c.N_VISITS,
        c.N_LOCATIONS,
        Column("n_new_locations", pa.int64(), "Locations never visited before in the study", "locations", 0),
        Column(
            "n_locations_so_far",
            pa.int64(),
            "Distinct locations from the study's start to the window's end: S(t)",
            "locations",
            1,
        ),
    ),
    key=("device_id", "window", "window_started"),
    shard=Shard.BUCKET,
    notes="New locations of all windows of one kind sum to the device's distinct locations.",
)
