"""What a root gathers over hundreds of runs and nobody needs: old records of runs, small files of batches, scratch.

No table of the study is touched, `rejected_pings` neither. Records that something else reads stay: the newest, of every
command the last that finished (its study, its times), and the run that computed most, from which costs are learned.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from data_contracts.runs import RUN_SHARDS
from pipeline.engine.books import Books
from pipeline.engine.files import exists, remove_file, remove_folder
from pipeline.engine.lock import root_lock
from pipeline.engine.records import RUNS, new_run_id, read_runs
from pipeline.engine.store import ROOT_FILE, ShardKey, Store
from pipeline.engine.trouble import RunError
from pipeline.engine.unfinished import begin, finish
from pipeline.settings import SCRATCH

COMMAND = "compact"
KEEP_RUNS = 90
"""Records of runs that stay unless another number is asked for (ours): a quarter of daily runs."""


class Compacted(NamedTuple):
    """What was done."""

    n_runs: int
    n_runs_removed: int
    n_pages: int
    """Files of batch records that were there."""
    n_pages_left: int


def compact(root: Path, keep_runs: int = KEEP_RUNS, wait_s: float = 0.0) -> Compacted:
    """Remove and put together what a root does not need; RunError where there is no root."""
    if not exists(root / ROOT_FILE):
        raise RunError(f"{root} is no root: there is nothing to compact")
    with root_lock(root, new_run_id(root), wait_s, COMMAND) as lock:
        begin(root, COMMAND)
        runs, store = read_runs(root), Store(root)
        kept = runs_to_keep(runs, store, keep_runs)
        for run in runs:
            if run["run_id"] not in kept:
                lock.check()
                # The costs first: a record without them tells less, costs without a record nothing.
                store.remove(RUN_SHARDS, ShardKey(name=run["run_id"]))
                remove_file(root / RUNS / f"{run['run_id']}.json")
        lock.check()
        n_pages, n_pages_left = Books(store).merge_pages()
        remove_folder(root / SCRATCH)
        store.remove_leftovers()
        finish(root)
    return Compacted(len(runs), len(runs) - len(kept), n_pages, n_pages_left)


def runs_to_keep(runs: list[dict[str, Any]], store: Store, keep_runs: int) -> set[str]:
    """Return the ids of the runs whose records stay: the newest, and those that other commands look up."""
    kept = {run["run_id"] for run in runs[len(runs) - min(keep_runs, len(runs)) :]}
    kept |= set({run["command"]: run["run_id"] for run in runs if run["state"] == "finished"}.values())
    rows = {run["run_id"]: store.footer(RUN_SHARDS, ShardKey(name=run["run_id"])) for run in runs}
    computed = {run_id: footer.n_rows for run_id, footer in rows.items() if footer}
    return kept | ({max(computed, key=lambda run_id: computed[run_id])} if computed else set())
