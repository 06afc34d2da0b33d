"""Every table of Sojourn, declared once. `TABLES` maps each name to its declaration."""

from data_contracts.check import ContractError, conform
from data_contracts.external import POIS, TRACTS
from data_contracts.metrics import EXPLORATION, GYRATION
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
        LOCATIONS,
        VISITS,
        GYRATION,
        EXPLORATION,
    )
}

__all__ = [
    "COVERAGE",
    "EXPLORATION",
    "GYRATION",
    "LOCATIONS",
    "OPEN_DAYS",
    "OPEN_STAYS",
    "PINGS",
    "POIS",
    "RAW_PINGS",
    "REASONS",
    "REJECTED_PINGS",
    "STAYS",
    "TABLES",
    "TRACTS",
    "VISITS",
    "Column",
    "ContractError",
    "Release",
    "Shard",
    "Table",
    "conform",
]
