"""`place_visits`: how many come to each area, how long they stay, and how mixed they are."""

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import DEMOGRAPHICS, HOME_WORK, PANEL_WEIGHTS, PLACE_VISITS, VISITS
from pipeline.area_cells import EVERYWHERE, AreaWindowParams, areas_of
from pipeline.cell_suppression import hide_differences
from pipeline.homes import baseline_homes
from pipeline.shares import area_quantiles
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.sums import from_fixed, group_sums, to_fixed
from pipeline.windows import CalendarKind, window_starts

KEY = list(PLACE_VISITS.key)
HOME = "home"
POOLED = "other"
"""Home areas of too few visitors of a place, together."""
SUMS = ["n_visits", "n_devices", "dwell", "n_log2_n"]
HOUR_S = 3600.0
UNIT = 1000.0
"""Hours, and n log2 n, in a unit of sums: those of ten million devices for a year fit fixed point."""
MIN_DEVICES = PLACE_VISITS.min_devices or 0


class PlaceVisitParams(AreaWindowParams):
    """Which areas and windows there are, and whom visitors are told apart by."""

    segregation_axis: str = "income"
    """Axis of `demographics` by which home areas are put into groups (ours)."""
    segregation_group: str = "above_3333"
    """Group of that axis whose share in a home area ranks it: of `lodes_rac`, earnings above $3,333 a month (ours)."""
    n_groups: int = Field(default=4, ge=2, le=20)
    """Groups of home areas, each of as many of the panel's devices as can be: quarters, after Moro et al. 2021
    (recalled, unverified)."""


def _finish(
    parts: pd.DataFrame, demographics: pd.DataFrame, panel_weights: pd.DataFrame, study: Study, params: PlaceVisitParams
) -> pd.DataFrame:
    """Return the visits of all buckets, without those that would tell of few devices beside a margin."""
    by_home = group_sums(parts, [*KEY, HOME], SUMS)
    places = group_sums(by_home, KEY, SUMS).set_index(KEY)
    n = places["n_visits"]
    known = by_home[by_home[HOME] != ""]
    group = area_quantiles(
        demographics, panel_weights, params.segregation_axis, params.segregation_group, params.n_groups
    )
    table = places.assign(
        dwell_hours=from_fixed(places["dwell"]) * UNIT,
        visitor_entropy_bits=np.maximum(np.log2(n) - from_fixed(places["n_log2_n"]) * UNIT / n, 0.0),
        home_entropy_bits=_home_entropy(known),
        segregation=_segregation(known.assign(group=known[HOME].map(group)).dropna(subset="group"), params.n_groups),
    )
    return hide_differences(table.reset_index()[PLACE_VISITS.names], ["area"], "n_visits", MIN_DEVICES)


def _home_entropy(known: pd.DataFrame) -> pd.Series:
    """Return the entropy of visitors over home areas by place; home areas of too few of them are one area together.

    Missing where these together, or all that have a known one, are too few: it would tell of them.
    """
    is_few = known["n_devices"] < MIN_DEVICES
    known = group_sums(known.assign(**{HOME: known[HOME].mask(is_few, POOLED)}), [*KEY, HOME], ["n_devices"])
    n = known["n_devices"]
    known = known.assign(fixed=to_fixed(n * np.log2(n)))
    sums = group_sums(known, KEY, ["n_devices", "fixed"]).set_index(KEY)
    bits = np.log2(sums["n_devices"]) - from_fixed(sums["fixed"]) / sums["n_devices"]
    return bits.clip(lower=0.0).where(_are_enough(known))


def _are_enough(of: pd.DataFrame) -> pd.Series:
    """Return by place whether each of its rows stands for enough devices."""
    return of.groupby(KEY)["n_devices"].min() >= MIN_DEVICES


def _segregation(known: pd.DataFrame, n_groups: int) -> pd.Series:
    """Return sum(|share of a group - 1 / G|) by place, brought to 0 to 1, of the time that G groups spend there.

    After Moro et al. 2021 (recalled, unverified). Missing where a group that is there has too few visitors, as it and
    the time of all tell the time of each of two groups, or where no time was spent.
    """
    sums = group_sums(known, [*KEY, "group"], ["dwell", "n_devices"])
    total_dwell = sums.groupby(KEY)["dwell"].transform("sum")
    apart = (sums["dwell"] / total_dwell.where(total_dwell > 0) - 1 / n_groups).abs()
    found = sums.assign(apart=apart).groupby(KEY).agg(apart=("apart", "sum"), n=("apart", "size"))
    # Groups that are not there at all are 1 / G from it each.
    total = found["apart"] + (n_groups - found["n"]) / n_groups
    return (total / (2 - 2 / n_groups)).clip(0, 1).where(_are_enough(sums) & (sums.groupby(KEY)["dwell"].sum() > 0))


@stage(
    reads=(VISITS, HOME_WORK, DEMOGRAPHICS, PANEL_WEIGHTS),
    writes=PLACE_VISITS,
    params=PlaceVisitParams,
    needs=("study",),
    finish=_finish,
)
def place_visits(
    visits: pd.DataFrame,
    home_work: pd.DataFrame,
    demographics: pd.DataFrame,
    panel_weights: pd.DataFrame,
    study: Study,
    params: PlaceVisitParams,
) -> pd.DataFrame:
    """Return the visits of a bucket by area, window and visitors' home area, margins included: a part of the table.

    A visit counts whole in the window in which it starts. With p the share of a visitor in an area's visits, the
    entropy over visitors is -sum(p log2 p): the `uncorrelated_location_entropy` of fastmob, and that of scikit-mobility
    in bits (theirs is in nats, although its documentation says log2), both of single coordinates. The home area is the
    tract of the baseline home; a visitor without one counts in all but home_entropy_bits and segregation.
    """
    homes = baseline_homes(home_work).set_index("device_id")["tract_geoid"]
    area = areas_of(visits["lon"], visits["lat"], visits["tract_geoid"], params)
    rows = visits[["device_id", "date"]].assign(
        area=area, dwell=to_fixed(visits["dwell_s"] / HOUR_S / UNIT), n_visits=1
    )
    rows[HOME] = rows["device_id"].map(homes).astype("str").fillna("")
    rows = rows.dropna(subset="area")
    everywhere = rows.assign(area=EVERYWHERE).astype({"area": "str"})
    found = [_of_window(frame, kind, study) for kind in params.windows for frame in (rows, everywhere)]
    return pd.concat(found, ignore_index=True)


def _of_window(rows: pd.DataFrame, kind: CalendarKind, study: Study) -> pd.DataFrame:
    """Return the sums of visits by area and home area for windows of one kind."""
    rows = rows.assign(window=kind, window_started=window_starts(rows["date"], kind, study.start))
    visitors = group_sums(rows.astype({"window": "str"}), [*KEY, HOME, "device_id"], ["n_visits", "dwell"])
    n = visitors["n_visits"]
    visitors = visitors.assign(n_devices=1, n_log2_n=to_fixed(n * np.log2(n) / UNIT))
    return group_sums(visitors, [*KEY, HOME], SUMS)
