"""The page: what is measured becomes words and images, and those become one file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from data_contracts import LOCATIONS, STAYS, VISITS
from pipeline.engine.files import atomic_file
from pipeline.engine.plan import params_of
from pipeline.engine.run import count_pings
from pipeline.engine.store import Store
from pipeline.paths import as_path
from pipeline.report import figures
from pipeline.report.drawing import Image
from pipeline.report.exploring import N_REPLICATES, Curve
from pipeline.report.groups import MIN_DEVICES
from pipeline.report.maps import draw_map
from pipeline.report.measures import (
    Radii,
    Seen,
    Stays,
    measure_exploration,
    measure_radii,
    measure_seen,
    measure_stays,
)
from pipeline.report.models import read_models
from pipeline.report.npi import Response, draw_response, measure_response, response_words
from pipeline.report.people import People, draw_people, measure_people, people_words
from pipeline.report.provenance import describe_params, last_run, list_params, package_versions, study_digest
from pipeline.report.quality import Quality, measure_quality
from pipeline.report.reading import count_rows
from pipeline.report.templates import new_environment
from pipeline.report.words import format_km, format_seconds, fullest_bar
from pipeline.study import Study


class Results(NamedTuple):
    """Everything the figures are drawn from."""

    quality: Quality
    seen: Seen
    radii: Radii
    curve: Curve
    stays: Stays
    people: People
    response: Response


def write_report(study: Study, root: Path, path: Path) -> Path:
    """Write the report of a root as one HTML file, whole or not at all, and return its path.

    The file needs nothing else: images are inside, no address is fetched. It holds totals and
    numbers of at least ten devices, no id and no position. Tables are read one device bucket at a
    time, pings never. RunError where the rows of `pings` do not balance.
    """
    text = render(study, as_path(root))
    with atomic_file(Path(path)) as file:
        file.write(text.encode())
    return Path(path)


def render(study: Study, root: Path) -> str:
    """Return the report as HTML."""
    store = Store(root)
    results = measure(study, store)
    params = list_params(study)
    drawn = draw_response(results.response)
    return (
        new_environment()
        .get_template("report.html")
        .render(
            study=study,
            run=last_run(root, study),
            counts=count_pings(store),
            rows={table.name: count_rows(store, table) for table in (STAYS, LOCATIONS, VISITS)},
            **results._asdict(),
            images=draw(results) | {one.name: one.image for one in drawn},
            chosen=params_of(study),
            **people_words(results.people),
            **response_words(results.response, drawn),
            models=read_models(study, root),
            params=params,
            used={stage: describe_params(params, stage) for stage in ("stays", "locations", "gyration")},
            packages=package_versions(),
            digest=study_digest(study),
            min_devices=MIN_DEVICES,
            n_replicates=N_REPLICATES,
        )
    )


def measure(study: Study, store: Store) -> Results:
    """Return what the report shows, from the tables of a root."""
    return Results(
        measure_quality(store, study),
        measure_seen(store, study),
        measure_radii(store),
        measure_exploration(store, study.seed),
        measure_stays(store),
        measure_people(store, study),
        measure_response(store, study),
    )


def draw(results: Results) -> dict[str, Image]:
    """Return the images by name; one that would show too few devices is not among them."""
    parts = (_draw_quality(results.quality), _draw_measures(results), _draw_seen(results.seen))
    return {name: image for part in (*parts, draw_people(results.people)) for name, image in part.items()}


def _draw_quality(quality: Quality) -> dict[str, Image]:
    images = {}
    if quality.pings:
        words, low, high = fullest_bar(quality.pings, "device-days")
        alt = f"Histogram of pings per device-day. {words}, {low:,.0f} to {high:,.0f} pings."
        label = "Pings of a device-day (log scale)"
        images["pings"] = figures.draw_log_bars(quality.pings, 1, label, "device-days", alt)
    if quality.hours:
        words, low, high = fullest_bar(quality.hours, "device-days")
        alt = f"Histogram of observed hours per device-day. {words}, {low:.0f} to {high - 1:.0f} hours."
        images["hours"] = figures.draw_hours(quality.hours, alt)
    shown = quality.periods["n_devices"].dropna()
    if len(shown):
        alt = f"Devices per {quality.period_kind}: between {shown.min():,.0f} and {shown.max():,.0f}."
        images["periods"] = figures.draw_periods(quality.periods, quality.period_kind, alt)
    return images


def _draw_measures(results: Results) -> dict[str, Image]:
    images = {}
    radii, points = results.radii.bars, results.curve.points
    if radii:
        words, low, high = fullest_bar(radii, "devices")
        alt = f"Histogram of the radius of gyration per device. {words}, {format_km(low)} to {format_km(high)}."
        label = "Radius of gyration, km (log scale)"
        images["radii"] = figures.draw_log_bars(radii, 1000, label, "devices", alt)
    if len(points):
        last = points.iloc[-1]
        alt = (
            f"Exploration curve with a 95 % band: mean distinct locations rise from "
            f"{points.n_locations[0]:.1f} on day 0 to {last.n_locations:.1f} on day {last.day:.0f}."
        )
        images["exploration"] = figures.draw_exploration(results.curve, alt)
    return images | _draw_stays(results)


def _draw_stays(results: Results) -> dict[str, Image]:
    images, dwell, rates = {}, results.stays.dwell, week_rates(results)
    if dwell:
        words, low, high = fullest_bar(dwell, "stays")
        alt = f"Histogram of dwell. {words}, {format_seconds(low)} to {format_seconds(high)}."
        images["dwell"] = figures.draw_dwell(dwell, alt)
    if rates.notna().any() and rates.max() > 0:
        top = int(rates.argmax())
        day, hour = figures.WEEKDAYS[top // 24], top % 24
        alt = (
            "Stays per 100 device-days by local weekday and hour of their start. Most start on "
            f"{day} from {hour}:00 to {hour + 1}:00: {rates.max():,.0f}."
        )
        images["week"] = figures.draw_week(rates, alt)
    return images


def week_rates(results: Results) -> pd.Series:
    """Return stays per 100 device-days by local hour of the week in which they start; some missing."""
    days = results.quality.weekday_days
    return 100 * results.stays.starts["n_stays"] / np.repeat(days.where(days > 0).to_numpy(float), 24)


def _draw_seen(seen: Seen) -> dict[str, Image]:
    shown = seen.areas["n_devices"].dropna()
    if not len(shown):
        return {}
    kind = "area" if seen.is_tracts else "hexagon"
    alt = (
        f"Map, {len(shown):,} {kind}{'s' if len(shown) > 1 else ''} shaded by the number of devices "
        f"with a location there, from {shown.min():,.0f} to {shown.max():,.0f}. "
        f"Where there are fewer than {MIN_DEVICES}, nothing is shaded."
    )
    return {"map": draw_map(seen, alt)}
