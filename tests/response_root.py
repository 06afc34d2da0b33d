"""A root with every table of policies and risk, made by hand: eight counties of four states, 26 weeks of 2020.

What changes is made of known coefficients, so that figures look as those of a real study do.
"""

import numpy as np
import pandas as pd
import shapely

from data_contracts import (
    NPI_EVENTS,
    NPI_FITS,
    NPI_ORDERS,
    NPI_POLICIES,
    NPI_RESPONSE,
    REGION_CHANGES,
    TRACTS,
)
from pipeline.engine.store import ALL, Store
from pipeline.study import Study
from tests.people_root import as_table

N_WEEKS = 26
DATES = pd.date_range("2020-01-06", periods=7 * N_WEEKS, freq="D", unit="ns")
COUNTIES = ("04013", "04019", "21067", "21111", "36047", "36061", "40109", "40143")
STATES = ("04", "21", "36", "40")
AREAS = tuple(f"{county}{k:06d}" for county in COUNTIES for k in (100, 200))
EFFECTS = {
    "visits": (-0.5, -0.10), "visits:home": (0.1, 0.02), "visits:work": (-0.7, -0.05), "visits:other": (-0.4, -0.1),
    "visits:venue": (-0.9, -0.15), "visits:venue:Food": (-0.8, -0.1), "visits:venue:Retail": (-0.5, -0.1),
    "visits:venue:Arts and Entertainment": (-1.4, -0.2), "minutes:home": (0.2, 0.05), "minutes:work": (-0.6, 0.0),
    "minutes:venue": (-0.8, -0.1), "minutes:venue:Food": (-0.7, -0.1), "minutes:other": (-0.3, 0.0),
    "distance_m": (-0.7, -0.1), "gyration_m": (-0.6, -0.1), "contacts": (-1.2, -0.2), "contact_minutes": (-1.0, -0.1),
    "routine_share": (0.15, 0.02), "predictability": (0.1, 0.01),
}  # fmt: skip
"""Measure → log effect of full stringency, and of one in severity; what is left wears off by a third in half a year."""
MODELLED = (
    "visits", "visits:venue", "visits:venue:Food", "visits:venue:Retail", "visits:venue:Arts and Entertainment",
    "minutes:home", "minutes:venue", "distance_m", "gyration_m", "contacts", "routine_share", "predictability",
)  # fmt: skip
MODELS = ("nothing", "stringency", "severity", "weeks", "log_weeks", "exposure", "forgetting")
GROUPS = (("income", "high"), ("income", "low"), ("age", "from_55"), ("race", "black_or_african_american"))
ORDERS = {
    "stay_at_home": ("2020-03-23", 7),
    "restaurants_closed": ("2020-03-16", 4),
    "schools_closed": ("2020-03-14", 2),
}
"""Kind of order → its first date, and how many days each state is later than the one before."""


def study_of(**fields) -> Study:
    """The study behind the root; none of its files exist."""
    values = {
        "name": "response",
        "start": "2020-01-06",
        "end": "2020-07-05",
        "zone": "America/New_York",
        "sources": [],
        "tracts": {"path": "tracts.geojson", "id_column": "tract_geoid", "population_column": "population"},
        "npi_policies": {"path": "policies.csv"},
        "npi_orders": {"path": "orders.csv"},
        "epidemic": {"path": "epidemic.csv"},
    }
    return Study.from_dict({name: value for name, value in (values | fields).items() if value is not None})


def write_response(root) -> Store:
    """Write all tables under `root`."""
    store = Store(root)
    for table, frame in (
        (TRACTS, tracts()),
        (NPI_POLICIES, npi_policies()),
        (NPI_ORDERS, npi_orders()),
        (REGION_CHANGES, region_changes()),
        (NPI_FITS, npi_fits()),
        (NPI_RESPONSE, npi_response()),
        (NPI_EVENTS, npi_events()),
    ):
        store.write(table, ALL, as_table(table, frame), {})
    return store


