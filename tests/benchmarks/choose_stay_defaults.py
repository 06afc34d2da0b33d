"""How the defaults of `stays` were chosen: `python -m tests.benchmarks.choose_stay_defaults [--kind app|dense]`.

Truths: the artificial city as seen by six kinds of phone, and the diaries of GeoLife's sixteen people
with labels: a labelled trip is a move; the time between two labelled trips is a stop where the first
ends within 300 m of where the second begins, at most 16 hours later. The other GeoLife time has no label.
No other data is read; the diaries of the Smart Survey (`bench_stay_accuracy`) were kept for judging.

Score: macro-F1 of stop and move per ping, at full rate and thinned to 1 and 5 minutes; the mean over
phones and rates of the city, and the mean over rates of the diaries, weigh one half each; then off comes what
observed stays take of labelled trips (as far as they were seen) beyond 3 %. One parameter after the
other moves to its best value on a stated grid, twice round. What counts is the mean score of two halves,
GeoLife's people and two cities each; how far the halves part says how little the last digits mean, so
of settings within 0.002 of the best the one with the smallest `roam_m` is taken.
"""

import argparse
import itertools
import math
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.evaluation.scores import labels_of, score_labels, thin
from pipeline.kernels.geodesy import haversine_m
from pipeline.kernels.silences import still_silences
from pipeline.kernels.stay_centroid_sweep import centroid_stays, no_open_centroids
from pipeline.kernels.stay_geometry import Track
from pipeline.simulation import CityParams
from pipeline.stages.stays import StayParams, centroid_rules
from tests.benchmarks.stay_peers import Found
from tests.benchmarks.stay_trips import Spans, read_all, seen_parts, shares, time_in_stays
from tests.benchmarks.stay_truths import PHONES, US_PER_S, Pings, Truth, city_as_seen_by

RATES_S = (0, 60, 300)
SAME_PLACE_M, LONGEST_STOP_S = 300.0, 16 * 3600
ENDS_SEEN_S = 300
ALLOWED_TRIP_SHARE = 0.03
APP = {
    "app": PHONES["app"],
    "saver": PHONES["saver"],
    "sparse": CityParams(n_devices=200, n_days=7, pings_per_day=120.0, faults=0.0),
    "noisy": CityParams(
        n_devices=12, n_days=3, pings_per_day=10_000.0, accuracy_still_m=35.0, accuracy_moving_m=15.0, faults=0.0
    ),
}
DENSE = {
    "logger": PHONES["logger"],
    "precise": CityParams(
        n_devices=30, n_days=3, pings_per_day=6_000.0, accuracy_still_m=10.0, accuracy_moving_m=6.0, faults=0.0
    ),
}
KINDS = {"default": APP | DENSE, "app": APP, "dense": DENSE}
GRID: dict[str, tuple[float, ...]] = {
    "dwell_s_per_m": (0, 60, 120, 200, 300, 400),
    "spread_m": (5, 10, 15, 20, 25, 30),
    "dwell_s": (300, 450, 600, 900, 1200),
    "roam_m": (50, 65, 80, 100, 125, 150),
    "noise_share": (0, 0.25, 0.5, 0.75, 1),
    "bridge_s": (120, 180, 300, 450, 600),
    "bridge_share": (0, 0.15, 0.3),
    "far_m": (200, 300, 500),
    "far_bridge_s": (60, 120, 180, 300),
    "edge_dwell_s": (60, 120, 300, 600),
    "infer_m": (50, 100, 200, 300),
}


class Half(NamedTuple):
    """Truths of one half: cities, GeoLife's pings with labels (1 stop, 0 move, -1 none), its trips as seen."""

    cities: list[Truth]
    diary: Truth | None
    label: NDArray[np.int8]
    trips: Spans | None


def find(pings: Pings, params: StayParams, is_inferring: bool = True) -> Found:
    """Return the stays of pings, observed and, if wanted, inferred."""
    track = Track(pings.at_us, pings.lon_e7, pings.lat_e7)
    end = int(pings.at_us.max()) + 1
    stays, _ = centroid_stays(
        pings.device_id, track, pings.accuracy_m, no_open_centroids(), centroid_rules(params), end, True
    )
    columns = [stays.device_id, stays.started_at, stays.finished_at]
    if is_inferring:
        limits = (round(s * US_PER_S) for s in (params.gap_s, params.infer_gap_s))
        rows = still_silences(pings.device_id, *track, *limits, params.infer_m)
        silent = [pings.device_id[rows], pings.at_us[rows], pings.at_us[rows + 1]]
        columns = [np.concatenate(pair) for pair in zip(columns, silent, strict=True)]
    order = np.lexsort((columns[2], columns[1], columns[0]))
    columns = [column[order] for column in columns]
    return Found(labels_of(pings.device_id, pings.at_us, *columns), *columns)


