"""What makes one artificial city: every number the simulation uses, with its unit.

All defaults are ours, chosen so that the city looks like phone-application data of a mid-sized
American town; none is an estimate from real people. Equal ``CityParams`` give byte-equal files.
"""

import math
from datetime import date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.simulation.events import Employment, Lockdown, Phones, Positive, Share
from pipeline.simulation.npi_params import Households, Outbreak, Policies, Response

PINGS_PER_BUCKET = 5_000_000  # keeps write_city below 1 GB, see suggest_n_buckets


class CityParams(BaseModel):
    """One artificial city and the phones in it (frozen; unknown names are refused)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # --- extent -------------------------------------------------------------------------------
    seed: int = Field(default=0, ge=0, lt=2**63)  # everything is drawn from (seed, person, stream)
    n_devices: int = Field(default=1_000, ge=1, lt=2**31)  # one device per person
    start: date = date(2020, 1, 6)  # first local date (a Monday)
    n_days: int = Field(default=14, ge=1, le=3_660)  # local days; DST days have 23 or 25 hours
    zone: str = "America/New_York"  # IANA name; habits follow its clock
    centre_lon: float = Field(default=-72.6851, ge=-180.0, lt=180.0)  # degrees
    centre_lat: float = Field(default=41.7637, ge=-75.0, le=75.0)  # degrees; flat-city maths fails at the poles
    radius_m: float = Field(default=15_000.0, ge=1_000.0, le=60_000.0)  # nothing is built further out

    # --- the built city -----------------------------------------------------------------------
    density_decay_m: Positive = 3_500.0  # homes per area fall as exp(-distance from centre / this)
    n_towns: int = Field(default=7, ge=1, le=1_000)  # secondary centres
    town_share: Share = 0.35  # share of homes and places that belong to a secondary centre
    town_spread_m: Positive = 900.0  # standard deviation of a secondary centre
    n_places: int = Field(default=4_000, ge=50, le=1_000_000)  # errand places
    place_popularity_exponent: float = Field(default=0.8, ge=0.0, le=2.0)  # popularity of rank k is k^-this
    n_workplaces: int = Field(default=1_500, ge=20, le=1_000_000)
    workplace_size_exponent: float = Field(default=0.7, ge=0.0, le=2.0)  # size of rank k is k^-this
    clusters_per_sector: int = Field(default=3, ge=1, le=100)  # where a sector's workplaces gather
    cluster_share: Share = 0.7  # share of workplaces in a cluster of their sector; others are anywhere
    cluster_spread_m: Positive = 700.0  # standard deviation of a cluster
    n_tracts: int = Field(default=150, ge=4, le=20_000)
    tract_state_county: str = Field(default="09003", pattern=r"^\d{5}$")  # leading digits of every tract_geoid
    n_counties: int = Field(default=1, ge=1, le=400)  # sectors of the city, counted on by two from that county
    population: int = Field(default=400_000, ge=1)  # residents of all tracts together

    # --- jobs ---------------------------------------------------------------------------------
    employed_share: Share = 0.62
    commute_decay_m: Positive = 6_000.0  # a job at distance d is taken with (1 + d / this)^-commute_exponent
    commute_exponent: float = Field(default=2.0, ge=0.0, le=6.0)
    day_off_share: Share = 0.05  # of scheduled working days
    shift_start_spread_s: Positive = 2_700.0  # between people, around the hour usual in the sector
    shift_length_s: Positive = 29_400.0  # median of a lognormal between people
    shift_length_log_spread: Positive = 0.12
    daily_jitter_s: Positive = 900.0  # within a person, from day to day

    # --- errands (exploration and preferential return) ------------------------------------------
    explore_rho: Share = 0.6  # chance of a new place = rho * (places known)^-gamma; our defaults
    explore_gamma: float = Field(default=0.21, ge=0.0, le=2.0)
    errand_decay_m: Positive = 1_500.0  # a place at distance d is chosen with (1 + d / this)^-errand_exponent
    errand_exponent: float = Field(default=3.0, ge=0.0, le=6.0)
    errand_log_spread: Positive = 0.55  # of errand lengths, lognormal around the median of the category
    errand_min_s: int = Field(default=420, ge=60)
    errand_max_s: int = Field(default=14_400, ge=600)
    lunch_share: Share = 0.3  # of working days with a walk out at noon
    after_work_share: Share = 0.4  # of working days with errands on the way home
    evening_share: Share = 0.25  # of evenings spent at home until then
    outings_per_free_day: Positive = 1.3  # mean, at most 3
    chain_share: Share = 0.35  # chance that one more errand follows an errand

    # --- trips --------------------------------------------------------------------------------
    walk_below_m: Positive = 1_200.0
    drive_above_m: Positive = 4_000.0
    walk_speed_m_per_s: Positive = 1.3
    bus_speed_m_per_s: Positive = 4.5  # bicycle or bus, between the two distances
    drive_speed_m_per_s: Positive = 9.5
    trip_overhead_s: Positive = 90.0  # doors, parking, waiting; every trip takes at least this long
    trip_log_spread: Positive = 0.15  # lognormal jitter of trip times
    trip_bow: float = Field(default=0.06, ge=0.0, le=0.3)  # sideways bend, standard deviation as share of length

    # --- sampling of pings --------------------------------------------------------------------
    pings_per_day: float = Field(default=1_000.0, gt=0.0, le=40_000.0)  # mean over people and days
    rate_log_spread: float = Field(default=0.8, ge=0.0, le=2.0)  # between people, lognormal with mean 1
    moving_boost: Positive = 4.0  # pings are this many times denser on a trip
    burst_pings: float = Field(default=5.0, ge=1.0)  # mean length of a burst
    burst_gap_s: Positive = 20.0  # mean gap within a burst while still (divided by moving_boost on a trip)
    night_silence_share: Share = 0.45  # nights without any ping
    silences_per_day: float = Field(default=1.0, ge=0.0)  # mean number of other silences
    silence_s: Positive = 5_400.0  # median of their length, lognormal
    silence_log_spread: Positive = 0.8
    dark_day_share: Share = 0.03  # local days without any ping

    # --- noise and faults ---------------------------------------------------------------------
    accuracy_still_m: Positive = 18.0  # median reported accuracy (radius holding 68 % of positions)
    accuracy_moving_m: Positive = 9.0
    accuracy_log_spread: Positive = 0.55
    accuracy_max_m: Positive = 150.0  # reported accuracy is cut here; only a fault is worse
    noise_memory_s: Positive = 60.0  # decay time of the error, which drifts rather than jumps
    spike_share: Share = 0.0005  # pings thrown off by hundreds of metres with a good reported accuracy
    spike_min_m: Positive = 300.0
    spike_max_m: Positive = 3_000.0
    faults: Share = 0.002  # share of pings that become a faulty row, kinds in equal parts
    fault_accuracy_m: Positive = 2_000.0  # least reported accuracy of a "terrible_accuracy" fault
    has_tz_offset: bool = True  # whether raw files carry tz_offset_s

    # --- what may happen; None: nothing ---------------------------------------------------------
    employment: Employment | None = None  # jobs are lost, found and changed; part-time, nights, telework
    lockdown: Lockdown | None = None
    phones: Phones | None = None  # a biased panel whose members leave
    households: Households | None = None  # homes are shared; None: everybody lives alone
    policies: Policies | None = None  # orders of counties, followed or not
    outbreak: Outbreak | None = None  # an epidemic; needs policies
    response: Response | None = None  # people answer to both

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"not an IANA zone: {zone}") from error
        return zone

    @model_validator(mode="after")
    def _answers_are_to_something(self) -> Self:
        if self.outbreak and not self.policies:
            raise ValueError("outbreak: needs policies, which slow it down")
        if self.response and not self.outbreak:
            raise ValueError("response: needs policies and an outbreak, which people answer to")
        return self


def study_span_s(params: CityParams) -> tuple[int, int]:
    """Return (opened_s, closed_s): UTC seconds of the local midnights that begin and end the study."""
    zone = ZoneInfo(params.zone)
    first = datetime(params.start.year, params.start.month, params.start.day, tzinfo=zone)
    end = params.start + timedelta(days=params.n_days)
    last = datetime(end.year, end.month, end.day, tzinfo=zone)
    return int(first.timestamp()), int(last.timestamp())


def raw_dates(params: CityParams) -> list[date]:
    """Return the UTC dates that hold pings, in order; one raw folder each.

    West of Greenwich there is one more than ``n_days``: the last local evening is tomorrow in UTC.
    """
    opened_s, closed_s = study_span_s(params)
    epoch = date(1970, 1, 1)
    return [epoch + timedelta(days=day) for day in range(opened_s // 86_400, (closed_s - 1) // 86_400 + 1)]


def suggest_n_buckets(params: CityParams, pings_per_bucket: int = PINGS_PER_BUCKET) -> int:
    """Return the number of buckets that holds about `pings_per_bucket` pings each.

    One bucket of 5 M pings needs below 1 GB in ``write_city``; the need grows in proportion. Use at
    least as many buckets as processes.
    """
    pings = params.n_devices * params.n_days * params.pings_per_day
    return max(1, min(params.n_devices, math.ceil(pings / pings_per_bucket)))
