"""Which rows of a new vintage may be released beside those released before.

Two vintages of a row differ by the devices that came or went: at least as many as their counts differ by. A row is
renewed only where its count is at least `min_devices` away from that of every vintage released of it; otherwise it
stays as it was. Where each device counts in one region at most, a region that holds others is renewed only where all
that is shown inside it is renewed or unchanged, and what is not shown there is nothing, or changed by as many devices.
Rows that are new inside a region released before are held back: they may be what was hidden there.

Not looked at: what rows of groups, places or windows that share devices tell of each other over two vintages. Where
that matters, let released rows be final.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from data_contracts import Table
from pipeline.margins import Margin, parents_of

FIRST, LAST = "first_vintage", "last_vintage"
EVERYTHING = "all"


class Settled(NamedTuple):
    """What is released of a vintage."""

    rows: pd.DataFrame
    n_kept: int
    """Rows that stay as they were though newer are known."""
    n_held_back: int
    """Rows that are new and not released."""


def settle(rows: pd.DataFrame, past: pd.DataFrame, table: Table, min_devices: int, is_final: bool = False) -> Settled:
    """Return the rows of a new vintage to release, in the order of the key.

    `past` has every row ever released, with the first and the last vintage (0, 1, ...) that had it. A row of before
    that the new vintage lacks is not released.
    """
    if past.empty:
        return Settled(rows, 0, 0)
    key = list(table.key)
    latest = past.sort_values(LAST, kind="stable").drop_duplicates(key, keep="last")
    rows = rows.reset_index(drop=True)
    is_old = _is_among(rows, past, key)
    is_same = _is_among(rows, past, table.names)
    is_kept = is_old & ~is_same & (is_final | _is_near(rows, past, key, min_devices))
    is_held = ~is_old & is_final & _is_beside(rows, past, table)
    for name in () if is_final else table.partitions:
        while True:
            now = _released(rows, latest, key, is_kept)
            keep, hold = _told_by_lines(now[~is_held], past, table, name, min_devices)
            is_free = ~is_same & ~is_kept & ~is_held
            keep, hold = keep & is_old & is_free, hold & is_free
            if not (keep | hold).any():
                break
            is_kept, is_held = is_kept | keep, is_held | hold
    found = _released(rows, latest, key, is_kept)[~is_held]
    found = found[table.names].sort_values(key, ignore_index=True)
    return Settled(found, int((is_kept & ~is_held).sum()), int(is_held.sum()))


def _is_among(rows: pd.DataFrame, past: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Return which rows are the same as one released, null like null."""
    both = pd.concat([past[columns], rows[columns]], ignore_index=True)
    number = both.groupby(columns, dropna=False, sort=False).ngroup().to_numpy()
    return np.isin(number[len(past) :], number[: len(past)])


def _is_near(rows: pd.DataFrame, past: pd.DataFrame, key: list[str], min_devices: int) -> np.ndarray:
    """Return which rows have nearly as many devices as a vintage released of them."""
    both = rows[[*key, "n_devices"]].assign(at=np.arange(len(rows)))
    both = both.merge(past[[*key, "n_devices"]], on=key, suffixes=("", "_past"))
    near = both.loc[(both["n_devices"] - both["n_devices_past"]).abs() < min_devices, "at"]
    return np.isin(np.arange(len(rows)), near)


def _is_beside(rows: pd.DataFrame, past: pd.DataFrame, table: Table) -> np.ndarray:
    """Return which rows are of a time and measure of which rows were released."""
    apart = [name for name in table.key if name in ("date", "window", "window_started", "measure", "months_since_loss")]
    return _is_among(rows, past, apart) if apart else np.ones(len(rows), bool)


def _released(rows: pd.DataFrame, latest: pd.DataFrame, key: list[str], is_kept: np.ndarray) -> pd.DataFrame:
    """Return the rows with those kept as they were last released; the order stays."""
    kept = rows.loc[is_kept, key].reset_index().merge(latest.drop(columns=[FIRST, LAST]), on=key).set_index("index")
    return pd.concat([rows[~is_kept], kept[rows.columns]]).sort_index().assign(is_kept=is_kept)


