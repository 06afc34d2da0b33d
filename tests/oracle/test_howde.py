"""The kernel of HoWDe against the published package, HoWDe 2.0.0 on Spark, device-day by device-day.

Both name the same places but where places tie: the package takes the one whose name a hash map comes upon first, we
the one with more hours. `tests.naive_home_work` says which days are ties.
"""

import numpy as np
import pandas as pd
import pytest

from pipeline.kernels.howde import DAY_S, HowdeRules, howde_days
from tests.benchmarks.howde_environment import run_howde, why_not
from tests.naive_home_work import naive_howde

pytestmark = pytest.mark.oracle
NAMES = {
    "range_window_home": "home_window_days",
    "f_hours_H": "min_home_hours",
    "f_hours_W": "min_work_hours",
    "f_days_W": "min_work_days",
}
COLUMNS = ["device_id", "location_id", "started_s", "finished_s"]


def compare(stops, folder, **settings):
    """Return our days and theirs in one frame, and check that all that differ are ties."""
    if why_not():
        pytest.skip(why_not())
    rules = HowdeRules(**{NAMES[name]: value for name, value in settings.items()})
    stops = stops.sort_values(["device_id", "started_s"], kind="stable", ignore_index=True)
    devices, first = np.unique(stops["device_id"].to_numpy(), return_index=True)
    arrays = (stops[name].to_numpy(np.int64) for name in ("started_s", "finished_s", "location_id"))
    found = howde_days(np.append(first, len(stops)), *arrays, rules)
    ours = pd.DataFrame({"device_id": devices[found.device], "day": found.day, "home": found.home, "work": found.work})
    theirs = run_howde(stops, folder, **settings).days
    both = ours.merge(theirs, on=["device_id", "day"], how="outer", suffixes=("", "_theirs"), indicator=True)
    assert (both["_merge"] == "both").all()
    differs = both[(both["home"] != both["home_theirs"]) | (both["work"] != both["work_theirs"])]
    for device, rows in differs.groupby("device_id"):
        mine = stops.loc[stops["device_id"] == device, ["started_s", "finished_s", "location_id"]]
        by_day = naive_howde(mine.to_numpy().tolist(), rules)
        for row in rows.itertuples():
            _, homes, _, works = by_day[row.day]
            assert row.home == row.home_theirs or {row.home, row.home_theirs} <= homes
            assert row.work == row.work_theirs or {row.work, row.work_theirs} <= works
    return both, len(differs)


def test_every_day_of_real_people(shared_data, tmp_path):
    path = shared_data / "howde_worldbank" / "stops.parquet"
    if not path.exists():
        pytest.skip(f"the labelled stops of HoWDe are not here ({path})")
    stops = pd.read_parquet(path).rename(
        columns={"useruuid": "device_id", "loc": "location_id", "start": "started_s", "end": "finished_s"}
    )
    both, n_ties = compare(stops.astype({"location_id": "int64"}), tmp_path)
    assert len(both) == 49_561
    assert (both["home"] >= 0).sum() == 26_758
    assert (both["work"] >= 0).sum() == 13_229
    assert (both["home"] == both["home_theirs"]).all()
    # 0.02 % of the days.
    assert n_ties < 20


def test_people_who_stop_anywhere_at_any_time(tmp_path):
    """Overlapping and short stops, silences, -1 for no place, windows of an odd length.

    No two stops are equally long and none lasts a whole day: which of equals has the hour is up to Spark.
    """
    rng = np.random.default_rng(3)
    frames = []
    for device in range(40):
        n = int(rng.integers(40, 250))
        starts = np.sort(rng.integers(0, 60 * DAY_S, n))
        around = rng.choice([50, 3_000, 30_000, 70_000], 2 * n) + rng.integers(0, 9_999, 2 * n)
        lengths = rng.permutation(np.unique(around))[:n]
        places = np.minimum(*rng.integers(-1, 4, (2, n)))
        frames.append(pd.DataFrame(dict(zip(COLUMNS, (device, places, starts, starts + lengths), strict=True))))
    settings = {"range_window_home": 21, "f_hours_H": 0.4, "f_hours_W": 0.2, "f_days_W": 0.8}
    both, n_ties = compare(pd.concat(frames), tmp_path, **settings)
    assert (both["home"] >= 0).mean() > 0.1
    assert (both["work"] >= 0).mean() > 0.1
    assert n_ties < 0.02 * len(both)
