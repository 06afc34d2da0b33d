"""The artificial city: people with known homes, jobs and errands, and the pings of their phones.

``write_city`` writes one bucket of raw files with the truth beside them, ``write_tracts`` the
census tracts. Everything is drawn from (seed, person): buckets and workers change nothing.
``Employment``, ``Lockdown`` and ``Phones`` are what may happen to the people; ``ground_of`` makes
real areas and jobs into what a city can be built on. ``Households``, ``Policies``, ``Outbreak`` and ``Response``
make an epidemic; ``write_npi`` and, once all buckets are there, ``write_contacts`` write what belongs to it.
"""

from pipeline.simulation.bucket import SimulatedBucket, simulate_bucket
from pipeline.simulation.census import write_census
from pipeline.simulation.events import Employment, Lockdown, Phones, Shock
from pipeline.simulation.faults import FAULTS, KINDS
from pipeline.simulation.ground import Ground, ground_of
from pipeline.simulation.meetings import find_contacts, write_contacts
from pipeline.simulation.npi_files import simulate_pois, write_npi, write_pois
from pipeline.simulation.npi_params import Households, Outbreak, Policies, Response
from pipeline.simulation.npi_scenario import npi_scenario
from pipeline.simulation.params import CityParams, raw_dates, study_span_s, suggest_n_buckets
from pipeline.simulation.region_truth import true_region_day
from pipeline.simulation.scenario import employment_scenario
from pipeline.simulation.tracts import simulate_tracts, write_tracts
from pipeline.simulation.writing import write_city

__all__ = [
    "FAULTS",
    "KINDS",
    "CityParams",
    "Employment",
    "Ground",
    "Households",
    "Lockdown",
    "Outbreak",
    "Phones",
    "Policies",
    "Response",
    "Shock",
    "SimulatedBucket",
    "employment_scenario",
    "find_contacts",
    "ground_of",
    "npi_scenario",
    "raw_dates",
    "simulate_bucket",
    "simulate_pois",
    "simulate_tracts",
    "study_span_s",
    "suggest_n_buckets",
    "true_region_day",
    "write_census",
    "write_city",
    "write_contacts",
    "write_npi",
    "write_pois",
    "write_tracts",
]