def _told_by_lines(
    now: pd.DataFrame, past: pd.DataFrame, table: Table, name: str, min_devices: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows tell of few devices beside a vintage before: margins to keep, parts to hold back.

    By the places of rows before any was held back (the index of `now`).
    """
    size = int(now.index.max()) + 1 if len(now) else 0
    keep, hold = np.zeros(size, bool), np.zeros(size, bool)
    key = list(table.key)
    for vintage in range(int(past[LAST].max()) + 1):
        then = past[(past[FIRST] <= vintage) & (vintage <= past[LAST])]
        both = now.reset_index().merge(then, on=key, how="outer", suffixes=("", "_then"), indicator="side")
        others = [column for column in table.names if column not in key]
        differs = ~_equal(both, others) & (both["side"] == "both")
        both = both.assign(
            differs=differs, is_kept=both["is_kept"].eq(True), n=both["n_devices"], n_then=both["n_devices_then"]
        )
        both = both[[*key, "index", "n", "n_then", "differs", "is_kept"]].sort_values(key, ignore_index=True)
        for at, is_margin in _told(both, [k for k in key if k != name], name, min_devices):
            (keep if is_margin else hold)[at] = True
    return keep, hold


def _equal(both: pd.DataFrame, columns: list[str]) -> pd.Series:
    found = pd.Series(True, index=both.index)
    for column in columns:
        one, other = both[column], both[f"{column}_then"]
        found &= (one == other) | (one.isna() & other.isna())
    return found


def _told(both: pd.DataFrame, others: list[str], name: str, min_devices: int) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield places in the new vintage of margins that may tell of few devices, and of parts that may.

    `both` has the devices of each row now and then, null where it is not released, and whether it `differs` or
    `is_kept` though newer is known.
    """
    n, n_then = both["n"].to_numpy(np.float64), both["n_then"].to_numpy(np.float64)
    is_now, is_then, is_renewed = ~np.isnan(n), ~np.isnan(n_then), both["differs"].to_numpy()
    now, then = (_margins(both, others, name, is_there) for is_there in (is_now, is_then))
    is_other = (is_now != is_then) | both["is_kept"].to_numpy() | (now != then)
    told = np.zeros(len(both), bool)
    for margin, is_there in ((now, is_now), (then, is_then)):
        told[margin[(margin >= 0) & is_there & is_other]] = True
    left, left_then = (
        of - np.bincount(margin[is_there & (margin >= 0)], of[is_there & (margin >= 0)], len(both))
        for of, margin, is_there in ((n, now, is_now), (n_then, then, is_then))
    )
    told |= (
        (np.abs(left - left_then) < min_devices) & ((left != 0) | (left_then != 0)) & (np.isin(range(len(both)), now))
    )
    index = both["index"].to_numpy()
    yield index[told & is_renewed].astype(np.int64), True
    yield index[is_now & ~is_then & (then >= 0)].astype(np.int64), False


def _margins(both: pd.DataFrame, others: list[str], name: str, is_there: np.ndarray) -> np.ndarray:
    """Return for each row the nearest row above it that is there, -1 for none."""
    values = sorted(both[name].unique())
    above = parents_of(values, Margin(name, EVERYTHING, tuple(sorted({len(value) for value in values}))))
    line = both.groupby(others, sort=False).ngroup().to_numpy() * len(values)
    code = pd.Index(values).get_indexer(both[name])
    there = np.flatnonzero(is_there)
    order = there[np.argsort((line + code)[there])]
    numbers = (line + code)[order]
    found, over = np.full(len(both), -1), above[code]
    while (over >= 0).any() and order.size:
        at = np.minimum(np.searchsorted(numbers, line + over), order.size - 1)
        is_found = (over >= 0) & (numbers[at] == line + over)
        found[is_found] = order[at[is_found]]
        over = np.where(is_found | (over < 0), -1, above[np.maximum(over, 0)])
    return found
