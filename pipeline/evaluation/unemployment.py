"""Unemployment beside official series: correlations by region and lag, stock with stock and flow with flow.

A rate of people without a job is a stock, like LAUS's rate and like continued claims, paid week after week; initial
claims are a flow into it, and go with the change of the rate from one week to the next.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import pearsonr, rankdata, spearmanr

from data_contracts import OFFICIAL_RATES, conform
from data_contracts.check import ContractError
from pipeline.sources.errors import SourceError
from pipeline.sources.reference_files import find_reference, read_columns, read_numbers
from pipeline.study import StudyError

POOLED = "pooled"
STEP = {"week": pd.DateOffset(weeks=1), "month": pd.DateOffset(months=1)}
LEAST_PAIRS = 3
SERIES_COLUMNS = ["region_geoid", "window", "window_started", "value"]


class Pairing(NamedTuple):
    """Which series goes with which."""

    ours: str
    official: str
    window: str
    is_change: bool
    """Compared is the change of ours from the window before."""


OF_RATE = (
    Pairing("rate", "laus_rate", "month", False),
    Pairing("rate", "continued_claims", "week", False),
    Pairing("rate", "initial_claims", "week", True),
)
OF_LAUS = (
    Pairing("laus_rate", "continued_claims", "month", False),
    Pairing("laus_rate", "initial_claims", "month", True),
)
"""Official series with each other: what a rate of ours may be held against. Claims are means over a month's weeks."""


class Asked(NamedTuple):
    """What a comparison is asked for. Defaults are ours."""

    digits: int = 2
    """Only regions whose id has so many digits are compared, and pooled: 2 for states."""
    max_lag: tuple[tuple[str, int], ...] = (("week", 8), ("month", 3))
    """Up to how many windows later the official series is taken."""
    is_two_sided: bool = False
    """Also as many windows earlier."""
    block: tuple[tuple[str, int], ...] = (("week", 8), ("month", 3))
    """Windows that are drawn together for an interval; without three such blocks there is none."""
    n_replicates: int = 500
    level: float = 0.95


class Correlation(NamedTuple):
    """How two series go together. NaN where a side does not vary or there are fewer than three pairs."""

    ours: str
    official: str
    window: str
    is_change: bool
    region: str
    """Id of the region, or "pooled": the pairs of all regions together."""
    lag: int
    """The official value is that of so many windows later; earlier where negative."""
    n_pairs: int
    pearson: float
    pearson_low: float
    pearson_high: float
    spearman: float
    spearman_low: float
    spearman_high: float


class Comparison(NamedTuple):
    """All correlations, and how many regions there were to compare."""

    correlations: tuple[Correlation, ...]
    n_regions: int
    """Regions with both series, for some pairing."""
    n_regions_ours: int
    n_regions_official: int


def read_rates(name: str) -> pd.DataFrame:
    """Return OFFICIAL_RATES from a table with its columns: delimited text or Parquet, a file or glob.

    SourceError where it cannot be read, or breaks the contract: says which rule, and in how many rows.
    """
    parts = [_read_rates(path) for path in find_reference(name, Path.cwd(), "official rates")]
    table = pa.concat_tables(parts).sort_by([(column, "ascending") for column in OFFICIAL_RATES.key])
    try:
        return conform(table, OFFICIAL_RATES).to_pandas(date_as_object=False)
    except ContractError as error:
        raise SourceError(f"{name}: {error}") from None


def _read_rates(path: Path) -> pa.Table:
    data = read_columns(path, OFFICIAL_RATES.names, None, None, "official rates")
    if not pa.types.is_string(data["region_geoid"].type) and not pa.types.is_large_string(data["region_geoid"].type):
        raise SourceError(f"{path}: region_geoid must be text, so that leading zeros stay")
    starts = pd.to_datetime(data["window_started"].to_pandas(), errors="coerce")
    if starts.isna().any():
        raise SourceError(f"{path}: column window_started holds no date in {starts.isna().sum()} of {len(starts)} rows")
    columns = {name: data[name].cast(pa.string()) for name in ("region_geoid", "series", "window")}
    columns |= {
        "window_started": pa.array(starts).cast(pa.date32()),
        "value": pa.array(read_numbers(data, "value", path)),
    }
    return pa.table(columns)


