"""Whether policies and an epidemic are known wherever and whenever a study needs them, said before it begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline.id_join import MAX_NAMED, longest_prefixes
from pipeline.study import dates_between

COUNTY_DIGITS, STATE_DIGITS = 5, 2


class RegionCover(NamedTuple):
    """How the areas of a study lie in the regions of a table."""

    n_areas: int
    n_in_a_region: int
    lacking: tuple[str, ...]
    """Counties without a region, a state where all of it has none, in order."""
    n_unused: int
    """Regions that hold no area of the study."""
    gaps: tuple[tuple[str, date, int], ...] = ()
    """(region, its first missing date, number of missing dates) of regions that hold areas, in order."""


def cover_areas(
    areas: Sequence[str], regions: pa.Table, dates: Sequence[date], is_from_first_row: bool = False
) -> RegionCover:
    """Return how areas lie in the regions of a table, and which `dates` are missing there.

    An area belongs to the region with the longest id that begins its own, whether or not another has more dates. A
    table without a column date has no dates to miss. `is_from_first_row`: a region needs all dates from its own first
    row, however early or late, to the last of `dates`; before it there was nothing to be known.
    """
    known = set(regions["region_geoid"].to_pylist())
    found = longest_prefixes(areas, known)
    lacking = [area for area, region in zip(areas, found, strict=True) if not region]
    used = set(found) - {""}
    gaps = tuple(_gaps(regions, used, dates, is_from_first_row)) if "date" in regions.column_names else ()
    n_in = len(areas) - len(lacking)
    return RegionCover(len(areas), n_in, tuple(name_counties(lacking, areas)), len(known - used), gaps)


def name_counties(lacking: Iterable[str], areas: Iterable[str]) -> list[str]:
    """Return the counties of areas, a state where all of its areas are lacking; ids of other kinds as they are."""
    lacks = set(lacking)
    whole = {_state(area) for area in lacks} - {_state(area) for area in areas if area not in lacks}
    return sorted({_state(area) if _state(area) in whole else _county(area) for area in lacks})


def _county(area: str) -> str:
    return area[:COUNTY_DIGITS] if area.isdigit() else area


def _state(area: str) -> str:
    """Return the state of a county or of what is in it; an id that is too short or no number is its own."""
    return area[:STATE_DIGITS] if area.isdigit() and len(area) >= COUNTY_DIGITS else area


def _gaps(
    regions: pa.Table, used: set[str], dates: Sequence[date], is_from_first_row: bool
) -> Iterable[tuple[str, date, int]]:
    there: dict[str, set[date]] = {region: set() for region in sorted(used)}
    for region, day in zip(regions["region_geoid"].to_pylist(), regions["date"].to_pylist(), strict=True):
        if region in there:
            there[region].add(day)
    for region, days in there.items():
        needed = dates_between(min(days), dates[-1]) if is_from_first_row else dates
        missing = [day for day in needed if day not in days]
        if missing:
            yield region, missing[0], len(missing)


def refusal(table: str, cover: RegionCover) -> str:
    """Return why a study cannot use a table, with the counties and dates that it lacks; "" where it can."""
    reasons = []
    if cover.lacking:
        n_areas = cover.n_areas - cover.n_in_a_region
        reasons.append(f"no region holds {n_areas:,} of {cover.n_areas:,} areas of tracts, in {_listed(cover.lacking)}")
    if cover.gaps:
        days = [f"{region} on {first} ({n:,} missing)" for region, first, n in cover.gaps]
        reasons.append(f"dates that the study needs are missing, the first for region {_listed(days)}")
    return f"{table}: {'; '.join(reasons)}" if reasons else ""


def describe_cover(table: str, cover: RegionCover) -> dict[str, Any]:
    """Return what a run notes of how areas lie in regions, in the form of the other joins."""
    words = f"tracts and {table}: {cover.n_in_a_region:,} of {cover.n_areas:,} areas in a region"
    words += f" (not those in {_listed(cover.lacking)})" if cover.lacking else ""
    words += f"; dates missing, the first for region {cover.gaps[0][0]} on {cover.gaps[0][1]}" if cover.gaps else ""
    return {
        "left": "tracts",
        "right": table,
        "n_both": cover.n_in_a_region,
        "n_only_left": cover.n_areas - cover.n_in_a_region,
        "n_only_right": cover.n_unused,
        "only_left": cover.lacking[:MAX_NAMED],
        "only_right": (),
        "first_missing_dates": {region: first.isoformat() for region, first, _ in cover.gaps[:MAX_NAMED]},
        "words": words,
    }


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
