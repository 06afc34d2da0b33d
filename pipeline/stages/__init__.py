"""One module per table. Importing this package fills the registry."""

from pipeline.stages import coverage, exploration, gyration, locations, pings, stays, visits

__all__ = ["coverage", "exploration", "gyration", "locations", "pings", "stays", "visits"]
