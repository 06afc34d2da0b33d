"""Slow, obvious twins of homes and workplaces: HoWDe by its definition, and scores by counting seconds and places."""

from collections import Counter
from fractions import Fraction

import numpy as np

DAY_S = 86_400

# --- HoWDe 2.0.0 ----------------------------------------------------------------------------------


def naive_howde(stops, rules):
    """Day → (home, its ties, work, its ties) of one person's stops (start, finish, place), times in local seconds.

    Ties are the places that score just as high as the one chosen, itself included.
    """
    hours = naive_hours(stops, rules.min_stop_s)
    night = [*range(rules.home_until_hour + 1), *range(rules.home_from_hour, 24)]
    office = range(rules.work_from_hour, rules.work_until_hour + 1)
    shares = {day: _day_shares(hours[day], night, rules.min_hours_share) for day in hours}
    homes = {day: _home_on(day, shares, rules) for day in hours}
    ever_home = {home for home, _ in homes.values()} - {-1}
    if not ever_home:
        return {day: (-1, set(), -1, set()) for day in hours}
    away = {}
    for day in hours:
        at_work = _day_shares(hours[day], office, rules.min_hours_share) if _is_weekday(day) else {}
        away[day] = {place: share for place, share in at_work.items() if place not in ever_home}
    works = {day: _work_on(day, away, rules) for day in hours}
    return {day: (*homes[day], *works[day]) for day in sorted(hours)}


def naive_hours(stops, min_stop_s):
    """Day → the place in each of its hours, None where there is none."""
    parts = {}
    for start, finish, place in stops:
        for day in range(start // DAY_S, finish // DAY_S + 1):
            begin, end = max(start, day * DAY_S), min(finish, day * DAY_S + DAY_S - 1)
            if place >= 0 and end - begin > min_stop_s:
                parts.setdefault(day, []).append((end - begin, begin % DAY_S // 3600, end % DAY_S // 3600, place))
    return {day: [_longest(parts[day], hour) for hour in range(24)] for day in parts}


def _longest(parts, hour):
    here = [(length, place) for length, first, last, place in parts if first <= hour <= last]
    return max(here, key=lambda part: part[0])[1] if here else None


def _is_weekday(day):
    return (day + 3) % 7 < 5


def _day_shares(hours, bins, min_hours_share):
    places = [hours[hour] for hour in bins if hours[hour] is not None]
    if not places or len(places) / len(bins) < min_hours_share:
        return {}
    return {place: float(np.float32(round(n / len(places), 3))) for place, n in Counter(places).items()}


def _window(day, days, width, is_past_only):
    if is_past_only:
        return [other for other in sorted(days) if day - width <= other <= day]
    return [other for other in sorted(days) if abs(other - day) <= width // 2]


def _best(scores, hours, at_least):
    scores = {place: float(np.float32(score)) for place, score in scores.items()}
    enough = [place for place in scores if scores[place] >= at_least]
    if not enough:
        return -1, set()
    ties = {place for place in enough if scores[place] == max(scores[other] for other in enough)}
    return min(ties, key=lambda place: (-hours[place], place)), ties


def _means(dicts):
    places = {place for each in dicts for place in each}
    return {place: sum(each.get(place, 0.0) for each in dicts) / len(dicts) for place in places}


def _home_on(day, shares, rules):
    window = _window(day, shares, rules.home_window_days, rules.is_past_only)
    valid = [shares[other] for other in window if shares[other]]
    if not valid or not (len(window) - len(valid)) / len(window) < 1 - rules.min_home_days_share:
        return -1, set()
    means = _means(valid)
    return _best(means, means, rules.min_home_hours)


def _work_on(day, away, rules):
    window = _window(day, away, rules.work_window_days, rules.is_past_only)
    valid = [away[other] for other in window if away[other]]
    n_missing = sum(_is_weekday(other) and not away[other] for other in window)
    if not valid or not n_missing / len(window) < 1 - rules.min_work_days_share:
        return -1, set()
    means = _means(valid)
    days = _means([dict.fromkeys(each, 1.0) for each in valid])
    by_days = _best(days, means, rules.min_work_days)
    return by_days if by_days[1] else _best(means, means, rules.min_work_hours)


# --- Scores -----------------------------------------------------------------------------------------


def naive_home_work_scores(stops, found, role):
    """Scores of a role, of stops (device, location, start, finish, label) and found (device, role, first, last, place).

    Returns (time, places, right share, undetected share), the first two as (precision, recall) and all as fractions;
    None where there is nothing to divide by.
    """
    seconds, true_places, found_places = Counter(), set(), set()
    for device, place, start, finish, label in stops:
        for day in range(start // DAY_S, finish // DAY_S + 1):
            length = min(finish, (day + 1) * DAY_S) - max(start, day * DAY_S)
            if length == 0 and start != finish:
                continue
            is_found = any((device, role, place) == (d, r, p) and a <= day <= b for d, r, a, b, p in found)
            seconds[label == role, is_found] += length
            true_places |= {(device, place)} if label == role else set()
            found_places |= {(device, place)} if is_found else set()
    right = true_places & found_places
    detected = {device for device, _ in found_places}
    people = {device for device, _ in true_places}
    return (
        _precision_recall(seconds[True, True], seconds[False, True], seconds[True, False]),
        _precision_recall(len(right), len(found_places - right), len(true_places - right)),
        _share(len(right), sum(device in detected for device, _ in true_places)),
        _share(len(people - detected), len(people)),
    )


def _precision_recall(hit, false, missed):
    return _share(hit, hit + false), _share(hit, hit + missed)


def _share(part, whole):
    return Fraction(part, whole) if whole else None
