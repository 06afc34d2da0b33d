"""Complementary suppression: which rows of a table with margins may be published beside each other.

A table with margins says the same thing twice: a row for `all` is the sum of the rows below it. A row that is hidden
for having too few devices is then found by subtraction unless others are hidden with it. `hide` chooses those.

What is protected. Values (trips, minutes) add up along margins; devices need not, as one device may count in several
rows. A sum or difference of shown rows is therefore judged by the devices *behind* it: those of the base cells, the
rows with nothing below them, of which it is the sum. By adding and subtracting shown rows along margins one never gets

- the value of a hidden row, be it hidden for its few devices or for its neighbours;
- the sum of what a margin does not show, where fewer than `min_devices` may be behind it;
- the sum of a few base cells with fewer than `min_devices` behind them, as far as `known_sets` finds it: of one cell or
  two always (of many that always move alike those of fewest devices); of 3 or 4 where up to 632 small hidden cells
  hang together, of 5 or 6 where up to 107 do, of 7 or 8 where up to 48, of 9 where up to 31, of any number where up to
  18. Where more than 632 do, sums of 3 or 4 are looked for among so many of those that lie in margins of the fewest
  hidden cells, and among what up to 13 shown rows make, each the one that leaves the fewest cells.

What is not. Other sums of three or more small cells where more hang together, as in tables of many areas. Values are
not negative, so a difference bounds each hidden cell from above, and one of nearly nothing tells of all. What somebody
knows from elsewhere: their own row, or another release (`pipeline.export` looks at those before). Rows of groups that
overlap are no margins of each other (`pipeline.small_differences`). That a row is hidden says that it, or one beside
it, has few devices.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.known_sums import rows_to_hide
from pipeline.margins import Margin, MarginTable, lines_along, read, with_rests

__all__ = ["COMPLEMENTARY", "PRIMARY", "SHOWN", "Margin", "hide"]
SHOWN, PRIMARY, COMPLEMENTARY = "shown", "primary", "complementary"


def hide(
    rows: pd.DataFrame, keys: Sequence[str], margins: Sequence[Margin], values: Sequence[str], min_devices: int
) -> pd.Series:
    """Return for each row of `rows` whether it is "shown", or hidden as "primary" or "complementary".

    `keys` identify a row; those that are no `margins` cut the table into tables of their own. `values` are the columns
    that add up along all margins; where a margin is more than its parts the rest counts as a cell that is not shown.
    Devices are in `n_devices`. Hidden are rows of fewer than `min_devices`, and with them the rows of fewest devices
    that keep these from being found. The order of rows does not matter.

    ValueError where a key is there twice, parts are more than their margin, or nothing adds up: no values and devices
    that may count twice.
    """
    if not values and not all(margin.is_partition for margin in margins):
        raise ValueError("nothing adds up: name the values, or say that devices do (is_partition)")
    names = [margin.column for margin in margins]
    if rows.duplicated(list(keys)).any() or not set(names) <= set(keys):
        raise ValueError(f"rows are not unique by {', '.join(keys)}, or a margin is none of these")
    if rows.empty:
        return pd.Series([], index=rows.index, dtype="str", name="state")
    ordered = rows.sort_values(list(keys), kind="stable")
    table = with_rests(read(ordered, keys, margins), ordered[list(values)].to_numpy(np.float64))
    is_shown = table.n >= min_devices
    is_shown[table.n_given :] = False
    while True:
        _hide_along_lines(table, is_shown, min_devices)
        more = rows_to_hide(table, is_shown, min_devices)
        if not more:
            break
        is_shown[more] = False
    given = slice(table.n_given)
    state = np.where(is_shown[given], SHOWN, np.where(table.n[given] < min_devices, PRIMARY, COMPLEMENTARY))
    return pd.Series(state, index=ordered.index, dtype="str", name="state").reindex(rows.index)


def _hide_along_lines(table: MarginTable, is_shown: np.ndarray, min_devices: int) -> None:
    """Hide rows until along every margin two or more are hidden or none, and those together have enough devices."""
    lines = [lines_along(table, k) for k in range(len(table.parents))]
    is_stable = False
    while not is_stable:
        is_stable = True
        for k, (line, above) in enumerate(lines):
            more = _to_hide_along(table, is_shown, line, above, bool(table.is_partition[k]), min_devices)
            is_shown[more] = False
            is_stable &= not more.size


def _to_hide_along(
    table: MarginTable, is_shown: np.ndarray, line: np.ndarray, above: np.ndarray, counted: bool, min_devices: int
) -> np.ndarray:
    """Return the row to hide next in each line that tells of hidden ones: its smallest part, else the margin."""
    part = np.flatnonzero(line >= 0)
    is_hidden = ~is_shown[part]
    hidden, of_hidden = part[is_hidden], line[part[is_hidden]]
    n_hidden = np.bincount(of_hidden, minlength=above.size)
    n_behind = _devices_behind(table, hidden, of_hidden, above, part[~is_hidden], line, counted)
    # What no row was ever made of may stand alone: it has no row to be hidden.
    n_rows = np.bincount(of_hidden, hidden < table.n_given, minlength=above.size)
    is_open = is_shown[above]
    is_told = is_open & (n_hidden > 0) & (((n_hidden == 1) & (n_rows == 1)) | (n_behind < min_devices))
    is_told |= (
        ~is_open & (above < table.n_given) & (n_hidden == 0) & (np.bincount(line[part], minlength=above.size) > 0)
    )
    shown = part[~is_hidden]
    shown = shown[np.lexsort((shown, table.n[shown], line[shown]))]
    first = shown[np.unique(line[shown], return_index=True)[1]]
    has_shown = np.zeros(above.size, bool)
    has_shown[line[first]] = True
    return np.concatenate([first[is_told[line[first]]], above[is_told & ~has_shown & is_open]])


def _devices_behind(
    table: MarginTable,
    hidden: np.ndarray,
    of_hidden: np.ndarray,
    above: np.ndarray,
    shown: np.ndarray,
    line: np.ndarray,
    counted: bool,
) -> np.ndarray:
    """Return how many devices are behind the hidden parts of each line: where they may count twice, the fewest."""
    if counted:
        return np.bincount(of_hidden, table.n[hidden], above.size)
    most = np.zeros(above.size)
    np.maximum.at(most, of_hidden, table.n[hidden])
    return np.maximum(most, table.n[above] - np.bincount(line[shown], table.n[shown], above.size))
