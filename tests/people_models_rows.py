"""Small artificial cities as models of people see them: explorers with a taste, and workers who lose their jobs."""

import numpy as np
import pandas as pd

from tests.stay_rows import as_times, through_contract

MONDAY = np.datetime64("2024-01-01")
MONDAY_S = 1_704_067_200
DAY_S = 86_400
KINDS = ("Food > Café", "Shop: clothes", "Leisure")


def make_visits(rows):
    """VISITS from (device, day since MONDAY, location, category or None), in any order; one starts each minute."""
    frame = pd.DataFrame(rows, columns=["device_id", "day", "location_id", "poi_category"])
    minute = frame.groupby(["device_id", "day"]).cumcount().to_numpy()
    start_s = MONDAY_S + frame["day"].to_numpy(np.int64) * DAY_S + 36_000 + minute * 60
    n = len(frame)
    found = pd.DataFrame(
        {
            "device_id": frame["device_id"].to_numpy(np.int64),
            "started_at": as_times(start_s),
            "finished_at": as_times(start_s + 30),
            "date": (MONDAY + frame["day"].to_numpy(np.int64)).astype("datetime64[s]"),
            "utc_offset_s": np.zeros(n, np.int32),
            "is_inferred": np.zeros(n, bool),
            "location_id": frame["location_id"].to_numpy(np.int32),
            "poi_category": pd.Series(frame["poi_category"].to_numpy(object), dtype="str"),
        }
    )
    return found.sort_values(["device_id", "started_at"], ignore_index=True)


def explorers(n_devices=80, n_weeks=20, seed=0):
    """VISITS of people who go to new places as often as they are curious, and to the kind they like."""
    rng = np.random.default_rng(seed)
    rows = []
    for device_id in rng.permutation(n_devices) * 1_000_003 + 17:
        curiosity, taste, n_places, phase = rng.beta(1.0, 1.0), rng.integers(3), 0, rng.integers(2)
        for week in range(n_weeks):
            # Every other week is a quiet one: a share of past weeks does not know which, lags do.
            is_on = (week + phase) % 2 == 0
            for _ in range(4):
                is_new = n_places == 0 or rng.random() < curiosity * (0.6 if is_on else 0.05)
                place = n_places if is_new else int(rng.integers(n_places))
                kind = KINDS[taste if rng.random() < 0.7 else rng.integers(3)] if is_new else None
                n_places += is_new
                rows.append((device_id, 7 * week + int(rng.integers(6)), place, kind))
            rows.append((device_id, 7 * week + 6, 0, None))
    return make_visits(rows)


def workers(n_devices=60, n_weeks=26, seed=0, weekly_loss=0.02):
    """PRESENCE and EMPLOYMENT_TRUTH of people who lose jobs for some weeks, go on leave, and are not always seen."""
    rng = np.random.default_rng(seed)
    rows, truth = [], []
    for device_id in rng.permutation(n_devices) * 1_000_003 + 17:
        out_until = leave_until = 0
        for week in range(n_weeks):
            if week >= max(out_until, 4) and rng.random() < weekly_loss:
                out_until = week + int(rng.integers(2, 20))
            if rng.random() < 0.03:
                leave_until = week + int(rng.integers(1, 4))
            is_out, is_seen = week < out_until, rng.random() < 0.9
            n_visits = 0 if is_out or week < leave_until else rng.binomial(5, 0.9)
            stray = rng.random() < 0.1
            ratio = (n_visits + stray) / 5 if is_seen else np.nan
            rows.append((device_id, week, is_seen, ratio, is_seen and ratio <= 0.25))
            truth.append((device_id, week, not is_out))
    return presence_of(rows), truth_of(truth)


def presence_of(rows):
    """PRESENCE from (device, week, is observed, ratio of visits and of hours, is absent)."""
    frame = pd.DataFrame(rows, columns=["device_id", "week", "is_observed", "ratio", "is_absent"])
    frame = frame.sort_values(["device_id", "week"], ignore_index=True)
    n, monday = len(frame), (MONDAY + 7 * frame["week"].to_numpy(np.int64)).astype("datetime64[s]")
    nothing = pd.Series(np.full(n, np.datetime64("NaT", "s")))
    found = pd.DataFrame(
        {
            "device_id": frame["device_id"].astype("int64"),
            "window_started": monday,
            "home_tract_geoid": pd.Series([None] * n, dtype="str"),
            "work_location_id": np.ones(n, np.int32),
            "work_tract_geoid": pd.Series([None] * n, dtype="str"),
            "n_observed_days": np.where(frame["is_observed"], 7, 0),
            "is_observed": frame["is_observed"].astype(bool),
            "n_work_visits": 0,
            "work_dwell_s": frame["ratio"].fillna(0.0).astype(float) * 40 * 3600,
            "expected_visits": 5.0,
            "visit_ratio": frame["ratio"].astype(float),
            "hours_ratio": frame["ratio"].astype(float),
            "is_absent": frame["is_absent"].astype(bool),
            "has_new_work": False,
            "is_at_risk": False,
            "is_undecided": False,
            "absent_since_on": nothing,
            "known_on": nothing,
        }
    )
    return through_contract(found, "presence")


def truth_of(rows):
    """EMPLOYMENT_TRUTH from (device, week, is employed)."""
    frame = pd.DataFrame(rows, columns=["device_id", "week", "is_employed"])
    monday = (MONDAY + 7 * frame["week"].to_numpy(np.int64)).astype("datetime64[s]")
    found = frame[["device_id"]].assign(window_started=monday, is_employed=frame["is_employed"].astype(bool))
    return through_contract(found.sort_values(["device_id", "window_started"], ignore_index=True), "employment_truth")


def in_buckets(frame, n_buckets, seed=0):
    """The rows of a table over so many buckets, in a random order of rows."""
    mixed = frame.sample(frac=1.0, random_state=seed)
    return [mixed[mixed["device_id"] % n_buckets == k] for k in range(n_buckets)]
