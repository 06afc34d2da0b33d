"""The page: what is measured becomes words and images, and those become one file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined

from data_contracts import LOCATIONS, STAYS, VISITS
from pipeline.engine.run import count_pings
from pipeline.engine.store import Store, atomic_file
from pipeline.report import figures
from pipeline.report.drawing import Image
from pipeline.report.groups import MIN_DEVICES, Bars
from pipeline.report.maps import draw_map
from pipeline.report.measures import Radii, Seen, Stays, measure_exploration, measure_radii, measure_seen, measure_stays
from pipeline.report.exploring import N_REPLICATES, Curve
from pipeline.report.provenance import describe_params, last_run, list_params, package_versions, study_digest
from pipeline.report.quality import MAX_DAYS_BY_DAY, Quality, measure_quality
from pipeline.report.reading import count_rows
from pipeline.study import Study


class Results(NamedTuple):
    """Everything the figures are drawn from."""

    quality: Quality
    seen: Seen
    radii: Radii
    curve: Curve
    stays: Stays


def write_report(study: Study, root: Path, path: Path) -> Path:
    """Write the report of a root as one HTML file, whole or not at all, and return its path.

    The file needs nothing else: images are inside, no address is fetched. It holds totals and
    numbers of at least ten devices, no id and no position. Tables are read one device bucket at a
    time, pings never. RunError where the rows of `pings` do not balance.
    """
    text = render(study, Path(root))
    with atomic_file(Path(path)) as file:
        file.write(text.encode())
    return Path(path)


def render(study: Study, root: Path) -> str:
    """Return the report as HTML."""
    store = Store(root)
    results = measure(study, store)
    params = list_params(study)
    template = files("pipeline.report").joinpath("report.html").read_text()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": format_number, "percent": format_percent}
    return environment.from_string(template).render(
        study=study,
        run=last_run(root, study),
        counts=count_pings(store),
        rows={table.name: count_rows(store, table) for table in (STAYS, LOCATIONS, VISITS)},
        **results._asdict(),
        images=draw(results),
        weeks=[week_rates(results)],
        params=params,
        used={stage: describe_params(params, stage) for stage in ("stays", "locations", "gyration")},
        packages=package_versions(),
        digest=study_digest(study),
        min_devices=MIN_DEVICES,
        n_replicates=N_REPLICATES,
    )


def measure(study: Study, store: Store) -> Results:
    """Return what the report shows, from the tables of a root."""
    return Results(
        measure_quality(store, study),
        measure_seen(store, study),
        measure_radii(store),
        measure_exploration(store, study.seed),
        measure_stays(store),
    )


def draw(results: Results) -> dict[str, Image]:
    """Return the images by name; one that would show too few devices is not among them."""
    return {**_draw_quality(results.quality), **_draw_measures(results), **_draw_seen(results.seen)}


def _draw_quality(quality: Quality) -> dict[str, Image]:
    images = {}
    if quality.pings:
        alt = f"Histogram of pings per device-day. {_peak(quality.pings, 1, 'pings')}"
        images["pings"] = figures.draw_log_bars(quality.pings, 1, "Pings of a device-day (log scale)", "device-days", alt)
    if quality.hours:
        alt = f"Histogram of observed hours per device-day. {_peak(quality.hours, 1, 'hours')}"
        images["hours"] = figures.draw_hours(quality.hours, alt)
    shown = quality.periods["n_devices"].dropna()
    if len(shown):
        alt = f"Line of devices with a ping per {quality.period_kind}: from {shown.min():,.0f} to {shown.max():,.0f}."
        images["periods"] = figures.draw_periods(quality.periods, quality.period_kind, alt)
    return images
