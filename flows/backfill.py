"""`backfill`: bring some stages up to date on some dates, or only say what state they are in.

``python -m flows.backfill --study study.toml --root tables --start 2020-01-05 --stages stays visits``
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from prefect import flow

from flows.artifacts import publish
from flows.command import DEFAULT_BUCKETS, make_parser, run_flow
from flows.inputs import pick_dates, read_study, run_name
from flows.tasks import open_flow_run, run_stages
from pipeline.engine.plan import ShardReport, stages_in_order
from pipeline.engine.run import StageSummary, status
from pipeline.engine.statics import declared_statics
from pipeline.engine.trouble import named
from pipeline.settings import Settings
from pipeline.study import Study, StudyError


class StatusLine(NamedTuple):
    """How many shards of one table (or source files) are in one state."""

    table: str
    state: str
    """current, stale or missing."""
    n_shards: int
    why: tuple[str, ...]
    """The reasons given, each once."""


@flow(name="backfill", flow_run_name=run_name, persist_result=False, log_prints=True)
def backfill(
    root: Path,
    study_file: Path | None = None,
    study: dict[str, Any] | None = None,
    start: date | None = None,
    end: date | None = None,
    stages: list[str] | None = None,
    dry_run: bool = False,
    n_buckets: int = DEFAULT_BUCKETS,
    scheduler: str | None = None,
) -> list[StageSummary] | list[StatusLine]:
    """Return what each of some stages did on some dates; in a dry run, the state their shards are in.

    Parameters as of `daily`, and `stages`: names, all when left out; they run in the order of the
    pipeline, and stages they read from that are not named are taken as they are. `start` and `end`
    choose dates of the tables kept per date; the others are always of the whole study. Shards that
    are current are skipped. A dry run computes and writes nothing, and prints a line per table and
    state.
    """
    studied = read_study(study_file, study)
    dates = pick_dates(studied, start, end)
    chosen = pick_stages(studied, stages)
    settings = Settings(root=root, n_buckets=n_buckets, scheduler=scheduler)
    if dry_run:
        with named("status"):
            lines = count_states(status(studied, settings, dates), chosen)
        print(format_status(lines))
        return lines
    with open_flow_run(studied, settings, "flow backfill", dates) as run:
        summaries = run_stages(run, [name for name in run.stages if name in chosen])
    publish(studied, dates, summaries)
    return summaries


def pick_stages(study: Study, names: Sequence[str] | None) -> list[str]:
    """Return the stages of those names (None: all) in run order; StudyError on a name that is no stage's."""
    known = [*declared_statics(study), *(stage.name for stage in stages_in_order())]
    unknown = sorted(set(names or ()) - set(known))
    if unknown or names == []:
        raise StudyError(f"stages: {', '.join(unknown) or 'none given'}; this study has {', '.join(known)}")
    return [name for name in known if names is None or name in names]


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
    parser.add_argument("--dry-run", action="store_true", help="only say what state the shards are in")
    options = parser.parse_args()
    run_flow(backfill, options, stages=options.stages, dry_run=options.dry_run)


if __name__ == "__main__":
    main()
