"""Measures, models, terms and regions of the study of policies as a reader is told them."""

from __future__ import annotations

from collections.abc import Mapping
from math import expm1

from pipeline.npi_drivers import ADAPTATIONS, NpiParams

EVERYWHERE = "all"
TITLES = {
    "visits": "Visits",
    "minutes": "Time at places",
    "distance_m": "Distance travelled",
    "gyration_m": "Radius of gyration",
    "contacts": "People met",
    "contact_minutes": "Time with people met",
    "contacts_weighted": "People met, corrected for the sample",
    "household_minutes": "Time with the household",
    "repeated_contacts": "People met again",
    "n_routines": "Routines",
    "routine_share": "Share of visits in routines",
    "routine_length": "Length of routines",
    "entropy_rate_bits": "Entropy rate",
    "predictability": "Predictability",
}
"""Measure → its title; what follows a colon in a measure is told by `measure_title`."""
KINDS = {"home": "at home", "work": "at work", "venue": "at venues", "other": "at other places"}
FAMILIES = {
    "Visits": ("visits", "visits:venue"),
    "Time": ("minutes:home", "minutes:work", "minutes:venue"),
    "Contacts": ("contacts", "contact_minutes"),
    "Routines": ("routine_share", "entropy_rate_bits", "predictability"),
    "Distances": ("distance_m", "gyration_m"),
}
"""What is drawn side by side, a plot each."""
LEADING = ("visits", "minutes:venue", "gyration_m", "contacts", "routine_share")
"""Measures that are drawn by region and on maps, where there are any of them (ours: the page stays readable)."""
NOTHING_WORDS = "“nothing”"
"""The candidate without any term, which the notes below the tables explain: it differs by the effects taken out."""
MODEL_WORDS = {
    "nothing": "Nothing",
    "stringency": "Stringency alone",
    "severity": "With severity",
    "weeks": "… and weeks",
    "log_weeks": "… and log of weeks",
    "exposure": "… and exposure",
    "forgetting": "… and forgetting",
}
"""Candidate → its name, in the order they are shown."""
ADAPTATION_WORDS = {
    "weeks": "weeks since the first local death",
    "log_weeks": "the logarithm of weeks since the first local death",
    "exposure": "severity summed over the past",
    "forgetting": "past severity that is forgotten",
}
ADAPTATION_UNITS = {
    "weeks": "ten weeks since the first local death",
    "log_weeks": "one more in ln(1 + weeks since the first local death)",
    "exposure": "ten weeks of a severity of one",
    "forgetting": "one more in past severity, weighed by how long ago",
}
TERM_TITLES = {"stringency": "Stringency", "severity": "Severity", "adaptation": "Adaptation"}


def measure_title(measure: str) -> str:
    """Return the title of a measure: "visits:venue:Food" is told as "Visits at venues: Food"."""
    base, *parts = measure.split(":")
    title = TITLES.get(base, base.replace("_", " ").capitalize())
    if not parts:
        return title
    stem = "Time" if base == "minutes" else title
    kind = KINDS.get(parts[0], parts[0])
    return f"{stem} {kind}" + (f": {': '.join(parts[1:])}" if parts[1:] else "")


def region_title(region: str, names: Mapping[str, str]) -> str:
    """Return what a region is called: its name where it has one, else its id."""
    return names.get(region, "All regions" if region == EVERYWHERE else f"Region {region}")


def term_units(term: str, model: str, params: NpiParams) -> str:
    """Return the unit of a term in words: what its coefficient is the answer to one of."""
    if term == "stringency":
        return "from no policies to the strictest (0 to 100)"
    if term == "severity":
        counted = f"weekly {params.severity} per 100,000 residents"
        return f"one more in ln(1 + {counted})" if params.severity_scale == "log1p" else f"one more {counted}"
    return ADAPTATION_UNITS[model]


def model_words(model: str) -> str:
    """Return a candidate within a sentence."""
    if model in ADAPTATIONS:
        return f"stringency, severity and adaptation ({ADAPTATION_WORDS[model]})"
    return {"nothing": NOTHING_WORDS, "stringency": "stringency alone", "severity": "stringency and severity"}[model]


def format_change(log_change: float) -> str:
    """Return a log change as a change in per cent with its sign; a dash for one that does not exist."""
    if log_change != log_change:
        return "–"
    percent = 100 * expm1(log_change)
    digits = 1 if abs(percent) < 9.95 else 0
    return f"{percent:+,.{digits}f}\N{NO-BREAK SPACE}%".replace("-", "\N{MINUS SIGN}")


def fold(label: str, most: int) -> str:
    """Return a label on two lines where it is longer than `most`, broken at the space nearest its middle."""
    spaces = [k for k, letter in enumerate(label) if letter == " "]
    if len(label) <= most or not spaces:
        return label
    at = min(spaces, key=lambda k: abs(k - len(label) / 2))
    return label[:at] + "\n" + label[at + 1 :]
