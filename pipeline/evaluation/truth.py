"""`GroundTruth`: what is known of pings and stays, from a label per ping or from a table of true stays."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.periods import US_PER_S, Periods, overlaps, sorted_periods
from pipeline.evaluation.scores import labels_of

UNKNOWN, MOVE, STOP = -1, 0, 1


class GroundTruth(NamedTuple):
    """Pings at full rate, sorted by device and time, and the truth about them."""

    device_id: NDArray[np.int64]
    at_us: NDArray[np.int64]
    label: NDArray[np.int8]
    """STOP, MOVE or UNKNOWN of each ping; what is unknown is used for finding stays and is not scored."""
    stays: Periods
    spans: Periods | None
    """When a device's true stays are known and it was observed; None where the truth is a label per ping."""

    @property
    def devices(self) -> NDArray[np.int64]:
        """Devices of which something is known, in rising order."""
        return np.unique(self.device_id[self.label != UNKNOWN]) if self.spans is None else self.spans.device_id


def truth_of_labels(
    device_id: NDArray[np.int64], at_us: NDArray[np.int64], place: NDArray[np.int64], gap_s: float
) -> GroundTruth:
    """Return the truth of pings (sorted by device and time) that each name their place.

    `place`: 0 or more for a stop at that place, -1 for on the move, below that for unknown. A true stay is
    a run of pings at one place, from the first to the last of them, that no silence longer than `gap_s`
    seconds interrupts; pings of unknown label are passed over.
    """
    label = np.where(place >= 0, STOP, np.where(place == -1, MOVE, UNKNOWN)).astype(np.int8)
    known = np.flatnonzero(label != UNKNOWN)
    device, at, where = device_id[known], at_us[known], place[known]
    is_start = np.ones(known.size, np.bool_)
    is_start[1:] = (device[1:] != device[:-1]) | (where[1:] != where[:-1]) | (np.diff(at) > gap_s * US_PER_S)
    first = np.flatnonzero(is_start)
    last = np.append(first[1:] - 1, known.size - 1) if first.size else first
    is_stay = where[first] >= 0
    first, last = first[is_stay], last[is_stay]
    stays = sorted_periods(device[first], at[first], at[last], where[first])
    return GroundTruth(device_id, at_us, label, stays, None)


def truth_of_stays(device_id: NDArray[np.int64], at_us: NDArray[np.int64], stays: Periods) -> GroundTruth:
    """Return the truth of pings (sorted by device and time) from a table of all true stays of some devices.

    What lies between a device's stays is move. Before its first and after its last stay, and for a device
    without any, nothing is known. Stays of which no part lies between a device's first and last ping are
    left out: nobody could have found them.
    """
    spans = _spans(device_id, at_us, stays)
    is_known = labels_of(device_id, at_us, spans.device_id, spans.started_us, spans.finished_us)
    is_stop = labels_of(device_id, at_us, stays.device_id, stays.started_us, stays.finished_us)
    label = np.where(is_known, np.where(is_stop, STOP, MOVE), UNKNOWN).astype(np.int8)
    observed = np.unique(overlaps(stays, spans).left)
    return GroundTruth(device_id, at_us, label, stays.take(observed), spans)


def _spans(device_id: NDArray[np.int64], at_us: NDArray[np.int64], stays: Periods) -> Periods:
    """Return the time from the later start to the earlier end of a device's pings and of its true stays."""
    pings = _extent(device_id, at_us, at_us)
    true = _extent(stays.device_id, stays.started_us, stays.finished_us)
    _, i, j = np.intersect1d(pings.device_id, true.device_id, return_indices=True)
    started = np.maximum(pings.started_us[i], true.started_us[j])
    finished = np.minimum(pings.finished_us[i], true.finished_us[j])
    is_span = finished >= started
    return sorted_periods(pings.device_id[i][is_span], started[is_span], finished[is_span])


def _extent(device_id: NDArray[np.int64], started_us: NDArray[np.int64], finished_us: NDArray[np.int64]) -> Periods:
    """Return the first start and the last finish of each device; rows sorted by device and start."""
    devices, first = np.unique(device_id, return_index=True)
    if not devices.size:
        return sorted_periods(device_id, started_us, finished_us)
    return sorted_periods(devices, started_us[first], np.maximum.reduceat(finished_us, first))
