"""Every table of Sojourn, declared once. `TABLES` maps each name to its declaration."""

from data_contracts.check import ContractError, conform, suppress_small
from data_contracts.external import DEMOGRAPHICS, JOBS, OFFICIAL_RATES, POIS, TELEWORK, TRACTS
from data_contracts.metrics import CAPACITY, ENTROPY, EXPLORATION, GYRATION
from data_contracts.movement import (
    COVERAGE,
    LOCATIONS,
    OPEN_DAYS,
    OPEN_STAYS,
    PINGS,
    RAW_PINGS,
    REASONS,
    REJECTED_PINGS,
    STAYS,
    VISITS,
)
from data_contracts.people import (
    EMPLOYMENT,
    EMPLOYMENT_EFFECTS,
    HOME_WORK,
    PANEL_WEIGHTS,
    PRESENCE,
    SECTOR_ABSENCE,
    UNEMPLOYMENT,
)
from data_contracts.spec import Column, Release, Shard, Table

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        RAW_PINGS,
        PINGS,
        REJECTED_PINGS,
        OPEN_DAYS,
        COVERAGE,
        OPEN_STAYS,
        STAYS,
        TRACTS,
        POIS,
        DEMOGRAPHICS,
        JOBS,
        TELEWORK,
        OFFICIAL_RATES,
        LOCATIONS,
        VISITS,
        GYRATION,
        EXPLORATION,
        ENTROPY,
        CAPACITY,
        HOME_WORK,
        PRESENCE,
        SECTOR_ABSENCE,
        EMPLOYMENT,
        PANEL_WEIGHTS,
        UNEMPLOYMENT,
        EMPLOYMENT_EFFECTS,
    )
}

__all__ = [
    "CAPACITY",
    "COVERAGE",
    "DEMOGRAPHICS",
    "EMPLOYMENT",
    "EMPLOYMENT_EFFECTS",
    "ENTROPY",
    "EXPLORATION",
    "GYRATION",
    "HOME_WORK",
    "JOBS",
    "LOCATIONS",
    "OFFICIAL_RATES",
    "OPEN_DAYS",
    "OPEN_STAYS",
    "PANEL_WEIGHTS",
    "PINGS",
    "POIS",
    "PRESENCE",
    "RAW_PINGS",
    "REASONS",
    "REJECTED_PINGS",
    "SECTOR_ABSENCE",
    "STAYS",
    "TABLES",
    "TELEWORK",
    "TRACTS",
    "UNEMPLOYMENT",
    "VISITS",
    "Column",
    "ContractError",
    "Release",
    "Shard",
    "Table",
    "conform",
    "suppress_small",
]
