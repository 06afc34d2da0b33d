"""How well found places agree with true ones: the adjusted Rand index, device by device."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.minutes import MINUTE_US
from pipeline.evaluation.periods import US_PER_S, Periods, overlaps
from pipeline.evaluation.scores import mean_of_defined, ratio

Labels = NDArray[np.int64]


class DevicePlaces(NamedTuple):
    """Agreement on the places of one device, named by its rank in true stays: ids are never told."""

    rank: int
    n_places_true: int
    """Distinct true places of its true stays."""
    n_places_found: int
    """Distinct places of its found stays."""
    n_true_stays: int
    """True stays that are long enough."""
    n_stays: int
    """Of these, overlapped by a found stay: the items of `ari_stays`."""
    n_true_minutes: int
    """Minutes whose middle lies in a true stay, however many, while the device was observed."""
    n_minutes: int
    """Of these, in a found stay: the items of `ari_minutes`."""
    ari_stays: float
    ari_minutes: float


class Agreement(NamedTuple):
    """An adjusted Rand index over devices: 1 is agreement, 0 what chance would give, NaN where undefined."""

    n_devices: int
    """Devices where it is defined."""
    mean: float
    """Each device weighing one."""
    weighted_mean: float
    """Each device weighing its items."""


class LocationsResult(NamedTuple):
    """How well found places agree with true ones."""

    stays: Agreement
    minutes: Agreement
    n_places_true: int
    n_places_found: int
    share_of_stays: float
    """Share of true stays that a found stay overlaps; the index over stays is of these."""
    share_of_minutes: float
    """Share of minutes in true stays that are in found ones too; the index over minutes is of these."""
    devices: tuple[DevicePlaces, ...]


def adjusted_rand(true: Labels, found: Labels) -> float:
    """Return the adjusted Rand index (Hubert and Arabie 1985) of two labellings of n items, shape (n,).

    1 where the two group the items alike, about 0 where they agree as by chance; NaN for fewer than two
    items. Exact: pairs are counted in whole numbers.
    """
    if true.size < 2:
        return math.nan
    _, i = np.unique(true, return_inverse=True)
    _, j = np.unique(found, return_inverse=True)
    _, n_both = np.unique(i.astype(np.int64) * (int(j.max()) + 1) + j, return_counts=True)
    together, in_true, in_found = (_pairs(n) for n in (n_both, np.bincount(i), np.bincount(j)))
    every = true.size * (true.size - 1) // 2
    only_true, only_found = in_true - together, in_found - together
    apart = every - together - only_true - only_found
    if not only_true and not only_found:
        return 1.0
    return (
        2
        * (together * apart - only_true * only_found)
        / (in_true * (only_true + apart) + in_found * (only_found + apart))
    )


def _pairs(n: NDArray[np.integer]) -> int:
    return sum(int(k) * (int(k) - 1) // 2 for k in n)


def evaluate_locations(
    truth: Periods,
    found: Periods,
    overlap_s: float = 60.0,
    min_stay_s: float = 300.0,
    spans: Periods | None = None,
) -> LocationsResult:
    """Return how well the places of found stays agree with those of true stays, both numbered in `place`.

    Stays of no known place, true or found, are left out.
    Over stays: each true stay of at least `min_stay_s` seconds and known place takes the place of the found
    stay it shares most time with (at least `overlap_s` seconds, or all of a shorter stay). Over minutes:
    those whose middle lies in a true stay of known place and in a found one; of stays that overlap, in the
    one begun last. With `spans`, one of each device, only minutes within them count.
    """
    truth, found = truth.take(truth.place >= 0), found.take(found.place >= 0)
    devices, n_each = np.unique(truth.device_id, return_counts=True)
    by_stays = devices[np.argsort(-n_each, kind="stable")]
    each = tuple(
        _compare(
            rank,
            truth.only(device),
            found.only(device),
            overlap_s,
            min_stay_s,
            None if spans is None else spans.only(device),
        )
        for rank, device in enumerate(by_stays.tolist(), 1)
    )
    return LocationsResult(
        _agreement([(d.ari_stays, d.n_stays) for d in each]),
        _agreement([(d.ari_minutes, d.n_minutes) for d in each]),
        sum(d.n_places_true for d in each),
        sum(d.n_places_found for d in each),
        ratio(sum(d.n_stays for d in each), sum(d.n_true_stays for d in each)),
        ratio(sum(d.n_minutes for d in each), sum(d.n_true_minutes for d in each)),
        each,
    )


def _compare(
    rank: int, truth: Periods, found: Periods, overlap_s: float, min_stay_s: float, span: Periods | None
) -> DevicePlaces:
    """Return the agreement on the places of one device."""
    asked = truth.take(truth.length_us >= min_stay_s * US_PER_S)
    by_stay = _places_of_stays(asked, found, overlap_s)
    by_minute, n_true_minutes = _places_of_minutes(truth if span is None else _clip(truth, span), found)
    return DevicePlaces(
        rank,
        np.unique(truth.place).size,
        np.unique(found.place).size,
        asked.place.size,
        by_stay[0].size,
        n_true_minutes,
        by_minute[0].size,
        adjusted_rand(*by_stay),
        adjusted_rand(*by_minute),
    )


def _places_of_stays(truth: Periods, found: Periods, overlap_s: float) -> tuple[Labels, Labels]:
    """Return (true, found) place of each true stay that a found one overlaps; of equal shares the earlier."""
    pairs = overlaps(truth, found, overlap_s)
    order = np.lexsort((pairs.right, -pairs.shared_us, pairs.left))
    left, first = np.unique(pairs.left[order], return_index=True)
    return truth.place[left], found.place[pairs.right[order][first]]


def _places_of_minutes(truth: Periods, found: Periods) -> tuple[tuple[Labels, Labels], int]:
    """Return (true, found) place of each minute in both, and the number of minutes in true stays."""
    if not truth.device_id.size:
        return (np.zeros(0, np.int64), np.zeros(0, np.int64)), 0
    minute = np.arange(truth.started_us.min() // MINUTE_US, truth.finished_us.max() // MINUTE_US + 1)
    middle = minute * MINUTE_US + MINUTE_US // 2
    true_place, found_place = _place_at(truth, middle), _place_at(found, middle)
    is_both = (true_place >= 0) & (found_place >= 0)
    return (true_place[is_both], found_place[is_both]), int((true_place >= 0).sum())


def _place_at(stays: Periods, at_us: Labels) -> Labels:
    """Return the place of the stay begun last of those that hold each instant (rising), else -1; of one device."""
    place = np.full(at_us.size, -1)
    first = np.searchsorted(at_us, stays.started_us, "left")
    stop = np.searchsorted(at_us, stays.finished_us, "right")
    for start, end, where in zip(first.tolist(), stop.tolist(), stays.place.tolist(), strict=True):
        place[start:end] = where
    return place


def _clip(stays: Periods, spans: Periods) -> Periods:
    """Return the parts of stays within the one span of their device, or none where it has none."""
    if not spans.device_id.size:
        return stays.take(np.zeros(stays.device_id.size, np.bool_))
    started = np.maximum(stays.started_us, spans.started_us[0])
    finished = np.minimum(stays.finished_us, spans.finished_us[0])
    clipped = stays._replace(started_us=started, finished_us=finished)
    return clipped.take(finished >= started)


def _agreement(values: list[tuple[float, int]]) -> Agreement:
    defined = [(ari, n) for ari, n in values if not math.isnan(ari)]
    weighted = ratio(sum(ari * n for ari, n in defined), sum(n for _, n in defined))
    return Agreement(len(defined), mean_of_defined([ari for ari, _ in defined]), weighted)
