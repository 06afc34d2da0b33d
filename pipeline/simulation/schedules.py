"""Where everybody is, second by second: the stays of people, with trips between them.

A diary is the list of a person's stays; whatever lies between two stays is a trip along a line,
so stays and trips are a partition of the study by construction.

Where job losses and policies enter: ``People.works`` and ``People.works_at_home`` say per person and
local day who goes to work and who works at home, ``People.job`` which job it is, and
``People.outgoing`` scales every chance of an outing; all are plain arrays made before this module
runs. Clearing ``works`` from a day on is a job loss. People who answer to policies lose outings of a diary that is
written (``responses``). Contacts need nothing here: two people meet where two stays with one place_id overlap in time.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation import random_streams as streams
from pipeline.simulation.city import City
from pipeline.simulation.clock import Clock, utc_at
from pipeline.simulation.errands import Rules, blank_life, choose_errand
from pipeline.simulation.params import CityParams
from pipeline.simulation.people import People
from pipeline.simulation.random_streams import exponential, lognormal, normal_pair, open_stream, uniform

HOME, WORK, ERRAND = 0, 1, 2
PURPOSES = ("home", "work", "errand")
# More than the loops below can make: three outings of three errands and a return, and one in the evening.
MAX_STAYS_PER_DAY = 24
_MAX_CHAIN = 3  # errands in one outing
_MIN_STAY_S = 300  # nobody leaves home or work sooner
_MIN_SHIFT_S = 7_200  # nobody works less, nor leaves for lunch nearer to the start or end
_LUNCH_S = 3_600  # longest lunch
_REST_S = 1_800  # least time at home between outings
_PAUSE_S = 5_400  # mean of what comes on top of that, and of how late free days start
_DINNER_S = 3_600  # mean length of dinner
_MORNING_S = 8.5 * 3_600  # clock seconds from here on: free days start after this
_NOON_S = 12 * 3_600.0
_EVENING_S = 18.5 * 3_600  # dinner; no daytime outing starts later
_TOO_LATE_S = 21 * 3_600  # nobody leaves home later
_HOME_BY_S = 22.5 * 3_600.0  # no errand starts later
_CURFEW_S = 23.5 * 3_600.0  # every errand ends by then
_SLEEP_S = 6 * 3_600  # least time at home after a night shift
_AFTERNOON_S, _LATE_AFTERNOON_S = 14.5 * 3_600, 20 * 3_600.0  # between them are errands before a night shift

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Diaries(NamedTuple):
    """The stays of people, one after the other: those of person k are first[k] : first[k + 1].

    Stays may start after the study: the first such is where a trip under way at the end leads.
    """

    first: Integers  # length n_people + 1
    started_s: Integers  # UTC seconds
    finished_s: Integers
    place: Integers  # errand places, then workplaces, then homes by person number
    purpose: NDArray[np.int8]  # index into PURPOSES
    x_m: Floats
    y_m: Floats


@kernel
def trip_s(state, rules, distance_m):
    """Return the seconds a trip takes: on foot, by bus or by car after its length, with jitter."""
    if distance_m < rules.walk_below_m:
        speed = rules.walk_speed_m_per_s
    elif distance_m < rules.drive_above_m:
        speed = rules.bus_speed_m_per_s
    else:
        speed = rules.drive_speed_m_per_s
    return rules.trip_overhead_s + lognormal(state, distance_m / speed, rules.trip_log_spread)


@kernel
def go(life, diaries, rules, leave_s, place, purpose, x_m, y_m):
    """Close the open stay at `leave_s`, travel, open the next stay; return when it starts."""
    row = life.next_row[0]
    diaries.finished_s[row] = max(np.int64(leave_s), diaries.started_s[row] + _MIN_STAY_S)
    distance_m = math.hypot(x_m - diaries.x_m[row], y_m - diaries.y_m[row])
    arrive_s = diaries.finished_s[row] + np.int64(math.ceil(trip_s(life.state, rules, distance_m)))
    row += 1
    life.next_row[0] = row
    diaries.started_s[row] = arrive_s
    diaries.place[row], diaries.purpose[row] = place, purpose
    diaries.x_m[row], diaries.y_m[row] = x_m, y_m
    return arrive_s


@kernel
def go_home(life, diaries, rules, city, people, k, leave_s):
    """Go home; return when the person is there."""
    place = city.place_x_m.size + city.work_x_m.size + people.person[k]
    return go(life, diaries, rules, leave_s, place, HOME, people.home_x_m[k], people.home_y_m[k])


@kernel
def go_to_work(life, diaries, rules, city, people, job, leave_s):
    """Go to the workplace of row `job`; return when the person is there."""
    place = city.place_x_m.size + people.jobs.workplace[job]
    return go(life, diaries, rules, leave_s, place, WORK, people.jobs.x_m[job], people.jobs.y_m[job])


@kernel
def run_errand(life, diaries, rules, city, n_anchors, leave_s, last_s):
    """Go to one errand place; return when the person wants to leave it, at the latest at about `last_s`."""
    row = life.next_row[0]
    x_m, y_m = diaries.x_m[row], diaries.y_m[row]
    place = choose_errand(life, rules, city, n_anchors, diaries.place[row], x_m, y_m)
    if place < 0:
        return leave_s
    arrive_s = go(life, diaries, rules, leave_s, place, ERRAND, city.place_x_m[place], city.place_y_m[place])
    length_s = lognormal(life.state, city.place_median_s[place], rules.errand_log_spread)
    length_s = min(max(length_s, rules.errand_min_s), rules.errand_max_s)
    return np.int64(max(arrive_s + rules.errand_min_s, min(arrive_s + length_s, last_s)))


@kernel
def run_errands(life, diaries, rules, city, n_anchors, leave_s, last_s, latest_start_s):
    """Run a chain of errands; return when the person wants to leave the last one."""
    for number in range(_MAX_CHAIN):
        if number > 0 and (uniform(life.state) >= rules.chain_share or leave_s > latest_start_s):
            break
        leave_s = run_errand(life, diaries, rules, city, n_anchors, leave_s, last_s)
    return leave_s


@kernel
def jitter_s(life, rules):
    """Return how much today differs from habit, in seconds."""
    return rules.daily_jitter_s * normal_pair(life.state)[0]


@kernel
def has_noon(noon_s, start_s, end_s):
    """Return whether noon is well within working hours."""
    return start_s + _MIN_SHIFT_S < noon_s < end_s - _MIN_SHIFT_S


@kernel
def start_shift(life, diaries, rules, city, people, job, clock, day):
    """Leave for work so as to be there when the shift starts; return when the person is there."""
    row, jobs = life.next_row[0], people.jobs
    distance_m = math.hypot(jobs.x_m[job] - diaries.x_m[row], jobs.y_m[job] - diaries.y_m[row])
    travel_s = trip_s(life.state, rules, distance_m)
    start_s = utc_at(clock, day, np.int64(jobs.shift_start_s[job] + jitter_s(life, rules)))
    return go_to_work(life, diaries, rules, city, people, job, start_s - travel_s)


@kernel
def shift_end(life, rules, people, job, start_s):
    """Return when a shift that began at start_s is over."""
    return start_s + np.int64(max(people.jobs.shift_length_s[job] + jitter_s(life, rules), _MIN_SHIFT_S))


@kernel
def working_hours(life, diaries, rules, city, people, k, clock, day):
    """Go to work, perhaps out at noon and back; return when the working day is over."""
    job = people.job[k, day]
    arrive_s = start_shift(life, diaries, rules, city, people, job, clock, day)
    end_s = min(shift_end(life, rules, people, job, arrive_s), utc_at(clock, day, np.int64(_CURFEW_S)))
    noon_s = utc_at(clock, day, np.int64(_NOON_S + jitter_s(life, rules)))
    if has_noon(noon_s, arrive_s, end_s) and uniform(life.state) < rules.lunch_share * people.outgoing[k, day]:
        back_s = run_errand(life, diaries, rules, city, 2, noon_s, noon_s + _LUNCH_S)
        go_to_work(life, diaries, rules, city, people, job, back_s)
    return end_s


@kernel
def working_hours_at_home(life, diaries, rules, city, people, k, clock, day):
    """Work at home, perhaps out at noon and back; return when the working day is over."""
    start_s = utc_at(clock, day, np.int64(people.jobs.shift_start_s[people.job[k, day]] + jitter_s(life, rules)))
    end_s = shift_end(life, rules, people, people.job[k, day], start_s)
    noon_s = utc_at(clock, day, np.int64(_NOON_S + jitter_s(life, rules)))
    if has_noon(noon_s, start_s, end_s) and uniform(life.state) < rules.lunch_share * people.outgoing[k, day]:
        back_s = run_errand(life, diaries, rules, city, 2, noon_s, noon_s + _LUNCH_S)
        go_home(life, diaries, rules, city, people, k, back_s)
    return end_s


@kernel
def go_out_in_the_evening(life, diaries, rules, city, people, k, n_anchors, clock, day):
    """Perhaps leave home once more after dinner and come back."""
    home_s = diaries.started_s[life.next_row[0]]
    at_s = utc_at(clock, day, np.int64(_EVENING_S + _DINNER_S * exponential(life.state)))
    leave_s = max(home_s + _REST_S, at_s)
    is_late = leave_s > utc_at(clock, day, np.int64(_TOO_LATE_S))
    if is_late or uniform(life.state) >= rules.evening_share * people.outgoing[k, day]:
        return
    last_s = utc_at(clock, day, np.int64(_CURFEW_S))
    leave_s = run_errand(life, diaries, rules, city, n_anchors, leave_s, last_s)
    go_home(life, diaries, rules, city, people, k, leave_s)


@kernel
def live_working_day(life, diaries, rules, city, people, k, clock, day):
    """Add a working day to the diary: work there or at home, perhaps errands after it, home."""
    latest_start_s = utc_at(clock, day, np.int64(_HOME_BY_S))
    last_s = utc_at(clock, day, np.int64(_CURFEW_S))
    chance = rules.after_work_share * people.outgoing[k, day]
    if people.works[k, day]:
        end_s = working_hours(life, diaries, rules, city, people, k, clock, day)
    else:
        end_s = working_hours_at_home(life, diaries, rules, city, people, k, clock, day)
    is_going_out = end_s < latest_start_s - _DINNER_S and uniform(life.state) < chance
    if is_going_out:
        end_s = run_errands(life, diaries, rules, city, 2, end_s, last_s, latest_start_s)
    if is_going_out or people.works[k, day]:
        go_home(life, diaries, rules, city, people, k, end_s)
    go_out_in_the_evening(life, diaries, rules, city, people, k, 2, clock, day)


@kernel
def live_night(life, diaries, rules, city, people, k, clock, day):
    """Add a day before a night at work: at home by day, perhaps errands in the afternoon, the night, home."""
    job, chance = people.job[k, day], rules.after_work_share * people.outgoing[k, day]
    leave_s = utc_at(clock, day, np.int64(_AFTERNOON_S + _PAUSE_S * exponential(life.state)))
    latest_start_s = utc_at(clock, day, np.int64(_EVENING_S))
    if uniform(life.state) < chance and leave_s < latest_start_s:
        last_s = utc_at(clock, day, np.int64(_LATE_AFTERNOON_S))
        back_s = run_errands(life, diaries, rules, city, 2, leave_s, last_s, latest_start_s)
        go_home(life, diaries, rules, city, people, k, back_s)
    arrive_s = start_shift(life, diaries, rules, city, people, job, clock, day)
    go_home(life, diaries, rules, city, people, k, shift_end(life, rules, people, job, arrive_s))


@kernel
def live_free_day(life, diaries, rules, city, people, k, clock, day):
    """Add a day without work to the diary: up to three outings from home, perhaps one in the evening."""
    n_anchors = 1 + int(people.is_employed[k])
    evening_s = utc_at(clock, day, np.int64(_EVENING_S))
    last_s = utc_at(clock, day, np.int64(_CURFEW_S))
    chance = min(0.95, rules.outings_per_free_day / 3.0 * people.outgoing[k, day])
    leave_s = utc_at(clock, day, np.int64(_MORNING_S + _PAUSE_S * exponential(life.state)))
    if people.job[k, day] >= 0 and people.jobs.is_night[people.job[k, day]]:
        leave_s = max(leave_s, diaries.started_s[life.next_row[0]] + _SLEEP_S)
    for _ in range(3):
        if uniform(life.state) < chance and leave_s < evening_s:
            back_s = run_errands(life, diaries, rules, city, n_anchors, leave_s, last_s, evening_s)
            leave_s = go_home(life, diaries, rules, city, people, k, back_s)
        leave_s += np.int64(_REST_S + _PAUSE_S * exponential(life.state))
    go_out_in_the_evening(life, diaries, rules, city, people, k, n_anchors, clock, day)


@kernel
def live_day(life, diaries, rules, city, people, k, clock, day):
    """Add one day to the diary."""
    if people.works[k, day] and people.jobs.is_night[people.job[k, day]]:
        live_night(life, diaries, rules, city, people, k, clock, day)
    elif people.works[k, day] or people.works_at_home[k, day]:
        live_working_day(life, diaries, rules, city, people, k, clock, day)
    else:
        live_free_day(life, diaries, rules, city, people, k, clock, day)


@kernel
def begin_diary(life, diaries, city, people, k, row, opened_s):
    """Open the diary of person k at `row`: at home, knowing no errand place."""
    life.next_row[0], life.n_known[0] = row, 0
    diaries.started_s[row] = opened_s
    diaries.place[row] = city.place_x_m.size + city.work_x_m.size + people.person[k]
    diaries.purpose[row] = HOME
    diaries.x_m[row], diaries.y_m[row] = people.home_x_m[k], people.home_y_m[k]


@kernel
def end_diary(life, diaries, closed_s):
    """Close the last stay at the end of the study; return the row after it."""
    row = life.next_row[0]
    diaries.finished_s[row] = max(closed_s, diaries.started_s[row])
    return row + 1


@kernel
def write_diaries(seed, clock, rules, city, people, life, diaries):
    """Fill `diaries` with the stays of all people; seeded per person."""
    row = 0
    for k in range(people.person.size):
        open_stream(life.state, seed, people.person[k], streams.OUTINGS)
        diaries.first[k] = row
        begin_diary(life, diaries, city, people, k, row, clock.opened_s)
        for day in range(people.works.shape[1]):
            live_day(life, diaries, rules, city, people, k, clock, day)
        row = end_diary(life, diaries, clock.closed_s)
    diaries.first[people.person.size] = row


def errand_rules(params: CityParams) -> Rules:
    """Return the habits of `params` as plain numbers for kernels."""
    return Rules(*(float(getattr(params, name)) for name in Rules._fields))


def _blank_diaries(n_people: int, n_rows: int) -> Diaries:
    started, finished, place = (np.empty(n_rows, np.int64) for _ in range(3))
    x_m, y_m = np.empty(n_rows), np.empty(n_rows)
    return Diaries(np.empty(n_people + 1, np.int64), started, finished, place, np.empty(n_rows, np.int8), x_m, y_m)


def draw_diaries(params: CityParams, clock: Clock, city: City, people: People) -> Diaries:
    """Return the diaries of these people over the whole study, every stay with place, purpose and times."""
    rules = errand_rules(params)
    n_people = people.person.size
    diaries = _blank_diaries(n_people, n_people * params.n_days * MAX_STAYS_PER_DAY + 1)
    life = blank_life(params.n_days * MAX_STAYS_PER_DAY)
    write_diaries(np.uint64(params.seed), clock, rules, city, people, life, diaries)
    n_rows = diaries.first[-1]
    return Diaries._make([diaries.first, *(column[:n_rows].copy() for column in diaries[1:])])
