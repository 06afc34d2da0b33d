"""Results for people and for scripts: counts and figures, devices by rank, no ids and no positions."""

import math
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as Grid

from pipeline.evaluation.locations import LocationsResult
from pipeline.evaluation.matching import Quartiles, StayCounts
from pipeline.evaluation.run import Evaluation, Thinned
from pipeline.evaluation.scores import Scores
from pipeline.evaluation.stays import Scored, StaysResult

STAYS_NOTE = (
    "macro-F1: mean of the F1 of stop and of move (always: of the answer always stop; devices: mean over them); "
    "MCC: correlation of true and found (0: no better than chance). Pings: those the stays were found in. "
    "Minutes: all of known truth, seen: with a ping before thinning; always the same."
)
MATCH_NOTE = (
    "Of true stays of at least {min_stay_s:g} s; split: two or more found in one; of found stays, merged: one over two "
    "or more, false: over none; matched: one-to-one pairs. Errors are found minus true of these, medians. Found stays "
    "that abut (one going on after an inferred silence) are one."
)
LOCATIONS_NOTE = (
    "Adjusted Rand index (1: same places, 0: chance, which one place for all or one for each stay gets too), per "
    "device. Stays: true ones of at least {min_stay_s:g} s that a found stay overlaps. Minutes: in a true and in a "
    "found stay."
)


