"""How the reference tables of a root join: said in every run and by `sojourn status`, from the tables as they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, NamedTuple

from data_contracts import DEMOGRAPHICS, EPIDEMIC, JOBS, NPI_ORDERS, NPI_POLICIES, TELEWORK, TRACTS, Table
from pipeline.engine.plan import params_of
from pipeline.engine.regions import RegionCover, cover_areas, describe_cover, refusal
from pipeline.engine.store import ALL, Store
from pipeline.id_join import describe_join, join_ids
from pipeline.npi_drivers import NpiParams
from pipeline.sources import SourceError
from pipeline.study import Study


class JoinedPair(NamedTuple):
    """Two reference tables that stages join, the later loaded one second, and the column they share."""

    left: Table
    right: Table
    column: str
    what: str


PAIRS = (
    JoinedPair(TRACTS, DEMOGRAPHICS, "tract_geoid", "areas"),
    JoinedPair(TRACTS, JOBS, "tract_geoid", "areas"),
    JoinedPair(JOBS, TELEWORK, "sector", "industries"),
)

BY_REGION = (NPI_POLICIES, NPI_ORDERS, EPIDEMIC)
"""Tables of regions, in which the areas of a study lie."""
NEEDED = (NPI_POLICIES, EPIDEMIC)
"""Those of them that must be known for every area and date that models need. Of a kind of order, areas of which it is
not known are left out."""


def static_joins(study: Study, store: Store, right: str | None = None) -> list[dict[str, Any]]:
    """Return how the reference tables that a study declares and a root holds join, of all pairs or those of `right`.

    One record a pair: the tables, the counts and ids of `IdJoin`, and the same in words.
    """
    pairs = [pair for pair in PAIRS if right is None or pair.right.name == right]
    joins = [_join(pair, store) for pair in pairs if all(_is_there(t, study, store) for t in (pair.left, pair.right))]
    covers = _covers(study, store, right)
    return joins + [describe_cover(table.name, cover) for table, cover in covers]


def describe_statics(name: str, study: Study, store: Store) -> dict[str, Any]:
    """Return what a run notes of a reference table's joins; SourceError where one joins nothing.

    Nothing in common is an error of a declaration (lost zeros, other years, block groups for tracts), and what
    follows would be empty tables without a word. It is an error, too, where policies or the epidemic are not known
    for all areas and dates that the models need: all tables are loaded before anything is computed, so that it comes
    first. These dates are the study's, each less the lag of `npi_fits`; of the epidemic those from a region's first row
    on, before which nothing was counted.
    """
    for table, cover in _covers(study, store, name):
        why = refusal(table.name, cover) if table in NEEDED else ""
        if why:
            raise SourceError(why)
    joins = static_joins(study, store, name)
    for join in joins:
        if join["n_both"] == 0:
            raise SourceError(f"{join['words']}; do the ids have the same digits (id_digits, area_digits)?")
    return {"joins": joins} if joins else {}


def _covers(study: Study, store: Store, right: str | None) -> Iterator[tuple[Table, RegionCover]]:
    """Yield (table of regions, how the areas of the study lie in it), of all such tables or that of a name."""
    for table in BY_REGION:
        if (right in (None, table.name)) and all(_is_there(t, study, store) for t in (TRACTS, table)):
            areas = store.read(TRACTS, ALL, ["tract_geoid"])["tract_geoid"].to_pylist()
            columns = [name for name in ("region_geoid", "date") if name in table.names]
            yield table, cover_areas(areas, store.read(table, ALL, columns), _needed(table, study), table is EPIDEMIC)


def _needed(table: Table, study: Study) -> list[date]:
    """Return the dates of a table that the models of the study's dates are told of."""
    params = params_of(study)["npi_fits"]
    if not isinstance(params, NpiParams):
        raise TypeError(f"params.npi_fits are {type(params).__name__}")
    lag = timedelta(days=params.severity_lag_days if table is EPIDEMIC else params.stringency_lag_days)
    return [day - lag for day in study.dates()]


def _is_there(table: Table, study: Study, store: Store) -> bool:
    return getattr(study, table.name) is not None and store.has(table, ALL)


def _join(pair: JoinedPair, store: Store) -> dict[str, Any]:
    left, right = (store.read(t, ALL, [pair.column])[pair.column].to_pylist() for t in (pair.left, pair.right))
    join = join_ids(left, right)
    words = describe_join(pair.left.name, pair.right.name, pair.what, join)
    return {"left": pair.left.name, "right": pair.right.name, **join._asdict(), "words": words}
