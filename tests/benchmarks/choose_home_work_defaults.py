"""How the defaults of `home_work` were chosen, and what choosing so is worth on people it was not done with.

``python -m tests.benchmarks.choose_home_work_defaults --data STOPS.parquet`` fits the multinomial logit of
`kernels.place_roles` to people with known homes and workplaces and prints its weights; then, five times, it fits them
and chooses thresholds on a random half of the people and scores the other half, beside HoWDe and beside the trivial
rule (everything is home). The weights in `HomeWorkParams` are those of all people, rounded by hand.
"""

import argparse
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import statsmodels.api as sm

from pipeline.evaluation.home_work import HomeWorkScores, score_home_work
from pipeline.kernels.place_roles import Weighing, Windows, place_days, weigh_places
from pipeline.stages.home_work import HomeWorkParams, RoleWeights, home_work
from pipeline.study import Study

STUDY = Study.from_dict({"name": "x", "start": "1970-01-01", "end": "1973-12-31", "zone": "UTC", "sources": []})
LABELS = {"H": "home", "W": "work", "O": "other"}
WEEK = 7
EVERY = 4
"""Of windows that overlap one in so many is fitted to: others repeat it."""
REACHED = {"home": (0.7, 0.75, 0.8, 0.85, 0.9), "work": (0.4, 0.45, 0.5, 0.55, 0.6, 0.65)}
BARS = {"home": (0.90, 0.87, 0.05), "work": (0.80, 0.72, 0.12)}
"""Least time-weighted F1 and F1 of places, and the largest share of people without any."""
MARGIN = 0.75
"""While choosing, no more than this part of that share: other people will be a little harder."""


class Data(NamedTuple):
    """Labelled stops as `home_work` reads visits, and as the scores want them."""

    visits: pd.DataFrame
    stops: pd.DataFrame


def read_stops(path: Path) -> Data:
    """Return the stops of the HoWDe project's public test data."""
    raw = pd.read_parquet(path).sort_values(["useruuid", "start"], ignore_index=True)
    place = raw.groupby("useruuid")["loc"].transform(lambda names: pd.factorize(names)[0]).astype("int32")
    at = {name: pd.to_datetime(raw[column], unit="s", utc=True).astype("datetime64[us, UTC]")
          for name, column in (("started_at", "start"), ("finished_at", "end"))}  # fmt: skip
    keys = {"device_id": raw["useruuid"].astype("int64"), "location_id": place}
    tract = pd.Series(None, index=raw.index, dtype="str")
    stops = pd.DataFrame({**keys, "started_s": raw["start"], "finished_s": raw["end"],
                          "label": raw["true_location_type"].map(LABELS)})  # fmt: skip
    return Data(pd.DataFrame({**keys, **at, "utc_offset_s": 0, "tract_geoid": tract}), stops)


