"""Visits counted by device and week: whole numbers only, so that a device's figures depend on no other device."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.kernels.grouping import group_starts
from pipeline.kernels.weekdays import EPOCH_WEEKDAY, WEEK_DAYS

Ints = NDArray[np.int64]
VISIT_COLUMNS = ("device_id", "started_at", "finished_at", "date", "utc_offset_s", "is_inferred", "location_id",
                 "poi_category")  # fmt: skip
"""What is read of VISITS."""
NONE_KNOWN, OTHER = "none known", "other"
"""Kinds of new places without a place of interest near, and of those too rare to be learnt."""
SEPARATORS = r"\s*[>:/|=;]\s*"
"""What parts the levels of a category, the broadest first."""
SECOND_US, DAY_US = 1_000_000, 86_400_000_000
FIXED = 2**24
"""Steps of a nat in which sums of n ln n are kept: whole numbers add up alike in every order."""


class VisitWeeks(NamedTuple):
    """Visits in order of device, local date and start, and the whole weeks that their record holds.

    Device d owns cells `start[d]:start[d + 1]`, one a week from that of its first visit on, all of them over; visits
    of the week after them have the cell -1, as they say nothing that may be used.
    """

    device_id: Ints
    monday: Ints
    """Days since 1970 of each device's first Monday."""
    start: Ints
    cell: Ints
    """Of each visit."""
    day: Ints
    """Local date of each visit, days since 1970."""
    location: Ints
    is_first: NDArray[np.bool_]
    """Whether the device was never there before."""
    n_there: Ints
    """Visits of the device to the place so far, this one not counted."""
    kind: NDArray[np.object_]
    """Kind of place of each visit."""
    is_inferred: NDArray[np.bool_]

    @property
    def n_cells(self) -> int:
        """Weeks of all devices."""
        return int(self.start[-1])

    @property
    def device_of_cell(self) -> Ints:
        """Number of each cell's device."""
        return np.repeat(np.arange(self.device_id.size), np.diff(self.start))

    @property
    def week_of_cell(self) -> Ints:
        """Number of each cell's week in its device's record, from 0."""
        return np.arange(self.n_cells) - self.start[self.device_of_cell]

    def visits_in_cells(self, of: NDArray[np.bool_]) -> Ints:
        """Return how many of some visits lie in each cell."""
        return np.bincount(self.cell[of & (self.cell >= 0)], minlength=self.n_cells)

    def total(self, values: Ints) -> Ints:
        """Return the sums of whole numbers of the visits in each cell; exact below 2^53."""
        is_in = self.cell >= 0
        return np.bincount(self.cell[is_in], values[is_in], self.n_cells).astype(np.int64)

    def so_far(self, cells: Ints | NDArray[np.bool_]) -> Ints:
        """Return the sums of each device's cells up to each, that one included."""
        sums = np.concatenate(([0], np.cumsum(cells)))
        return sums[1:] - sums[self.start[self.device_of_cell]]


def kinds_of(categories: pd.Series) -> NDArray[np.object_]:
    """Return the kind of place of each category: its leading part; NONE_KNOWN where it is missing or empty."""
    codes, texts = pd.factorize(categories)
    leading = pd.Series(texts, dtype="object").astype("str").str.split(SEPARATORS, n=1, regex=True).str[0].str.strip()
    names = np.append(leading.where(leading != "", NONE_KNOWN).to_numpy(object), NONE_KNOWN)
    return names[codes]


def by_week(visits: pd.DataFrame) -> VisitWeeks:
    """Return the visits by device and week, whatever the order of the rows.

    A week is over when the device's record goes on to its Sunday or beyond: that is judged by the local date on which
    its last visit finishes. A device that is not seen to the end of any week has no cell.
    """
    day = visits["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    device, started = visits["device_id"].to_numpy(np.int64), visits["started_at"].astype("int64").to_numpy()
    place = visits["location_id"].to_numpy(np.int64)
    order = np.lexsort((place, started, day, device))
    device, day, place = device[order], day[order], place[order]
    begins = group_starts(device)
    owner = np.repeat(np.arange(begins.size - 1), np.diff(begins))
    offset_us = visits["utc_offset_s"].to_numpy(np.int64) * SECOND_US
    last = (visits["finished_at"].astype("int64").to_numpy() + offset_us)[order] // DAY_US
    end = np.maximum.reduceat(last, begins[:-1]) if device.size else last
    monday = day[begins[:-1]] - (day[begins[:-1]] + EPOCH_WEEKDAY) % WEEK_DAYS
    n_weeks = np.maximum((end + 1 - monday) // WEEK_DAYS, 0)
    start = np.concatenate(([0], np.cumsum(n_weeks)))
    week = (day - monday[owner]) // WEEK_DAYS
    cell = np.where(week < n_weeks[owner], start[owner] + week, -1)
    n_there = _times_before(owner, place)
    return VisitWeeks(
        device[begins[:-1]],
        monday,
        start,
        cell,
        day,
        place,
        n_there == 0,
        n_there,
        kinds_of(visits["poi_category"])[order],
        visits["is_inferred"].to_numpy(np.bool_)[order],
    )


def _times_before(owner: Ints, place: Ints) -> Ints:
    """Return how often each visit's device was at its place before, for visits in order of device and time."""
    order = np.lexsort((np.arange(owner.size), place, owner))
    begins = group_starts(owner[order], place[order])
    found = np.empty(owner.size, np.int64)
    found[order] = np.arange(owner.size) - np.repeat(begins[:-1], np.diff(begins))
    return found


def distinct(weeks: VisitWeeks, values: Ints) -> Ints:
    """Return how many different values the visits of each cell have."""
    is_in = weeks.cell >= 0
    pairs = np.unique(np.stack((weeks.cell[is_in], values[is_in])), axis=1)
    return np.bincount(pairs[0], minlength=weeks.n_cells)


def n_ln_n(counts: Ints) -> Ints:
    """Return n ln n of counts in steps of 1 / FIXED nats, 0 for none."""
    n = counts.astype(np.float64)
    return np.rint(n * np.log(np.maximum(n, 1.0)) * FIXED).astype(np.int64)


def entropy_of_weeks(weeks: VisitWeeks) -> NDArray[np.float64]:
    """Return the entropy (nats) of the shares of places among the visits of each cell, 0 without visits."""
    is_in = weeks.cell >= 0
    pairs, counts = np.unique(np.stack((weeks.cell[is_in], weeks.location[is_in])), axis=1, return_counts=True)
    spread = np.bincount(pairs[0], n_ln_n(counts), weeks.n_cells)
    n = np.bincount(pairs[0], counts, weeks.n_cells)
    return np.log(np.maximum(n, 1)) - spread / FIXED / np.maximum(n, 1)
