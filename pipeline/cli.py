"""The command `sojourn`: from pings to tables, their checks, reports and releases."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as Grid

from pipeline.audit_commands import audit_tables
from pipeline.backfill_commands import backfill
from pipeline.check_commands import check
from pipeline.compact_commands import compact
from pipeline.engine.trouble import SAFE, RunError, refusal
from pipeline.evaluate import evaluate_app
from pipeline.export_commands import export
from pipeline.logs import LogFormat
from pipeline.options import (
    DEFAULT_BUCKETS,
    AsJson,
    Buckets,
    From,
    MemoryGB,
    Root,
    Scheduler,
    Sets,
    StudyFile,
    Threads,
    To,
    Wait,
    Workers,
    make_settings,
    print_json,
    read_study,
    span,
)
from pipeline.plan_commands import plan
from pipeline.private_commands import budget
from pipeline.rebucket_commands import rebucket
from pipeline.reference_commands import reference_app, verify_root
from pipeline.report_commands import report_app
from pipeline.running import (
    LogFileOption,
    LogFormatOption,
    LogLevelOption,
    MetricsFile,
    Outputs,
    PerformanceReport,
    run_stages,
    start_log,
)
from pipeline.runs_commands import runs
from pipeline.settings import Settings
from pipeline.shown import print_joins, show_states, show_summaries
from pipeline.study import Study, StudyError, parse_date
from pipeline.train_commands import models, train
from pipeline.withdraw_commands import withdraw

EXIT_FAILED, EXIT_USAGE, EXIT_NOT_CURRENT, EXIT_CANCELLED = 1, 2, 3, 130
app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="GPS pings to stays, visits and mobility measures. Exit codes: 0 done, 1 failed, 2 wrong use, "
    "3 not everything is current (status) or rows are of too few devices (audit), 130 cancelled.",
)
progress_console = Console(stderr=True)


def main() -> None:
    """Run the command line; errors a user can cause end in one line, without a traceback."""
    try:
        app(standalone_mode=True)
    except (RunError, *SAFE) as error:
        progress_console.print(f"sojourn: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(EXIT_USAGE if isinstance(error, StudyError) else EXIT_FAILED)
    except OSError as error:
        progress_console.print(f"sojourn: {refusal(error)}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        progress_console.print("sojourn: cancelled; what is finished stays, run again to go on")
        sys.exit(EXIT_CANCELLED)


@app.command()
def run(
    study_file: StudyFile = None,
    root: Root = Path("tables"),
    first: From = None,
    last: To = None,
    sets: Sets = None,
    buckets: Buckets = DEFAULT_BUCKETS,
    scheduler: Scheduler = None,
    workers: Workers = 0,
    threads: Threads = None,
    memory_gb: MemoryGB = None,
    wait: Wait = 0.0,
    report: Annotated[Path | None, typer.Option(help="Write the HTML report of the run to this file.")] = None,
    log_format: LogFormatOption = LogFormat.TEXT,
    log_level: LogLevelOption = None,
    log_file: LogFileOption = None,
    performance_report: PerformanceReport = None,
    metrics_file: MetricsFile = None,
    as_json: AsJson = False,
) -> None:
    """Load what is new and bring every table up to date."""
    start_log(log_format, log_level, log_file)
    study = read_study(study_file, sets)
    settings = make_settings(root, buckets, scheduler, workers, threads, memory_gb, wait)
    outputs = Outputs(performance_report, metrics_file)
    summaries = run_stages(study, settings, "run", span(study, first, last), None, outputs)
    if report:
        _write_report(study, settings, report)
    show_summaries(summaries, as_json)


@app.command()
def status(
    study_file: StudyFile = None,
    root: Root = Path("tables"),
    sets: Sets = None,
    buckets: Buckets = DEFAULT_BUCKETS,
    as_json: AsJson = False,
) -> None:
    """Say which shards are current, stale or missing and why, and how the runs on this root ended."""
    from pipeline.engine.files import exists
    from pipeline.engine.joins import static_joins
    from pipeline.engine.records import read_runs
    from pipeline.engine.run import status as find_status
    from pipeline.engine.store import ROOT_FILE, Store

    study, settings = read_study(study_file, sets), make_settings(root, buckets)
    reports, runs = find_status(study, settings), read_runs(root)
    joins = static_joins(study, Store(root))
    if as_json:
        print_json({"shards": [r._asdict() for r in reports], "runs": runs, "joins": joins})
    else:
        if not exists(root / ROOT_FILE):
            typer.echo(f"{root}: there is no root yet")
        _print_runs(runs)
        show_states(reports, False)
        print_joins(joins)
    if any(report.state != "current" for report in reports):
        raise typer.Exit(EXIT_NOT_CURRENT)


@app.command()
def lineage(
    table: Annotated[str, typer.Argument(help="Table, for example stays.")],
    root: Root = Path("tables"),
    day: Annotated[str | None, typer.Option("--date", help="UTC date of the shard, for tables kept by date.")] = None,
    bucket: Annotated[int, typer.Option(min=0, help="Device bucket of the shard.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what a shard was made from, back to the source files."""
    from pipeline.engine.trace import trace

    tree = trace(root, table, parse_date(day) if day else None, bucket)
    if as_json:
        print_json(tree)
    else:
        _print_tree(tree)


