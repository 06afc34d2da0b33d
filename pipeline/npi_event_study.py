"""Event study of orders: regions with an order beside regions that have none yet, week by week since the order.

Every group of regions ordered in one week is compared with those that are not ordered until after the week looked
at, each side by its change since the week before the order, and the differences are averaged over the groups, each
region with the order weighing the same: the group-time effects of Callaway and Sant'Anna (2021,
https://doi.org/10.1016/j.jeconom.2020.12.001) with not yet treated controls and no covariates. Nobody is compared with
regions that have the order already, as in a regression with effects of regions and weeks, where an effect that grows
comes out too small or with the wrong sign.

An order is seldom the only thing that happens: what else changes in the same weeks, in the same regions, is in it.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import NPI_EVENTS
from pipeline.id_join import longest_prefixes
from pipeline.npi_drivers import MEASURES, is_asked_for, smallest_regions
from pipeline.params import Params
from pipeline.windows import monday_of, to_days

REFERENCE = -1
"""The week that differences are taken from: the last before the order."""
EVERYBODY = "all"
NEVER = np.iinfo(np.int64).max
WEEK_DAYS = 7
COVERED = 0.975


class NpiEventParams(Params):
    """Which weeks around an order are looked at. All defaults are ours."""

    measures: tuple[str, ...] = MEASURES
    """Measures looked at, as far as there are any such; one that ends in * stands for all that begin so. (): all
    (ours)."""
    weeks_before: int = Field(default=4, ge=2, le=26)
    """Weeks before the order; the last is the reference, the others test whether regions differed before (ours)."""
    weeks_after: int = Field(default=8, ge=0, le=52)
    """Last week looked at; the week of the order, which may begin amid it, is 0 (ours)."""
    min_days: int = Field(default=3, ge=1, le=7)
    """Days of a week on which the change must be known (ours)."""


class Weeks(NamedTuple):
    """Changes by region and week."""

    change: np.ndarray
    """Regions × weeks, NaN where unknown."""
    n_devices: np.ndarray
    """Of each region on its largest day."""
    monday: np.ndarray
    """Of each week, days since 1970, without gaps."""
    regions: list[str]

    def rows(self, is_kept: np.ndarray) -> "Weeks":
        """Return some of the regions."""
        names = [name for name, kept in zip(self.regions, is_kept, strict=True) if kept]
        return Weeks(self.change[is_kept], self.n_devices[is_kept], self.monday, names)


class Sums(NamedTuple):
    """Sums of changes since the reference by cluster × week of the order × weeks since, and how many they are of."""

    ordered: np.ndarray
    n_ordered: np.ndarray
    controls: np.ndarray
    n_controls: np.ndarray
    is_ordered: np.ndarray
    """Region × weeks since: in the former."""
    is_control: np.ndarray


def fit_events(changes: pd.DataFrame, npi_orders: pd.DataFrame, params: NpiEventParams) -> pd.DataFrame:
    """Return the rows of NPI_EVENTS: what changes with the weeks since an order, by measure and kind of order.

    `changes` has the columns of `region_changes` but for mean and baseline; everybody is looked at, not groups, and
    regions inside which there are none. A region has the orders of the region with the longest id that begins its
    own, never ordered where that row has no date. One without any row of a kind of order takes no part in what is told
    of that kind, neither ordered nor as a control: whether it was ordered is not known. Weeks begin on Monday.

    Standard errors are the jackknife over the regions that orders are given in, with the t distribution of one less
    degree of freedom than there are of these on the smaller side; null of fewer than two on a side. The test of the
    weeks before is Hotelling's; null where there are no more such regions than weeks.
    """
    found = [np.empty((0, len(NPI_EVENTS.names)), object)]
    inside = smallest_regions(changes["region_geoid"])
    is_row = is_asked_for(changes["measure"], params.measures) & (changes["axis"] == EVERYBODY).to_numpy()
    rows = changes[is_row & changes["region_geoid"].isin(inside) & changes["log_change"].notna()]
    for measure, of_measure in rows.groupby("measure", sort=True):
        weeks = _weeks(of_measure, params)
        for order, orders in npi_orders.groupby("order", sort=True):
            found.append(_events(str(measure), str(order), weeks, orders, params))
    frame = pd.DataFrame(np.concatenate(found), columns=NPI_EVENTS.names).infer_objects()
    types = {"measure": "str", "order": "str", "weeks_since": np.int16}
    types |= dict.fromkeys(("n_regions", "n_control_regions", "n_devices"), np.int64)
    types |= dict.fromkeys(NPI_EVENTS.names[-5:], np.float64)
    return frame.astype(types).sort_values(list(NPI_EVENTS.key), ignore_index=True)


def _weeks(changes: pd.DataFrame, params: NpiEventParams) -> Weeks:
    """Return the means of weeks in which the change is known on enough days."""
    monday = monday_of(to_days(changes["date"]))
    by_week = changes["log_change"].groupby([changes["region_geoid"], monday])
    mean = by_week.mean().where(by_week.size() >= params.min_days).unstack()
    mean = mean.reindex(columns=np.arange(monday.min(), monday.max() + 1, WEEK_DAYS))
    n_devices = changes.groupby("region_geoid")["n_devices"].max().reindex(mean.index)
    return Weeks(
        mean.to_numpy(np.float64), n_devices.to_numpy(np.int64), mean.columns.to_numpy(np.int64), list(mean.index)
    )


def _events(measure: str, order: str, weeks: Weeks, orders: pd.DataFrame, params: NpiEventParams) -> np.ndarray:
    """Return the rows of one measure and order, without those weeks in which a side is empty."""
    ordered_in = np.array(longest_prefixes(weeks.regions, orders["region_geoid"]), object)
    is_known = ordered_in != ""
    if not is_known.any():
        return np.empty((0, len(NPI_EVENTS.names)), object)
    weeks = weeks.rows(is_known)
    cluster, names = pd.factorize(ordered_in[is_known], sort=True)
    event = _event_weeks(orders.set_index("region_geoid")["ordered_on"].reindex(names), weeks.monday)[cluster]
    since = np.arange(-params.weeks_before, params.weeks_after + 1)
    sums = _sums(weeks.change, event, cluster, since)
    effect = _effects(*(part.sum(axis=0) for part in sums[:4]))
    variance, freedom = _jackknife(sums)
    p_value = pretrend(effect, variance, freedom, since)
    n_devices = (sums.is_ordered * weeks.n_devices[:, None]).sum(axis=0)
    is_reference = since == REFERENCE
    error = np.where(is_reference, np.nan, np.sqrt(np.diag(variance)))
    reach = _t_quantile(freedom) * error
    columns = (
        *(np.full(since.size, name, object) for name in (measure, order)),
        since,
        sums.is_ordered.sum(axis=0),
        sums.is_control.sum(axis=0),
        n_devices,
        effect,
        error,
        effect - reach,
        effect + reach,
        np.full(since.size, p_value),
    )
    return np.column_stack([np.asarray(column, object) for column in columns])[np.isfinite(effect)]


def _event_weeks(ordered_on: pd.Series, monday: np.ndarray) -> np.ndarray:
    """Return the column of each order's week, which may lie outside; `NEVER` without a date."""
    is_given = ordered_on.notna().to_numpy()
    days = to_days(pd.to_datetime(ordered_on[is_given]))
    event = np.full(ordered_on.size, NEVER)
    event[is_given] = (monday_of(days) - monday[0]) // WEEK_DAYS
    return event