def compare_rates(unemployment: pd.DataFrame, official: pd.DataFrame, weighting: str, asked: Asked) -> Comparison:
    """Return how UNEMPLOYMENT's rates under a weighting go with OFFICIAL_RATES, by region and lag.

    Rate with LAUS's rate by month, rate with continued claims by week, and the change of the rate with initial claims
    by week. Provisional rates are left out: they are too low. StudyError where there is no such weighting, nothing but
    provisional rates or no region with both.
    """
    ours = unemployment[unemployment["weighting"] == weighting].rename(columns={"rate": "value"})
    if ours.empty:
        there = ", ".join(sorted(unemployment["weighting"].unique())) or "none: the table has no rows"
        raise StudyError(f"unemployment has no rows of the weighting {weighting}; there are {there}")
    ours = ours[~ours["is_provisional"]]
    if ours.empty:
        raise StudyError(f"all rates of the weighting {weighting} are provisional")
    return _compare({"rate": ours}, official, OF_RATE, asked)


def compare_official(official: pd.DataFrame, start: date, end: date, asked: Asked) -> Comparison:
    """Return how the official series go with each other in a span of dates, by region and lag in months.

    LAUS's rate with continued claims, and its change from the month before with initial claims; claims are the mean
    over the weeks that start in a month. Lags go both ways: LAUS asks about the week of the 12th, and claims of the
    weeks after it count for the month too. Windows that start before `start` or after `end` are left out.
    """
    at = official["window_started"]
    inside = official[(at >= pd.Timestamp(start)) & (at <= pd.Timestamp(end))]
    laus = inside[inside["series"] == "laus_rate"]
    weeks = inside[inside["window"] == "week"]
    months = weeks["window_started"].to_numpy().astype("datetime64[M]").astype("datetime64[s]")
    by_month = weeks.assign(window="month", window_started=months).groupby(
        ["region_geoid", "series", "window", "window_started"], as_index=False
    )
    return _compare({"laus_rate": laus}, by_month["value"].mean(), OF_LAUS, asked._replace(is_two_sided=True))


def _compare(
    ours: dict[str, pd.DataFrame], official: pd.DataFrame, pairings: Sequence[Pairing], asked: Asked
) -> Comparison:
    found: list[Correlation] = []
    regions: list[set[str]] = [set(), set(), set()]
    for pairing in pairings:
        one = spread(ours[pairing.ours], pairing.window, asked.digits)
        other = spread(official[official["series"] == pairing.official], pairing.window, asked.digits)
        both = one.columns.intersection(other.columns)
        for names, more in zip(regions, (both, one.columns, other.columns), strict=True):
            names.update(more)
        one = one.diff() if pairing.is_change else one
        found.extend(_correlations(one[both], other[both], pairing, asked))
    if not regions[0]:
        raise StudyError(
            f"no region of {asked.digits} digits has both series: {len(regions[1])} have one of ours, "
            f"{len(regions[2])} an official one"
        )
    return Comparison(tuple(found), *(len(names) for names in regions))


def spread(series: pd.DataFrame, window: str, digits: int) -> pd.DataFrame:
    """Return values by window (rows, without gaps, NaN where there is none) and region of so many digits (columns).

    `series` has `SERIES_COLUMNS`. StudyError where weeks do not all begin on a Monday or months on a first.
    """
    rows = series[(series["window"] == window) & (series["region_geoid"].str.fullmatch(rf"[0-9]{{{digits}}}"))]
    table = rows.pivot(index="window_started", columns="region_geoid", values="value").sort_index()
    starts = pd.DatetimeIndex(table.index)
    is_begin = starts.day_of_week == 0 if window == "week" else starts.day == 1
    if not is_begin.all():
        raise StudyError(f"{(~is_begin).sum()} {window}s do not begin on a {'Monday' if window == 'week' else 'first'}")
    if len(table):
        table = table.reindex(pd.date_range(starts[0], starts[-1], freq=STEP[window]))
    return table