def label_diary(pings: Pings, trips: Spans) -> NDArray[np.int8]:
    """Return 0 for pings of labelled trips, 1 for those of stops between two of them, -1 for others."""
    label = np.full(pings.at_us.size, -1, np.int8)
    for device in np.unique(trips.device_id):
        lo, hi = np.searchsorted(pings.device_id, [device, device + 1])
        mine = pings.take(slice(lo, hi))
        own = trips.take(trips.device_id == device)
        order = np.lexsort((own.finished_us, own.started_us))
        started, finished = own.started_us[order], own.finished_us[order]
        for a, b in zip(finished[:-1], started[1:], strict=True):
            if 0 < b - a <= LONGEST_STOP_S * US_PER_S and _is_same_place(mine, a, b):
                label[lo:hi][(mine.at_us > a) & (mine.at_us < b)] = 1
        for a, b in zip(started, finished, strict=True):
            label[lo:hi][(mine.at_us >= a) & (mine.at_us <= b)] = 0
    return label


def _is_same_place(pings: Pings, left_us: int, back_us: int) -> bool:
    """Return whether the device was at one place at two times, each with a ping within five minutes."""
    rows = [int(np.abs(pings.at_us - at).argmin()) for at in (left_us, back_us)]
    if any(abs(pings.at_us[k] - at) > ENDS_SEEN_S * US_PER_S for k, at in zip(rows, (left_us, back_us), strict=True)):
        return False
    (x1, x2), (y1, y2) = pings.lon_e7[rows] / 1e7, pings.lat_e7[rows] / 1e7
    return bool(haversine_m(x1, y1, x2, y2) <= SAME_PLACE_M)


def load_half(kind: str, parity: int) -> Half:
    """Return the truths of one half of a kind of data."""
    cities = [city_as_seen_by(name, params.model_copy(update={"seed": parity})) for name, params in KINDS[kind].items()]
    if kind == "app":
        return Half(cities, None, np.empty(0, np.int8), None)
    pings, trips = read_all()
    devices = np.unique(trips.device_id)
    chosen = devices[np.arange(devices.size) % 2 == parity]
    pings, trips = (t.take(np.isin(t.device_id, chosen)) for t in (pings, trips))
    label = label_diary(pings, trips)
    seen, _ = seen_parts(pings, trips)
    return Half(cities, Truth("GeoLife", (), pings, label == 1), label, seen)


def thinned(half: Half) -> Iterator[tuple[int, list[Truth], Truth | None, NDArray[np.int8]]]:
    """Yield the truths at each rate."""
    for every_s in RATES_S:
        cities = [truth.thinned(every_s) for truth in half.cities]
        diary, label = half.diary, half.label
        if diary is not None:
            kept = thin(diary.pings.device_id, diary.pings.at_us, every_s)
            diary, label = diary._replace(pings=diary.pings.take(kept), is_stop=diary.is_stop[kept]), label[kept]
        yield every_s, cities, diary, label


def judge(rates: list[Any], half: Half, params: StayParams) -> dict[str, float]:
    """Return the score of parameters and what it is made of."""
    cities, diaries = [], []
    for _, truths, diary, label in rates:
        cities += [score_labels(t.is_stop, find(t.pings, params).is_stop).macro_f1 for t in truths]
        if diary is not None:
            has = label >= 0
            diaries.append(score_labels(label[has] == 1, find(diary.pings, params).is_stop[has]).macro_f1)
    found = {"city": float(np.mean(cities)), "worst_city": min(cities)}
    if half.diary is None or half.trips is None:
        return found | {"score": found["city"]}
    observed = find(half.diary.pings, params, is_inferring=False)
    trip_share = shares(half.trips, time_in_stays(half.trips, observed))["all"]
    diary_mean = float(np.mean(diaries))
    score = (found["city"] + diary_mean) / 2 - max(0.0, trip_share - ALLOWED_TRIP_SHARE)
    return found | {"diary": diary_mean, "trips": trip_share, "score": score}


def descend(kind: str, start: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Return the parameters reached from `start`, printing each step and what each half says in the end."""
    halves = [load_half(kind, parity) for parity in (0, 1)]
    rates = [list(thinned(half)) for half in halves]

    @cache
    def known(values: tuple[tuple[str, Any], ...]) -> float:
        try:
            params = StayParams(**dict(values))
        except ValidationError:  # values that contradict each other
            return -math.inf
        return float(np.mean([judge(rate, half, params)["score"] for rate, half in zip(rates, halves, strict=True)]))

    best = dict(start)
    for _, (name, values) in itertools.product(range(rounds), GRID.items()):
        tried = {value: known(tuple(sorted({**best, name: value}.items()))) for value in (best[name], *values)}
        best[name] = max(tried, key=lambda value: tried[value])
        print(f"{name:14} {best[name]:>6}   " + "  ".join(f"{v:g}: {s:.4f}" for v, s in tried.items()), flush=True)
    for title, values in {"start": start, "reached": best, "literature-like": LITERATURE}.items():
        for side, rate, half in zip(("first half", "second half"), rates, halves, strict=True):
            result = judge(rate, half, StayParams(**values))
            print(f"{title:16} {side:12}" + "  ".join(f"{name} {value:.3f}" for name, value in result.items()))
    print(best)
    return best


LITERATURE = {"roam_m": 65.0, "dwell_s": 300.0, "edge_dwell_s": 300.0, "dwell_s_per_m": 0, "bridge_s": 0} | {
    "bridge_share": 0,
    "far_bridge_s": 0,
}


def main() -> None:
    """Choose for one kind of data."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=list(KINDS), default="default")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    defaults = StayParams().model_dump()
    descend(arguments.kind, {name: defaults[name] for name in GRID}, arguments.rounds)


if __name__ == "__main__":
    main()
