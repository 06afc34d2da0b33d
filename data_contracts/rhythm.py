"""Tables of the rhythm of days and weeks: which way a day goes, how alike weeks are, ways to work."""

from dataclasses import replace

import pyarrow as pa

from data_contracts import columns as c
from data_contracts.response import MAX_DAYS_PER_DEVICE
from data_contracts.spec import Column, Release, Shard, Table

MOTIF = Column(
    "motif",
    pa.string(),
    "Network of the day's places: a row of the matrix for each place, 1 where there is a move to the place of the "
    "column, places so ordered that the text comes first in the alphabet; other: too many places",
)

DAILY_MOTIFS = Table(
    name="daily_motifs",
    row="device × local day observed enough, with a visit",
    columns=(
        c.DEVICE_ID,
        replace(c.DATE, description="Local date"),
        Column(
            "n_nodes", pa.int64(), "Distinct locations the device was at on the day", "locations", 1, clip=(0.0, 20.0)
        ),
        Column(
            "n_edges", pa.int64(), "Distinct directed moves from one of them to another", "moves", 0, clip=(0.0, 40.0)
        ),
        MOTIF,
        Column("is_closed", pa.bool_(), "The day ends at the location where it began"),
    ),
    key=("device_id", "date"),
    shard=Shard.BUCKET,
    max_rows_per_device=MAX_DAYS_PER_DEVICE,
    notes="Visits are cut at local midnight, so that where a device slept is in both days. 0 is a day at one place, "
    "01/10 there and back, 001/100/010 a tour of three places, 00/10 a move without a way back. Which place is home "
    "is not in the motif.",
)

MOTIF_SHARES = Table(
    name="motif_shares",
    row="motif of days",
    columns=(
        replace(MOTIF, description="As in daily_motifs; rare: all motifs that are not told apart"),
        Column("n_devices", pa.int64(), "Devices behind the row", "devices", 0, round_to=c.STEP),
        Column("n_days", pa.int64(), "Device-days with the motif", "days", 1, round_to=c.STEP),
        Column("share", pa.float64(), "Share of all device-days", "1", 0, 1, round_to=c.SHARE_STEP),
        Column(
            "share_low", pa.float64(), "Lower end of its interval, devices drawn anew", "1", 0, 1, round_to=c.SHARE_STEP
        ),
        Column("share_high", pa.float64(), "Upper end of its interval", "1", 0, 1, round_to=c.SHARE_STEP),
    ),
    key=("motif",),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="Shares sum to 1. Motifs of few devices are one row, rare; where these are few together, the next smallest "
    "motif is in it too, so that nothing is left over that another row could be taken from.",
)


REGULARITY = Table(
    name="regularity",
    row="device × window with time at a location",
    columns=(
        c.DEVICE_ID,
        c.WINDOW,
        c.WINDOW_STARTED,
        Column("n_hours", pa.int64(), "Local clock hours with time at a location: observed hours", "h", 1),
        Column("n_hours_of_week", pa.int64(), "Hours of the week observed in enough weeks", "h", 0, 168),
        Column(
            "regularity",
            pa.float64(),
            "Share of weeks spent at the most usual location of an hour of the week, mean over those hours; null of "
            "none",
            "1",
            0,
            1,
            is_nullable=True,
        ),
        Column(
            "home_share",
            pa.float64(),
            "Share of the window's time at locations that is spent at the baseline home; null without a home",
            "1",
            0,
            1,
            is_nullable=True,
        ),
    ),
    key=("device_id", "window", "window_started"),
    shard=Shard.BUCKET,
    notes="An hour belongs to the window of its own local date: visits are cut. In n weeks regularity is at least "
    "1 / n, whatever a person does: compare windows of like length.",
)

COMMUTES = Table(
    name="commutes",
    row="device with a baseline home and workplace × window with at least one trip",
    columns=(
        c.DEVICE_ID,
        c.WINDOW,
        c.WINDOW_STARTED,
        Column("n_trips", pa.int64(), "Trips that arrive in the window", "trips", 1),
        Column("home_work_distance_m", pa.float64(), "Great-circle distance of home and workplace", "m", 0),
        Column("n_to_work", pa.int64(), "Direct trips from home to the workplace", "trips", 0),
        Column("n_to_home", pa.int64(), "Direct trips from the workplace to home", "trips", 0),
        *(
            Column(f"to_{end}_median_s", pa.float64(), f"Median duration of those to {end}", "s", 0, is_nullable=True)
            for end in ("work", "home")
        ),
    ),
    key=("device_id", "window", "window_started"),
    shard=Shard.BUCKET,
    notes="Durations are from the last ping at one place to the first at the other, so they are too long by what lies "
    "between pings. Medians are null where there is no such trip. Trips with a stop between are not direct.",
)
