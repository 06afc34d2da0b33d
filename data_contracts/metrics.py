"""Tables of measures: one row per device and window."""

from dataclasses import replace

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
        Column(
            "k_gyration_m", pa.float64(), "Radius of gyration of the visits to the k most visited locations", "m", 0
        ),
        Column(
            "k_gyration_dwell_m",
            pa.float64(),
            "Radius of gyration by dwell of the k locations with most time; null where no time was spent",
            "m",
            0,
            is_nullable=True,
        ),
        Column(
            "is_returner",
            pa.bool_(),
            "k_gyration_m is more than half of gyration_m; else an explorer. Null where gyration_m is 0",
            is_nullable=True,
        ),
    ),
    key=("device_id", "window", "window_started"),
    shard=Shard.BUCKET,
    notes="A visit belongs whole to the window in which it starts, by local date. Of a window with at most k locations "
    "the k-radius is the radius, so that whoever has been to few places is a returner.",
)

DISTANCES = Table(
    name="distances",
    row="device × window with at least one visit",
    columns=(
        c.DEVICE_ID,
        c.WINDOW,
        c.WINDOW_STARTED,
        c.N_VISITS,
        c.N_LOCATIONS,
        Column("n_trips", pa.int64(), "Trips that arrive in the window", "trips", 0),
        Column("distance_m", pa.float64(), "Sum of their lengths, each in a straight line", "m", 0),
        *(
            Column(f"jump_{name}_m", pa.float64(), f"{what} of the trips; null without one", "m", 0, is_nullable=True)
            for name, what in (("mean", "Mean length"), ("median", "Median length"), ("max", "Length of the longest"))
        ),
        *(
            Column(
                f"wait_{name}_s",
                pa.float64(),
                f"{name.capitalize()} time from the start of the visit before a trip to that of the visit after it",
                "s",
                0,
                c.MAX_DWELL_S,
                is_nullable=True,
            )
            for name in ("mean", "median")
        ),
        Column("max_distance_m", pa.float64(), "Largest distance between any two locations of the window", "m", 0),
        *(
            Column(f"home_distance_{name}_m", pa.float64(), f"{what}; null without a home", "m", 0, is_nullable=True)
            for name, what in (
                ("mean", "Mean distance of the visits to home"),
                ("dwell_mean", "The same, each visit weighing its dwell"),
                ("max", "Largest distance of a visit to home"),
            )
        ),
    ),
    key=("device_id", "window", "window_started"),
    shard=Shard.BUCKET,
    notes="Trips and visits belong whole to the window in which the visit starts, so that trips of all weeks sum to "
    "those of the study. A waiting time is the dwell of the visit before and the duration of the trip. Home is the "
    "main home of the baseline: who was not seen in the baseline has none. "
    "scikit-mobility's and fastmob's maximum_distance is jump_max_m, not max_distance_m.",
)

VISIT_FREQUENCIES = Table(
    name="visit_frequencies",
    row="device × window × location visited in it",
    columns=(
        c.DEVICE_ID,
        c.WINDOW,
        c.WINDOW_STARTED,
        c.LOCATION_ID,
        replace(c.N_VISITS, description="Visits to the location that start in the window"),
        replace(c.DWELL_S, description="Their dwell"),
        Column("visit_share", pa.float64(), "Share of the window's visits", "1", 0, 1),
        Column(
            "dwell_share",
            pa.float64(),
            "Share of the window's dwell; null where no time was spent",
            "1",
            0,
            1,
            is_nullable=True,
        ),
        Column("frequency_rank", pa.int32(), "1: most visits; of equals the first visited is first", minimum=1),
        Column("recency_rank", pa.int32(), "1: visited last", minimum=1),
        Column(
            "return_time_median_s",
            pa.float64(),
            "Median time between the starts of visits to the location that follow each other; null with one",
            "s",
            0,
            c.MAX_DWELL_S,
            is_nullable=True,
        ),
    ),
    key=("device_id", "window", "window_started", "location_id"),
    shard=Shard.BUCKET,
    notes="visit_share by frequency_rank is Zipf's law of places.",
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
        Column(
            "growth_exponent",
            pa.float64(),
            "Exponent of the growth of locations with visits in the window; null with few of either",
            "1",
            is_nullable=True,
        ),
    ),
    key=("device_id", "window", "window_started"),
    shard=Shard.BUCKET,
    notes="New locations of all windows of one kind sum to the device's distinct locations; sliding ones overlap. "
    "growth_exponent is the slope of ln S by ln n, S being the window's distinct locations up to its n-th visit.",
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
        Column("random_entropy_bits", pa.float64(), "Logarithm of the number of distinct locations", "bit", 0),
        Column("entropy_bits", pa.float64(), "Entropy of the locations, each visit weighing one", "bit", 0),
        Column(
            "entropy_dwell_bits",
            pa.float64(),
            "Entropy of the locations, each visit weighing its dwell; null where no time was spent",
            "bit",
            0,
            is_nullable=True,
        ),
        Column(
            "entropy_rate_bits",
            pa.float64(),
            "Entropy rate of the sequence of places (Lempel-Ziv); null of too short a sequence",
            "bit",
            0,
            is_nullable=True,
        ),
        Column(
            "predictability",
            pa.float64(),
            "Upper limit of how often the next place can be foretold (Fano); null of too short a sequence",
            "1",
            0,
            1,
            is_nullable=True,
        ),
    ),
    key=("device_id", "window", "window_started"),
    shard=Shard.BUCKET,
    notes="Divide by random_entropy_bits for the normalised entropy. Of windows of equal length simpler routines have "
    "a lower entropy rate and a higher predictability; of unequal ones compare no entropy rates.",
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
