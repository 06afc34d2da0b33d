"""How much of GeoLife's labelled trips each method takes for stays.

Sixteen of the people noted when they walked, cycled, rode a bus, a car or a taxi (labels.txt, times in
GMT). Taken are trips longer than ten minutes during which at least one interval of pings is no longer
than a minute. A label says less than it seems to: it may be opened early or closed late by minutes, the
bus waits at stops and lights, a "walk" holds the queue at the canteen, and many labelled trips hold silences
of hours. So time is counted twice: all of a trip, and its parts that were seen, intervals between
pings of at most a minute at full rate. A good share even of these is standing, and no method that finds
short stays can be near nothing: the first row, "stands", is the share of time seen in whose five minutes,
before and after together, the person gets less than 30 m away.
"""

import io
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.scores import ratio, thin
from pipeline.kernels.geodesy import haversine_m
from pipeline.sources.geolife_plt import read_blocks
from pipeline.sources.pieces import Piece
from pipeline.study import Source
from tests.benchmarks.stay_peers import PEERS, Found, Peer, Setting, sojourn_stays
from tests.benchmarks.stay_truths import DEGREE_E7, US_PER_S, Pings, sorted_pings
from tests.shared import DATA

MODES = {"walk": "walk", "bike": "bike", "bus": "bus", "car": "car or taxi", "taxi": "car or taxi"}
SHORTEST_S = 600
SEEN_S = 60
STANDS_S, STANDS_M = 300, 30.0
BLOCK_ROWS = 1 << 20
COLUMNS = ["started", "finished", "mode"]
Method = Callable[[Pings], Found]


class Spans(NamedTuple):
    """Periods of devices, each of a mode: shape (n,) each."""

    device_id: NDArray[np.int64]
    started_us: NDArray[np.int64]
    finished_us: NDArray[np.int64]
    mode: NDArray[np.str_]

    def take(self, rows: NDArray) -> "Spans":
        """Return some of them."""
        return Spans(*(column[rows] for column in self))


