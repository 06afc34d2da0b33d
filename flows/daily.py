"""`daily`: bring every table of a study up to date.

``python -m flows.daily --study study.toml --root tables`` runs it here and now, without a server;
with ``PREFECT_API_URL`` set the server there shows the run; ``prefect.yaml`` deploys it.
"""

from datetime import date
from pathlib import Path
from typing import Any

from prefect import State, flow

from flows.command import make_parser, run_flow
from flows.inputs import dated_stages, pick_dates, pick_stages, read_study, run_name
from flows.tasks import do_run
from pipeline.engine.run import StageSummary
from pipeline.settings import Settings


@flow(name="daily", flow_run_name=run_name, persist_result=False)
def daily(
    settings: Settings,
    study_file: Path | None = None,
    study: dict[str, Any] | None = None,
    start: date | None = None,
    end: date | None = None,
    only_dated: bool = False,
    report: Path | None = None,
) -> list[StageSummary] | State:
    """Return what each stage did to the tables of a study, one task a stage, in order.

    Shards that are current are skipped, so running it every day, or again after a kill, does only
    what is missing. A stage that fails fails the flow with the engine's message; a root on which
    another run goes on for longer than this one may wait ends it in state "Refused".

    Args:
        settings: Where the tables are and how fast they are made. They never change a number.
        study_file: Path of the study (TOML), as the worker sees it.
        study: Fields of the study, which replace those of the file; without a file, the whole study.
        start: First UTC date to compute; empty: the study's.
        end: Last UTC date to compute, included; empty: the study's.
        only_dated: Only tables that are kept per date (pings, coverage, stays). A new day costs them
            that day; all other tables are made anew for the whole study.
        report: Write the HTML report to this path of the worker, and link it.
    """
    studied = read_study(study_file, study)
    dates = pick_dates(studied, start, end)
    stages = pick_stages(studied, dated_stages() if only_dated else None)
    return do_run(studied, settings, "flow daily", dates, stages, report)


def main() -> None:
    """Run the flow from the command line."""
    parser = make_parser("Bring every table of a study up to date.")
    parser.add_argument("--only-dated", action="store_true", help="only tables that are kept per date")
    options = parser.parse_args()
    run_flow(daily, options, only_dated=options.only_dated)


if __name__ == "__main__":
    main()
