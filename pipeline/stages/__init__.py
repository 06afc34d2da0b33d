"""One module per table. Importing this package fills the registry."""

from pipeline.stages import (
    capacity,
    coverage,
    employment,
    entropy,
    exploration,
    gyration,
    locations,
    pings,
    presence,
    sector_absence,
    stays,
    visits,
)

__all__ = [
    "capacity",
    "coverage",
    "employment",
    "entropy",
    "exploration",
    "gyration",
    "locations",
    "pings",
    "presence",
    "sector_absence",
    "stays",
    "visits",
]