def plain(value: Any) -> Any:
    """Return a result as JSON-like values: named tuples as objects, NaN as null, infinity as "inf"."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: plain(part) for name, part in zip(value._fields, value, strict=True)}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def show_stays(evaluation: Evaluation[StaysResult], min_stay_s: float, per_device: bool) -> None:
    """Print an evaluation of stays."""
    console = Console()
    console.print(rows_line(evaluation.rows), highlight=False)
    console.print(_scores_grid(evaluation), _stays_grid(evaluation), _errors_grid(evaluation))
    console.print(STAYS_NOTE, MATCH_NOTE.format(min_stay_s=min_stay_s), sep="\n", highlight=False)
    for each in evaluation.results if per_device else ():
        console.print(_devices_grid(each))


def show_locations(evaluation: Evaluation[LocationsResult], min_stay_s: float, per_device: bool) -> None:
    """Print an evaluation of locations."""
    console = Console()
    console.print(rows_line(evaluation.rows), highlight=False)
    grid = _grid("pings", "devices", "ARI stays", "of stays", "ARI minutes", "of minutes", "true", "found")
    for every_s, _, result in evaluation.results:
        grid.add_row(
            _every(every_s), f"{len(result.devices):,}", figure(result.stays.mean), share(result.share_of_stays, 0),
            figure(result.minutes.mean), share(result.share_of_minutes, 0),
            f"{result.n_places_true:,}", f"{result.n_places_found:,}",
        )  # fmt: skip
    console.print(grid)
    console.print(LOCATIONS_NOTE.format(min_stay_s=min_stay_s), highlight=False)
    for each in evaluation.results if per_device else ():
        console.print(_places_grid(each))


def rows_line(rows: dict[str, Any]) -> str:
    """Return what became of the rows, in words."""
    words = []
    if "n_read" in rows:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in rows["rejected"].items())
        words.append(
            f"{rows['n_read']:,} rows = {rows['n_pings']:,} pings + {rows['n_duplicates']:,} duplicates + "
            f"{rows['n_rejected']:,} rejected" + (f" ({reasons})" if reasons else "")
        )
    named = {
        "n_scored": "pings of known truth", "n_unlabelled": "without a label", "n_conflicts": "of contradictory labels",
        "n_true_stays": "true stays", "n_true_rows": "rows of truth", "n_true_unusable": "of them unusable",
        "n_true_devices_without_pings": "true devices without a ping", "n_devices": "devices compared",
    }  # fmt: skip
    words += [f"{rows[name]:,} {text}" for name, text in named.items() if rows.get(name)]
    return "; ".join(words)


def _scores_grid(evaluation: Evaluation[StaysResult]) -> Grid:
    grid = _grid("pings", "over", "items", "F1 stop", "F1 move", "macro-F1", "always", "MCC", "devices")
    for every_s, _, result in evaluation.results:
        rows = [("pings", result.pings), ("minutes", result.minutes)]
        if result.observed_minutes != result.minutes:
            rows.append(("seen minutes", result.observed_minutes))
        for name, scored in rows:
            grid.add_row(_every(every_s) if name == "pings" else "", name, *_figures(scored))
    return grid


def _grid(*names: str, title: str | None = None) -> Grid:
    """Return a table of figures that fits a terminal of 80 columns."""
    grid = Grid(box=box.SIMPLE_HEAD, padding=0, title=title, title_justify="left")
    for k, name in enumerate(names):
        grid.add_column(name, justify="left" if k == 0 or name == "over" else "right", no_wrap=True)
    return grid


def _figures(scored: Scored) -> list[str]:
    pooled = scored.pooled
    return [
        f"{pooled.n:,}",
        *(figure(value) for value in (pooled.f1_stop, pooled.f1_move, pooled.macro_f1)),
        figure(scored.always_stop.macro_f1),
        figure(pooled.mcc),
        figure(scored.mean_over_devices.macro_f1),
    ]


def _stays_grid(evaluation: Evaluation[StaysResult]) -> Grid:
    grid = _grid("pings", "true", "found", "missed", "split", "detected", "false", "merged", "matched")
    for every_s, _, result in evaluation.results:
        grid.add_row(_every(every_s), *_counts(result.stays))
    return grid


def _counts(stays: StayCounts) -> list[str]:
    numbers = (stays.n_true, stays.n_found, stays.n_missed, stays.n_split, stays.n_detected, stays.n_false)
    return [f"{n:,}" for n in (*numbers, stays.n_merged, stays.n_matched)]


def _errors_grid(evaluation: Evaluation[StaysResult]) -> Grid:
    grid = _grid("pings", "start error", "quartiles", "finish error", "quartiles")
    for every_s, _, result in evaluation.results:
        grid.add_row(_every(every_s), *_seconds(result.stays.start_error_s), *_seconds(result.stays.finish_error_s))
    return grid


def _devices_grid(each: Thinned[StaysResult]) -> Grid:
    names = ("pings", "macro-F1", "MCC", "minutes", "macro-F1", "true", "found", "split", "false", "merged")
    grid = _grid("device", *names, title=f"By device, {_every(each.every_s)}")
    for device in each.result.devices:
        stays, pings, minutes = device.stays, device.pings, device.minutes
        counts = (stays.n_true, stays.n_found, stays.n_split, stays.n_false, stays.n_merged)
        grid.add_row(
            str(device.rank), *_of(pings), figure(pings.mcc), *_of(minutes), *(f"{n:,}" for n in counts)
        )  # fmt: skip
    return grid


def _of(scores: Scores) -> tuple[str, str]:
    return f"{scores.n:,}", figure(scores.macro_f1)


def _places_grid(each: Thinned[LocationsResult]) -> Grid:
    names = ("stays", "ARI", "minutes", "ARI", "places true", "found")
    grid = _grid("device", *names, title=f"By device, {_every(each.every_s)}")
    for d in each.result.devices:
        figures = (f"{d.n_stays:,}", figure(d.ari_stays), f"{d.n_minutes:,}", figure(d.ari_minutes))
        grid.add_row(str(d.rank), *figures, f"{d.n_places_true:,}", f"{d.n_places_found:,}")
    return grid


def _every(every_s: float) -> str:
    return f"{every_s / 60:g} min" if every_s else "all pings"


def format_p(p_value: float) -> str:
    """Return a p-value with three decimals; a dash for one that does not exist."""
    if p_value != p_value:
        return "–"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def figure(value: float, n_decimals: int = 3) -> str:
    """Return a score or probability as text, a dash where there is none (NaN)."""
    return "–" if math.isnan(value) else f"{value:.{n_decimals}f}"


def share(value: float, n_decimals: int = 1) -> str:
    """Return a share in percent as text, a dash where there is none (NaN)."""
    return "–" if math.isnan(value) else f"{100 * value:.{n_decimals}f} %"


def _seconds(errors: Quartiles) -> tuple[str, str]:
    """Return the median and the outer quartiles."""
    if math.isnan(errors.median_s):
        return "–", "–"
    return f"{errors.median_s:+,.0f} s", f"{errors.q25_s:+,.0f} to {errors.q75_s:+,.0f} s"
