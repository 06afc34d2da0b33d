"""`daily`: bring every table of a study up to date.

``python -m flows.daily --study study.toml --root tables`` runs it here and now, without a server;
with ``PREFECT_API_URL`` set the server there shows the run; ``prefect.yaml`` deploys it.
"""

from datetime import date
from pathlib import Path
from typing import Any

from prefect import flow

from flows.artifacts import publish
from flows.command import DEFAULT_BUCKETS, make_parser, run_flow
from flows.inputs import pick_dates, read_study, run_name
from flows.tasks import open_flow_run, run_stages
from pipeline.engine.run import StageSummary
from pipeline.settings import Settings


@flow(name="daily", flow_run_name=run_name, persist_result=False)
def daily(
    root: Path,
    study_file: Path | None = None,
    study: dict[str, Any] | None = None,
    start: date | None = None,
    end: date | None = None,
    n_buckets: int = DEFAULT_BUCKETS,
    scheduler: str | None = None,
) -> list[StageSummary]:
    """Return what each stage did to the tables under `root`, one task a stage, in order.

    The study is a TOML file (`study_file`) or its fields (`study`); `start` and `end` are UTC
    dates within it, both included, by default the whole span. Shards that are current are skipped,
    so running it every day, or again after a kill, does only what is missing. A stage that fails
    fails the flow with the engine's message.
    """
    studied = read_study(study_file, study)
    dates = pick_dates(studied, start, end)
    settings = Settings(root=root, n_buckets=n_buckets, scheduler=scheduler)
    with open_flow_run(studied, settings, "flow daily", dates) as run:
        summaries = run_stages(run, run.stages)
    publish(studied, dates, summaries)
    return summaries


def main() -> None:
    """Run the flow from the command line."""
    run_flow(daily, make_parser("Bring every table of a study up to date.").parse_args())


if __name__ == "__main__":
    main()
