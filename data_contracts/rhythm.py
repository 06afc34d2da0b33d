"""Tables of the rhythm of days and weeks: which way a day goes, how alike weeks are, ways to work."""

from dataclasses import replace

import pyarrow as pa

from data_contracts import columns as c
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
        Column("n_nodes", pa.int64(), "Distinct locations the device was at on the day", "locations", 1),
        Column("n_edges", pa.int64(), "Distinct directed moves from one of them to another", "moves", 0),
        MOTIF,
        Column("is_closed", pa.bool_(), "The day ends at the location where it began"),
    ),
    key=("device_id", "date"),
    shard=Shard.BUCKET,
    notes="Visits are cut at local midnight, so that where a device slept is in both days. 0 is a day at one place, "
    "01/10 there and back, 001/100/010 a tour of three places, 00/10 a move without a way back. Which place is home "
    "is not in the motif.",
)

MOTIF_SHARES = Table(
    name="motif_shares",
    row="motif of days",
    columns=(
        replace(MOTIF, description="As in daily_motifs; rare: all motifs that are not told apart"),
        Column("n_devices", pa.int64(), "Devices behind the row", "devices", 0),
        Column("n_days", pa.int64(), "Device-days with the motif", "days", 1),
        Column("share", pa.float64(), "Share of all device-days", "1", 0, 1),
        Column("share_low", pa.float64(), "Lower end of its interval, devices drawn anew", "1", 0, 1),
        Column("share_high", pa.float64(), "Upper end of its interval", "1", 0, 1),
    ),
    key=("motif",),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="Shares sum to 1. Motifs of few devices are one row, rare; where these are few together, the next smallest "
    "motif is in it too, so that nothing is left over that another row could be taken from.",
)
