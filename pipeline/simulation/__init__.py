"""The artificial city: people with known homes, jobs and errands, and the pings of their phones.

``write_city`` writes one bucket of raw files with the truth beside them, ``write_tracts`` the
census tracts. Everything is drawn from (seed, person): buckets and workers change nothing.
``Employment``, ``Lockdown`` and ``Phones`` are what may happen to the people; ``ground_of`` makes
real areas and jobs into what a city can be built on.
"""

from pipeline.simulation.bucket import SimulatedBucket, simulate_bucket
from pipeline.simulation.census import write_census
from pipeline.simulation.events import Employment, Lockdown, Phones, Shock
from pipeline.simulation.faults import FAULTS, KINDS
from pipeline.simulation.ground import Ground, ground_of
from pipeline.simulation.params import CityParams, raw_dates, study_span_s, suggest_n_buckets
from pipeline.simulation.scenario import employment_scenario
from pipeline.simulation.tracts import simulate_tracts, write_tracts
from pipeline.simulation.writing import write_city

__all__ = [
    "FAULTS",
    "KINDS",
    "CityParams",
    "Employment",
    "Ground",
    "Lockdown",
    "Phones",
    "Shock",
    "SimulatedBucket",
    "employment_scenario",
    "ground_of",
    "raw_dates",
    "simulate_bucket",
    "simulate_tracts",
    "study_span_s",
    "suggest_n_buckets",
    "write_census",
    "write_city",
    "write_tracts",
]
