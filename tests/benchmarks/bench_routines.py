"""Routines: are planted ones found, is anything found where there is no order, what of GeoLife, and how fast.

``python -m tests.benchmarks.bench_routines [--data FOLDER --root ROOT]`` prints

- the share of sequences without order in which a routine is found, beside the nominal one, and beside what comparing
  each rule with its own count in shuffled sequences gives (the usual z of 2);
- recall of planted routines by their length, how often they are followed and how many visits there are;
- by how much the entropy rate of places without order is off at some lengths;
- time of the grammar beside scikit-sequitur 0.4.0 where that is installed, side by side, and of whole windows;
- with --data, people who checked in in New York, by how often; with --root, too, GeoLife's people: what is found in
  each (a root that is there is used).
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.kernels.grouping import group_starts
from pipeline.kernels.keyed_random import keyed_bits
from pipeline.kernels.pattern_scores import count_of, odds_of, places_of
from pipeline.kernels.place_sequences import PlaceSequences, place_sequences
from pipeline.kernels.routines import find_routines
from pipeline.kernels.sequence_entropy import entropy_rate
from pipeline.kernels.sequence_shuffles import shuffle
from pipeline.kernels.sequitur import sequitur
from pipeline.stages.entropy import EntropyParams, entropy
from pipeline.stages.routines import RoutineParams, routines
from tests.planted_routines import is_found, orderless, place_shares, planted

PARAMS = RoutineParams()
PEOPLE = {"week": (30, 8, 1.0), "month": (120, 15, 1.0), "month, home is most": (120, 15, 1.5), "study": (600, 40, 1.2)}
"""Visits, places, and the exponent with which visits fall by place."""


def together(sequences: list[list[int]], merges_repeats: bool = True) -> PlaceSequences:
    """Return sequences as the stage makes them."""
    start = np.cumsum([0, *(len(one) for one in sequences)])
    return place_sequences(start, np.concatenate(sequences).astype(np.int64), merges_repeats)


def find(sequences: PlaceSequences, has_repeats: bool = False):
    """Return the routines with the stage's own settings."""
    stream = keyed_bits(np.arange(sequences.start.size - 1), "bench", 1)
    return find_routines(sequences.start, sequences.symbol, stream, PARAMS.n_shuffles, PARAMS.n_above, has_repeats)


def own_count_rate(sequences: PlaceSequences, n: int) -> float:
    """Return the share of the first n sequences with a rule of z >= 2 by its own count in 100 shuffled sequences."""
    state, n_with = np.array([1], np.uint64), 0
    for g in range(n):
        sequence = sequences.symbol[sequences.start[g] : sequences.start[g + 1]]
        n_visits, grammar = odds_of(sequence, False).n_visits, sequitur(sequence)
        counts = np.zeros((101, grammar.start.size - 1))
        shuffled = sequence.copy()
        for k in range(101):
            for rule, (a, length) in enumerate(zip(grammar.start[1:], grammar.length[1:], strict=True)):
                pattern = np.concatenate([sequence[a : a + length], shuffled])
                places = places_of(pattern, np.bincount(pattern, minlength=n_visits.size))
                counts[k, rule] = count_of(pattern, 0, length, np.bincount(pattern), places) - 1
            shuffle(shuffled, state, False)
        mean, sd = counts[1:].mean(axis=0), counts[1:].std(axis=0)
        n_with += bool((counts[0] - mean > 2 * sd).any())
    return n_with / n


def print_rates(n_people: int) -> None:
    """Print how often a routine is found where there is no order."""
    nominal, rows = (PARAMS.n_above + 1) / (PARAMS.n_shuffles + 1), []
    for name, (n, n_places, exponent) in PEOPLE.items():
        rng, n_here = np.random.default_rng(11), n_people if n < 200 else n_people // 5
        free = [orderless(rng, n, place_shares(n_places, exponent)) for _ in range(n_here)]
        sequences = together(free)
        drawn = [rng.choice(n_places, n, p=place_shares(n_places, exponent)).tolist() for _ in range(n_here)]
        repeats = together(drawn, merges_repeats=False)
        rows.append(
            {
                "sequences": name,
                "n": n_here,
                "nominal": nominal,
                "with a routine": np.unique(find(sequences).group).size / n_here,
                "repeats kept": np.unique(find(repeats, has_repeats=True).group).size / n_here,
                "s.e.": round(float(np.sqrt(nominal * (1 - nominal) / n_here)), 4),
                "own count, z >= 2": own_count_rate(sequences, 100) if n < 200 else np.nan,
            }
        )
    print(f"\nsequences without order in which a routine is found\n{pd.DataFrame(rows).to_string(index=False)}")


def print_recall(n_people: int) -> None:
    """Print how many planted routines are found."""
    rows = []
    for name, times in (
        ("week", 4),
        ("month", 4),
        ("month", 6),
        ("month", 8),
        ("month, home is most", 8),
        ("study", 15),
    ):
        n, n_places, exponent = PEOPLE[name]
        for length in (3, 4, 5):
            rng = np.random.default_rng(length)
            lengths = [length] if n < 100 else [length, length]
            people = [planted(rng, n, place_shares(n_places, exponent), lengths, times) for _ in range(n_people)]
            sequences = together([one.sequence for one in people])
            found = find(sequences)
            patterns: list[list[list[int]]] = [[] for _ in people]
            for g, a, k in zip(found.group, found.start, found.length, strict=True):
                within = a - sequences.start[g]
                patterns[g].append(people[g].sequence[within : within + k])
            asked = [(routine, patterns[g]) for g, one in enumerate(people) for routine in one.routines]
            rows.append(
                {
                    "sequences": name,
                    "visits": n,
                    "routines": len(lengths),
                    "places": length,
                    "times": times,
                    "recall": np.mean([is_found(*pair) for pair in asked]),
                    "found whole": np.mean([routine in those for routine, those in asked]),
                    "found per person": found.group.size / n_people,
                }
            )
    print(f"\nplanted routines\n{pd.DataFrame(rows).round(3).to_string(index=False)}")