def _correlations(ours: pd.DataFrame, official: pd.DataFrame, pairing: Pairing, asked: Asked) -> Iterator[Correlation]:
    """Yield the correlations of one pairing: pooled first, then each region, every lag."""
    groups: list[tuple[str, Iterable[str]]] = [(POOLED, ours.columns)] if len(ours.columns) else []
    groups += [(region, [region]) for region in ours.columns]
    for name, regions in groups:
        most = dict(asked.max_lag)[pairing.window]
        for lag in range(-most if asked.is_two_sided else 0, most + 1):
            later = official.reindex(pd.DatetimeIndex(ours.index) + lag * STEP[pairing.window])
            x, y = (side[list(regions)].to_numpy(dtype=float) for side in (ours, later))
            yield Correlation(*pairing, name, lag, *_measure(x, y, dict(asked.block)[pairing.window], asked))


def _measure(x: NDArray[np.float64], y: NDArray[np.float64], block: int, asked: Asked) -> tuple[Any, ...]:
    """Return the number of pairs, Pearson's and Spearman's correlation, each with its interval; x, y: window × region.

    NaN marks what is missing on either side.
    """
    is_pair = ~(np.isnan(x) | np.isnan(y))
    a, b = x[is_pair], y[is_pair]
    if a.size < LEAST_PAIRS or not (_varies(a) and _varies(b)):
        return (a.size, *[math.nan] * 6)
    at = np.flatnonzero(is_pair.any(axis=1))
    inside = slice(at[0], at[-1] + 1)
    x, y = (np.where(is_pair, side, np.nan)[inside] for side in (x, y))
    (low, high), (rank_low, rank_high) = block_intervals(x, y, block, asked.n_replicates, asked.level)
    return (a.size, float(pearsonr(a, b)[0]), low, high, float(spearmanr(a, b)[0]), rank_low, rank_high)


def _varies(values: NDArray[np.float64]) -> bool:
    """Return whether values differ by more than rounding."""
    return bool(np.ptp(values) > 1e-10 * np.abs(values).max())


def block_intervals(
    x: NDArray[np.float64], y: NDArray[np.float64], block: int, n_replicates: int, level: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return intervals of Pearson's and of Spearman's correlation of series that have a memory.

    `x` and `y` are window × region, NaN in both where there is no pair. Circular block bootstrap (a standard): runs of
    `block` windows are drawn, all regions at once, so that what neighbours in time and regions in the same week share
    stays in the replicates. Percentiles; approximate, the more so the fewer blocks there are: NaN below three.
    """
    n = len(x)
    if n < 3 * block:
        return (math.nan, math.nan), (math.nan, math.nan)
    starts = np.random.default_rng(0).integers(0, n, (n_replicates, -(-n // block), 1))
    at = ((starts + np.arange(block)) % n).reshape(n_replicates, -1)[:, :n]
    one, other = (side[at].reshape(n_replicates, -1) for side in (x, y))
    tails = [(1 - level) / 2, (1 + level) / 2]
    ranks = (rankdata(side, axis=1, nan_policy="omit") for side in (one, other))
    pearson, spearman = _row_correlations(one, other), _row_correlations(*ranks)
    return _quantiles(pearson, tails), _quantiles(spearman, tails)


def _row_correlations(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation of each row, NaN left out; NaN where a side does not vary."""
    x, y = (side - np.nanmean(side, axis=1, keepdims=True) for side in (x, y))
    spread_of = np.nansum(x * x, axis=1) * np.nansum(y * y, axis=1)
    return np.nansum(x * y, axis=1) / np.sqrt(np.where(spread_of > 0, spread_of, np.nan))


def _quantiles(values: NDArray[np.float64], tails: list[float]) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, tails) if known.size else (math.nan, math.nan)
    return float(low), float(high)
