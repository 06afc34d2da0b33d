"""A root with every table of people, made by hand: sixty devices in three buckets, twenty weeks from January 2020."""

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from data_contracts import (
    COVERAGE,
    DEMOGRAPHICS,
    EMPLOYMENT,
    EMPLOYMENT_EFFECTS,
    HOME_WORK,
    OFFICIAL_RATES,
    PANEL_WEIGHTS,
    SECTOR_ABSENCE,
    TRACTS,
    UNEMPLOYMENT,
)
from pipeline.engine.store import ALL, ShardKey, Store
from pipeline.study import Study

N_DEVICES, N_WORKERS, N_BUCKETS, N_WEEKS = 60, 40, 3, 20
MONDAYS = pd.date_range("2020-01-06", periods=N_WEEKS, freq="7D", unit="s")
MONTHS = pd.date_range("2020-01-01", periods=5, freq="MS", unit="s")
DEVICES = np.sort(np.random.default_rng(7).integers(-(2**62), 2**62, N_DEVICES))
AREAS = ("36061000100", "36061000200", "36061000300", "36061000400")
SEVEN_OF_HOMES = range(7)
"""Devices with two baseline homes."""


def study_of(**fields) -> Study:
    """The study behind the root; none of its files exist."""
    values = {
        "name": "people",
        "start": "2020-01-06",
        "end": "2020-05-24",
        "zone": "America/New_York",
        "sources": [],
        "tracts": {"path": "tracts.geojson", "id_column": "tract_geoid", "population_column": "population"},
        "demographics": {"path": "d.csv", "preset": "lodes_rac"},
        "jobs": {"path": "jobs.csv"},
        "telework": {"path": "t.csv"},
        "official_rates": {"laus_path": "laus.xlsx"},
        "params": {
            "sector_absence": {
                "telework_uptake": 0.1,
                "telework_spans": [{"start": "2020-03-16", "end": "2020-05-15", "uptake": 0.9}],
            }
        },
    }
    return Study.from_dict({name: value for name, value in (values | fields).items() if value is not None})


def write_people(root) -> Store:
    """Write all tables under `root`."""
    store = Store(root)
    for table, frame in ((COVERAGE, coverage()), (HOME_WORK, home_work()), (EMPLOYMENT, employment())):
        write_buckets(store, table, frame)
    frames = {
        TRACTS.name: (TRACTS, tracts()),
        DEMOGRAPHICS.name: (DEMOGRAPHICS, demographics()),
        SECTOR_ABSENCE.name: (SECTOR_ABSENCE, sector_absence()),
        PANEL_WEIGHTS.name: (PANEL_WEIGHTS, panel_weights()),
        UNEMPLOYMENT.name: (UNEMPLOYMENT, unemployment()),
        OFFICIAL_RATES.name: (OFFICIAL_RATES, official_rates()),
        EMPLOYMENT_EFFECTS.name: (EMPLOYMENT_EFFECTS, employment_effects()),
    }
    for table, frame in frames.values():
        store.write(table, ALL, as_table(table, frame), {})
    return store


def write_buckets(store: Store, table, frame: pd.DataFrame) -> None:
    """Write the rows of each bucket of devices; of dated tables all under one date."""
    day = MONDAYS[0].date() if table is COVERAGE else None
    bucket = np.searchsorted(DEVICES, frame["device_id"]) % N_BUCKETS
    for k in range(N_BUCKETS):
        store.write(table, ShardKey(day, k), as_table(table, frame[bucket == k]), {})


def as_table(table, frame: pd.DataFrame) -> pa.Table:
    """Return a frame as the contract has it, rows in key order."""
    ordered = frame[table.names].sort_values(list(table.key), ignore_index=True)
    return pa.Table.from_pandas(ordered, table.schema, preserve_index=False)