def known_places(data: Data) -> pd.DataFrame:
    """Return the five numbers of every place in every `EVERY`-th window of weeks, with its true role."""
    stops, params = data.stops, HomeWorkParams()
    columns = [stops[name].to_numpy(np.int64) for name in ("device_id", "location_id", "started_s", "finished_s")]
    days = place_days(*columns, (0, 7 * 3600), (9 * 3600, 17 * 3600))
    half = params.window_weeks // 2 * WEEK
    n_windows = int(days.day.max()) // WEEK + 1
    nothing = np.zeros(6)
    windows = Windows(-3, n_windows // EVERY, WEEK * EVERY, half, half - WEEK * (EVERY - 1))
    rows = weigh_places(days, windows, Weighing(nothing, nothing, np.array(params.unseen), params.min_days), 0.0)
    names = [name for name in RoleWeights.model_fields if name != "intercept"]
    places = pd.DataFrame(rows.numbers, columns=names).assign(device_id=rows.device, location_id=rows.place)
    labels = stops.drop_duplicates(["device_id", "location_id"])[["device_id", "location_id", "label"]]
    return places.merge(labels, on=["device_id", "location_id"])


def fit_weights(places: pd.DataFrame) -> dict[str, RoleWeights]:
    """Return the weights of home and work that a multinomial logit finds."""
    names = list(RoleWeights.model_fields)
    code = places["label"].map({"other": 0, "home": 1, "work": 2})
    numbers = sm.add_constant(places[names[1:]].to_numpy(), has_constant="add")
    fit = sm.MNLogit(code.to_numpy(), numbers).fit(disp=False, maxiter=200)
    return {
        role: RoleWeights(**dict(zip(names, fit.params[:, k], strict=True))) for k, role in enumerate(("home", "work"))
    }


def run(data: Data, people: np.ndarray, params: HomeWorkParams) -> HomeWorkScores:
    """Return the scores of some people under some Params."""
    visits, stops = (frame[frame["device_id"].isin(people)] for frame in data)
    found = home_work(visits.reset_index(drop=True), STUDY, params)
    return score_home_work(stops, found[found["span"] == "moving"])


def choose(data: Data, people: np.ndarray, weights: dict[str, RoleWeights]) -> HomeWorkParams:
    """Return Params with these weights and the thresholds that give the best F1 of places within the bars."""
    chosen: dict[str, float] = {}
    params = HomeWorkParams(**{role: weights[role].model_dump() for role in weights})
    for role in BARS:
        ranks = {}
        for reached in REACHED[role]:
            scores = getattr(run(data, people, params.model_copy(update={f"{role}_reached": reached})), role)
            is_precise = role == "work" or scores.places.precision >= 0.93
            is_within = scores.undetected_share <= MARGIN * BARS[role][2] and is_precise
            ranks[reached] = (is_within, scores.places.f1)
        chosen[f"{role}_reached"] = max(ranks, key=lambda reached: ranks[reached])
    return params.model_copy(update=chosen)


def figures(scores: HomeWorkScores) -> dict[str, float]:
    """Return the figures that are reported, by name."""
    found = {}
    for role in BARS:
        of = getattr(scores, role)
        found |= {f"{role} time F1": of.time.f1,
                  f"{role} place F1": of.places.f1, f"{role} place P": of.places.precision,
                  f"{role} place R": of.places.recall, f"{role} undetected": of.undetected_share,
                  f"{role} right": of.right_share}  # fmt: skip
    return found


def halves(n: int, people: np.ndarray) -> "list[tuple[np.ndarray, np.ndarray]]":
    """Return n random halvings of the people."""
    shuffled = [np.random.default_rng(seed).permutation(people) for seed in range(n)]
    return [(order[: order.size // 2], order[order.size // 2 :]) for order in shuffled]


def main() -> None:
    """Print weights and scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--halves", type=int, default=5)
    asked = parser.parse_args()
    data = read_stops(asked.data)
    people, places = data.stops["device_id"].unique(), known_places(data)
    for role, weights in fit_weights(places).items():
        print(role, {name: round(value, 2) for name, value in weights.model_dump().items()})
    tables: dict[str, list[dict[str, float]]] = {"tuned": [], "default": [], "howde": []}
    for tuning, testing in halves(asked.halves, people):
        params = choose(data, tuning, fit_weights(places[places["device_id"].isin(tuning)]))
        print("chosen on half:", params.home_reached, params.work_reached)
        for name, used in (("tuned", params), ("default", HomeWorkParams()), ("howde", HomeWorkParams(method="howde"))):
            tables[name].append(figures(run(data, testing, used)))
    table = {name: pd.DataFrame(rows) for name, rows in tables.items()}
    print(f"the other half, mean and standard deviation over {asked.halves} halvings:")
    shown = {(name, value): getattr(rows, value)() for (name, rows), value in product(table.items(), ("mean", "std"))}
    print(pd.DataFrame(shown).round(3).to_string())
    always = data.stops.assign(seconds=data.stops["finished_s"] - data.stops["started_s"])
    share = always.groupby("label")["seconds"].sum() / always["seconds"].sum()
    print(f"everything is home: time-weighted F1 {2 * share['home'] / (1 + share['home']):.3f}")


if __name__ == "__main__":
    main()