def tracts() -> pd.DataFrame:
    """Two areas a county, counties in two rows of squares; the last is nobody's home."""
    at = [(k % 8, k // 8) for k in range(len(AREAS))]
    shapes = [shapely.to_wkb(shapely.box(-100 + x, 35 + y, -99 + x, 36 + y)) for x, y in at]
    return pd.DataFrame({"tract_geoid": AREAS, "population": 1000.0, "geometry": shapes})


def stringency_of(state: str) -> np.ndarray:
    """Stringency by day: strict from March on, sooner and for longer in some states than in others."""
    later = 4 * STATES.index(state)
    day = np.arange(len(DATES)) - later
    steps = np.select([day < 60, day < 70, day < 77, day < 120 + later, day < 150], [0.0, 12.0, 50.0, 82.0, 65.0], 48.0)
    return steps - 6.0 * STATES.index(state) * (steps > 40)


def severity_of(state: str) -> np.ndarray:
    """Severity by day: one wave, whose height differs by state."""
    day = np.arange(len(DATES))
    return (0.4 + 0.3 * STATES.index(state)) * np.exp(-0.5 * ((day - 100) / 18) ** 2)


def npi_policies() -> pd.DataFrame:
    """Policies of four states."""
    parts = [pd.DataFrame({"region_geoid": s, "date": DATES, "stringency": stringency_of(s)}) for s in STATES]
    return pd.concat(parts, ignore_index=True)


def npi_orders() -> pd.DataFrame:
    """Three kinds of order, one of which a state never gave."""
    rows = [
        (state, order, pd.Timestamp(first) + pd.Timedelta(days=later * k))
        for order, (first, later) in ORDERS.items()
        for k, state in enumerate(STATES)
    ]
    frame = pd.DataFrame(rows, columns=["region_geoid", "order", "ordered_on"])
    never = (frame["region_geoid"] == "40") & (frame["order"] == "stay_at_home")
    return frame.assign(ordered_on=frame["ordered_on"].mask(never))


def region_changes() -> pd.DataFrame:
    """Changes of everybody, everywhere and by county; contacts of one county are too few in February."""
    rng, parts = np.random.default_rng(3), []
    for k, region in enumerate(("all", *COUNTIES)):
        states = STATES if region == "all" else (region[:2],)
        stringency, severity = (np.mean([of(s) for s in states], axis=0) for of in (stringency_of, severity_of))
        fading = 1 - np.clip((np.arange(len(DATES)) - 80) / 300, 0, 0.34)
        for measure, (of_policy, of_severity) in EFFECTS.items():
            change = (of_policy * stringency / 100 + of_severity * severity) * fading + rng.normal(0, 0.04, len(DATES))
            usual = 4.0 if measure.count(":") < 2 else {"Food": 1.0, "Retail": 0.8}.get(measure.split(":")[2], 0.2)
            part = pd.DataFrame({"date": DATES, "log_change": change, "mean": usual * np.exp(change)})
            part = part.assign(region_geoid=region, measure=measure, baseline=usual, n_devices=900 if not k else 60 + k)
            is_few = (measure == "contacts") & (region == "36061") & part["date"].dt.month.eq(2)
            parts.append(part[~is_few])
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(axis="all", group="all", log_change_others=np.nan)


def npi_fits() -> pd.DataFrame:
    """Adaptation wins clearly in most measures, by chance in one, stringency alone in one, and nothing in another."""
    rows = []
    for k, measure in enumerate(MODELLED):
        for axis, group in (("all", "all"), *GROUPS):
            base = 0.10 + 0.01 * k
            lower = {"nothing": -0.12, "stringency": 0.0, "severity": 0.01, "weeks": 0.025, "log_weeks": 0.03,
                     "exposure": 0.02, "forgetting": 0.015}  # fmt: skip
            if measure == "routine_share":
                lower = dict.fromkeys(MODELS, -0.01) | {"stringency": 0.0}
            if measure == "predictability":
                lower = dict.fromkeys(MODELS, -0.01) | {"nothing": 0.02, "stringency": 0.0}
            best = max((name for name in MODELS if name != "nothing"), key=lambda name: lower[name])
            half = 0.05 if measure == "contacts" else 0.01
            for model in MODELS:
                gain = lower[model]
                explained = np.nan if model == "nothing" else 0.6 + gain
                error = (base - gain, gain, gain - half, gain + half)
                counts = (8, 540, 208, 4)
                rows.append((measure, axis, group, model, *counts, explained, explained - 0.05, *error, model == best))
    return pd.DataFrame(rows, columns=NPI_FITS.names)


def npi_response() -> pd.DataFrame:
    """Fixed and mixed coefficients of everybody, and differences of groups; the interval of one is not known."""
    rows = []
    for k, measure in enumerate(MODELLED):
        model = {"routine_share": "stringency", "predictability": "stringency"}.get(measure, "log_weeks")
        terms = ("stringency",) if model == "stringency" else ("stringency", "severity", "adaptation")
        policy, severity = EFFECTS[measure]
        for term in terms:
            effect = {"stringency": policy, "severity": severity, "adaptation": -0.1 * policy}[term]
            for estimator, axis, group in (
                ("fixed", "all", "all"), ("mixed", "all", "all"), *(("difference", *group) for group in GROUPS),
            ):  # fmt: skip
                size = effect if axis == "all" else effect * (0.3 - 0.2 * GROUPS.index((axis, group)))
                size += 0.01 if estimator == "mixed" else 0.0
                error = 0.05 + 0.15 * abs(effect)
                p = float(np.exp(-0.5 * (size / error) ** 2))
                counts = (8, 540, 208, 0 if term == "stringency" else 7)
                interval = (size, error, size - 1.96 * error, size + 1.96 * error, p, min(1.0, 20 * p), 4)
                rows.append((measure, axis, group, estimator, model, term, *counts, *interval))
        if k == 0:
            rows[1] = (*rows[1][:11], np.nan, np.nan, np.nan, np.nan, np.nan, 1)
    return pd.DataFrame(rows, columns=NPI_RESPONSE.names)


def npi_events() -> pd.DataFrame:
    """Three kinds of order; before schools were closed, regions differed already."""
    rows = []
    for order in ORDERS:
        for measure in ("visits", "visits:venue", "minutes:venue", "gyration_m", "contacts"):
            size, before = EFFECTS[measure][0], order == "schools_closed"
            for week in range(-4, 7):
                effect = size * min(week + 1, 3) / 6 if week >= 0 else 0.06 * before * (week + 1)
                error = 0.0 if week == -1 else 0.05
                rows.append((measure, order, week, 6, 2, 300, effect, error, effect - 1.96 * error,
                             effect + 1.96 * error, 0.003 if before else 0.41))  # fmt: skip
    return pd.DataFrame(rows, columns=NPI_EVENTS.names)
