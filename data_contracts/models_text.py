"""Tables of models that write: short descriptions of an area's week, with what became of their check."""

from dataclasses import replace

import pyarrow as pa

from data_contracts import columns as c
from data_contracts.people import WEEK
from data_contracts.response import N_DEVICES
from data_contracts.spec import Column, Release, Shard, Table

WEEK_SUMMARIES = Table(
    name="week_summaries",
    row="region × week with at least one change of a measure that is told",
    columns=(
        c.REGION_GEOID,
        replace(WEEK, description="Monday of the week that is described, local date"),
        replace(N_DEVICES, description="Devices on the day and in the measure with the fewest among those told"),
        Column("n_facts", pa.int64(), "Measures that the text tells the change of", "facts", 1),
        Column(
            "text",
            pa.string(),
            "The week's changes from the baseline, in whole steps of some per cent; beyond the greatest told: by more "
            "than it",
        ),
        Column(
            "written_by",
            pa.string(),
            "model: the model's own text, in which every number and direction agrees with region_changes; template: a "
            "sentence made of the table, where the model's text did not agree",
            values=("model", "template"),
        ),
        Column(
            "n_facts_wrong",
            pa.int64(),
            "Measures that the model's own text told wrongly, twice or not at all, and 1 more for an opening or a "
            "measure that is none; 1 where only its form is not that of a whole sentence; 0: it stands as written",
            "facts",
            0,
        ),
    ),
    key=("region_geoid", "window_started"),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="No text leaves unchecked: it is held against the table word by word, and replaced where it does not agree. "
    "Facts are of rows of region_changes alone, of everybody, after the rounding that these have in an export.",
)
