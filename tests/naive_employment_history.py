"""Slow, obvious twins of careers, phones and spells: plain loops over dates, written from the definitions."""

import itertools
import math
from datetime import timedelta

from tests.naive import naive_splitmix64

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
CAREERS, SPELLS, PHONES = 13, 14, 16  # numbers of streams, part of the meaning of a seed


def naive_mixed(z):
    """The finaliser of splitmix64: what it makes of a state that has been moved on."""
    return naive_splitmix64((z - GOLDEN) & MASK, 1)[0]


class NaiveStream:
    """Random numbers of (seed, owner, stream)."""

    def __init__(self, seed, owner, stream):
        key = naive_mixed((seed + GOLDEN) & MASK)
        key = naive_mixed(key ^ ((owner + GOLDEN) & MASK))
        self.state = naive_mixed(key ^ ((stream * GOLDEN) & MASK))

    def uniform(self):
        bits = naive_splitmix64(self.state, 1)[0]
        self.state = (self.state + GOLDEN) & MASK
        return ((bits >> 12) + 0.5) / 2**52

    def lognormal(self, median, log_spread):
        radius, angle = math.sqrt(-2 * math.log(self.uniform())), 2 * math.pi * self.uniform()
        return median * math.exp(log_spread * radius * math.cos(angle))


def naive_loss_chance(employment, sector, monday):
    """Chance that a job of the sector is lost in the week of this Monday."""
    keeps = 1 - employment.weekly_loss.get(sector, employment.usual_weekly_loss)
    for shock in employment.shocks:
        if shock.week == monday:
            keeps *= 1 - shock.shares.get(sector, 0.0)
    return 1 - keeps


def naive_career(params, person, affluence, sector_before):
    """(status, days since the loss, whether a new job begins) per day of somebody who begins with a job.

    `affluence` is that of the home; `sector_before[day]` is the sector of the job held, or lost last, on the eve.
    """
    employment, days = params.employment, []
    weeks, spells = (NaiveStream(params.seed, person, stream) for stream in (CAREERS, SPELLS))
    lost_on = returns_on = is_recalled = None
    for number in range(params.n_days):
        today = params.start + timedelta(days=number)
        monday = today - timedelta(days=today.weekday())
        if today == monday or number == 0:
            loss, loss_weekday = weeks.uniform(), int(7 * weeks.uniform())
            change, change_weekday = weeks.uniform(), int(7 * weeks.uniform())
        is_new = False
        if lost_on is None:
            chance = naive_loss_chance(employment, sector_before[number], monday)
            chance *= math.exp(-employment.loss_tilt * affluence)
            if today.weekday() == loss_weekday and loss < chance:
                lost_on = today
                away = math.ceil(spells.lognormal(employment.spell_days, employment.spell_log_spread))
                returns_on = today + timedelta(days=max(7, away))
                is_recalled = spells.uniform() < employment.recall_share
            else:
                is_new = today.weekday() == change_weekday and change < employment.weekly_change
        elif today == returns_on:
            lost_on, is_new = None, not is_recalled
        since = None if lost_on is None else (today - lost_on).days
        days.append(("employed" if lost_on is None else "not_employed", since, is_new))
    return days


def naive_going_out(employment, since):
    """Factor on outings so many days after a loss."""
    if since is None:
        return 1.0
    factor = employment.loss_outgoing * employment.loss_outgoing_per_month ** (since / 28)
    return max(factor, employment.loss_outgoing_floor)


def naive_lockdown_factor(lockdown, day):
    """Factor on outings on a date."""
    if lockdown is None or day < lockdown.start:
        return 1.0
    if day <= lockdown.end:
        return lockdown.outgoing
    if lockdown.recovery_days == 0:
        return 1.0
    return 1 - (1 - lockdown.outgoing) * math.exp(-(day - lockdown.end).days / lockdown.recovery_days)


def naive_carried(params, person, chance):
    """(whether the person's phone reports, whether it is carried per day)."""
    phones, stream, carried = params.phones, NaiveStream(params.seed, person, PHONES), []
    has_phone = stream.uniform() < chance
    back_on = params.start
    for number in range(params.n_days):
        today = params.start + timedelta(days=number)
        if today.weekday() == 0 or number == 0:
            stop, stop_weekday = stream.uniform(), int(7 * stream.uniform())
        if today >= back_on and today.weekday() == stop_weekday and stop < phones.weekly_stop:
            is_for_good = stream.uniform() < phones.for_good_share
            away = math.ceil(stream.lognormal(phones.away_days, phones.away_log_spread))
            back_on = params.start + timedelta(days=params.n_days if is_for_good else number + away)
        carried.append(today >= back_on)
    return has_phone, carried


def naive_spells(states):
    """(first day, last day, state) of every longest run of equal states."""
    spells, first = [], 0
    for state, run in itertools.groupby(states):
        n_days = len(list(run))
        spells.append((first, first + n_days - 1, state))
        first += n_days
    return spells