def _sums(change: np.ndarray, event: np.ndarray, cluster: np.ndarray, since: np.ndarray) -> Sums:
    """Return the sums of changes since the reference, of regions with the order and of those without it yet."""
    n_weeks, n_clusters = change.shape[1], int(cluster.max()) + 1
    cohorts = np.unique(event[(event >= -REFERENCE) & (event < n_weeks)])
    sums = np.zeros((4, n_clusters, cohorts.size, since.size))
    is_in = np.zeros((2, event.size, since.size), bool)
    for g, cohort in enumerate(cohorts):
        for k in np.flatnonzero((cohort + since >= 0) & (cohort + since < n_weeks)):
            week = cohort + since[k]
            moved = change[:, week] - change[:, cohort + REFERENCE]
            sides = np.array([event == cohort, event > max(week, cohort)]) & np.isfinite(moved)
            for side, rows in enumerate(sides):
                np.add.at(sums[2 * side][:, g, k], cluster[rows], moved[rows])
                np.add.at(sums[2 * side + 1][:, g, k], cluster[rows], 1)
            # A side without another to compare it with tells nothing.
            is_in[:, :, k] |= sides & sides.any(axis=1).all()
    return Sums(*sums, *is_in)


def _effects(ordered: np.ndarray, n_ordered: np.ndarray, controls: np.ndarray, n_controls: np.ndarray) -> np.ndarray:
    """Return the effect by weeks since the order, the last axis, from sums over weeks of the order, the one before."""
    is_both = (n_ordered > 0) & (n_controls > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = ordered - n_ordered * controls / n_controls
        return np.where(is_both, difference, 0).sum(axis=-2) / np.where(is_both, n_ordered, 0).sum(axis=-2)


def _jackknife(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance of the effects and the degrees of freedom of each; NaN, and 0, of too few clusters."""
    whole = [part.sum(axis=0) for part in sums[:4]]
    left = _effects(*(all_of - part for all_of, part in zip(whole, sums[:4], strict=True)))
    is_both = (whole[1] > 0) & (whole[3] > 0)
    n_sides = [((part > 0) & is_both).any(axis=1).sum(axis=0) for part in (sums.n_ordered, sums.n_controls)]
    freedom = np.minimum(*n_sides) - 1
    is_there = (((sums.n_ordered + sums.n_controls) > 0) & is_both).any(axis=(1, 2))
    n = int(is_there.sum())
    variance = np.full((freedom.size, freedom.size), np.nan)
    if n:
        apart = left[is_there] - left[is_there].mean(axis=0)
        variance = (n - 1) / n * apart.T @ apart
    variance[freedom < 1], variance[:, freedom < 1] = np.nan, np.nan
    return variance, np.maximum(freedom, 0)


def _t_quantile(freedom: np.ndarray) -> np.ndarray:
    from scipy.stats import t

    return np.where(freedom > 0, t.ppf(COVERED, np.maximum(freedom, 1)), np.nan)


def pretrend(effect: np.ndarray, variance: np.ndarray, freedom: np.ndarray, since: np.ndarray) -> float:
    """Return the p-value of Hotelling's test that the effects of the weeks before the reference are all 0."""
    from scipy.stats import f

    before = np.flatnonzero((since < REFERENCE) & np.isfinite(effect))
    left = int(freedom[before].min()) - before.size + 1 if before.size else 0
    of_before = variance[np.ix_(before, before)]
    if left < 1 or not np.isfinite(of_before).all() or np.linalg.matrix_rank(of_before) < before.size:
        return np.nan
    squared = float(effect[before] @ np.linalg.solve(of_before, effect[before]))
    return float(f.sf(squared * left / (before.size * (left + before.size - 1)), before.size, left))
