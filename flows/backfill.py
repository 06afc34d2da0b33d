"""`backfill`: bring some stages up to date on some dates, or only say what state they are in.

``python -m flows.backfill --study study.toml --root tables --start 2020-01-05 --stages stays visits``
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from prefect import State, flow

from flows.command import make_parser, run_flow
from flows.inputs import StageName, pick_dates, pick_stages, read_study, run_name
from flows.tasks import do_run
from pipeline.engine.plan import ShardReport, with_followers
from pipeline.engine.run import StageSummary, left_stale, status
from pipeline.engine.trouble import named
from pipeline.settings import Settings


class StatusLine(NamedTuple):
    """How many shards of one table (or source files) are in one state."""

    table: str
    state: str
    """current, stale, missing or waiting."""
    n_shards: int
    why: tuple[str, ...]
    """The reasons given, each once."""


@flow(name="backfill", flow_run_name=run_name, persist_result=False, log_prints=True)
def backfill(
    settings: Settings,
    study_file: Path | None = None,
    study: dict[str, Any] | None = None,
    start: date | None = None,
    end: date | None = None,
    stages: list[StageName] | None = None,
    downstream: bool = False,
    force: bool = False,
    dry_run: bool = False,
    report: Path | None = None,
) -> list[StageSummary] | list[StatusLine] | State:
    """Return what each of some stages did on some dates; in a dry run, the state their shards are in.

    Stages run in the order of the pipeline, and those they read from that are not chosen are taken
    as they are. Shards that are current are skipped. A dry run computes and writes nothing, and
    prints a line per table and state. A run of some stages or dates prints what it left as it was.

    Args:
        settings: Where the tables are and how fast they are made. They never change a number.
        study_file: Path of the study (TOML), as the worker sees it.
        study: Fields of the study, which replace those of the file; without a file, the whole study.
        start: First UTC date of the tables kept per date; empty: the study's. Others are always of the whole study.
        end: Last UTC date of the tables kept per date, included; empty: the study's.
        stages: Tables to bring up to date; empty: all.
        downstream: Also all tables that are made from those of `stages`.
        force: Compute shards that are current, too (not pings and reference tables). Bytes stay the same.
        dry_run: Only say what would be computed and why.
        report: Write the HTML report to this path of the worker, and link it.
    """
    studied = read_study(study_file, study)
    dates, chosen = pick_dates(studied, start, end), pick_stages(studied, stages)
    if downstream:
        chosen = [name for name in pick_stages(studied, None) if name in with_followers(chosen)]
    if not dry_run:
        done = do_run(studied, settings, "flow backfill", dates, chosen, report, force)
        if not isinstance(done, State):
            with named("status"):
                print(left_stale(studied, settings) or "everything is current")
        return done
    with named("status"):
        lines = count_states(status(studied, settings, dates, chosen, is_forced=force), chosen)
    print(format_status(lines))
    return lines


def count_states(reports: Sequence[ShardReport], stages: Collection[str]) -> list[StatusLine]:
    """Return the shards of some stages counted by table and state, in run order.

    Source files are part of stage ``pings``. Shards and files are counted, never named.
    """
    tables = {*stages, "source files"} if "pings" in stages else set(stages)
    kept = [r for r in reports if r.table in tables]
    counts = Counter((r.table, r.state) for r in kept)
    reasons: dict[tuple[str, str], dict[str, None]] = {}
    for r in kept:
        reasons.setdefault((r.table, r.state), {}).update(dict.fromkeys(r.why))
    return [StatusLine(*group, n, tuple(reasons[group])) for group, n in counts.items()]


def format_status(lines: Sequence[StatusLine]) -> str:
    """Return a text table of a dry run."""
    rows = [f"{line.table:<16} {line.state:<8} {line.n_shards:>7}  {'; '.join(line.why)}".rstrip() for line in lines]
    return "\n".join([f"{'table':<16} {'state':<8} {'shards':>7}  why", *rows])


def main() -> None:
    """Run the flow from the command line."""
    parser = make_parser("Bring some stages of a study up to date on some dates.")
    parser.add_argument("--stages", nargs="+", help="stages to run (default: all)")
    parser.add_argument("--downstream", action="store_true", help="also all tables made from those of --stages")
    parser.add_argument("--force", action="store_true", help="compute shards that are current, too")
    parser.add_argument("--dry-run", action="store_true", help="only say what state the shards are in")
    options = parser.parse_args()
    more = {name: getattr(options, name) for name in ("stages", "downstream", "force", "dry_run")}
    run_flow(backfill, options, **more)


if __name__ == "__main__":
    main()
