"""`sojourn rebucket`: another number of files per date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.engine.opening import hold_root, root_buckets
from pipeline.engine.rebucket import COMMAND
from pipeline.engine.rebucket import rebucket as cut_anew
from pipeline.engine.records import read_runs
from pipeline.engine.unfinished import unfinished
from pipeline.options import AsJson, MemoryGB, Root, Scheduler, Threads, Wait, Workers, make_settings, print_json
from pipeline.settings import MAX_BUCKETS
from pipeline.study import StudyError


def rebucket(
    buckets: Annotated[int, typer.Option("--buckets", min=1, max=MAX_BUCKETS, help="Files per date from now on.")],
    root: Root = Path("tables"),
    scheduler: Scheduler = None,
    workers: Workers = 0,
    threads: Threads = None,
    memory_gb: MemoryGB = None,
    wait: Wait = 0.0,
    as_json: AsJson = False,
) -> None:
    """Give a root another number of buckets without reading source files; the next run makes its other tables again."""
    n_buckets = root_buckets(root)
    if n_buckets is None:
        raise StudyError(f"{root} is no root: `sojourn run --buckets {buckets}` begins one")
    if n_buckets == buckets and not unfinished(root):
        raise StudyError(f"{root} has {buckets} buckets already")
    settings = make_settings(root, n_buckets, scheduler, workers, threads, memory_gb, wait)
    with hold_root(settings, COMMAND, _last_study(root)) as held:
        done = cut_anew(held, buckets)
    if as_json:
        print_json(done._asdict())
    else:
        typer.echo(
            f"{done.n_rows:,} pings from {done.since} buckets to {done.to}, {done.n_shards:,} shards; run again with "
            f"--buckets {done.to}, which makes the tables again that are made of them"
        )


def _last_study(root: Path) -> dict[str, object]:
    """Return the study as the last record has it, which stays that of the root."""
    runs = read_runs(root)
    return dict(runs[-1]["study"]) if runs else {}