def coverage() -> pd.DataFrame:
    """A day with pings in each week; three devices fall silent after ten."""
    device, week = (grid.ravel() for grid in np.meshgrid(np.arange(N_DEVICES), np.arange(N_WEEKS), indexing="ij"))
    seen = (device >= 3) | (week < 10)
    frame = pd.DataFrame({"device_id": DEVICES[device[seen]], "date": MONDAYS[week[seen]] + pd.Timedelta(days=2)})
    counted = {name: 9 for name in COVERAGE.names if name not in ("device_id", "date")}
    return frame.assign(**counted)


def home_work() -> pd.DataFrame:
    """Homes of all but twelve devices, two for seven of them; workplaces of forty, from the fifth week on."""
    rows = []
    last = MONDAYS[7] + pd.Timedelta(days=6)
    for k, device in enumerate(DEVICES[:48]):
        for rank in range(1, 3 if k in SEVEN_OF_HOMES else 2):
            rows.append((device, "baseline", MONDAYS[0], last, "home", rank, rank, 0.8 + 0.004 * k))
        rows += [(device, "moving", day, day + pd.Timedelta(days=6), "home", 1, 1, 0.9) for day in MONDAYS]
    for k, device in enumerate(DEVICES[:N_WORKERS]):
        rows.append((device, "baseline", MONDAYS[0], last, "work", 1, 5, 0.55 + 0.01 * k))
        rows += [(device, "moving", day, day + pd.Timedelta(days=6), "work", 1, 5, 0.7) for day in MONDAYS[4:]]
    names = ["device_id", "span", "window_started", "window_finished", "role", "rank", "location_id", "confidence"]
    return pd.DataFrame(rows, columns=names).assign(tract_geoid=AREAS[0], n_days=20, share=0.5)


def employment() -> pd.DataFrame:
    """Twelve of forty lose the job in the eleventh week, eleven work away from then on, nine of them for four weeks."""
    rows = []
    for k, device in enumerate(DEVICES[:N_WORKERS]):
        for week, day in enumerate(MONDAYS):
            status = "employed"
            if week >= 10 and k < 12:
                status = "not_employed"
            elif week >= 10 and k < 23:
                status = "remote" if week < 14 or k < 14 else "employed"
            if k >= 35 and week == 19:
                status = "unknown"
            rows.append((device, day, status))
    frame = pd.DataFrame(rows, columns=["device_id", "window_started", "status"])
    lost = frame["status"] == "not_employed"
    return frame.assign(
        home_tract_geoid=AREAS[0],
        sector="72",
        visit_ratio=1.0,
        hours_ratio=1.0,
        is_at_risk=frame["status"].isin(["not_employed", "remote"]),
        is_undecided=False,
        loss_probability=np.where(lost, 0.9, 0.0),
        lost_on=pd.Series([MONDAYS[10]] * len(frame)).where(lost),
        known_on=pd.Series([MONDAYS[13]] * len(frame)).where(lost),
    )


def sector_absence() -> pd.DataFrame:
    """Three industries, one with too few devices, and a wave of telework from the eleventh week on."""
    rows = []
    for week, day in enumerate(MONDAYS):
        for sector, weight, absent in (("11", 2.5, 0.4), ("44-45", 15.0, 0.1), ("72", 20.0, 0.2)):
            waves = [("none", pd.NaT, absent / 4, 0.0)]
            if week >= 10:
                waves.append(("2020-03-16", MONDAYS[10], absent * (2 if week == 12 else 1), absent / 2))
            for wave, since, at_risk, telework in waves:
                loss = 1 - min(telework / at_risk, 1.0)
                rows.append((day, wave, since, since, sector, weight, at_risk, telework, loss))
    names = ["window_started", "wave", "wave_started_on", "wave_finished_on", "sector", "weight"]
    frame = pd.DataFrame(rows, columns=[*names, "at_risk_share", "telework_share", "loss_probability"])
    return frame.assign(assignment="fractional", n_devices=30)


def tracts() -> pd.DataFrame:
    """Four areas, the last of which is nobody's home."""
    shapes = [shapely.to_wkb(shapely.box(-74 + k, 40, -73 + k, 41)) for k in range(4)]
    return pd.DataFrame({"tract_geoid": AREAS, "population": [1000.0, 2000.0, 3000.0, 4000.0], "geometry": shapes})


