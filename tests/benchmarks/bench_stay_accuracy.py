"""How well stays are found where the truth is known, beside the peers, on the same pings.

`python -m tests.benchmarks.bench_stay_accuracy --data ssi` scores each ping as stop or move, at full rate
and thinned to a minute and to five; macro-F1, the mean of the F1 of stop and of move, is the figure that
counts. What each truth is, and how far to trust it, is said in `stay_truths`; what a method's stop is, in
`stay_peers`. `--data geolife` instead gives the share of labelled trips that lies inside stays (`stay_trips`).

Every peer is shown with its defaults and with the settings of a grid that are best *on the very data and
rate they are scored on*: of the whole grid, and of its narrow part (`stay_peers.NARROW`). `--grid` searches
anew and writes what it found to stay_peers_best.json, otherwise the settings noted there are run.
scikit-mobility and trackintel take the best settings of fastmob, which shares their definition. Sojourn is
run with its defaults and nothing else, or with `--set roam_m=50`.
"""

import argparse
import json
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.scores import Scores, score_labels
from tests.benchmarks.stay_peers import GRID, NARROW, PEERS, Peer, Setting, always_stop, sojourn_stays
from tests.benchmarks.stay_trips import print_trips
from tests.benchmarks.stay_truths import LOADERS, Truth

RATES = {"full rate": 0.0, "1 min": 60.0, "5 min": 300.0}
BEST = Path(__file__).with_name("stay_peers_best.json")
MAX_COLUMNS = 4
NOTHING = "-"


class Line(NamedTuple):
    """One method on one truth at one rate."""

    method: str
    setting: str
    pooled: Scores | None
    """None where the method cannot run here; `setting` says why."""
    by_device: list[float]
    """Macro-F1 of each device, in the order of their numbers."""
    seconds: float


def line(truth: Truth, method: str, setting: str, is_stop: NDArray[np.bool_], seconds: float = 0.0) -> Line:
    """Score a labelling, pooled and by device."""
    devices = [truth.pings.device_id == k for k in range(len(truth.names))]
    by_device = [score_labels(truth.is_stop[rows], is_stop[rows]).macro_f1 for rows in devices]
    return Line(method, setting, score_labels(truth.is_stop, is_stop), by_device, seconds)


def search(peer: Peer, truth: Truth) -> dict[str, Setting]:
    """Return the settings with the best pooled macro-F1, of the narrow grid and of the whole."""
    found = zip(GRID, peer.find(truth.pings, GRID), strict=True)
    scores = {setting: score_labels(truth.is_stop, stays.is_stop).macro_f1 for setting, stays in found}
    return {"narrow": max(NARROW, key=scores.__getitem__), "best": max(GRID, key=scores.__getitem__)}


def lines_of_peer(peer: Peer, truth: Truth, settings: dict[str, Setting]) -> Iterator[Line]:
    """Yield the peer with each of the settings."""
    for kind, setting in settings.items():
        started = time.perf_counter()
        (found,) = peer.find(truth.pings, [setting])
        yield line(truth, peer.name, f"{kind}: {setting}", found.is_stop, time.perf_counter() - started)


def lines_of_peers(truth: Truth, best: dict[str, dict[str, Setting]], is_grid: bool) -> Iterator[Line]:
    """Yield every peer on one truth at one rate; settings found are noted in `best`."""
    yield line(truth, "always stop", "", always_stop(truth.pings).is_stop)
    for peer in PEERS:
        if why := peer.is_absent():
            yield Line(peer.name, why, None, [], 0.0)
            continue
        if is_grid and not peer.same_as:
            best[peer.name] = search(peer, truth)
        noted = best.get(peer.same_as or peer.name, {})
        settings = {kind: Setting(*setting) for kind, setting in noted.items()}
        yield from lines_of_peer(peer, truth, {"default": peer.default, **settings})


def line_of_sojourn(truth: Truth, params: dict[str, Any]) -> Line:
    """Return Sojourn's own."""
    started = time.perf_counter()
    found = sojourn_stays(truth.pings, **params)
    shown = ", ".join(f"{name}={value}" for name, value in params.items())
    return line(truth, "Sojourn", shown or "default", found.is_stop, time.perf_counter() - started)


def shown(value: float | None) -> str:
    """Return a score as it is printed."""
    return NOTHING if value is None or np.isnan(value) else f"{value:.3f}"


def print_heading(truth: Truth, rate: str) -> None:
    """Print what the scores are of."""
    print(
        f"\n{truth.title}, {rate}: {truth.is_stop.size:,} pings of {len(truth.names)}, {truth.is_stop.mean():.1%} stop"
    )
    people = truth.names if len(truth.names) <= MAX_COLUMNS else ("mean", "least")
    print(f"{'':62}F1 stop F1 move   macro  " + "".join(f"{name:>10}" for name in people) + f"{'s':>7}")


def print_line(found: Line) -> None:
    """Print one method's scores, or why there are none."""
    text = f"{found.method:17}{found.setting:45}"
    if found.pooled is None:
        print(text)
        return
    people = found.by_device
    if len(people) > MAX_COLUMNS:
        people = [float(np.nanmean(people)), float(np.nanmin(people))]
    scores = (found.pooled.f1_stop, found.pooled.f1_move, found.pooled.macro_f1)
    print(text + "".join(f"{shown(v):>8}" for v in scores) + "  " + "".join(f"{shown(v):>10}" for v in people), end="")
    print(f"{found.seconds:7.1f}", flush=True)


def as_json(found: Line) -> dict[str, Any]:
    """Return a line as JSON has it."""
    pooled = None if found.pooled is None else found.pooled._asdict()
    return {**found._asdict(), "pooled": pooled}


def run(data: str, is_grid: bool, is_alone: bool, params: dict[str, Any]) -> dict[str, Any]:
    """Print the tables of one data set; return them."""
    noted = json.loads(BEST.read_text()) if BEST.exists() else {}
    report: dict[str, Any] = {}
    for truth in LOADERS[data]():
        for rate, every_s in RATES.items():
            best = noted.setdefault(truth.title, {}).setdefault(rate, {})
            thinned = truth.thinned(every_s)
            print_heading(thinned, rate)
            rows = report.setdefault(truth.title, {}).setdefault(rate, [])
            peers = [] if is_alone else lines_of_peers(thinned, best, is_grid)
            for found in chain(peers, map(line_of_sojourn, [thinned], [params])):
                print_line(found)
                rows.append(as_json(found))
    if is_grid:
        BEST.write_text(json.dumps(noted, indent=1) + "\n")
    return report


def as_params(texts: list[str]) -> dict[str, Any]:
    """Return name=value pairs with numbers as numbers."""
    pairs = (text.split("=", 1) for text in texts)
    return {name: float(value) if value.replace(".", "", 1).isdigit() else value for name, value in pairs}


def main() -> None:
    """Print the tables, and one line of JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=[*LOADERS, "geolife"], default="ssi")
    parser.add_argument("--grid", action="store_true", help="search the peers' best settings anew and note them")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of Sojourn's stays"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", action="store_true", help="without the peers")
    arguments = parser.parse_args()
    params = as_params(arguments.set)
    if arguments.data == "geolife":
        report = print_trips(RATES, None if arguments.alone else json.loads(BEST.read_text())["ssi"], params)
    else:
        report = run(arguments.data, arguments.grid, arguments.alone, params)
    if arguments.json:
        print("\n" + json.dumps(report))


if __name__ == "__main__":
    main()
