"""Facts of an area's week: from the table to numbers, sentences and a vector, and from a sentence back to be checked.

No torch in here. A sentence is right if it has the form of those it was learnt from, to the letter, and tells each fact
once, with its direction and number: a "not", a cause or a place would make it wrong.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_contracts import columns as c
from data_contracts.response import REGION_CHANGES

NAMES = {"visits": "visits", "distance_m": "distance", "gyration_m": "range", "contacts": "contacts"}
"""Measures that are told, and their words."""
STEP_PERCENT = 5
"""Changes are told in steps of so many per cent (ours: days of a week differ by more)."""
MIN_PERCENT, MAX_PERCENT = -95, 200
"""Changes beyond are told as more than these (ours: next to nothing is left, or the baseline was next to nothing)."""
LEAST_PERCENT, MOST_PERCENT = MIN_PERCENT - STEP_PERCENT, MAX_PERCENT + STEP_PERCENT
"""What a fact holds of any change beyond them: one step more."""
MIN_DAYS = 4
"""Days of a week with a known change that a fact needs (ours: more than half)."""
EVERYBODY = "all"
UP = ("rose by", "grew by", "went up by")
DOWN = ("fell by", "dropped by", "went down by")
SAME = ("did not change much", "stayed about the same", "changed little")
OPENINGS = ("", "Compared with the baseline, ", "In this week, ")
N_STYLES = len(OPENINGS) * len(UP) * 2
"""Ways to put the same facts."""
MEASURE_OF = {name: measure for measure, name in NAMES.items()}
VERBS = "|".join(UP + DOWN)
NUMBER = r"[1-9][0-9]*"
CHANGED = re.compile(rf"(?P<verb>{VERBS}) (?P<how>about|more than) (?P<percent>{NUMBER}) %")
TOKENS = re.compile(r"\d+(?:\.\d+)?|[^\W\d]+|\S")
LOWER_OPENINGS = {" ".join(word.lower() for word in TOKENS.findall(opening)) for opening in OPENINGS}
BETWEEN = frozenset(",.") | {"and"}
"""What may stand between one measure and the next."""
CLAUSE = rf"(?:{'|'.join(MEASURE_OF)}) (?:{'|'.join(SAME)}|(?:{VERBS}) (?:about|more than) {NUMBER} %)"
START = "|".join(f"{opening[:1].lower()}{opening[1:]}" for opening in OPENINGS)
FORM = re.compile(rf"(?:{START}){CLAUSE}(?:, {CLAUSE})*(?: and {CLAUSE})?\.")
"""A whole sentence, its first letter made small."""
N_BINS = 21
"""Marks on a scale of changes in a vector, from the lowest to the highest percentage told apart."""
BIN_RANGE = (-100.0, 100.0)
N_DIMS = len(NAMES) * (N_BINS + 1)
"""Length of an area's vector."""


class Fact(NamedTuple):
    """What became of one measure."""

    measure: str
    percent: int
    """Change from the baseline in steps, negative: less; LEAST_PERCENT or MOST_PERCENT: beyond what is told."""


class Week(NamedTuple):
    """What is known of one area's week."""

    region_geoid: str
    started: pd.Timestamp
    """Its Monday."""
    n_devices: int
    """Of the day and the measure with the fewest."""
    facts: tuple[Fact, ...]


class Checked(NamedTuple):
    """What a text says, held against the facts."""

    n_facts: int
    n_wrong: int
    """Facts that are told wrongly, twice or not at all, and 1 for an opening or a measure that is none; 1 where nothing
    of this is so, but the text is not a whole sentence."""


def weeks_of(changes: pd.DataFrame) -> list[Week]:
    """Return the weeks of areas of which something is known, from rows with the columns of REGION_CHANGES.

    A week's change of a measure is the mean of its days' logarithms, each rounded as in an export, so that no text
    tells more than the public rows do; days of too few devices and of groups are left out.
    """
    is_told = changes["measure"].isin(NAMES) & (changes["axis"].astype("str") == EVERYBODY)
    is_told &= changes["log_change"].notna() & (changes["n_devices"] >= (REGION_CHANGES.min_devices or 0))
    # In an order of their own, since a mean of floats hangs on it.
    rows = changes[is_told].sort_values(["region_geoid", "measure", "date"])
    dates = pd.to_datetime(rows["date"])
    rounded = (rows["log_change"] / c.SHARE_STEP).round() * c.SHARE_STEP
    rows = rows.assign(monday=dates - pd.to_timedelta(dates.dt.day_of_week, unit="D"), log_change=rounded)
    keys = ["region_geoid", "monday", "measure"]
    by_week = rows.groupby(keys, sort=True, observed=True).agg(
        log_change=("log_change", "mean"), n_days=("log_change", "size"), n_devices=("n_devices", "min")
    )
    by_week = by_week[by_week["n_days"] >= MIN_DAYS].reset_index()
    groups = by_week.groupby(keys[:2], sort=True, observed=True)
    return [_week(region, monday, part) for (region, monday), part in groups]


