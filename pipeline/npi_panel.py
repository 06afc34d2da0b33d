"""The panel that models of mobility are fitted to: regions by period, with what people may answer to."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.kernels.grouping import group_starts
from pipeline.npi_drivers import ADAPTATIONS, TERMS, NpiParams, is_asked_for, smallest_regions
from pipeline.windows import monday_of, to_days

NOTHING, STRINGENCY, SEVERITY = "nothing", "stringency", "severity"
MODELS: dict[str, tuple[str, ...]] = {
    STRINGENCY: ("stringency",),
    SEVERITY: ("stringency", "severity"),
    **{name: ("stringency", "severity", name) for name in ADAPTATIONS},
}
"""Terms of each model but "nothing", which has none: no change, or, with effects of periods, these alone."""
EVERYBODY = "all"
GROUP = ("measure", "axis", "group")


class Panel(NamedTuple):
    """Regions by period, one row each, by region and then period."""

    change: np.ndarray
    others: np.ndarray
    """Change of everybody else, of a group's panel; NaN where unknown."""
    terms: np.ndarray
    """Columns in the order of `TERMS`."""
    region: np.ndarray
    """0 to regions - 1, rising."""
    period: np.ndarray
    cluster: np.ndarray
    devices: np.ndarray
    """Devices of each region's largest day."""

    @property
    def n_devices(self) -> int:
        """Devices of the regions' largest days together."""
        return int(self.devices.sum())

    @property
    def n_regions(self) -> int:
        """Regions with a row."""
        return int(self.region[-1]) + 1

    def rows(self, is_kept: np.ndarray) -> "Panel":
        """Return the panel of some rows, of which regions are numbered anew; of regions without any nothing is left."""
        regions, region = np.unique(self.region[is_kept], return_inverse=True)
        return self._replace(
            **{name: getattr(self, name)[is_kept] for name in ("change", "others", "terms", "period", "cluster")},
            region=region,
            devices=self.devices[regions],
        )


def panels(changes: pd.DataFrame, drivers: pd.DataFrame, params: NpiParams) -> Iterator[tuple[tuple[str, ...], Panel]]:
    """Return ((measure, axis, group), panel) of all measures that are modelled, in this order.

    Regions inside which there are others, as states with counties, are left out: their devices would count twice.
    `changes` has the columns of `region_changes` but for mean and baseline, log_change_others not needed; `drivers`
    is what `npi_drivers.drivers` returns. Without any there are no panels; a change without its row is a ValueError
    that names region and date.
    """
    if drivers.empty:
        return
    is_asked = is_asked_for(changes["measure"], params.measures)
    inside = smallest_regions(changes["region_geoid"])
    rows = changes[is_asked & changes["region_geoid"].isin(inside) & changes["log_change"].notna()]
    days = _Days(rows, drivers)
    number = rows.groupby(list(GROUP), sort=True).ngroup().to_numpy()
    order = np.lexsort((days.day, days.region, number))
    for found in np.split(order, np.flatnonzero(np.diff(number[order])) + 1) if len(order) else []:
        panel = _panel(days, found, params)
        if panel is not None:
            yield tuple(str(rows[name].iat[found[0]]) for name in GROUP), panel


class _Days:
    """Changes by region, group and day, each beside the row of the drivers that it answers to."""

    def __init__(self, rows: pd.DataFrame, drivers: pd.DataFrame) -> None:
        names = pd.Index(pd.unique(drivers["region_geoid"])).sort_values()
        self.region, self.day = names.get_indexer(rows["region_geoid"]), to_days(rows["date"])
        told = pd.MultiIndex.from_arrays([names.get_indexer(drivers["region_geoid"]), to_days(drivers["date"])])
        self.at = told.get_indexer(pd.MultiIndex.from_arrays([self.region, self.day]))
        if (self.at < 0).any():
            missing = rows.iloc[int((self.at < 0).argmax())]
            raise ValueError(f"no drivers for region {missing['region_geoid']} on {missing['date']:%Y-%m-%d}")
        self.terms = drivers[list(TERMS)].to_numpy(np.float64)
        self.cluster = pd.factorize(drivers["cluster"], sort=True)[0]
        self.change = rows["log_change"].to_numpy(np.float64)
        others = rows["log_change_others"].to_numpy(np.float64) if "log_change_others" in rows else np.nan
        self.others = np.broadcast_to(others, self.change.shape)
        self.n_devices = rows["n_devices"].to_numpy(np.int64)


