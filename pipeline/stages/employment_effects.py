"""`employment_effects`: how behaviour changes after a job loss, beside people like them who kept theirs."""

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import (
    CAPACITY,
    DEMOGRAPHICS,
    EMPLOYMENT,
    EMPLOYMENT_EFFECTS,
    ENTROPY,
    EXPLORATION,
    GYRATION,
    PANEL_WEIGHTS,
)
from pipeline.event_study import EventStudyParams, estimate_effects
from pipeline.kernels.keyed_random import keyed_uniform
from pipeline.shares import high_areas
from pipeline.stage import stage

MEASURES = ("gyration_m", "entropy_bits", "n_familiar", "n_locations", "n_new_locations")
KEY = ["device_id", "window_started"]


class EmploymentEffectsParams(EventStudyParams):
    """Who counts as having lost a job, who as like them, and which groups are looked at. All defaults are ours."""

    region_digits: int = Field(default=5, ge=0, le=15)
    """Leading digits of the home area's id that controls share: 5 is a county. 0: no matching on region."""
    is_matched_on_sector: bool = True
    """Whether controls share the most probable industry of the workplace."""
    is_remote_employed: bool = True
    """Whether somebody who works away may be a control. False: only those who are seen at work, whom a lockdown
    treats otherwise."""
    top_share: float = Field(default=0.25, gt=0, lt=1)
    """Devices in a group: those whose home area is among the areas with the highest share of it, in which this share of
    the panel lives. Of areas and not of persons: a device in the group need not belong to somebody of it."""
    max_devices: int = Field(default=100_000, ge=1)
    """Devices of the panel looked at: of a larger one a random part, keyed by device, of about this size. Counted are
    the devices with a home area, of which those with a workplace are then looked at: fewer than this. In a study
    without areas every device is looked at."""


def _finish(
    parts: pd.DataFrame,
    demographics: pd.DataFrame,
    panel_weights: pd.DataFrame,
    seed: int,
    params: EmploymentEffectsParams,
) -> pd.DataFrame:
    """Return the effects from the device-weeks of all buckets."""
    panel = parts.sort_values(KEY, ignore_index=True)
    devices = panel.drop_duplicates("device_id")
    devices = pd.DataFrame(
        {
            "device_id": devices["device_id"],
            "stratum": _strata(devices, params),
            "event_on": devices["event_on"],
            "is_control": True,
            "area": devices["home_tract_geoid"],
        }
    )
    groups = high_areas(demographics, panel_weights, params.top_share)
    min_devices = EMPLOYMENT_EFFECTS.min_devices or 0
    return estimate_effects(panel, devices, groups, MEASURES, seed, params, min_devices)[EMPLOYMENT_EFFECTS.names]


@stage(
    reads=(EMPLOYMENT, GYRATION, EXPLORATION, ENTROPY, CAPACITY, DEMOGRAPHICS, PANEL_WEIGHTS),
    writes=EMPLOYMENT_EFFECTS,
    params=EmploymentEffectsParams,
    finish=_finish,
    needs=("seed",),
)
def employment_effects(
    employment: pd.DataFrame,
    gyration: pd.DataFrame,
    exploration: pd.DataFrame,
    entropy: pd.DataFrame,
    capacity: pd.DataFrame,
    demographics: pd.DataFrame,
    panel_weights: pd.DataFrame,
    seed: int,
    params: EmploymentEffectsParams,
) -> pd.DataFrame:
    """Return the device-weeks of a bucket that the event study needs; `_finish` makes the effects of them.

    A device's event is the Monday on which its first job loss began. Measures are those of weeks, of the weeks that
    were observed enough to judge presence at work; a measure whose table has no weeks has no effects. Devices
    without a home area, or without an industry, are matched with one another. The method is `pipeline.event_study`.

    The effects are those of losses as `employment` infers them. Whoever stays away from work without having lost it is
    among them, in a lockdown many, and moves less for that very reason: what is estimated is then a mixture.
    """
    share = params.max_devices / max(int(panel_weights["n_devices"].sum()), params.max_devices)
    device = employment["device_id"].to_numpy()
    rows = employment[keyed_uniform(device, EMPLOYMENT_EFFECTS.name, seed) < share]
    remote = rows["status"] == "remote"
    is_out = (rows["is_at_risk"] & ~remote) | (remote & (not params.is_remote_employed))
    # Observed and unknown: absent, and too young to say whether for good. Nobody to compare with.
    is_out |= (rows["status"] == "unknown") & rows["visit_ratio"].notna()
    part = rows[[*KEY, "home_tract_geoid", "sector"]].assign(
        event_on=rows.groupby("device_id")["lost_on"].transform("min"),
        is_out=is_out,
        is_back=rows["status"] == "employed",
    )
    for table in (gyration, exploration, entropy, capacity):
        names = [name for name in MEASURES if name in table and name not in part]
        part = part.merge(_weekly(table)[[*KEY, *names]], on=KEY, how="left")
    is_seen = rows["visit_ratio"].notna().to_numpy()
    for name in MEASURES:
        part[name] = part[name].astype(np.float64).where(is_seen)
    return part[is_seen | part["is_out"]].reset_index(drop=True)


def _weekly(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["window"] == "week"] if "window" in frame else frame


def _strata(devices: pd.DataFrame, params: EmploymentEffectsParams) -> pd.Series:
    """Return what controls must share besides the weeks: region and industry, each unknown being one of its own."""
    region = devices["home_tract_geoid"].str[: params.region_digits].fillna("")
    if params.region_digits == 0:
        region = region.str[:0]
    sector = devices["sector"].fillna("") if params.is_matched_on_sector else ""
    return region + " " + sector