@app.command()
def catalog(
    table: Annotated[str | None, typer.Argument(help="Only this table.")] = None,
    odcs: Annotated[bool, typer.Option("--odcs", help="As Open Data Contract Standard YAML (needs a table).")] = False,
    write: Annotated[Path | None, typer.Option(help="Write to this file instead of printing.")] = None,
) -> None:
    """Print the catalogue of tables: columns, units, keys and how they follow from each other."""
    from data_contracts.odcs import to_odcs
    from pipeline.catalog import find_table, render

    if odcs and table is None:
        raise StudyError("--odcs needs a table, for example: sojourn catalog stays --odcs")
    text = to_odcs(find_table(table)) if odcs and table else render([find_table(table)] if table else None)
    if write:
        write.write_text(text)
    else:
        sys.stdout.write(text)


class Scenario(StrEnum):
    """What the demo simulates."""

    CITY = "city"
    EMPLOYMENT = "employment"
    NPI = "npi"


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo city, its tables and report go.")] = Path("demo"),
    scenario: Annotated[
        Scenario,
        typer.Option(
            help="city: two weeks of 500 people. employment: nine months of 1,000, jobs lost. "
            "npi: four months of 2,000, orders and an epidemic."
        ),
    ] = Scenario.CITY,
    devices: Annotated[int | None, typer.Option(min=10, help="People in the simulated city, if others.")] = None,
    days: Annotated[int | None, typer.Option(min=2, max=366, help="Days simulated, if others.")] = None,
    workers: Workers = 0,
    as_json: AsJson = False,
) -> None:
    """Simulate a city, run the whole pipeline on it and write the report."""
    from pipeline.demo import KEY, make_demo_study, make_employment_study, make_npi_study
    from pipeline.settings import KEY_VARIABLE, lend_key

    with lend_key(KEY):
        if scenario is Scenario.CITY:
            study = make_demo_study(folder, devices or 500, days or 14)
        elif scenario is Scenario.EMPLOYMENT:
            study = make_employment_study(folder, devices or 1_000, days or 273)
        else:
            study = make_npi_study(folder, devices or 2_000, days or 120)
        settings = make_settings(folder / "tables", workers=workers)
        summaries = run_stages(study, settings, "demo", study.dates(), None)
    report = folder / "report.html"
    _write_report(study, settings, report)
    show_summaries(summaries, as_json)
    if not as_json:
        Console().print(f"\nReport: {report}\nTables: {settings.root}", highlight=False)
        if not os.environ.get(KEY_VARIABLE):
            typer.echo(f"For more commands on these tables: export {KEY_VARIABLE}='{KEY}'")


app.add_typer(reference_app, name="reference")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(report_app, name="report")
app.command("budget")(budget)
app.command("export")(export)
app.command("audit")(audit_tables)
app.command("check")(check)
app.command("verify")(verify_root)
app.command("runs")(runs)
app.command("plan")(plan)
app.command("backfill")(backfill)
app.command("withdraw")(withdraw)
app.command("rebucket")(rebucket)
app.command("compact")(compact)
app.command("train")(train)
app.command("models")(models)


def _print_runs(runs: list[dict[str, Any]]) -> None:
    grid = Grid("run", "command", "state", "started", "stages", "error")
    for run in runs[-5:]:
        grid.add_row(
            run["run_id"],
            run["command"],
            run["state"],
            run["started_at"],
            str(len(run["stages"])),
            run["error"] or "",
        )
    Console().print(grid if runs else "no run on this root yet")


def _print_tree(node: dict[str, Any], depth: int = 0) -> None:
    facts = ", ".join(f"{name} {value}" for name, value in node["parts"].items())
    typer.echo(f"{'  ' * depth}{node['name']}  {node['n_rows']:,} rows  {facts}")
    for child in node["inputs"]:
        _print_tree(child, depth + 1)


def _write_report(study: Study, settings: Settings, path: Path) -> None:
    from pipeline.report import write_report

    write_report(study, settings.root, path)


if __name__ == "__main__":
    main()
