"""What may happen to the people of a city: jobs are lost and found, a lockdown, phones are left at home.

Each is a part of ``CityParams`` that is absent by default; a city without them is as it was before
they existed, byte for byte. All defaults are ours, none is an estimate from real people.
"""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from pipeline.simulation.sectors import SECTOR_NUMBERS

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


def _known(naics: tuple[str, ...]) -> tuple[str, ...]:
    strange = sorted(set(naics) - SECTOR_NUMBERS.keys())
    if strange:
        raise ValueError(f"no such sector: {', '.join(strange)}; there are {', '.join(SECTOR_NUMBERS)}")
    return naics


def _of_known(shares: dict[str, float]) -> dict[str, float]:
    _known(tuple(shares))
    return shares


SectorShares = Annotated[dict[str, Share], AfterValidator(_of_known)]
Sectors = Annotated[tuple[str, ...], AfterValidator(_known)]


def _is_monday(day: date) -> date:
    if day.weekday():
        raise ValueError(f"{day} is not a Monday")
    return day


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shock(_Event):
    """A week in which more jobs than usual are lost."""

    week: Annotated[date, AfterValidator(_is_monday)]
    """Its Monday, local date."""
    shares: SectorShares
    """Sector → share of its jobs lost in that week, beside the usual losses."""


class Employment(_Event):
    """How jobs are lost, found and changed, and who works when and where. See ``careers``."""

    part_time_share: Share = 0.18
    """Share of jobs."""
    half_day_share: Share = 0.4
    """Share of part-time jobs with half days, five a week; the others have two to four whole days a week."""
    night_share: Share = 0.1
    """Share of jobs from the evening to the morning, in sectors that have nights."""
    telework_shares: SectorShares = {}
    """Sector → share of its jobs that can be done at home; sectors left out keep ``Sector.telework_share``."""
    usual_telework_share: Share = 0.3
    """Share of those jobs with one or two days a week at home, lockdown or not."""
    sector_tilt: float = Field(default=0.0, ge=0.0, le=3.0)
    """Weights of sectors are times exp(this x their pay x affluence of the home tract); both lie in -1..1."""
    weekly_loss: SectorShares = {}
    """Sector → chance per week that a job is lost."""
    usual_weekly_loss: Share = 0.002
    """The same for sectors not named."""
    shocks: tuple[Shock, ...] = ()
    loss_tilt: float = Field(default=0.0, ge=0.0, le=3.0)
    """Chances of loss, usual or by shock, are times exp(-this x affluence of the home tract), at most 1."""
    spell_days: Positive = 70.0
    """Median days without a job, lognormal, rounded up."""
    spell_log_spread: float = Field(default=0.8, ge=0.0, le=3.0)
    recall_share: Share = 0.5
    """Share of spells that end at the old workplace; the others end at a new one."""
    weekly_change: Share = 0.002
    """Chance per week of a new workplace without a day between."""
    same_sector_share: Share = 0.6
    """Share of new workplaces looked for in the sector of the last."""
    loss_outgoing: float = Field(default=1.0, ge=0.0, le=2.0)
    """Factor on every chance of an outing from the first day without the job on; 1: none."""
    loss_outgoing_per_month: float = Field(default=1.0, ge=0.0, le=2.0)
    """Further factor per 28 days since the loss, day by day; 1: none."""
    loss_outgoing_floor: Share = 0.0
    """The two together never fall below this."""


class Lockdown(_Event):
    """Dates from which everybody moves less and those who can work at home; see ``Employment`` for who can."""

    start: date
    end: date
    """Last local date."""
    outgoing: Share = 0.4
    """Factor on every chance of an outing while it lasts."""
    recovery_days: float = Field(default=30.0, ge=0.0)
    """Days after which what is left of that factor has shrunk to 1/e; 0: back at once."""
    telework_uptake: Share = 0.9
    """Share of those able to work at home who do so every working day."""
    lingering_days: float = Field(default=45.0, ge=0.0)
    """Mean of how long they go on after the end, exponential."""
    essential: Sectors = ("11", "22", "48-49", "62")
    """Sectors that go on as before."""

    @model_validator(mode="after")
    def _ends_after_start(self) -> "Lockdown":
        if self.end < self.start:
            raise ValueError(f"end ({self.end}) is before start ({self.start})")
        return self


class Phones(_Event):
    """Whose phones are seen: a biased panel whose members leave."""

    share: Share = 1.0
    """Share of people with a phone that reports, in a tract of affluence 0."""
    tilt: float = Field(default=0.0, ge=-5.0, le=5.0)
    """The odds of having one are times exp(this x affluence of the home tract, -1..1)."""
    weekly_stop: Share = 0.0
    """Chance per week that somebody stops carrying the phone."""
    for_good_share: Share = 0.5
    """Share of those who never carry it again in the study."""
    away_days: Positive = 14.0
    """Median days without it of the others, lognormal, rounded up."""
    away_log_spread: float = Field(default=0.7, ge=0.0, le=3.0)
