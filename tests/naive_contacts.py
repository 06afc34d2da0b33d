"""The slow and obvious twin of `contacts`: every pair of pieces, by the words of the definition."""

from collections import defaultdict
from collections.abc import Iterator
from math import isnan
from typing import NamedTuple

from pipeline.kernels.geodesy import haversine_m


class Piece(NamedTuple):
    """A device at one of its places on one of its local days."""

    device: int
    place: int
    day: int
    started_us: int
    finished_us: int
    lon: float
    lat: float
    home_lon: float
    home_lat: float
    worth: int


Meeting = tuple[int, int, int]
"""Device, place, day."""


def near_times(pieces: list[Piece], contact_m: float, household_m: float) -> dict[Meeting, dict[int, list[int]]]:
    """Return who was near whom: by device × place × day, device → [µs, 1 when a household]."""
    found: dict[Meeting, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for me in pieces:
        for them in pieces:
            time_us = min(me.finished_us, them.finished_us) - max(me.started_us, them.started_us)
            is_near = haversine_m(me.lon, me.lat, them.lon, them.lat) <= contact_m
            if me.device != them.device and time_us > 0 and is_near:
                entry = found[me.device, me.place, me.day][them.device]
                entry[0] += time_us
                entry[1] |= _share_a_home(me, them, household_m)
    return found


def _share_a_home(me: Piece, them: Piece, household_m: float) -> bool:
    if isnan(me.home_lon) or isnan(them.home_lon):
        return False
    return haversine_m(me.home_lon, me.home_lat, them.home_lon, them.home_lat) <= household_m


def meetings(pieces: list[Piece], contact_m: float, overlap_us: int, household_m: float) -> Iterator[tuple]:
    """Yield device, place, day, device met, µs, whether a household, of all meetings."""
    for (device, place, day), near in near_times(pieces, contact_m, household_m).items():
        for them, (time_us, is_household) in near.items():
            if time_us >= overlap_us:
                yield device, place, day, them, time_us, bool(is_household)


def meet_people(
    pieces: list[Piece], contact_m: float, overlap_us: int, repeat_days: int, household_m: float
) -> dict[Meeting, list[int]]:
    """Return people, worth, repeated, µs, household, its µs of every device × place × day with a meeting."""
    worth = {piece.device: piece.worth for piece in pieces}
    found = list(meetings(pieces, contact_m, overlap_us, household_m))
    days = defaultdict(set)
    for device, place, day, them, _, _ in found:
        days[device, place, them].add(day)
    sums: dict[Meeting, list[int]] = defaultdict(lambda: [0] * 6)
    for device, place, day, them, time_us, is_household in found:
        total = sums[device, place, day]
        if is_household:
            total[4] += 1
            total[5] += time_us
        else:
            total[0] += 1
            total[1] += worth[them]
            total[2] += any(day - repeat_days <= before < day for before in days[device, place, them])
            total[3] += time_us
    return dict(sums)