def _week(region: str, monday: pd.Timestamp, rows: pd.DataFrame) -> Week:
    log_change = dict(zip(rows["measure"], rows["log_change"], strict=True))
    facts = tuple(Fact(name, to_percent(log_change[name])) for name in NAMES if name in log_change)
    return Week(str(region), monday, int(rows["n_devices"].min()), facts)


def to_percent(log_change: float) -> int:
    """Return a log change in steps of per cent: -0.4 (33 % less) → -35; log(12) (1,100 % more) → MOST_PERCENT."""
    percent = 100 * np.expm1(log_change)
    return int(np.clip(round(percent / STEP_PERCENT) * STEP_PERCENT, LEAST_PERCENT, MOST_PERCENT))


def sentence(facts: Sequence[Fact], style: int = 0) -> str:
    """Return facts as a sentence, in one of N_STYLES ways: `Visits fell by about 35 % and range changed little.`"""
    style, is_reversed = divmod(style % N_STYLES, 2)
    opening, verb = divmod(style, len(UP))
    told = [_clause(fact, verb) for fact in (reversed(facts) if is_reversed else facts)]
    text = f"{', '.join(told[:-1])} and {told[-1]}" if len(told) > 1 else told[0]
    text = OPENINGS[opening] + text
    return f"{text[0].upper()}{text[1:]}."


def _clause(fact: Fact, verb: int) -> str:
    if not fact.percent:
        return f"{NAMES[fact.measure]} {SAME[verb]}"
    told = int(np.clip(fact.percent, MIN_PERCENT, MAX_PERCENT))
    how = "about" if told == fact.percent else "more than"
    return f"{NAMES[fact.measure]} {(UP if fact.percent > 0 else DOWN)[verb]} {how} {abs(told)} %"


def check(text: str, facts: Sequence[Fact]) -> Checked:
    """Return how many facts a text tells wrongly; the text stands only where this is 0."""
    words = [word.lower() for word in TOKENS.findall(text)]
    starts = [k for k, word in enumerate(words) if word in MEASURE_OF] + [len(words)]
    told: dict[str, list[int | None]] = {}
    for start, end in itertools.pairwise(starts):
        told.setdefault(MEASURE_OF[words[start]], []).append(_percent(words[start + 1 : end]))
    known = {fact.measure: [fact.percent] for fact in facts}
    n_wrong = sum(told.get(measure) != percent for measure, percent in known.items())
    is_opening = " ".join(words[: starts[0]]) in LOWER_OPENINGS
    n_wrong += not is_opening or not set(told) <= set(known)
    return Checked(len(facts), n_wrong or int(not _is_sentence(text)))


def _is_sentence(text: str) -> bool:
    """Return whether a text has the form of sentences to the letter, from its capital to its full stop."""
    return text[:1].isupper() and FORM.fullmatch(text[:1].lower() + text[1:]) is not None


def _percent(words: list[str]) -> int | None:
    """Return the change that the words behind a measure's name tell; None where they tell none, or anything else."""
    while words and words[-1] in BETWEEN:
        words = words[:-1]
    text = " ".join(words)
    if text in SAME:
        return 0
    match = CHANGED.fullmatch(text)
    if match is None:
        return None
    percent = (1 if match["verb"] in UP else -1) * int(match["percent"])
    if match["how"] == "more than":
        return {MIN_PERCENT: LEAST_PERCENT, MAX_PERCENT: MOST_PERCENT}.get(percent)
    return percent if MIN_PERCENT <= percent <= MAX_PERCENT else None


def as_vector(facts: Sequence[Fact]) -> NDArray[np.float32]:
    """Return an area's week as a vector of N_DIMS: for each measure, how near its change is to marks on a scale.

    Each mark has a bell of the width of their distance; one number more says whether the measure is known. A single
    number would leave it to the projector to tell 35 from 40 (ours). Changes beyond the marks are as the last one.
    """
    marks = np.linspace(*BIN_RANGE, N_BINS)
    vector = np.zeros((len(NAMES), N_BINS + 1), np.float32)
    for k, measure in enumerate(NAMES):
        for fact in facts:
            if fact.measure == measure:
                vector[k, :N_BINS] = np.exp(
                    -(((np.clip(fact.percent, *BIN_RANGE) - marks) / (marks[1] - marks[0])) ** 2)
                )
                vector[k, N_BINS] = 1
    return vector.ravel()


def as_text(facts: Sequence[Fact]) -> str:
    """Return facts as a list, for a prompt: `visits -35 %; distance +0 %; contacts beyond +200 %`."""
    return "; ".join(f"{NAMES[fact.measure]} {_signed(fact.percent)} %" for fact in facts)


def _signed(percent: int) -> str:
    told = int(np.clip(percent, MIN_PERCENT, MAX_PERCENT))
    return f"{told:+d}" if told == percent else f"beyond {told:+d}"
