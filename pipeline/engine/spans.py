"""Which spans of a study leave every row of a source file judged as it was.

Rows outside of the study are refused, so another span may take in rows of a file or put others out. To move the end
by a day, as a daily run does, must not read again what no row of that day is in: each record keeps how far the span
may move.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.study import Study

EPOCH = date(1970, 1, 1)
DAY_US = 86_400_000_000


class Reach(NamedTuple):
    """The dates of a file's rows next to the two ends of the span it was read under, in days since 1970 (UTC).

    Not as dates: a broken clock may tell any year. None where there is no such row.
    """

    last_before: int | None = None
    first_within: int | None = None
    last_within: int | None = None
    first_after: int | None = None

    def fits(self, study: Study) -> bool:
        """Return whether every row is inside or outside of the study's span as it was of the span it was read under."""
        start, end = span_days(study)
        return (
            (self.last_before is None or self.last_before < start)
            and (self.first_within is None or start <= self.first_within)
            and (self.last_within is None or self.last_within <= end)
            and (self.first_after is None or end < self.first_after)
        )


UNFINISHED = Reach(first_within=-(2**62))
"""The reach of a file that is being read again, which fits no span."""


def span_days(study: Study) -> tuple[int, int]:
    """Return the first and last date of a study, in days since 1970."""
    return (study.start - EPOCH).days, (study.end - EPOCH).days


def reach_of(tracked_at: pa.ChunkedArray, study: Study) -> Reach:
    """Return the reach of some rows by their times; those without one are judged alike under every span."""
    days = tracked_at.drop_null().cast(pa.int64()).to_numpy() // DAY_US
    start, end = span_days(study)
    within = days[(start <= days) & (days <= end)]
    return Reach(_last(days[days < start]), _first(within), _last(within), _first(days[days > end]))


def joined(reaches: Iterable[Reach]) -> Reach:
    """Return the reach of all rows of several parts together."""
    parts = list(zip(*reaches, strict=True)) or [()] * len(Reach._fields)
    known = [[day for day in part if day is not None] for part in parts]
    return Reach(*(choose(part, default=None) for choose, part in zip((max, min, max, min), known, strict=True)))


def _first(days: NDArray[np.int64]) -> int | None:
    return int(days.min()) if len(days) else None


def _last(days: NDArray[np.int64]) -> int | None:
    return int(days.max()) if len(days) else None
