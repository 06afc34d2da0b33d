"""What a phone reports of a diary: pings in bursts, silences, errors of position, faulty rows.

The rate is a weight per minute: 1 while still, more on a trip, 0 in a silence. Pings are a process
of bursts on the running sum of these weights, scaled so that the expected number of pings is
exactly the person's rate times the time the phone is carried: silences and trips change when pings
come, never how many.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation import random_streams as streams
from pipeline.simulation.city import one_to_e7
from pipeline.simulation.clock import DAY_S, Clock, utc_at
from pipeline.simulation.faults import CLEAN, DUPLICATE, SPIKE, draw_fault, spoil
from pipeline.simulation.params import CityParams
from pipeline.simulation.people import People
from pipeline.simulation.random_streams import exponential, lognormal, normal_pair, open_stream, uniform
from pipeline.simulation.schedules import Diaries

_MINUTE_S = 60
_ACCURACY_PER_SIGMA = math.sqrt(-2.0 * math.log(0.32))  # radius with 68 % of a two-dimensional normal, 1.51
_ACCURACY_MIN_M = 3.0
_NIGHT_FROM_S, _NIGHT_TO_S = 23 * 3_600, 30.5 * 3_600  # usual silent night, clock seconds of the evening
_NIGHT_SPREAD_S = 3_600.0


class Phone(NamedTuple):
    """The sampling and noise of CityParams as plain numbers for kernels; same names, same units."""

    centre_lon: float
    centre_lat: float
    trip_bow: float
    moving_boost: float
    burst_pings: float
    burst_gap_s: float
    night_silence_share: float
    silences_per_day: float
    silence_s: float
    silence_log_spread: float
    dark_day_share: float
    accuracy_still_m: float
    accuracy_moving_m: float
    accuracy_log_spread: float
    accuracy_max_m: float
    noise_memory_s: float
    spike_share: float
    spike_min_m: float
    spike_max_m: float
    faults: float
    fault_accuracy_m: float


class Pings(NamedTuple):
    """Rows of a raw file as flat arrays, in the order of people and of time received."""

    owner: NDArray[np.int32]  # index into People
    received_s: NDArray[np.int32]  # seconds since the study opened: decides file and order
    reported_s: NDArray[np.int64]  # UTC seconds, what the row says
    lon_e7: NDArray[np.int32]
    lat_e7: NDArray[np.int32]
    accuracy_m: NDArray[np.float32]
    kind: NDArray[np.uint8]  # index into faults.KINDS


@kernel
def silence(weights, from_s, to_s):
    """Set the weights of all minutes from from_s to to_s (seconds since the study opened) to zero."""
    first = max(0, int(from_s // _MINUTE_S))
    last = min(weights.size, int(to_s // _MINUTE_S))
    for minute in range(first, last):
        weights[minute] = 0.0


@kernel
def weigh_trips(weights, diaries, first, last, opened_s, boost):
    """Set the weight of minutes touched by a trip between stays first..last-1 to `boost`, of others to 1."""
    weights[:] = 1.0
    for row in range(first, last - 1):
        from_minute = (diaries.finished_s[row] - opened_s) // _MINUTE_S
        to_minute = (diaries.started_s[row + 1] - 1 - opened_s) // _MINUTE_S
        for minute in range(from_minute, min(to_minute + 1, weights.size)):
            weights[minute] = boost


@kernel
def weigh_silences(state, weights, phone, clock, n_days):
    """Silence whole days, whole nights and other spells."""
    for day in range(n_days):
        if uniform(state) < phone.dark_day_share:
            from_s, to_s = utc_at(clock, day, 0), utc_at(clock, day + 1, 0)
            silence(weights, from_s - clock.opened_s, to_s - clock.opened_s)
        if uniform(state) < phone.night_silence_share:
            early, late = normal_pair(state)
            from_s = utc_at(clock, day, np.int64(_NIGHT_FROM_S + _NIGHT_SPREAD_S * early))
            to_s = utc_at(clock, day, np.int64(_NIGHT_TO_S + _NIGHT_SPREAD_S * late))
            silence(weights, from_s - clock.opened_s, to_s - clock.opened_s)
    if phone.silences_per_day == 0.0:
        return
    at_s = 0.0
    while at_s < clock.closed_s - clock.opened_s:
        at_s += exponential(state) * DAY_S / phone.silences_per_day
        to_s = at_s + lognormal(state, phone.silence_s, phone.silence_log_spread)
        silence(weights, at_s, to_s)
        at_s = to_s


@kernel
def leave_at_home(weights, carries, clock):
    """Silence the days on which the phone is not carried; return the seconds of the others."""
    carried_s = clock.closed_s - clock.opened_s
    for day in range(carries.size):
        if not carries[day]:
            from_s, to_s = utc_at(clock, day, 0), utc_at(clock, day + 1, 0)
            silence(weights, from_s - clock.opened_s, to_s - clock.opened_s)
            carried_s -= to_s - from_s
    return carried_s


@kernel
def bursts_of(phone, rate):
    """Return (gap within a burst, gap between bursts, chance that a burst goes on).

    Gaps are means in weighted seconds, `rate` is pings per weighted second. The gaps are such that
    `burst_pings` pings come in ``burst_pings / rate`` seconds on average.
    """
    inner = min(phone.burst_gap_s, 1.0 / rate)
    outer = phone.burst_pings / rate - (phone.burst_pings - 1.0) * inner
    return inner, outer, 1.0 - 1.0 / phone.burst_pings


@kernel
def advance(weights, minute, spent_s, gap):
    """Return (minute, seconds spent of it) after `gap` more weighted seconds; weights.size is the end."""
    while minute < weights.size:
        left = (_MINUTE_S - spent_s) * weights[minute]
        if gap < left:
            return minute, spent_s + gap / weights[minute]
        gap -= left
        minute += 1
        spent_s = 0.0
    return minute, 0.0


@kernel
def draw_bow(state, phone, diaries, row, last):
    """Return (x, y) metres by which the middle of the trip after stay `row` is off the line, sideways."""
    if row == last:
        return 0.0, 0.0  # no trip follows
    bow = phone.trip_bow * normal_pair(state)[0]
    dx, dy = diaries.x_m[row + 1] - diaries.x_m[row], diaries.y_m[row + 1] - diaries.y_m[row]
    return -bow * dy, bow * dx


@kernel
def position_at(diaries, row, at_s, bow_x_m, bow_y_m):
    """Return (x_m, y_m) at `at_s`, where `row` is the last stay that has started by then."""
    x, y = diaries.x_m[row], diaries.y_m[row]
    if at_s < diaries.finished_s[row]:
        return x, y
    part = (at_s - diaries.finished_s[row]) / (diaries.started_s[row + 1] - diaries.finished_s[row])
    side = math.sin(math.pi * part)
    dx, dy = diaries.x_m[row + 1] - x, diaries.y_m[row + 1] - y
    return x + part * dx + side * bow_x_m, y + part * dy + side * bow_y_m


@kernel
def draw_accuracy(state, phone, is_still):
    """Return a reported accuracy in metres: the radius that holds 68 % of positions."""
    usual_m = phone.accuracy_still_m if is_still else phone.accuracy_moving_m
    return min(max(lognormal(state, usual_m, phone.accuracy_log_spread), _ACCURACY_MIN_M), phone.accuracy_max_m)


@kernel
def drift(state, error, lifetimes):
    """Move the two standard normal errors on by `lifetimes` of their memory; they stay standard normal."""
    keeps = math.exp(-lifetimes)
    fresh = math.sqrt(1.0 - keeps * keeps)
    x, y = normal_pair(state)
    error[0] = keeps * error[0] + fresh * x
    error[1] = keeps * error[1] + fresh * y


@kernel
def throw_off(state, phone):
    """Return (x, y) metres of a gross error."""
    distance_m = phone.spike_min_m + (phone.spike_max_m - phone.spike_min_m) * uniform(state)
    angle = 2.0 * math.pi * uniform(state)
    return distance_m * math.cos(angle), distance_m * math.sin(angle)


@kernel
def put(pings, row, k, received_s, reported_s, lon_e7, lat_e7, accuracy_m, kind):
    """Write one row; return the row after it."""
    pings.owner[row], pings.received_s[row], pings.reported_s[row] = k, received_s, reported_s
    pings.lon_e7[row], pings.lat_e7[row] = lon_e7, lat_e7
    pings.accuracy_m[row], pings.kind[row] = accuracy_m, kind
    return row + 1


@kernel
def sample_person(state, fault_state, weights, rate, phone, clock, diaries, k, pings, row):
    """Append the pings of person k from `row` on; return the row after the last, -1 where room ran out."""
    inner, outer, goes_on = bursts_of(phone, rate)
    minute, spent_s, last_s = 0, 0.0, -1
    stay, last_stay = diaries.first[k], diaries.first[k + 1] - 1
    bow_x_m, bow_y_m = draw_bow(state, phone, diaries, stay, last_stay)
    error = np.zeros(2)  # x and y in standard deviations
    drift(state, error, math.inf)
    is_in_burst = False
    while True:
        gap = (inner if is_in_burst else outer) * exponential(state)
        is_in_burst = uniform(state) < goes_on
        minute, spent_s = advance(weights, minute, spent_s, gap)
        received_s = max(minute * _MINUTE_S + int(spent_s), last_s + 1)
        at_s = clock.opened_s + received_s
        if minute == weights.size or at_s >= clock.closed_s:
            return row
        if row + 2 > pings.owner.size:
            return -1
        while stay < last_stay and diaries.started_s[stay + 1] <= at_s:
            stay += 1
            bow_x_m, bow_y_m = draw_bow(state, phone, diaries, stay, last_stay)
        x_m, y_m = position_at(diaries, stay, at_s, bow_x_m, bow_y_m)
        is_still = at_s < diaries.finished_s[stay]

        accuracy_m = draw_accuracy(state, phone, is_still)
        drift(state, error, (received_s - last_s) / phone.noise_memory_s)
        x_m += error[0] * accuracy_m / _ACCURACY_PER_SIGMA
        y_m += error[1] * accuracy_m / _ACCURACY_PER_SIGMA
        last_s = received_s

        kind = draw_fault(fault_state, phone.faults)
        if uniform(state) < phone.spike_share:  # drawn for faulty rows too: faults must not move good pings
            off_x_m, off_y_m = throw_off(state, phone)
            if kind == CLEAN:
                kind = SPIKE
                x_m, y_m = x_m + off_x_m, y_m + off_y_m
        lon_e7, lat_e7 = one_to_e7(x_m, y_m, phone.centre_lon, phone.centre_lat)
        if kind > SPIKE and kind != DUPLICATE:
            at_s, lon_e7, lat_e7, accuracy_m = spoil(
                fault_state, kind, clock, phone.fault_accuracy_m, at_s, lon_e7, lat_e7, accuracy_m
            )
        if kind == DUPLICATE:
            row = put(pings, row, k, received_s, at_s, lon_e7, lat_e7, accuracy_m, CLEAN)
        row = put(pings, row, k, received_s, at_s, lon_e7, lat_e7, accuracy_m, kind)


@kernel
def sample_people(seed, first_k, people, phone, clock, diaries, weights, pings):
    """Fill `pings` with the rows of people from first_k on that fit; return (next k, rows filled)."""
    state, fault_state = np.empty(1, np.uint64), np.empty(1, np.uint64)
    n_days = people.works.shape[1]
    row = 0
    for k in range(first_k, people.person.size):
        if not people.has_phone[k]:
            continue
        open_stream(state, seed, people.person[k], streams.SAMPLING)
        open_stream(fault_state, seed, people.person[k], streams.FAULTS)
        weigh_trips(weights, diaries, diaries.first[k], diaries.first[k + 1], clock.opened_s, phone.moving_boost)
        weigh_silences(state, weights, phone, clock, n_days)
        carried_s = leave_at_home(weights, people.carries[k], clock)
        weighted_s = weights.sum() * _MINUTE_S
        if weighted_s == 0.0:
            continue  # a phone that is dark for the whole study
        rate = people.pings_per_day[k] * carried_s / DAY_S / weighted_s
        next_row = sample_person(state, fault_state, weights, rate, phone, clock, diaries, k, pings, row)
        if next_row < 0:
            return k, row
        row = next_row
    return people.person.size, row


def _blank_pings(n_rows: int) -> Pings:
    i4 = [np.empty(n_rows, np.int32) for _ in range(4)]
    return Pings(
        i4[0],
        i4[1],
        np.empty(n_rows, np.int64),
        i4[2],
        i4[3],
        np.empty(n_rows, np.float32),
        np.empty(n_rows, np.uint8),
    )


def _room_for(params: CityParams, rates: NDArray[np.float64]) -> int:
    """Return a number of rows that nearly always suffices for these rates; only speed depends on it."""
    expected = rates.sum() * params.n_days * (1.0 + params.faults)
    most = rates.max() * params.n_days
    return int(expected * 1.02 + 10.0 * math.sqrt((expected + most) * params.burst_pings) + 1_000)


def draw_pings(params: CityParams, clock: Clock, people: People, diaries: Diaries) -> Pings:
    """Return every row that the phones of these people report, faulty ones included."""
    phone = Phone(*(float(getattr(params, name)) for name in Phone._fields))
    weights = np.empty(-(-(clock.closed_s - clock.opened_s) // _MINUTE_S))
    parts: list[Pings] = []
    next_k, n_people, widen = 0, people.person.size, 1
    while next_k < n_people:
        pings = _blank_pings(widen * _room_for(params, people.pings_per_day[next_k:]))
        first_k = next_k
        next_k, n_rows = sample_people(np.uint64(params.seed), first_k, people, phone, clock, diaries, weights, pings)
        widen = 2 * widen if next_k == first_k else 1  # room did not suffice for a single person
        parts.append(Pings._make(column[:n_rows] for column in pings))
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _blank_pings(0)
    return Pings._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