def print_entropy_bias() -> None:
    """Print the mean estimate of the entropy rate of places without order by length."""
    rng, share = np.random.default_rng(3), place_shares(8, 1.0)
    truth = -float((share * np.log2(share)).sum())
    rows = []
    for n in (5, 10, 20, 40, 80, 160, 640, 2560):
        many = [rng.choice(share.size, n, p=share).tolist() for _ in range(400 if n < 1000 else 40)]
        kept = together(many, merges_repeats=False)
        rows.append({"visits": n, "true bits": truth, "mean estimate": entropy_rate(kept.start, kept.symbol).mean()})
    print(f"\nentropy rate of draws from 8 places\n{pd.DataFrame(rows).round(3).to_string(index=False)}")


def seconds(function: Callable[[], object]) -> float:
    """Return the time of one call by the clock."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def print_speed() -> None:
    """Print symbols a second, ours and scikit-sequitur's in turn, median of five; and windows a second."""
    rows = []
    for name, (n, n_places, exponent) in PEOPLE.items():
        rng = np.random.default_rng(2)
        many = [orderless(rng, n, place_shares(n_places, exponent)) for _ in range(12_000 // n)]
        arrays, sequences = [np.array(one) for one in many], together(many)
        ways = {"ours": lambda arrays=arrays: [sequitur(one) for one in arrays]}
        try:
            from sksequitur.core import Parser

            ways["scikit-sequitur"] = lambda many=many: [Parser().feed(one) for one in many]
        except ImportError:
            print("scikit-sequitur is not installed: no time of it")
        times = {way: [] for way in ways}
        for _ in range(5):
            for way, call in ways.items():
                times[way].append(seconds(call))
        row = {"sequences": name, "places": n, **{f"{way}, M/s": 12e-3 / np.median(times[way]) for way in ways}}
        if len(ways) == 2:
            row["times as fast"] = np.median(times["scikit-sequitur"]) / np.median(times["ours"])
        row["ms a window"] = seconds(lambda sequences=sequences: find(sequences)) / len(many) * 1e3
        rows.append(row)
    print(f"\nspeed\n{pd.DataFrame(rows).round(3).to_string(index=False)}")


def print_geolife(data: Path, root: Path) -> None:
    """Print what is found in GeoLife's people, who are numbered by how many visits they have."""
    from tests.benchmarks.bench_home_work_geolife import geolife, read_visits

    study = geolife(data)
    visits = read_visits(study, root).reset_index(drop=True)
    for merges in (True, False):
        kinds = RoutineParams().windows
        found = routines(visits, study, 0, RoutineParams(merges_repeats=merges)).merge(
            entropy(visits, study, EntropyParams(merges_repeats=merges, windows=kinds))
        )
        whole = found[(found["window"] == "study") & (found["n_visits"] >= EntropyParams().min_sequence)]
        whole = whole.sort_values("n_visits", ascending=False).drop(columns=["device_id", "window", "window_started"])
        title = "repeats merged" if merges else "repeats kept"
        print(f"\nGeoLife, the whole study, {title}\n{whole.round(3).to_string(index=False)}")
        columns = ["n_visits", "n_routines", "routine_share", "entropy_rate_bits", "predictability"]
        print(found.groupby("window")[columns].mean().round(3).assign(rows=found.groupby("window").size()).to_string())


def print_check_ins(data: Path) -> None:
    """Print what share of people with check-ins in New York has a routine, by the number of check-ins."""
    rows = np.load(data / "foursquare_nyc" / "NYC.npy").astype(np.int64)
    person, place, _ = rows[np.lexsort((rows[:, 2], rows[:, 0]))].T
    sequences = place_sequences(group_starts(person), np.ascontiguousarray(place), True)
    found, n = find(sequences), np.diff(sequences.start)
    owner = np.repeat(np.arange(n.size), n)
    covered = np.bincount(owner, sequences.n_visits * found.is_covered) / np.bincount(owner, sequences.n_visits)
    table = pd.DataFrame(
        {
            "visits": pd.cut(n, [0, 60, 120, 300, 10_000], right=False),
            "with a routine": np.isin(np.arange(n.size), found.group),
            "routines": np.bincount(found.group, minlength=n.size),
            "share of visits": covered,
        }
    )
    grouped = table.groupby("visits", observed=True)
    print("\ncheck-ins in New York, all of a person's in one sequence")
    print(grouped.mean().round(3).assign(people=grouped.size()).to_string())
    print(f"all: {table['with a routine'].mean():.3f} with a routine, of length {np.mean(found.length):.2f} on average")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--people", type=int, default=2000)
    asked = parser.parse_args()
    if asked.data:
        print_check_ins(asked.data)
    if asked.data and asked.root:
        print_geolife(asked.data, asked.root)
    print_speed()
    print_entropy_bias()
    print_recall(asked.people // 10)
    print_rates(asked.people)


if __name__ == "__main__":
    main()
