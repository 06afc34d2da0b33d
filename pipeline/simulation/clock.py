"""Local clock time to UTC and back, for kernels: habits follow the clock, pings are UTC seconds."""

from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation.params import CityParams, study_span_s

DAY_S = 86_400
_MARGIN_S = 2 * DAY_S  # habits of the last evening may reach past the end of the study


class Clock(NamedTuple):
    """The study's span and the UTC offsets of its zone, as plain numbers for kernels."""

    opened_s: int  # UTC second of the first local midnight
    closed_s: int  # UTC second at which the study ends
    changes_s: NDArray[np.int64]  # UTC seconds from which offsets_s holds; the first is before the study
    offsets_s: NDArray[np.int64]  # local minus UTC


def _offset_s(zone: ZoneInfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def _change_between(zone: ZoneInfo, before_s: int, after_s: int) -> int:
    """Return the first second in (before_s, after_s] with the offset of after_s."""
    offset_s = _offset_s(zone, after_s)
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if _offset_s(zone, middle_s) == offset_s:
            after_s = middle_s
        else:
            before_s = middle_s
    return after_s


def study_clock(params: CityParams) -> Clock:
    """Return the span of the study and every change of its zone's offset, daylight saving included."""
    zone = ZoneInfo(params.zone)
    opened_s, closed_s = study_span_s(params)
    at_s = opened_s - _MARGIN_S
    changes, offsets = [at_s], [_offset_s(zone, at_s)]
    while at_s < closed_s + _MARGIN_S:
        offset_s = _offset_s(zone, at_s + 3_600)
        if offset_s != offsets[-1]:
            changes.append(_change_between(zone, at_s, at_s + 3_600))
            offsets.append(offset_s)
        at_s += 3_600
    return Clock(opened_s, closed_s, np.array(changes, np.int64), np.array(offsets, np.int64))


@kernel
def offset_at(clock, at_s):
    """Return local minus UTC seconds at the UTC second `at_s`."""
    index = clock.changes_s.size - 1
    while index > 0 and clock.changes_s[index] > at_s:
        index -= 1
    return clock.offsets_s[index]


@kernel
def utc_at(clock, day, clock_s):
    """Return the UTC second at which local clocks of day number `day` show `clock_s` after midnight.

    Exact except for readings that clocks skip or repeat when they change: those get one of the two
    possible answers, at most an hour off. `clock_s` may exceed a day.
    """
    naive_s = clock.opened_s + offset_at(clock, clock.opened_s) + day * DAY_S + clock_s
    return naive_s - offset_at(clock, naive_s - offset_at(clock, naive_s))
