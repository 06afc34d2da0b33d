"""What every registered model is tried on: small tables that it can learn from, and settings that make it quick."""

import numpy as np
import pandas as pd

from data_contracts import TABLES
from tests.people_models_rows import MONDAY, MONDAY_S, workers
from tests.stay_rows import as_times, through_contract

DAY_S = 86_400
CATEGORIES = ("Food > Café", "Food > Bar", "Shop > Clothes", "Leisure > Park")
N_POIS, N_GROUPS = 24, 3

PLACES = {
    "text_encoder": "hashed",
    "text_width": 8,
    "n_places_per_type": 6,
    "holdout_days": 7.0,
    "n_persons_per_kept_link": 2,
    "hgnn": {"width": 8, "fan_out": 4, "max_epochs": 3, "batch_size": 64},
    "towers": {"widths": [16, 8], "max_epochs": 2, "batch_size": 16, "n_folds": 2},
}
TEXTS = {
    "language_model": "tiny",
    "steps": 4,
    "steps_per_epoch": 2,
    "drawn_weeks": 20,
    "tested_weeks": 2,
    "batch_size": 4,
    "max_answer_tokens": 16,
}
PEOPLE = {"hidden": 8, "batch_size": 64, "max_epochs": 3, "n_replicates": 20}
SMALL = {
    "two_tower_hgnn": PLACES,
    "graph_foundation": PLACES,
    "week_summaries": TEXTS,
    "exploration_forecasts": PEOPLE,
    "employment_scores": PEOPLE,
}
"""Model → Params of training with which it takes about a second."""


def tables(n_devices=36, n_weeks=12, seed=0):
    """Return table name → rows of all devices, and the truth by contract name."""
    presence, truth = workers(n_devices, n_weeks * 2, seed)
    frames = {
        "pois": pois(seed),
        "visits": visits(n_devices, n_weeks, seed),
        "presence": presence,
        "region_changes": region_changes(),
    }
    return frames, {"employment_truth": truth}


def pois(seed=0):
    """Return POIS in three neighbourhoods, a kind each for some."""
    rng = np.random.default_rng([seed, 1])
    group = np.arange(N_POIS) % N_GROUPS
    return through_contract(
        pd.DataFrame(
            {
                "poi_id": [f"place-{k:03d}" for k in range(N_POIS)],
                "poi_category": pd.Series([CATEGORIES[k % len(CATEGORIES)] for k in range(N_POIS)], dtype="str"),
                "lon": -72.7 + 0.05 * group + rng.normal(0, 0.003, N_POIS),
                "lat": 41.7 + rng.normal(0, 0.003, N_POIS),
                "usual_dwell_s": np.nan,
                "weight": 1.0,
            }
        ),
        "pois",
    )


def visits(n_devices, n_weeks, seed=0):
    """Return VISITS of people who go to places of their neighbourhood, and now and then to none that is known."""
    rng, places = np.random.default_rng([seed, 2]), pois(seed)
    rows = []
    for device_id in rng.permutation(n_devices) * 1_000_003 + 17:
        group, known = int(device_id) % N_GROUPS, {}
        for day in range(7 * n_weeks):
            for turn in range(int(rng.integers(0, 3))):
                poi = int(rng.integers(N_POIS // N_GROUPS)) * N_GROUPS + group if rng.random() < 0.85 else -1
                rows.append((device_id, day, turn, poi, known.setdefault(poi, len(known)), len(known)))
    frame = pd.DataFrame(rows, columns=["device_id", "day", "turn", "poi", "location_id", "n_known"])
    frame = frame.sort_values(["device_id", "day", "turn"], ignore_index=True)
    start_s = MONDAY_S + frame["day"] * DAY_S + 36_000 + frame["turn"] * 7_200
    poi, n = frame["poi"].to_numpy(), len(frame)
    has_poi, n_stays = poi >= 0, np.ones(n, np.int64)
    ids = pd.Series(np.where(has_poi, places["poi_id"].to_numpy(object)[poi], None), dtype="str")
    found = pd.DataFrame(
        {
            "device_id": frame["device_id"].astype("int64"),
            "started_at": as_times(start_s.to_numpy()),
            "finished_at": as_times(start_s.to_numpy() + 3_600),
            "date": (MONDAY + frame["day"].to_numpy(np.int64)).astype("datetime64[s]"),
            "hour_of_week": ((frame["day"] % 7) * 24 + 10 + 2 * frame["turn"]).astype("int16"),
            "utc_offset_s": np.zeros(n, np.int32),
            "dwell_s": 3_600.0,
            "inferred_s": 0.0,
            "bridged_s": 0.0,
            "is_inferred": False,
            "n_stays": n_stays,
            "n_pings": n_stays * 5,
            "max_gap_s": 600.0,
            "location_id": frame["location_id"].astype("int32"),
            "lon": np.where(has_poi, places["lon"].to_numpy()[poi], -72.65),
            "lat": np.where(has_poi, places["lat"].to_numpy()[poi], 41.75),
            "tract_geoid": pd.Series(["09003000100"] * n, dtype="str"),
            "is_new": ~frame.duplicated(["device_id", "location_id"]),
            "poi_id": ids,
            "poi_category": pd.Series(
                np.where(has_poi, places["poi_category"].to_numpy(object)[poi], None), dtype="str"
            ),
            "poi_distance_m": np.where(has_poi, 10.0, np.nan),
            "poi_probability": np.where(has_poi, 0.9, np.nan),
            "candidate_poi_ids": [[one] if told else [] for one, told in zip(ids, has_poi, strict=True)],
            "candidate_probabilities": [[1.0] if told else [] for told in has_poi],
        }
    )
    return through_contract(found, "visits")


def region_changes(n_regions=3, n_weeks=2, measures=("visits", "contacts"), seed=0):
    """Return REGION_CHANGES of everybody, a row for each region, measure and day."""
    days = pd.date_range("2020-03-02", periods=7 * n_weeks)
    index = pd.MultiIndex.from_product([[f"{k:02}" for k in range(n_regions)], measures, days])
    rows = index.to_frame(index=False, name=["region_geoid", "measure", "date"])
    log_change = np.random.default_rng(seed).normal(-0.3, 0.2, len(rows))
    rows = rows.assign(axis="all", group="all", n_devices=20, mean=1.0, baseline=1.0, log_change=log_change)
    return rows.assign(log_change_others=np.nan)[TABLES["region_changes"].names]


def no_rows(name):
    """Return a frame of a table without rows."""
    return TABLES[name].schema.empty_table().to_pandas(date_as_object=False)
