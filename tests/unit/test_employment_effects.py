"""Effects of job loss: small panels whose answer is known, the rules one by one, and the stage over its buckets."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data_contracts import EMPLOYMENT_EFFECTS, TABLES, conform
from pipeline.event_study import EventStudyParams, estimate_effects
from pipeline.kernels.matched_sets import Changes, Sets, shared_squares
from pipeline.shares import high_areas
from pipeline.stages.employment_effects import MEASURES, employment_effects
from tests.benchmarks.bench_effects import trials
from tests.stay_rows import empty, through_contract

MONDAYS = pd.date_range("2020-01-06", periods=32, freq="7D")
EVENT = 14
NO_GROUPS = pd.DataFrame({"axis": [], "group": [], "area": []}, dtype="str")
PARAMS = EventStudyParams(cap_quantile=1.0, months_after=3)


def people(*rows):
    """(panel, devices) from (device, week of its event or None, stratum, values by week)."""
    panel = [(device, MONDAYS[w], float(v)) for device, _, _, values in rows for w, v in enumerate(values)]
    panel = pd.DataFrame(panel, columns=["device_id", "window_started", "y"]).assign(is_out=False, is_back=False)
    events = [(device, stratum, pd.NaT if week is None else MONDAYS[week]) for device, week, stratum, _ in rows]
    devices = pd.DataFrame(events, columns=["device_id", "stratum", "event_on"])
    return panel, devices.assign(is_control=True, area="a")


def effects(made, params=PARAMS, groups=NO_GROUPS, min_devices=2):
    found = estimate_effects(*made, groups, ("y",), 0, params, min_devices)
    return found.set_index(["group", "months_since_loss"]) if len(groups) else found.set_index("months_since_loss")


def flat(level, after=0.0, week=EVENT):
    """A level, and what is added from a week on."""
    return [level + (after if w >= week else 0.0) for w in range(32)]


def eight(shift=0.0):
    """Two with the event, who lose 2 and 4, and six without, one of whom gains 3."""
    treated = [(k, EVENT, "s", flat(5 + shift, -2.0 * k)) for k in (1, 2)]
    controls = [(k, None, "s", flat(5 + shift, 3.0 * (k == 10))) for k in range(10, 16)]
    return people(*treated, *controls)


def test_by_hand():
    """Changes -2 and -4; controls gain 3 / 6 on average where all six are taken: -2.5 and -4.5."""
    params = PARAMS.model_copy(update={"n_controls": 6})
    found = effects(eight(), params)
    assert found.index.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert found["estimate"].tolist() == pytest.approx([0, 0, 0, -3.5, -3.5, -3.5, -3.5])
    assert found["control_mean"].tolist() == pytest.approx([5, 5, 5, 5.5, 5.5, 5.5, 5.5])
    assert set(found["n_devices"]) == {2}
    assert set(found["n_controls"]) == {6}
    # Two sets 2 apart: squares 1 + 1, times 2 / 1. Both sets have the same controls, of mean 0.5: one is 2.5 off
    # it and five 0.5, 7.5 in all, times 6 / 5 / 36, and once for either of the two sets.
    assert found.loc[0, "std_error"] == pytest.approx(np.sqrt(2 * 2 + 2 * 7.5 / 30) / 2)
    from scipy import stats

    t = found.loc[0, "estimate"] / found.loc[0, "std_error"]
    assert found.loc[0, "p_value"] == pytest.approx(2 * stats.t.sf(abs(t), 1))
    half = stats.t.ppf(0.975, 1) * found.loc[0, "std_error"]
    assert found.loc[0, ["estimate_low", "estimate_high"]].tolist() == pytest.approx([-3.5 - half, -3.5 + half])


def test_what_has_no_spread_is_certain():
    made = people(*[(k, EVENT, "s", flat(5, -2.0)) for k in (1, 2)], *[(k, None, "s", flat(5)) for k in range(10, 16)])
    found = effects(made)
    assert found.loc[2, ["estimate", "std_error", "p_value"]].tolist() == pytest.approx([-2.0, 0.0, 0.0])
    assert found.loc[-3, ["estimate", "std_error", "p_value"]].tolist() == [0.0, 0.0, 1.0]


def test_a_lockdown_cancels_and_alone_would_not():
    panel, devices = eight()
    week = ((panel["window_started"] - MONDAYS[0]).dt.days // 7).to_numpy()
    locked = panel.assign(y=panel["y"] - 4.0 * ((week >= 12) & (week < 20)))
    found, usual = effects((locked, devices)), effects((panel, devices))
    assert found["estimate"].tolist() == pytest.approx(usual["estimate"].tolist())
    assert found["control_mean"].tolist() != usual["control_mean"].tolist()


def test_holm_is_over_all_rows_but_the_reference():
    groups = pd.DataFrame({"axis": ["sex"], "group": ["female"], "area": ["a"]})
    panel, devices = eight()
    panel = panel.assign(y=panel["y"] + np.random.default_rng(0).normal(0, 0.1, len(panel)))
    found = effects((panel, devices), PARAMS.model_copy(update={"caliper_sd": 100.0}), groups)
    tested = found[found.index.get_level_values(1) != -1]
    smallest = tested["p_value"].min()
    assert tested.loc[tested["p_value"] == smallest, "p_adjusted"].tolist() == pytest.approx(
        [min(12 * smallest, 1)] * 2
    )


def test_other_strata_other_levels_and_other_weeks_are_no_controls():
    treated = [(k, EVENT, "s", flat(5)) for k in (1, 2)]
    good = [(k, None, "s", flat(5)) for k in (10, 11)]
    assert effects(people(*treated, *good)).loc[0, "n_controls"] == 2
    assert effects(people(*treated, *[(k, None, "other", v) for k, _, _, v in good])).empty
    assert effects(people(*treated, *[(k, None, "s", flat(9)) for k, _, _, _ in good])).empty
    assert effects(people(*treated, *[(k, None, "s", flat(5)[:EVENT]) for k, _, _, _ in good])).empty
    panel, devices = people(*treated, *good)
    panel.loc[(panel["device_id"] == 10) & (panel["window_started"] == MONDAYS[EVENT + 10]), "is_out"] = True
    assert effects((panel, devices)).empty
    not_yet = effects((panel, devices), PARAMS.model_copy(update={"controls": "not_yet"}))
    # For as long as it lasts: the week is in month 2, of which three weeks are left.
    assert not_yet["n_controls"].tolist() == [2] * 7
    panel.loc[(panel["device_id"] == 10) & (panel["window_started"] >= MONDAYS[EVENT + 10]), "is_out"] = True
    not_yet = effects((panel, devices), PARAMS.model_copy(update={"controls": "not_yet"}))
    assert not_yet.index.tolist() == [-3, -2, -1, 0, 1, 2]


def test_those_who_lose_theirs_later_serve_only_where_asked_for():
    later = [(k, EVENT + 9, "s", flat(5, -50.0, EVENT + 9)) for k in (20, 21)]
    made = people(*[(k, EVENT, "s", flat(5, -2.0)) for k in (1, 2)], *later)
    assert effects(made).empty
    found = effects(made, PARAMS.model_copy(update={"controls": "not_yet"}))
    assert found.index.tolist() == [-3, -2, -1, 0, 1]
    assert found["estimate"].tolist() == pytest.approx([0, 0, 0, -2, -2])


def test_weeks_after_a_return_are_kept_or_left():
    panel, devices = eight()
    is_later = panel["device_id"].isin([1, 2]) & (panel["window_started"] >= MONDAYS[EVENT + 5])
    panel["is_back"] = is_later | ((panel["window_started"] < MONDAYS[EVENT]) & panel["device_id"].isin([1, 2]))
    assert effects((panel, devices)).index.max() == 3
    assert effects((panel, devices), PARAMS.model_copy(update={"after_return": "leave"})).index.max() == 0


def test_a_flight_is_capped():
    panel, devices = eight()
    panel.loc[(panel["device_id"] == 1) & (panel["window_started"] == MONDAYS[EVENT]), "y"] = 10_000.0
    wild, tame = effects((panel, devices)), effects((panel, devices), PARAMS.model_copy(update={"cap_quantile": 0.99}))
    assert wild.loc[0, "estimate"] > 1000
    assert abs(tame.loc[0, "estimate"]) < 4


def test_few_are_left_out_and_events_at_the_edge_are_nobodys():
    assert effects(eight(), min_devices=3).empty
    edge = people(*[(k, 4, "s", flat(5)) for k in (1, 2)], *[(k, None, "s", flat(5)) for k in (10, 11)])
    assert effects(edge).empty
    panel, devices = eight()
    assert effects((panel[panel["device_id"] > 99], devices)).empty
    assert effects((panel, devices.assign(event_on=MONDAYS[EVENT] + pd.Timedelta(weeks=52)))).empty


def test_groups_are_those_whose_home_is_in_their_areas():
    panel, devices = eight()
    panel2, devices2 = eight()
    panel2["device_id"], devices2["device_id"] = panel2["device_id"] + 100, devices2["device_id"] + 100
    panel2["y"] += np.where(panel2["device_id"].isin([101, 102]) & (panel2["window_started"] >= MONDAYS[EVENT]), -10, 0)
    made = pd.concat([panel, panel2]), pd.concat([devices, devices2.assign(area="b", stratum="t")])
    groups = pd.DataFrame({"axis": "age", "group": ["old", "young"], "area": ["b", "a"]})
    found = effects(made, groups=groups)
    # Up to one of the six controls, chosen at random among equals, is left out.
    assert found.loc[("old", 1), "estimate"] - found.loc[("young", 1), "estimate"] == pytest.approx(-10, abs=0.6)
    assert found.loc[("all", 1), "n_devices"] == 4


def flat_town(n_treated, n_controls, area="a", first=0):
    """Devices of one stratum and area with whom nothing happens."""
    ids = range(first, first + n_treated + n_controls)
    panel, devices = people(*[(k, EVENT if k < first + n_treated else None, area, flat(5)) for k in ids])
    return panel, devices.assign(area=area)


def test_no_difference_of_groups_tells_of_few():
    """Everybody less a group, and a group less another, are no small groups either."""
    towns = [flat_town(n, 12, area, 100 * k) for k, (area, n) in enumerate({"a": 12, "b": 4, "c": 11}.items())]
    made = tuple(pd.concat(frames) for frames in zip(*towns, strict=True))
    areas = {"all but four": "ac", "two": "ab", "one": "a", "other": "c"}
    rows = [("age", group, area) for group, names in areas.items() for area in names]
    groups = pd.DataFrame(rows, columns=["axis", "group", "area"])
    params = PARAMS.model_copy(update={"n_controls": 12})
    found = effects(made, params, groups, min_devices=10)
    # 27 less the 23 of a and c are b's four; so are a and b less a, of which the first by name is shown
    assert set(found.index.get_level_values(0)) == {"all", "one", "other"}
    assert set(effects(made, params, groups, min_devices=4).index.get_level_values(0)) == {"all", *areas}


def test_what_follows_an_event_does_not_widen_the_caliper():
    """A device whose event came long before moves wildly since: others are as near as they were."""
    treated = [(k, EVENT, "s", flat(5)) for k in (1, 2)]
    controls = [(k, None, "s", flat(5.0 + 0.1 * (k % 3))) for k in range(10, 16)]
    far = [(k, None, "s", flat(6.0)) for k in (20, 21)]
    wild = [(k, 2, "t", flat(5, 500.0, 2)) for k in range(30, 34)]
    params = PARAMS.model_copy(update={"n_controls": 8})
    usual, moved = effects(people(*treated, *controls, *far), params), None
    moved = effects(people(*treated, *controls, *far, *wild), params)
    assert usual.loc[0, "n_controls"] == moved.loc[0, "n_controls"] < 8


def test_a_known_effect_is_recovered_and_placebos_find_nothing():
    """The benchmark over a hundred seeds in small: everything in it is in `bench_effects`."""
    found = [trials(seed, 0.5) for seed in range(6)]
    for name in ("matched", *(name for name in found[0] if name.startswith("placebo"))):
        rows = pd.concat([of_seed[name] for of_seed in found])
        is_covered = (rows["estimate_low"] <= rows["truth"]) & (rows["truth"] <= rows["estimate_high"])
        assert is_covered.mean() > 0.85, name
    alone = pd.concat([of_seed["before-after, nobody beside"] for of_seed in found])
    assert (alone["estimate_high"] < alone["truth"]).mean() + (alone["estimate_low"] > alone["truth"]).mean() > 0.7


def test_high_areas():
    demographics = pd.DataFrame(
        {
            "tract_geoid": np.repeat(["1", "2", "3", "4"], 4),
            "axis": ["sex", "sex", "race", "race"] * 4,
            "group": ["female", "male", "few", "most"] * 4,
            "n_persons": [50, 50, 0, 9, 60, 40, 0, 9, 55, 45, 0, 9, 5, 5, 1, 9],
        }
    )
    weights = pd.DataFrame({"home_tract_geoid": ["1", "2", "3", "4", "5"], "n_devices": [10, 5, 10, 10, 99]})
    found = high_areas(demographics, weights, 0.25)
    chosen = {group: rows["area"].tolist() for group, rows in found.groupby("group")}
    # Shares of women: 0.6, 0.55, 0.5, 0.5, of 5, 10, 10 and 10 devices: a quarter of 35 is reached in the second area.
    assert chosen["female"] == ["2", "3"]
    # Nobody of `few` but in one area; where all are alike nobody is high.
    assert chosen["few"] == ["4"]
    # An area where nobody is of a group may be listed or not.
    pd.testing.assert_frame_equal(high_areas(demographics[demographics["n_persons"] > 0], weights, 0.25), found)
    alike = demographics.assign(n_persons=10)
    assert high_areas(alike, weights, 0.25).empty
    assert list(high_areas(demographics[:0], weights, 0.25).columns) == ["axis", "group", "area"]


# --- The stage ---------------------------------------------------------------------------------------


def tables(seed=0, n=240):
    """Tables of `n` devices in two counties and two industries, a third of whom lose their job in week 14."""
    rng = np.random.default_rng(seed)
    device = np.sort(rng.integers(-(2**62), 2**62, n))
    is_lost = rng.random(n) < 0.3
    tract = np.where(np.arange(n) % 2, "11001000100", "24031000200")
    row, week = np.nonzero(rng.random((n, 32)) < 0.9)
    is_out = is_lost[row] & (week >= EVENT)
    key = {"device_id": device[row], "window_started": MONDAYS[week]}
    employment = pd.DataFrame(
        {
            **key,
            "home_tract_geoid": tract[row],
            "sector": np.where(row % 3, "72", "52"),
            "visit_ratio": np.where(rng.random(row.size) < 0.95, 1.0, np.nan),
            "hours_ratio": 1.0,
            "is_at_risk": is_out,
            "is_undecided": False,
            "loss_probability": is_out.astype(float),
            "status": np.where(is_out, "not_employed", "employed"),
            "lost_on": pd.Series(MONDAYS[[EVENT] * row.size]).where(is_out),
            "known_on": pd.Series(MONDAYS[[EVENT] * row.size]).where(is_out),
        }
    )
    level = rng.lognormal(2, 0.3, n)[row] - is_out + rng.normal(0, 0.5, row.size)
    weekly = {**key, "window": "week", "n_visits": 9, "n_locations": 1 + rng.poisson(np.maximum(level, 0.1))}
    gyration = pd.DataFrame({**weekly, "gyration_m": 1000 * np.maximum(level, 0), "gyration_dwell_m": np.nan})
    exploration = pd.DataFrame({**weekly, "n_new_locations": rng.poisson(1, row.size), "n_locations_so_far": 9})
    bits = np.log2(weekly["n_locations"])
    unknown = dict.fromkeys(("entropy_dwell_bits", "entropy_rate_bits", "predictability"), np.nan)
    entropy = pd.DataFrame({**weekly, "random_entropy_bits": bits, "entropy_bits": bits, **unknown})
    capacity = pd.DataFrame({**key, "n_familiar": rng.poisson(8, row.size), "n_added": 0, "n_dropped": 0})
    made = {"employment": employment, "gyration": gyration, "exploration": exploration, "entropy": entropy}
    whole = gyration.assign(window="study").drop_duplicates("device_id")
    made["gyration"] = pd.concat([gyration, whole]).sort_values(["device_id", "window", "window_started"])
    demographics = [("11001000100", "sex", "female", 60.0), ("11001000100", "sex", "male", 40.0)]
    demographics += [("24031000200", "sex", "female", 50.0), ("24031000200", "sex", "male", 50.0)]
    made |= {"capacity": capacity, "demographics": pd.DataFrame(demographics, columns=TABLES["demographics"].names)}
    counts = pd.Series(tract).value_counts().sort_index()
    made["panel_weights"] = pd.DataFrame({"home_tract_geoid": counts.index, "n_devices": counts.to_numpy()})
    return made


def run(made, n_buckets=1, **params):
    """The table of effects, gathered from so many buckets."""
    statics = {"demographics", "panel_weights"}
    params = employment_effects.params(**params)
    parts = []
    for bucket in range(n_buckets):
        reads = [f if name in statics else f[f["device_id"] % n_buckets == bucket] for name, f in made.items()]
        parts.append(employment_effects(*reads, 7, params))
    together = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    found = employment_effects.finish(together, *(made[name] for name in sorted(statics)), 7, params)
    return conform(pa.Table.from_pandas(found, preserve_index=False).replace_schema_metadata(None), EMPLOYMENT_EFFECTS)


def test_the_stage_reads_what_the_tables_hold():
    made = tables()
    measured = {"k_gyration_m": 0.0, "is_returner": True}
    made["gyration"] = made["gyration"].assign(**measured)
    for name in set(made) - {"panel_weights"}:
        # Measures that the effects are not told of may be null.
        through_contract(made[name].reindex(columns=TABLES[name].names), name)
    found = run(made).to_pandas()
    assert set(found["measure"]) == set(MEASURES)
    assert set(found["group"]) == {"all", "female", "male"}
    of_all = found[(found["measure"] == "gyration_m") & (found["group"] == "all")].set_index("months_since_loss")
    assert of_all.loc[2, "estimate"] == pytest.approx(-1000, abs=250)
    assert of_all.loc[2, "p_adjusted"] < 0.001
    assert (found.loc[found["measure"] == "n_new_locations", "p_adjusted"] > 0.05).all()


def test_buckets_change_no_byte():
    made = tables()
    assert run(made, 1).equals(run(made, 3))
    assert run(made, 1).equals(run(made, 64))
    placebo = {"placebo": "not_affected"}
    assert run(made, 1, **placebo).equals(run(made, 5, **placebo))
    assert not run(made, 1, **placebo).equals(run(made, 1))


def test_no_device_leaves():
    found = run(tables())
    assert "device_id" not in found.column_names
    assert min(found["n_devices"].to_pylist() + found["n_controls"].to_pylist()) >= 10


def test_without_reference_data_everybody_is_matched_with_everybody():
    made = tables()
    made["demographics"], made["panel_weights"] = empty("demographics"), empty("panel_weights")
    made["employment"] = (
        made["employment"]
        .assign(home_tract_geoid=pd.NA, sector=pd.NA)
        .astype({"home_tract_geoid": "str", "sector": "str"})
    )
    found = run(made).to_pandas()
    assert set(found["group"]) == {"all"}
    assert found["n_devices"].max() > 60


def test_nobody_lost_a_job_or_nobody_is_there():
    made = tables()
    made["employment"] = made["employment"].assign(lost_on=pd.NaT, status="employed", is_at_risk=False)
    assert run(made).num_rows == 0
    nobody = {name: frame[:0] for name, frame in made.items()}
    assert run(nobody).num_rows == 0
    assert run({name: empty(name) for name in made}).num_rows == 0


def test_a_large_panel_is_sampled_by_device():
    made = tables()
    params = employment_effects.params(max_devices=60)
    part = employment_effects(*made.values(), 7, params)
    assert 30 < part["device_id"].nunique() < 90
    whole = employment_effects(*made.values(), 7, employment_effects.params())
    assert whole["device_id"].nunique() == 240
    kept = whole[whole["device_id"].isin(part["device_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, part)


def test_weeks_not_observed_do_not_count_and_remote_work_is_a_choice():
    made = tables()
    part = employment_effects(*made.values(), 7, employment_effects.params())
    is_seen = made["employment"]["visit_ratio"].notna()
    assert part["gyration_m"].notna().sum() == is_seen.sum()
    is_remote = (made["employment"]["status"] == "employed") & (np.arange(len(is_seen)) % 4 == 0)
    made["employment"].loc[is_remote, ["status", "is_at_risk"]] = ["remote", True]
    kept = employment_effects(*made.values(), 7, employment_effects.params())
    strict = employment_effects(*made.values(), 7, employment_effects.params(is_remote_employed=False))
    assert strict["is_out"].sum() == kept["is_out"].sum() + is_remote.sum()
    assert strict["is_back"].sum() == kept["is_back"].sum()
    assert run(made).num_rows > run(made, is_remote_employed=False).num_rows


def test_absences_too_young_to_judge_are_no_controls():
    made = tables()
    usual = employment_effects(*made.values(), 7, employment_effects.params())
    is_young = (made["employment"]["status"] == "employed") & (np.arange(len(made["employment"])) % 5 == 0)
    made["employment"].loc[is_young, ["status", "loss_probability", "is_undecided"]] = ["unknown", np.nan, True]
    part = employment_effects(*made.values(), 7, employment_effects.params())
    is_seen = made["employment"]["visit_ratio"].notna()
    assert part["is_out"].sum() == usual["is_out"].sum() + (is_young & is_seen).sum()


def test_who_is_treated_in_one_set_and_a_control_in_another_counts_in_both():
    """Differences 3 and 1, shares by hand: device 1 adds (1 - 2) to its own set and takes 0.5 from the other's."""
    sets = Sets(np.array([0, 1]), np.array([[1, 2], [2, 3]]))
    share = np.array([[0.5, -0.5], [0.25, -0.25]])[:, :, None]
    changes = Changes(np.array([[3.0], [1.0]]), share, np.ones((2, 2, 1), bool), np.zeros((2, 1)))
    # Device 2 is a control of both: twice -0.5 times 0.25. Device 1: twice (1 - 2) times -0.5.
    assert shared_squares(changes, sets).tolist() == pytest.approx([2 * -0.5 * 0.25 + 2 * (1 - 2) * -0.5])
    never = Sets(np.array([0, 4]), sets.controls)
    assert shared_squares(changes, never).tolist() == pytest.approx([2 * -0.5 * 0.25])
