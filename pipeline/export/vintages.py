"""Which rows of a new vintage may be released beside those released before: those of windows that begin later.

Whatever was released stays as it left. A row told anew, or told beside rows of the same dates, could be subtracted from
what is known: margins make sums of rows, devices are in several rows, windows lie inside others. Rows of dates that no
released row covers share no visit, trip or day with any.
"""

from datetime import date

import numpy as np
import pandas as pd

from data_contracts import Table
from pipeline.study import StudyError

WEEK_TAIL = pd.Timedelta(days=6)
ZONE_TAIL = pd.Timedelta(days=1)
"""Local dates begin up to 14 hours before the UTC dates of a study's span: its last may be the one after its end."""


def settle(rows: pd.DataFrame, past: pd.DataFrame, table: Table, until: date | None) -> pd.DataFrame:
    """Return the rows to release in the order of the key: all of `past`, and those of windows that begin after `until`.

    Both are as they may leave. `until` is the last local date that what was released covers; None: it has no dates, and
    is final. Where nothing was released, all are.
    """
    if past.empty:
        return rows
    if until is None or rows.empty:
        return past
    new = rows[_first_date(rows, table) > pd.Timestamp(until)]
    both = pd.concat([past, new.astype(past.dtypes.to_dict())], ignore_index=True)
    return both.sort_values(list(table.key), ignore_index=True)


def last_date(rows: pd.DataFrame, table: Table, study_end: date) -> date | None:
    """Return the last local date of the windows of rows, of the whole study that of its end; None without dates."""
    if rows.empty or not has_dates(table):
        return None
    first = _first_date(rows, table)
    if "window" not in table.key:
        return first.max().date()
    kind = rows["window"]
    if not kind.isin(["study", "month", "week", "day"]).all():
        raise StudyError(f"{table.name} has windows that slide: they overlap, so they may not leave")
    last = first.where(kind != "week", first + WEEK_TAIL)
    last = last.where(kind != "month", first + pd.offsets.MonthEnd(0))
    last = last.where(kind != "study", pd.Timestamp(study_end) + ZONE_TAIL)
    return last.max().date()


def has_dates(table: Table) -> bool:
    """Return whether rows of a table are of windows of local dates."""
    return "date" in table.key or "window_started" in table.key


def is_among(rows: pd.DataFrame, others: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Return which rows are the same as one of `others` in the columns, null like null."""
    both = pd.concat([others[columns], rows[columns].astype(others[columns].dtypes.to_dict())], ignore_index=True)
    number = both.groupby(columns, dropna=False, sort=False).ngroup().to_numpy()
    return np.isin(number[len(others) :], number[: len(others)])


def _first_date(rows: pd.DataFrame, table: Table) -> pd.Series:
    return rows["date" if "date" in table.key else "window_started"]
