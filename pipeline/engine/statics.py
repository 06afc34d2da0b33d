"""Reference tables from outside (areas, places of interest, census, official series): one shard each.

Each is current while its files are.

A study declares one by the section that has the table's name; what it does not declare is no input of any stage,
even if an earlier study left it in the root.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from data_contracts import (
    DEMOGRAPHICS,
    EPIDEMIC,
    JOBS,
    NPI_ORDERS,
    NPI_POLICIES,
    OFFICIAL_RATES,
    POIS,
    TELEWORK,
    TRACTS,
    ContractError,
    Table,
    conform,
)
from pipeline.engine.joins import describe_statics
from pipeline.engine.lineage import code_digest, code_values, differences
from pipeline.engine.metering import metered
from pipeline.engine.origins import Origins
from pipeline.engine.outlook import Fate, Outlook, ShardReport
from pipeline.engine.store import ALL, Footer, Store
from pipeline.engine.why import explain
from pipeline.params import digest
from pipeline.sources import (
    SourceError,
    areas_digest,
    demographics_digest,
    epidemic_digest,
    jobs_digest,
    npi_orders_digest,
    npi_policies_digest,
    official_rates_digest,
    pois_digest,
    read_areas,
    read_demographics,
    read_epidemic,
    read_jobs,
    read_npi_orders,
    read_npi_policies,
    read_official_rates,
    read_pois,
    read_telework,
    telework_digest,
)
from pipeline.study import Study


class Static(NamedTuple):
    """How a reference table is read, and by which module."""

    table: Table
    module: str
    read: Callable[[Any, Path], pa.Table]
    digest_files: Callable[[Any, Path], str]


STATICS = {
    static.table.name: static
    for static in (
        Static(TRACTS, "pipeline.sources.areas", read_areas, areas_digest),
        Static(POIS, "pipeline.sources.pois", read_pois, pois_digest),
        Static(DEMOGRAPHICS, "pipeline.sources.demographics", read_demographics, demographics_digest),
        Static(JOBS, "pipeline.sources.jobs", read_jobs, jobs_digest),
        Static(TELEWORK, "pipeline.sources.telework", read_telework, telework_digest),
        Static(OFFICIAL_RATES, "pipeline.sources.official_rates", read_official_rates, official_rates_digest),
        Static(NPI_POLICIES, "pipeline.sources.policies", read_npi_policies, npi_policies_digest),
        Static(NPI_ORDERS, "pipeline.sources.orders", read_npi_orders, npi_orders_digest),
        Static(EPIDEMIC, "pipeline.sources.epidemic", read_epidemic, epidemic_digest),
    )
}
"""Every reference table by name, in the order of loading: the name of its section in a study."""
PATHS: dict[str, Any] = {"path": True, "laus_path": True, "claims_path": True, "population": {"path": True}}
"""Fields that say where files are: their contents count, not their names."""


def declared_statics(study: Study) -> list[str]:
    """Return the names of the reference tables that a study declares, in the order in which they are loaded."""
    return [name for name in STATICS if getattr(study, name) is not None]


def load_static(name: str, study: Study, store: Store, details: dict[str, Any]) -> ShardReport:
    """Bring a reference table up to date with the files the study names, and report what was done.

    `details` takes what its loader counted, and how it joins the tables loaded before it.
    """
    static = STATICS[name]
    parts, footer, why = _compare(static, study, store)
    if footer and not why:
        report = ShardReport(name, ALL.path, "current", (), footer.n_rows)
    else:
        with metered() as meter:
            rows = static.read(getattr(study, name), study.folder)
            n_rows = store.write(static.table, ALL, rows, parts).n_rows
        details.update({key.decode(): note.decode() for key, note in (rows.schema.metadata or {}).items()})
        report = ShardReport(name, ALL.path, "computed", tuple(why), n_rows, cost=meter.cost())
    details.update(describe_statics(name, study, store))
    return report


def foresee_static(name: str, study: Study, store: Store, outlook: Outlook, origins: Origins) -> ShardReport:
    """Return the state of a reference table and note what becomes of it: where it is stale its files are read."""
    static = STATICS[name]
    parts, footer, why = _compare(static, study, store)
    if footer is None:
        outlook.note(static.table, ALL, Fate.APPEARS)
        return ShardReport(name, ALL.path, "missing", tuple(why))
    if not why:
        return ShardReport(name, ALL.path, "current", (), footer.n_rows)
    told = explain(footer.made_from, parts, origins, _values(static, study))
    if footer.made_from["inputs"] != parts["inputs"]:
        told.append("its files changed")
    try:
        rows = conform(static.read(getattr(study, name), study.folder), static.table)
        is_same = rows.equals(store.read(static.table, ALL))
        outlook.note(static.table, ALL, Fate.STAYS if is_same else Fate.CHANGES)
        told += ["its rows come out the same"] if is_same else []
    except (SourceError, ContractError) as error:
        outlook.note(static.table, ALL, Fate.MAY_CHANGE)
        told.append(str(error))
    return ShardReport(name, ALL.path, "stale", tuple(told), footer.n_rows)


def static_origins(name: str, study: Study) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the digests in the footer of a reference table, and the values they stand for."""
    static = STATICS[name]
    return _parts(static, study), _values(static, study)


def _values(static: Static, study: Study) -> dict[str, Any]:
    section = getattr(study, static.table.name)
    return {
        "params": section.model_dump(mode="json", exclude=PATHS),
        "contracts": {static.table.name: digest(static.table.to_dict())},
        "code": code_values(static.module),
    }


def _parts(static: Static, study: Study) -> dict[str, str]:
    section = getattr(study, static.table.name)
    return {
        "params": digest(section.model_dump(mode="json", exclude=PATHS)),
        "contracts": digest(static.table.to_dict()),
        "code": code_digest(static.module),
    }


def _compare(static: Static, study: Study, store: Store) -> tuple[dict[str, Any], Footer | None, list[str]]:
    """Return what a reference table would be made from now, its footer, and what changed."""
    section = getattr(study, static.table.name)
    parts = {**_parts(static, study), "inputs": {"file": static.digest_files(section, study.folder)}}
    footer = store.footer(static.table, ALL)
    return parts, footer, differences(footer.made_from, parts) if footer else ["never computed"]
