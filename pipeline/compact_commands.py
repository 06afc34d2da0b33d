"""`sojourn compact`: less of what a root gathers over many runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.engine.compact import KEEP_RUNS
from pipeline.engine.compact import compact as put_together
from pipeline.options import AsJson, Root, Wait, print_json

KeepRuns = Annotated[int, typer.Option("--keep-runs", min=1, help="Records of so many newest runs stay.")]


def compact(
    root: Root = Path("tables"), keep_runs: KeepRuns = KEEP_RUNS, wait: Wait = 0.0, as_json: AsJson = False
) -> None:
    """Remove old records of runs, put small files of records together, clear scratch; tables stay as they are."""
    done = put_together(root, keep_runs, wait)
    if as_json:
        print_json(done._asdict())
        return
    typer.echo(
        f"{done.n_runs_removed:,} of {done.n_runs:,} records of runs removed; {done.n_pages:,} files of batch records "
        f"are {done.n_pages_left:,} now"
    )