def _panel(days: _Days, rows: np.ndarray, params: NpiParams) -> Panel | None:
    """Return the means over periods of changes and of the drivers on the same days; None where no period has enough.

    `rows` are by region and day.
    """
    day, at = days.day[rows], days.at[rows]
    period = day if params.period == "day" else monday_of(day)
    region = np.unique(days.region[rows], return_inverse=True)[1]
    start = group_starts(region, period)
    n_days = np.diff(start)
    is_kept = n_days >= (params.min_days if params.period == "week" else 1)
    if not is_kept.any():
        return None
    values = np.column_stack([days.change[rows], days.others[rows], days.terms[at]])
    means = np.add.reduceat(values, start[:-1]) / n_days[:, None]
    of_row = region[start[:-1]], period[start[:-1]], days.cluster[at[start[:-1]]]
    largest = np.maximum.reduceat(days.n_devices[rows], np.searchsorted(region, np.arange(region[-1] + 1)))
    return Panel(means[:, 0], means[:, 1], means[:, 2:], *of_row, largest).rows(is_kept)


class Design(NamedTuple):
    """What a model is fitted to: the columns of the terms come last, after those of periods."""

    x: np.ndarray
    """A column for each period but the first, where their effects are taken out, and one for each term."""
    within_x: np.ndarray
    """Less the mean of their region, without those of periods that effects of regions tell already."""
    within_change: np.ndarray
    n_terms: int
    period: np.ndarray
    """Of each row, from 0; 0 throughout where effects of periods are not taken out."""


def design(panel: Panel, model: str, params: NpiParams, change: np.ndarray | None = None) -> Design:
    """Return the columns of a model and the changes, as they are and less the mean of their region."""
    terms = panel.terms[:, [TERMS.index(name) for name in MODELS.get(model, ())]]
    period = np.unique(panel.period, return_inverse=True)[1]
    if params.effects == "region":
        period = np.zeros_like(period)
    x = np.column_stack([period[:, None] == np.arange(1, period.max() + 1), terms]).astype(np.float64)
    change = panel.change if change is None else change
    is_free = free_columns(period, islands(panel.region, period), x.shape[1], terms.shape[1])
    within_x, within_change = (less_region(values, panel.region) for values in (x[:, is_free], change))
    return Design(x, within_x, within_change, terms.shape[1], period)


def islands(region: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Return the island of each row, from 0: regions are of one that share a period, or that others link.

    Only within an island are effects of periods told apart from those of regions.
    """
    if not period.any():
        return np.zeros_like(region)
    # Importing scipy takes a while, which every other command would wait for.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_regions = int(region.max()) + 1
    n_nodes = n_regions + int(period.max()) + 1
    links = coo_array((np.ones(region.size), (region, n_regions + period)), shape=(n_nodes, n_nodes))
    return np.unique(connected_components(links, directed=False)[1][region], return_inverse=True)[1]


def free_columns(period: np.ndarray, island: np.ndarray, n_columns: int, n_terms: int) -> np.ndarray:
    """Return which columns of a design have coefficients of their own in some of its rows: bool.

    Of periods not those without a row, nor the first of each island, which the effects of its regions tell; all terms.
    """
    first = np.full(island.max() + 1, n_columns)
    np.minimum.at(first, island, period)
    free = np.setdiff1d(period, first) - 1
    is_free = np.arange(n_columns) >= n_columns - n_terms
    is_free[free] = True
    return is_free


def less_region(values: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Return values (rows first) less the mean of their region."""
    return values - region_means(values, region)[region]


def region_means(values: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Return the mean of each region, regions being numbered from 0 and their rows together."""
    start = np.searchsorted(region, np.arange(region[-1] + 2))
    counts = np.diff(start).reshape(-1, *[1] * (values.ndim - 1))
    return np.add.reduceat(values, start[:-1]) / counts


def is_estimable(columns: np.ndarray) -> bool:
    """Return whether the columns tell their coefficients apart at all."""
    scale = np.sqrt((columns**2).sum(axis=0))
    if not len(columns) or (scale <= np.sqrt(len(columns)) * RANK_TOLERANCE).any():
        return False
    return np.linalg.matrix_rank(columns / scale, tol=RANK_TOLERANCE * np.sqrt(len(columns))) == columns.shape[1]


RANK_TOLERANCE = 1e-9
"""Below this, in units of the columns' size, a direction is rounding."""