def demographics() -> pd.DataFrame:
    """Two sexes everywhere, two ages in the first three areas, an education in one home area of nine devices."""
    rows = [(area, "sex", group, 40.0 + 5 * k) for k, area in enumerate(AREAS) for group in ("female", "male")]
    rows += [(area, "age", "from_55", 10.0 + 20 * k) for k, area in enumerate(AREAS[:3])]
    rows += [(area, "age", "to_54", 90.0) for area in AREAS[:3]]
    rows += [(AREAS[2], "education", group, 50.0) for group in ("none", "some")]
    return pd.DataFrame(rows, columns=["tract_geoid", "axis", "group", "n_persons"])


def panel_weights() -> pd.DataFrame:
    """Homes of forty-eight devices in three areas."""
    return pd.DataFrame(
        {
            "home_tract_geoid": AREAS[:3],
            "n_devices": [25, 14, 9],
            "population": [1000.0, 2000.0, 3000.0],
            "pool_geoid": AREAS[:3],
            "area_weight": [0.5, 1.2, 2.0777],
            "raked_weight": [0.6, 1.1, 1.9555],
            "raked_gap": 0.002,
        }
    )


def unemployment() -> pd.DataFrame:
    """The whole study, a state and a county, by week and month, unweighted and raked.

    Raked rates are a half higher; those of the last month are provisional.
    """
    rows = []
    for window, starts in (("week", MONDAYS), ("month", MONTHS)):
        for k, day in enumerate(starts):
            rate = 0.02 + 0.2 * k / len(starts) + 0.01 * (k % 3)
            for region in ("all", "36", "36061"):
                for weighting, factor in (("none", 1.0), ("raked", 1.5)):
                    value = rate * factor
                    rows.append((region, window, day, weighting, 38, 33.3, value, 0.8 * value, 1.2 * value))
    names = ["region_geoid", "window", "window_started", "weighting", "n_devices", "n_effective"]
    frame = pd.DataFrame(rows, columns=[*names, "rate", "rate_low", "rate_high"])
    return frame.assign(is_provisional=(frame["window"] == "month") & (frame["window_started"] == MONTHS[4]))


def official_rates() -> pd.DataFrame:
    """A state's LAUS rate, in another state too, and continued claims of the state by week."""
    rows = [
        (state, "laus_rate", "month", day, 0.04 + 0.02 * k) for state in ("36", "04") for k, day in enumerate(MONTHS)
    ]
    rows += [("36", "continued_claims", "week", day, 0.01 + 0.005 * k) for k, day in enumerate(MONDAYS)]
    return pd.DataFrame(rows, columns=["region_geoid", "series", "window", "window_started", "value"])


def employment_effects() -> pd.DataFrame:
    """Everybody and three groups over six months; in the last month everybody alone."""
    rows = []
    for measure, size in (("gyration_m", -800.0), ("n_familiar", -0.7), ("n_new_locations", -1.25)):
        for axis, group, n in (("all", "all", 30), ("age", "from_55", 12), ("sex", "female", 15), ("sex", "male", 14)):
            for month in range(-3, 4):
                if month == 3 and axis != "all":
                    continue
                estimate = size * (month + 1) / 2 if month >= 0 else size * 0.02 * (month + 1)
                error = 0.0 if month == -1 else abs(size) / 4
                rows.append((measure, axis, group, month, n, 60, estimate, error, 1e-4 if month > 0 else 0.5))
    names = ["measure", "axis", "group", "months_since_loss", "n_devices", "n_controls"]
    frame = pd.DataFrame(rows, columns=[*names, "estimate", "std_error", "p_value"])
    return frame.assign(
        estimate_low=frame["estimate"] - 1.96 * frame["std_error"],
        estimate_high=frame["estimate"] + 1.96 * frame["std_error"],
        p_adjusted=np.where(frame["p_value"] < 0.01, 0.003, 1.0),
        control_mean=5.0,
    )
