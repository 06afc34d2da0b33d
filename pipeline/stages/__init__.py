"""One module per table. Importing this package fills the registry."""

from pipeline.stages import (
    capacity,
    coverage,
    employment,
    employment_effects,
    entropy,
    exploration,
    gyration,
    home_work,
    locations,
    panel_weights,
    pings,
    presence,
    sector_absence,
    stays,
    unemployment,
    visits,
)

__all__ = [
    "capacity",
    "coverage",
    "employment",
    "employment_effects",
    "entropy",
    "exploration",
    "gyration",
    "home_work",
    "locations",
    "panel_weights",
    "pings",
    "presence",
    "sector_absence",
    "stays",
    "unemployment",
    "visits",
]
