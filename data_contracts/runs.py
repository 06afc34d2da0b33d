"""What runs leave of themselves: tables about the work, not about devices."""

import pyarrow as pa

from data_contracts.columns import TIME
from data_contracts.spec import Column, Shard, Table

RUN_SHARDS = Table(
    name="run_shards",
    row="shard computed in a run, or part of the work on one",
    columns=(
        Column("run_id", pa.string(), "The run: when it started (UTC) and the id of its process"),
        Column("stage", pa.string(), "Table that was brought up to date"),
        Column(
            "step",
            pa.string(),
            "read: a piece of a source file; part: what one device bucket gives to a table of the study, which is in "
            "the time of that table's shard as well; shard: a shard",
            values=("read", "part", "shard"),
        ),
        Column("shard", pa.string(), "Which: the shard's path below its table; of a piece, its batch and number"),
        Column("finished_at", TIME, "When the run heard that it was done", "UTC"),
        Column("n_rows_in", pa.int64(), "Rows of the shards or of the piece it was made from", "rows", 0),
        Column("n_rows_out", pa.int64(), "Rows it has, or leaves to the next step", "rows", 0),
        Column("duration_s", pa.float64(), "Time it took, waiting included", "s", 0),
        Column("cpu_s", pa.float64(), "Processor time of the thread that did it", "s", 0),
        Column("read_bytes", pa.int64(), "Size of the files it was made from", "B", 0),
        Column("written_bytes", pa.int64(), "Size of the files written", "B", 0),
        Column(
            "peak_memory_bytes",
            pa.int64(),
            "Most resident memory its worker's process was seen to hold meanwhile, for all of its threads",
            "B",
            0,
        ),
        Column("worker", pa.string(), "Host and process id of the worker"),
    ),
    key=("run_id", "stage", "step", "shard"),
    shard=Shard.RUN,
    notes="Written as a run goes on, after each stage; no stage reads it. Static and study tables, which every shard "
    "reads whole, count among the rows it was made from only where it reads no others.",
)
