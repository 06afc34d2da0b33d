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
    notes="New locations of all windows of one kind sum to the device's distinct locations; sliding ones overlap.",
)

ENTROPY = Table(
    name="entropy",
    row="device × window with at least one visit",
    columns=(
        c.DEVICE_ID,
        c.WINDOW,
        c.WINDOW_STARTED,
        c.N_VISITS,
        c.N_LOCATIONS,
        Column("entropy_bits", pa.float64(), "Entropy of the locations, each visit weighing one", "bit", 0),
        Column(
            "entropy_dwell_bits",
            pa.float64(),
            "Entropy of the locations, each visit weighing its dwell; null where no time was spent",
            "bit",
            0,
            is_nullable=True,
        ),
    ),
    key=("device_id", "window", "window_started"),
    shard=Shard.BUCKET,
    notes="Divide by log2(n_locations) for the normalised entropy.",
)

CAPACITY = Table(
    name="capacity",
    row="device × week with at least one visit",
    columns=(
        c.DEVICE_ID,
        c.WINDOW_STARTED,
        Column("n_familiar", pa.int64(), "Familiar locations in the weeks up to and with this one", "locations", 0),
        Column("n_added", pa.int64(), "Familiar now and not in the device's row before", "locations", 0),
        Column("n_dropped", pa.int64(), "Familiar in the device's row before and not now", "locations", 0),
    ),
    key=("device_id", "window_started"),
    shard=Shard.BUCKET,
    notes="n_familiar is the running sum of n_added - n_dropped. In the first weeks of a device the window has not "
    "filled, which is why some locations are not familiar yet.",
)
