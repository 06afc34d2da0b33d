"""Which cells of areas and windows may be shown: windows brought into the margins of `pipeline.suppression`."""

import pandas as pd

from pipeline.area_cells import EVERYWHERE
from pipeline.suppression import SHOWN, Margin, hide
from pipeline.windows import CalendarKind, window_starts

TIME = "time"
COARSE: tuple[CalendarKind, ...] = ("month", "week")
DATE_DIGITS = len("2020-01-01")


def hide_differences(cells: pd.DataFrame, margins: list[str], value: str, min_devices: int) -> pd.DataFrame:
    """Return the cells that may be shown, in their order.

    `cells` has n_devices, the columns `margins`, in which "all" is the sum of all others, and window and
    window_started: the study is the sum of its weeks or months, and these of their days. `value` adds up along all.
    81,000 rows of 200 areas over study and weeks took 3 s, with any number of threads of linear algebra.
    """
    rows = cells.assign(**{TIME: _times(cells)})
    along = [*(Margin(name, EVERYWHERE) for name in margins), Margin(TIME, EVERYWHERE, (DATE_DIGITS,))]
    state = hide(rows, [*margins, TIME], along, [value], min_devices)
    return cells[state == SHOWN].reset_index(drop=True)


def _times(cells: pd.DataFrame) -> pd.Series:
    """Return a name for each window that begins with that of the window it lies in; the study's is "all"."""
    started, kind = cells["window_started"], cells["window"]
    own = started.dt.strftime("%Y-%m-%d").astype("str")
    above = pd.Series("", index=cells.index, dtype="str")
    for coarse in COARSE:
        if (kind == coarse).any():
            above = window_starts(started, coarse, started.min().date()).dt.strftime("%Y-%m-%d").astype("str")
    return own.where(kind != "day", above + own).where(kind != "study", EVERYWHERE)
