"""No sum or difference of what several vintages released stands for a few devices."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts import REGION_CHANGES
from pipeline.export.register import read_register, registered
from pipeline.export.vintages import settle
from pipeline.suppression import Margin, hide
from tests.naive_release import naive_few

FEW = 4
MOST_ROWS = 8
"""3 to the power of it are the sums that an attacker tries: a few milliseconds."""
NAMES = ("11", "12", "2")


def vintage(homes, present, values):
    """region_changes of one day, and the devices of each row: of the regions of homes, those inside them and all."""
    members = {}
    for device in np.flatnonzero(present):
        for region in {homes[device], homes[device][:1], "all"} - {""}:
            members.setdefault(region, set()).add(device)
    frame = pd.DataFrame({"region_geoid": sorted(members)}).astype("str")
    frame["n_devices"] = [len(members[name]) for name in frame["region_geoid"]]
    frame["mean"] = [values[list(members[name])].sum() for name in frame["region_geoid"]]
    frame = frame.assign(axis="all", group="all", date=pd.Timestamp("2020-01-06"), measure="visits")
    frame = frame.assign(baseline=1.0, log_change=np.nan, log_change_others=np.nan)
    state = hide(frame, ["region_geoid"], [Margin("region_geoid", digits=(1,), is_partition=True)], [], FEW)
    return frame.loc[state == "shown", REGION_CHANGES.names].reset_index(drop=True), members


def released_vintages(seed, n_vintages, tmp):
    """Return the sets of devices behind all rows that were ever released, and how many rows stayed as they were."""
    chance = np.random.default_rng(seed)
    n = int(chance.integers(10, 60))
    homes = chance.choice([*NAMES, ""], n, p=[0.4, 0.3, 0.2, 0.1])
    values = 2.0 ** chance.uniform(0, 9, n)
    present = chance.random(n) < 0.8
    past, sets, n_kept = read_register(tmp, REGION_CHANGES), {}, 0
    for _ in range(n_vintages):
        rows, members = vintage(homes, present, values)
        behind = {(name, mean): members[name] for name, mean in zip(rows["region_geoid"], rows["mean"], strict=True)}
        settled = settle(rows, past, REGION_CHANGES, FEW)
        past = registered(past, settled.rows, REGION_CHANGES)
        for row in zip(settled.rows["region_geoid"], settled.rows["mean"], strict=True):
            sets.setdefault(row, behind.get(row))
        n_kept += settled.n_kept
        # A few come or go, or many.
        present = present ^ (chance.random(n) < chance.choice([0.02, 0.1, 0.5]))
    return sets, n_kept


@given(st.integers(0, 2**32), st.integers(2, 3))
@settings(max_examples=40, deadline=None)
def test_vintages_tell_of_nobody(tmp_path_factory, seed, n_vintages):
    sets, _ = released_vintages(seed, n_vintages, tmp_path_factory.getbasetemp() / "none")
    assert None not in sets.values(), "only what was released, or is in this vintage, is released"
    assert len(sets) > MOST_ROWS or not naive_few(sets, FEW)


def test_without_a_register_vintages_would_tell():
    homes, values = np.array(["11"] * 12), np.ones(12)
    first, second = (vintage(homes, np.arange(12) < n, values)[1]["all"] for n in (12, 11))
    assert naive_few({1: first, 2: second}, FEW) == [(1, -1)]


def test_register_holds_every_row_ever_released(tmp_path):
    past = read_register(tmp_path, REGION_CHANGES)
    homes, values = np.array(["11"] * 12 + ["2"] * 30), np.ones(42)
    for n in (20, 30, 20, 20):
        past = registered(past, vintage(homes, np.arange(42) < n, values)[0], REGION_CHANGES)
    of_all = past[past["region_geoid"] == "all"].sort_values("first_vintage")
    assert of_all[["n_devices", "first_vintage", "last_vintage"]].to_numpy().tolist() == [
        [20, 0, 0], [30, 1, 1], [20, 2, 2],
    ]  # fmt: skip
    assert past.loc[past["region_geoid"] == "11", "last_vintage"].tolist() == [2]
