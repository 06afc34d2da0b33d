"""Whose phone reports, and on which days it is carried."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation import random_streams as streams
from pipeline.simulation.params import CityParams
from pipeline.simulation.random_streams import lognormal, open_stream, uniform

if TYPE_CHECKING:
    from pipeline.simulation.people import People


def chance_of_phone(share: float, tilt: float, affluence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of people whose phone reports: odds of `share`, times exp(tilt x affluence)."""
    odds = share * np.exp(tilt * affluence)
    return odds / (odds + (1.0 - share))


@kernel
def leave_phones(seed, people, chance, first_weekday, habits):
    """Fill who has a phone that reports and on which days it is carried."""
    weekly_stop, for_good_share, away_days, away_log_spread = habits
    state = np.empty(1, np.uint64)
    for k in range(people.person.size):
        open_stream(state, seed, people.person[k], streams.PHONES)
        people.has_phone[k] = uniform(state) < chance[people.area[k]]
        stop, stop_weekday, back_day = 1.0, 0.0, np.int64(0)
        for day in range(people.carries.shape[1]):
            weekday = (first_weekday + day) % 7
            if weekday == 0 or day == 0:
                stop, stop_weekday = uniform(state), np.floor(7.0 * uniform(state))
            if day >= back_day and weekday == stop_weekday and stop < weekly_stop:
                is_for_good = uniform(state) < for_good_share
                away = np.int64(np.ceil(lognormal(state, away_days, away_log_spread)))
                back_day = people.carries.shape[1] if is_for_good else day + away
            people.carries[k, day] = day >= back_day


def draw_phones(params: CityParams, affluence: NDArray[np.float64], people: "People") -> None:
    """Fill phones and the days on which they are carried; without ``params.phones`` everybody's, on all days."""
    phones = params.phones
    if phones is None:
        return
    chance = chance_of_phone(phones.share, phones.tilt, affluence)
    habits = (phones.weekly_stop, phones.for_good_share, phones.away_days, phones.away_log_spread)
    leave_phones(np.uint64(params.seed), people, chance, params.start.weekday(), habits)
