"""Matched sets: one device that something happened to, and a few controls over the same weeks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]


class Sets(NamedTuple):
    """Rows of a panel, one set a row."""

    treated: NDArray[np.int64]
    controls: NDArray[np.int64]
    """Nearest first; -1: fewer were found."""


class Changes(NamedTuple):
    """What sets say of each month; the last axis is months."""

    difference: Grid
    """Change of the treated device since the reference less the mean change of its controls; NaN: not observed."""
    share: Grid
    """Per control: how far its change is from that of the set's controls, as it enters the difference. 0: not used."""
    is_used: NDArray[np.bool_]
    """Per control: it is observed, and so is the treated device."""
    level: Grid
    """Mean of the controls' own values; NaN where there is no difference."""


def mean_of(columns: list[Grid]) -> Grid:
    """Return the mean of what is known (not NaN) at each place of equally long arrays; NaN where nothing is."""
    n_seen = sum(np.isfinite(column).astype(np.int64) for column in columns)
    total = sum(np.nan_to_num(column) for column in columns)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n_seen > 0, total / n_seen, np.nan)


def monthly_means(values: Grid, n_weeks: int, min_weeks: int) -> Grid:
    """Return the mean over the `n_weeks` weeks that begin at each week; NaN where fewer than `min_weeks` are known.

    ``values`` has devices in rows, consecutive weeks in columns, NaN where not known; the result has
    ``n_weeks - 1`` columns less. Weeks are added in their order, so a device's means are the same bytes in any panel.
    """
    n_starts = values.shape[1] - n_weeks + 1
    parts = [values[:, k : k + n_starts] for k in range(n_weeks)]
    n_seen = sum(np.isfinite(part).astype(np.int64) for part in parts)
    return np.where(n_seen >= min_weeks, mean_of(parts), np.nan)


def nearest(asked: Grid, offered: Grid, n: int, caliper: float) -> NDArray[np.int64]:
    """Return positions in `offered` of the `n` values nearest to each of `asked`: shape (asked, n), nearest first.

    -1 where fewer than `n` lie within `caliper`. A value may be near to several. Values must be finite; of two that
    are equally near, the lower comes first, and of equal ones those with the lower position above, the
    higher below: break ties beforehand where that matters.
    """
    order = np.argsort(offered, kind="stable")
    ordered = np.append(offered[order], np.inf)
    around = np.searchsorted(ordered[:-1], asked)[:, None] + np.arange(-n, n)
    # Beyond either end stands a value that is infinitely far.
    around = np.where((around < 0) | (around > offered.size), offered.size, around)
    away = np.abs(ordered[around] - asked[:, None])
    best = np.argsort(away, axis=1, kind="stable")[:, :n]
    found = np.append(order, -1)[np.take_along_axis(around, best, axis=1)]
    return np.where(np.take_along_axis(away, best, axis=1) <= caliper, found, -1)


def compare(treated: Grid, controls: Grid, sets: Sets, at: NDArray[np.int64], reference: int) -> Changes:
    """Return what each set says of each month, from means per device and month on either side.

    Set s is row ``sets.treated[s]`` of ``treated`` and rows ``sets.controls[s]`` (-1: none) of ``controls``; month m
    is column ``at[s, m]`` and changes are since month number ``reference``. The difference is the own change less
    the mean change of the controls observed in the month and in the reference, of which there must be two. ``share``
    of a control is its distance to that mean times sqrt(k / (k - 1)) / k, of k controls: squared and added up, it
    is the variance of the mean of k.
    """
    own = treated[sets.treated[:, None], at]
    others = controls[sets.controls[:, :, None], at[:, None, :]]
    others[sets.controls < 0] = np.nan
    change = others - others[:, :, [reference]]
    is_seen = np.isfinite(change)
    n = is_seen.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n >= 2, np.where(is_seen, change, 0).sum(axis=1) / n, np.nan)
        difference = own - own[:, [reference]] - mean
        share = (change - mean[:, None, :]) * (np.sqrt(n / (n - 1)) / n)[:, None, :]
        level = np.where(is_seen, others, 0).sum(axis=1) / n
    is_known = np.isfinite(difference)
    is_used = is_seen & is_known[:, None, :]
    return Changes(difference, np.where(is_used, share, 0), is_used, np.where(is_known, level, np.nan))


def shared_squares(changes: Changes, sets: Sets) -> Grid:
    """Return per month what people in several sets add to the squared sum of differences.

    ``sum_c (sum e)^2 - sum e^2`` over the shares e of each control, less twice ``(D - mean D) sum e`` for each treated
    device that is a control in other sets: it raises its own difference D and lowers theirs. ``changes`` are those of
    ``sets``. Zero where everybody is in one set.
    """
    is_there = sets.controls >= 0
    person = sets.controls[is_there]
    found = np.zeros(changes.share.shape[2])
    n_rows = max(person.max(initial=-1), sets.treated.max(initial=-1)) + 1
    for m in range(found.size):
        of_month = changes.share[:, :, m][is_there]
        together = np.bincount(person, of_month, n_rows)
        is_known = np.isfinite(changes.difference[:, m])
        difference = changes.difference[is_known, m]
        own = difference - difference.mean() if difference.size else difference
        across = (own * together[sets.treated[is_known]]).sum()
        found[m] = (together**2).sum() - (of_month**2).sum() - 2 * across
    return found
