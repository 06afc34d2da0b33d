"""One module per table. Importing this package fills the registry."""

from pipeline.stages import capacity, coverage, entropy, exploration, gyration, locations, pings, stays, visits

__all__ = ["capacity", "coverage", "entropy", "exploration", "gyration", "locations", "pings", "stays", "visits"]
