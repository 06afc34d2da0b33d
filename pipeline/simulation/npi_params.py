"""What happens in an epidemic: orders, infections, people who answer to both; and who lives together.

Each is a part of ``CityParams`` that is absent by default. All defaults are ours, none is an estimate.
"""

from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.npi_drivers import Adaptation, NpiParams
from pipeline.simulation.events import Positive, Share

Percent = tuple[float, float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Households(_Part):
    """Homes shared by one person or more."""

    sizes: tuple[float, ...] = (0.28, 0.35, 0.15, 0.13, 0.09)
    """Shares of homes with one person, two and so on; relative."""

    @field_validator("sizes")
    @classmethod
    def _are_shares(cls, sizes: tuple[float, ...]) -> tuple[float, ...]:
        if not sizes or min(sizes) < 0 or not sum(sizes) > 0:
            raise ValueError("shares of homes by size: none below 0, and at least one above")
        return sizes


class Policies(_Part):
    """When counties give which orders, and how strict they then are. See ``policies``."""

    first: date
    """Earliest local date of an order."""
    stagger_days: int = Field(default=28, ge=0, le=365)
    """Counties begin on a day drawn from this many after `first`, each day as likely."""
    gap_days: tuple[int, int] = (3, 14)
    """Least and most days from one order of a county to the next, stricter one."""
    emergency: Percent = (10.0, 25.0)
    """Least and most stringency (0 to 100) after a state of emergency."""
    schools: Percent = (30.0, 50.0)
    """The same after schools are closed."""
    stay_at_home: Percent = (60.0, 95.0)
    """The same while people are ordered to stay at home."""
    reopened: Percent = (30.0, 55.0)
    """The same after that."""
    hold_days: tuple[int, int] = (21, 45)
    """Least and most days of an order to stay at home."""
    never_share: Share = 0.2
    """Share of counties that never order people to stay at home nor reopen; rounded to whole counties."""

    @model_validator(mode="after")
    def _spans_rise(self) -> Self:
        for name in ("gap_days", "emergency", "schools", "stay_at_home", "reopened", "hold_days"):
            low, high = getattr(self, name)
            least, most = (1, 365) if name.endswith("_days") else (0, 100)
            if not least <= low <= high <= most:
                raise ValueError(f"{name}: least and most, within {least} to {most}")
        return self


class Outbreak(_Part):
    """How infections spread in each county, alone, and are counted. See ``epidemic``."""

    first: date
    """Earliest local date on which infections arrive."""
    stagger_days: int = Field(default=21, ge=0, le=365)
    """They arrive in a county on a day drawn from this many after `first`, each day as likely."""
    arrivals_per_100k: Positive = 3.0
    """Infections that arrive per day in the first week, per 100,000 residents; at least one a day."""
    reproduction: Positive = 2.0
    """Mean infections by one infected person when nobody is immune and nothing is ordered."""
    slowing: float = Field(default=1.2, ge=0.0)
    """It is times exp(-this x stringency / 100), whatever the people of the city do."""
    noise: float = Field(default=0.15, ge=0.0)
    """Standard deviation of the logarithm of what a day adds to or takes from it."""
    case_share: Share = 0.2
    """Share of infections that become reported cases."""
    death_share: Share = 0.006
    weekend_share: Share = 0.6
    """Of what becomes known on Saturday and Sunday, this share is reported then; the rest on the Monday after."""


class Response(_Part):
    """How people answer to policies and risk: outings are kept with probability min(1, exp(eta)).

    eta = stringency x (0 to 1) + severity x its measure + adaptation x the term, all of ``pipeline.npi_drivers`` with
    its default parameters but for the lags, of the home's county on the day.
    """

    stringency: float = -0.9
    severity: float = -0.15
    adaptation: float = 0.35
    term: Adaptation = "weeks"
    stringency_lag_days: int = Field(default=0, ge=0, le=60)
    severity_lag_days: int = Field(default=0, ge=0, le=60)
    work: float = Field(default=0.0, ge=0.0)
    """Working days are spent at the workplace with probability min(1, exp(this x eta)), else at home; 0: as always."""
    tilt: float = Field(default=0.0, ge=-1.0, le=1.0)
    """A person's eta is times 1 + this x affluence of the home tract (-1..1)."""

    @property
    def driver_params(self) -> NpiParams:
        """The parameters of ``npi_drivers.drivers`` that make what people answer to."""
        return NpiParams(
            stringency_lag_days=self.stringency_lag_days, severity_lag_days=self.severity_lag_days
        )  # fmt: skip
