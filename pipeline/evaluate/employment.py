"""`sojourn evaluate employment`: how good inferred employment is on your own ground truth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.evaluate.app import evaluate_app, load_or_explain
from pipeline.options import AsJson, Root, print_json
from pipeline.settings import read_key
from pipeline.study import StudyError, parse_date

if TYPE_CHECKING:
    from datetime import date

    from rich.table import Table as Grid

    from pipeline.evaluation.employment import EmploymentResult, FalseLosses, Quartiles, Scored
    from pipeline.evaluation.spells import TrueSpells

NOTE = (
    "Device-weeks of known truth, with a job that could be lost, and of known status. AUC: chance that the probability "
    "is higher without work than with (0.5: no better than chance). Brier: mean squared error of the probability. "
    "at risk: every lasting absence is a loss; absent: so is every absent week; never: nobody loses a job."
)
LOSSES_NOTE = (
    "Days after the true first day without work (median, quartiles). Told: when the data could say so. Dated: the "
    "Monday to which the loss is dated back."
)


@evaluate_app.command("employment")
def evaluate_employment(
    root: Root,
    truth: Annotated[str, typer.Option("--truth", help="Table of true spells (CSV or Parquet: file, folder or glob).")],
    truth_columns: Annotated[
        str | None,
        typer.Option(
            help="Its columns, where named otherwise: device_id=uid,started_on=begin,finished_on=end,status=what."
        ),
    ] = None,
    spans: Annotated[
        list[str] | None,
        typer.Option("--span", help="Also for these dates alone, START:END (repeatable), such as a lockdown."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score employment week by week against true spells, and say how late losses are found.

    Rows of the truth: device_id (the source's own), started_on and finished_on (local dates, both included), status
    (employed, not_employed, none) and, if there is one, is_remote. Needs the SOJOURN_KEY of the tables.
    """
    from pipeline.evaluation import employment as evaluation
    from pipeline.evaluation.showing import plain
    from pipeline.evaluation.spells import SPELL_ROLES, read_true_spells
    from pipeline.evaluation.tables import TruthFile, parse_columns

    dates = [_parse_span(text) for text in spans or []]
    true = read_true_spells(TruthFile(truth, parse_columns(truth_columns, SPELL_ROLES)), read_key())
    found = load_or_explain("employment", root, evaluation.EMPLOYMENT_COLUMNS)
    result = evaluation.evaluate_employment(
        found, load_or_explain("presence", root, evaluation.PRESENCE_COLUMNS), true, dates
    )
    rows = {"n_true_rows": true.n_rows, "n_true_unusable": true.n_unusable, "n_true_devices": _n_devices(true)}
    if as_json:
        print_json(plain({"rows": rows, **result._asdict()}))
    else:
        _show(rows, result)


def _parse_span(text: str) -> tuple[date, date]:
    start, separator, end = text.partition(":")
    if not separator:
        raise StudyError(f"--span {text}: write START:END, two dates YYYY-MM-DD")
    first, last = parse_date(start), parse_date(end)
    if last < first:
        raise StudyError(f"--span {text}: ends before it starts")
    return first, last


def _n_devices(true: TrueSpells) -> int:
    return int(true.spells["device_id"].nunique())


def _show(rows: dict[str, int], result: EmploymentResult) -> None:
    """Print the comparison."""
    from rich.console import Console

    from pipeline.evaluation.showing import share

    console = Console()
    console.print(
        f"{rows['n_true_rows']:,} rows of truth ({rows['n_true_unusable']:,} unusable), {rows['n_true_devices']:,} "
        f"devices; {result.n_devices:,} of them with a baseline workplace: {result.n_device_weeks:,} device-weeks, "
        f"{result.n_known:,} of known status; {share(result.true_share)} truly without work",
        highlight=False,
    )
    console.print(_scores_grid(result), NOTE, sep="\n", highlight=False)
    console.print(_reliability_grid(result), _confusion_grid(result), _losses_grid(result), sep="\n")
    console.print(LOSSES_NOTE, highlight=False)
    console.print(_false_grid(result))


def _grid(*names: str, title: str | None = None) -> Grid:
    from rich import box
    from rich.table import Table as Grid

    grid = Grid(box=box.SIMPLE_HEAD, padding=0, title=title, title_justify="left")
    for k, name in enumerate(names):
        grid.add_column(name, justify="left" if k == 0 else "right", no_wrap=True)
    return grid


def _scores_grid(result: EmploymentResult) -> Grid:
    from pipeline.evaluation.showing import figure

    grid = _grid("weeks", "by", "n", "AUC", "Brier")
    whole: list[tuple[str, int, Scored, dict[str, Scored]]] = [
        ("all", result.n_known, result.inferred, result.baselines)
    ]
    whole += [(f"{s['start']}:{s['end']}", s["n_known"], s["inferred"], s["baselines"]) for s in result.spans]
    for name, n, inferred, baselines in whole:
        for by, scored in {"inferred": inferred, **baselines}.items():
            is_first = by == "inferred"
            grid.add_row(
                name if is_first else "", by.replace("_", " "), f"{n:,}" if is_first else "",
                figure(scored.auc), figure(scored.brier),
            )  # fmt: skip
    return grid


def _reliability_grid(result: EmploymentResult) -> Grid:
    from pipeline.evaluation.showing import figure

    grid = _grid("probability", "n", "mean", "true share")
    for each in result.reliability:
        shown = (figure(each.mean_probability), figure(each.observed_share))
        grid.add_row(f"{each.low:.1f} to {each.high:.1f}", f"{each.n:,}", *shown)
    return grid


def _confusion_grid(result: EmploymentResult) -> Grid:
    from pipeline.evaluation.employment import FOUND

    grid = _grid("truly \\ found", *(name.replace("_", " ") for name in FOUND))
    for true, counts in result.confusion.items():
        grid.add_row(true.replace("_", " "), *(f"{counts[found]:,}" for found in FOUND))
    return grid


def _losses_grid(result: EmploymentResult) -> Grid:
    losses = result.losses
    grid = _grid(
        "losses", "true", "found", "told", "quartiles", "dated", "quartiles", title="Losses, by weeks without work"
    )
    grid.add_row("all", f"{losses.n:,}", f"{losses.n_found:,}", *_quartiles(losses.told), *_quartiles(losses.dated))
    for each in losses.by_length:
        above = "more" if each["below_weeks"] is None else f"below {each['below_weeks']}"
        grid.add_row(f"{each['from_weeks']}, {above}", f"{each['n']:,}", f"{each['n_found']:,}")
    return grid


def _false_grid(result: EmploymentResult) -> Grid:
    from pipeline.evaluation.showing import share

    grid = _grid("weeks", "by", "false", "commuting", "remote", "people", title="False losses: share of the employed")
    parts: list[tuple[str, dict[str, FalseLosses]]] = [("all", result.false_losses)]
    parts += [(f"{span['start']}:{span['end']}", span["false_losses"]) for span in result.spans]
    for name, by_rule in parts:
        for by, false in by_rule.items():
            shares = (
                false.share_of_device_weeks, false.share_of_commuting, false.share_of_remote, false.share_of_devices
            )  # fmt: skip
            grid.add_row(name if by == "inferred" else "", by.replace("_", " "), *map(share, shares))
    return grid


def _quartiles(errors: Quartiles) -> tuple[str, str]:
    if math.isnan(errors.median_d):
        return "–", "–"
    return f"{errors.median_d:+.0f} d", f"{errors.q25_d:+.0f} to {errors.q75_d:+.0f}"