def read_person(path: Path, device: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (rows, labels) of an archive; labels are empty for a person without any."""
    piece = Piece(path, Source(path=str(path), format="geolife_plt"), 0, 1, 0, None)
    with tarfile.open(path) as archive:
        names = [name for name in archive.getnames() if name.endswith("labels.txt")]
        if not names:
            return pd.DataFrame(), pd.DataFrame(columns=COLUMNS)
        stream = archive.extractfile(names[0])
        assert stream is not None
        labels = pd.read_csv(io.BytesIO(stream.read()), sep="\t", header=0, names=COLUMNS)
    blocks = [block.to_pandas() for block in read_blocks(piece, b"key", BLOCK_ROWS)]
    rows = pd.concat(blocks, ignore_index=True)
    rows = rows[rows["lat"].between(-90, 90) & rows["lon"].between(-180, 180)]
    return rows.assign(device_id=device), labels.assign(device_id=device)


def read_all() -> tuple[Pings, Spans]:
    """Return the pings of everybody with labels, and the trips chosen."""
    files = sorted((DATA / "geolife_users").glob("*.tar.gz"))
    if not files:
        raise FileNotFoundError(f"no files below {DATA}: set SOJOURN_SHARED")
    people = [read_person(path, int(path.name[:3])) for path in files]
    rows = pd.concat([rows for rows, labels in people if len(labels)], ignore_index=True)
    at_us = rows["tracked_at"].astype("datetime64[us, UTC]").astype("int64").to_numpy()
    pings, _ = sorted_pings(rows["device_id"].to_numpy(), at_us, rows["lon"].to_numpy(), rows["lat"].to_numpy())
    return pings, chosen_trips(pd.concat([labels for _, labels in people], ignore_index=True))


def chosen_trips(labels: pd.DataFrame) -> Spans:
    """Return the trips of wanted modes that last long enough."""
    us = [pd.to_datetime(labels[name]).astype("datetime64[us]").astype("int64").to_numpy() for name in COLUMNS[:2]]
    mode = labels["mode"].str.strip().map(MODES).fillna("")
    is_chosen = (mode != "").to_numpy() & (us[1] - us[0] > SHORTEST_S * US_PER_S)
    trips = Spans(labels["device_id"].to_numpy(np.int64), us[0], us[1], np.array(mode.tolist()))
    return trips.take(is_chosen)


def seen_parts(pings: Pings, trips: Spans) -> tuple[Spans, NDArray[np.bool_]]:
    """Return the intervals of pings within trips that are short, and which trips have any."""
    parts, has_any = [], np.zeros(trips.mode.size, np.bool_)
    for k, (device, started, finished, mode) in enumerate(zip(*trips, strict=True)):
        lo, hi = np.searchsorted(pings.device_id, [device, device + 1])
        first, last = lo + np.searchsorted(pings.at_us[lo:hi], [started, finished])
        at = pings.at_us[first:last]
        is_seen = np.diff(at) <= SEEN_S * US_PER_S
        has_any[k] = is_seen.any()
        n = int(is_seen.sum())
        parts.append((np.full(n, device), at[:-1][is_seen], at[1:][is_seen], np.full(n, mode)))
    return Spans(*(np.concatenate(column) for column in zip(*parts, strict=True))), has_any


def time_in_stays(spans: Spans, found: Found) -> NDArray[np.float64]:
    """Return how much of each span (µs) lies in stays of its device, which do not overlap."""
    inside = np.zeros(spans.mode.size)
    for device in np.unique(spans.device_id):
        rows, stays = spans.device_id == device, found.device_id == device
        if not stays.any():
            continue
        started, finished = found.started_us[stays], found.finished_us[stays]
        at = np.column_stack([started, finished]).ravel()
        so_far = np.concatenate([[0], np.cumsum(finished - started)])
        total = np.column_stack([so_far[:-1], so_far[1:]]).ravel()
        inside[rows] = np.interp(spans.finished_us[rows], at, total) - np.interp(spans.started_us[rows], at, total)
    return inside


def time_standing(pings: Pings, seen: Spans) -> NDArray[np.float64]:
    """Return the length of those intervals (µs) about which the person gets nowhere, 0 of the others."""
    half_us = STANDS_S * US_PER_S // 2
    middle_us = (seen.started_us + seen.finished_us) // 2
    before, after = np.empty((2, middle_us.size), np.int64)
    for device in np.unique(seen.device_id):
        rows = seen.device_id == device
        lo, hi = np.searchsorted(pings.device_id, [device, device + 1])
        before[rows] = lo + np.searchsorted(pings.at_us[lo:hi], middle_us[rows] - half_us)
        after[rows] = lo + np.searchsorted(pings.at_us[lo:hi], middle_us[rows] + half_us, side="right") - 1
    lon, lat = pings.lon_e7 / DEGREE_E7, pings.lat_e7 / DEGREE_E7
    away_m = [haversine_m(*ends) for ends in zip(lon[before], lat[before], lon[after], lat[after], strict=True)]
    return np.where(np.array(away_m) < STANDS_M, seen.finished_us - seen.started_us, 0)


def shares(spans: Spans, inside: NDArray[np.float64]) -> dict[str, float]:
    """Return the share of time inside by mode and of all."""
    length = spans.finished_us - spans.started_us
    groups = {"all": np.ones(length.size, np.bool_), **{mode: spans.mode == mode for mode in set(MODES.values())}}
    return {mode: ratio(float(inside[rows].sum()), float(length[rows].sum())) for mode, rows in groups.items()}


def peers(best: dict[str, Any]) -> Iterator[tuple[str, str, Method | None]]:
    """Yield (method, setting, function) of each peer with each of its settings.

    No function where a peer cannot run here; its setting says why.
    """
    for peer in PEERS:
        if why := peer.is_absent():
            yield peer.name, why, None
            continue
        noted = best.get(peer.same_as or peer.name, {})
        for kind, values in {"default": peer.default, **noted}.items():
            setting = Setting(*values)
            yield peer.name, f"{kind}: {setting}", partial(_one, peer, setting)


def _one(peer: Peer, setting: Setting, pings: Pings) -> Found:
    return peer.find(pings, [setting])[0]


def _ours(params: dict[str, Any], pings: Pings) -> Found:
    return sojourn_stays(pings, **params)


def print_trips(
    rates: dict[str, float], best: dict[str, dict[str, Any]] | None, params: dict[str, Any]
) -> dict[str, Any]:
    """Print the share of trips in stays, of all their time and of the time seen; return it.

    `best` has the settings of peers by rate, here those that are best on the SSI pings; None: no peers.
    """
    pings, trips = read_all()
    seen, has_any = seen_parts(pings, trips)
    trips = trips.take(has_any)
    hours = [float((spans.finished_us - spans.started_us).sum() / US_PER_S / 3600) for spans in (trips, seen)]
    print(f"{pings.at_us.size:,} pings, {trips.mode.size:,} trips of {hours[0]:,.0f} h, seen {hours[1]:,.0f} h")
    modes = ["all", *dict.fromkeys(MODES.values())]
    stands = shares(seen, time_standing(pings, seen))
    print(f"{f'stands: under {STANDS_M:g} m in {STANDS_S} s':122}" + "".join(f"{stands[mode]:12.1%}" for mode in modes))
    report: dict[str, Any] = {"hours": hours, "stands": stands}
    for rate, every_s in rates.items():
        print(f"\n{rate:62}{'of all time':>12}{'':48}{'of time seen':>12}")
        print(f"{'':62}" + "".join(f"{mode:>12}" for mode in modes * 2))
        thinned = pings.take(thin(pings.device_id, pings.at_us, every_s))
        others = [] if best is None else peers(best.get(rate, {}))
        shown = ", ".join(f"{name}={value}" for name, value in params.items())
        for method, setting, find in (*others, ("Sojourn", shown or "default", partial(_ours, params))):
            if find is None:
                print(f"{method:17}{setting}")
                continue
            found = find(thinned)
            both = [shares(spans, time_in_stays(spans, found)) for spans in (trips, seen)]
            cells = "".join(f"{share[mode]:12.1%}" for share in both for mode in modes)
            print(f"{method:17}{setting:45}{cells}", flush=True)
            report.setdefault(rate, {})[f"{method}, {setting}"] = both
    return report
