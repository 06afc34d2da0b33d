"""Which cells of a table with margins are hidden, so that no margin less what is shown tells of few devices.

A cell of fewer devices than may be told is hidden. If it alone were, the margin of its line less the other cells would
be it; so another cell is hidden with it, one of enough devices (complementary suppression). A line is a margin and the
cells that add up to it: over a column in which the margin is "all", and over windows, where the study is the sum of
its weeks or months, and these of their days.
"""

from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.area_cells import EVERYWHERE
from pipeline.windows import CalendarKind, window_starts

WINDOW = ["window", "window_started"]
COARSE_TO_FINE: tuple[CalendarKind, ...] = ("study", "month", "week", "day")
ANY_DATE = date(1970, 1, 1)
"""Where the one window of a study begins is of no matter to which cells it holds."""


class _Lines(NamedTuple):
    """Lines over one column: one entry for each cell in a line."""

    cell: np.ndarray
    line: np.ndarray
    is_margin: np.ndarray


def hide_differences(cells: pd.DataFrame, margins: list[str], min_devices: int) -> pd.DataFrame:
    """Return the cells that may be shown, in their order.

    `cells` has n_devices, the columns `margins`, and window and window_started. In every line, what is hidden of a
    margin and its cells is nothing, everything, or at least two of which one has `min_devices`: what is hidden of the
    line then stands for as many. Of the cells that could be hidden the one of fewest devices is, the first of equals.
    What several lines tell together is not looked at: where each leaves two unknown, sums of lines may still leave one.
    """
    n_devices = cells["n_devices"].to_numpy(np.int64)
    is_hidden = n_devices < min_devices
    every_line = [*(_over(cells, name, margins) for name in margins), *_over_windows(cells, margins)]
    while True:
        n_before = int(np.count_nonzero(is_hidden))
        for lines in every_line:
            is_hidden[_to_hide(lines, n_devices, is_hidden, min_devices)] = True
        if np.count_nonzero(is_hidden) == n_before:
            break
    return cells[~is_hidden].reset_index(drop=True)


def _over(cells: pd.DataFrame, name: str, margins: list[str]) -> _Lines:
    others = [*(other for other in margins if other != name), *WINDOW]
    line = cells.groupby(others, sort=False).ngroup().to_numpy()
    return _Lines(np.arange(len(cells)), line, (cells[name] == EVERYWHERE).to_numpy())


def _over_windows(cells: pd.DataFrame, margins: list[str]) -> Iterator[_Lines]:
    """Yield the lines of each kind of window with the next finer one."""
    kinds = [kind for kind in COARSE_TO_FINE if (cells["window"] == kind).any()]
    for coarse, fine in pairwise(kinds):
        at = np.flatnonzero(cells["window"].isin([coarse, fine]))
        rows = cells.iloc[at]
        started = window_starts(rows["window_started"], coarse, ANY_DATE)
        line = rows[margins].assign(started=started).groupby([*margins, "started"], sort=False).ngroup()
        yield _Lines(at, line.to_numpy(), (rows["window"] == coarse).to_numpy())


def _to_hide(lines: _Lines, n_devices: np.ndarray, is_hidden: np.ndarray, min_devices: int) -> np.ndarray:
    """Return the cells to hide next, at most one of each line: a margin only where none of its cells is shown."""
    cell, line, is_margin = lines
    hidden = is_hidden[cell]
    n_hidden = np.bincount(line, hidden)
    n_large = np.bincount(line, hidden & (n_devices[cell] >= min_devices))
    is_open = (n_hidden == 1) | ((n_hidden > 0) & (n_large == 0))
    at = np.flatnonzero(is_open[line] & ~hidden)
    at = at[np.lexsort((cell[at], n_devices[cell[at]], is_margin[at], line[at]))]
    return cell[at[np.unique(line[at], return_index=True)[1]]]
