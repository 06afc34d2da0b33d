"""`sojourn check`: is a root as it was written?"""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import Progress

from pipeline.options import AsJson, MemoryGB, Root, Scheduler, Threads, Workers, make_settings, print_json
from pipeline.settings import throw_away_key

if TYPE_CHECKING:
    from pipeline.engine.check import Checked

EXIT_FAILED = 1
GIB = 2**30


def check(
    root: Root = Path("tables"),
    scheduler: Scheduler = None,
    workers: Workers = 0,
    threads: Threads = None,
    memory_gb: MemoryGB = None,
    as_json: AsJson = False,
) -> None:
    """Read every file of a root again; say which are damaged or missing, and what to do. Nothing is written there.

    Exit code 1 where one is. Files that a stopped run left, and what the next run goes on with, are told and harmless.
    """
    from pipeline.engine.check import check_root

    settings = make_settings(root, scheduler=scheduler, workers=workers, threads=threads, memory_gb=memory_gb)
    # No id is hashed; but workers of a scheduler are asked whether their key is the one of this process.
    key = nullcontext() if scheduler else throw_away_key()
    bar = Progress(console=Console(stderr=True), disable=not Console(stderr=True).is_terminal)
    with key, TemporaryDirectory(prefix="sojourn-") as scratch, bar:
        task = bar.add_task("shards read", total=None)
        found = check_root(
            settings.model_copy(update={"scratch": Path(scratch)}),
            lambda n_done, n_total: bar.update(task, completed=n_done, total=n_total),
        )
    if as_json:
        print_json({**found._asdict(), "findings": [f._asdict() for f in found.findings], "is_sound": found.is_sound})
    else:
        _tell(found)
    if not found.is_sound:
        raise typer.Exit(EXIT_FAILED)


def _tell(found: Checked) -> None:
    for finding in found.findings:
        typer.echo(f"{finding.kind}: {finding.words}")
    for run_id in found.writing:
        typer.echo(f"run {run_id} is writing to this root: check again after it, what it changes may be told wrongly")
    n = Counter(finding.kind for finding in found.findings)
    told = ", ".join(f"{n[kind]} {kind}" for kind in n) or "all as it was written"
    size = f"{found.n_shards:,} shards, {found.n_rows:,} rows, {found.n_bytes / GIB:,.2f} GiB read"
    typer.echo(f"{size}: {told}")
