"""How the areas of a study lie in regions: the longest id wins, and what lacks is named by county or state."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from pipeline.engine.regions import cover_areas, describe_cover, name_counties, refusal
from pipeline.id_join import longest_prefixes
from pipeline.npi_drivers import NpiParams, drivers
from tests.naive_regions import naive_missing
from tests.npi_rows import make_epidemic, make_policies

DAYS = [date(2020, 4, 1) + timedelta(days=k) for k in range(3)]
AREAS = ["36061000100", "36061000200", "36001000100", "04013000100"]


def regions(**days_of):
    """A table with rows of each region on the days of these numbers."""
    rows = [(name.removeprefix("r"), DAYS[k]) for name, days in days_of.items() for k in days]
    return pa.table({"region_geoid": [region for region, _ in rows], "date": [day for _, day in rows]})


def test_the_longest_id_that_begins_an_area_is_its_region():
    assert longest_prefixes(["36061000100", "36001000100", "04013", ""], ["36", "36061", "3", ""]) == [
        "36061",
        "36",
        "",
        "",
    ]


def test_all_is_well_where_every_area_has_a_region_on_every_day():
    cover = cover_areas(AREAS, regions(r36=(0, 1, 2), r04=(0, 1, 2), r01=()), DAYS)
    assert (cover.n_in_a_region, cover.lacking, cover.n_unused, cover.gaps) == (4, (), 0, ())
    assert refusal("npi_policies", cover) == ""


def test_counties_without_policies_are_named_and_whole_states_by_two_digits():
    cover = cover_areas(AREAS, regions(r36061=(0, 1, 2), r40=(0,)), DAYS)
    assert (cover.lacking, cover.n_unused) == (("04", "36001"), 1)
    assert refusal("npi_policies", cover) == ("npi_policies: no region holds 2 of 4 areas of tracts, in 04, 36001")
    assert describe_cover("npi_policies", cover)["only_left"] == ("04", "36001")


def test_the_first_missing_date_of_each_region_that_is_needed():
    cover = cover_areas(AREAS, regions(r36=(0, 2), r04=(0, 1), r36061=(1, 2), r40=(0,)), DAYS)
    assert cover.gaps == (("04", DAYS[2], 1), ("36", DAYS[1], 1), ("36061", DAYS[0], 1))
    assert refusal("epidemic", cover) == (
        "epidemic: dates that the study needs are missing, the first for region 04 on 2020-04-03 (1 missing), "
        "36 on 2020-04-02 (1 missing), 36061 on 2020-04-01 (1 missing)"
    )
    assert describe_cover("epidemic", cover)["first_missing_dates"]["36061"] == "2020-04-01"


def test_orders_have_no_dates_to_miss():
    assert cover_areas(AREAS, regions(r36=(0,), r04=(0,)).select(["region_geoid"]), DAYS).gaps == ()


def test_an_epidemic_may_begin_late_and_is_complete_from_then_on():
    late = regions(r36=(1, 2), r04=(2,), r36061=(0, 2))
    cover = cover_areas(AREAS, late, DAYS, is_from_first_row=True)
    assert cover.gaps == (("36061", DAYS[1], 1),)
    assert cover_areas(AREAS[:1], regions(r36=(0, 2)), DAYS[2:], True).gaps == (("36", DAYS[1], 1),), "before the study"
    assert cover_areas(AREAS[:1], regions(r36=(2,)), DAYS[:1], True).gaps == (), "after it"


@pytest.mark.parametrize("seed", range(60))
def test_what_is_not_refused_is_enough_for_the_drivers_and_the_other_way_about(seed):
    chance = np.random.default_rng(seed)
    start, n_days, lag = date(2020, 1, 13), 7, int(chance.integers(0, 4))
    span = [start + timedelta(days=k) for k in range(n_days)]
    params = NpiParams(stringency_lag_days=lag, severity_lag_days=lag)
    dates = [day - timedelta(days=lag) for day in span]
    whole = {region: np.ones(n_days + 7) for region in ("36", "36061", "04")}  # from 6 January on
    policies, epidemic = make_policies(whole), make_epidemic(whole)
    is_epidemic, first = bool(seed % 2), chance.integers(0, 12, 3)
    rows = epidemic if is_epidemic else policies
    begin = rows["region_geoid"].map(dict(zip(whole, first, strict=True)))
    is_in = (rows["date"].dt.day - 6 >= begin) & (chance.random(len(rows)) > chance.choice([0.0, 0.03]))
    rows = rows[is_in]
    table = pa.table({"region_geoid": rows["region_geoid"].tolist(), "date": [day.date() for day in rows["date"]]})
    cover = cover_areas(AREAS, table, dates, is_epidemic)

    pairs = list(zip(table["region_geoid"].to_pylist(), table["date"].to_pylist(), strict=True))
    twin = naive_missing(pairs, AREAS, dates, is_epidemic)
    assert {region: (day, n) for region, day, n in cover.gaps} == {r: (d[0], len(d)) for r, d in twin.items()}

    policies, epidemic = (policies, rows) if is_epidemic else (rows, epidemic)
    if refusal("one", cover):
        with pytest.raises(ValueError, match=r"lacks region|has no region"):
            drivers(policies, epidemic, AREAS, span[0], span[-1], params)
    else:
        assert len(drivers(policies, epidemic, AREAS, span[0], span[-1], params)) == len(AREAS) * n_days


def test_zones_that_are_no_counties_are_named_as_they_are():
    assert name_counties(["zone 7", "0401", "36061000100"], ["zone 7", "zone 8", "0401", "36061000100", "36001"]) == [
        "0401",
        "36061",
        "zone 7",
    ]


def test_many_are_counted_rather_than_named():
    areas = [f"04{k:03d}000100" for k in range(30)]
    cover = cover_areas(areas, regions(r04029=(0, 1, 2)), DAYS)
    assert refusal("npi_policies", cover).endswith(", 04019 and 9 more")
