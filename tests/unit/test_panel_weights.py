"""Worked examples of panel weights: areas, pools, trimming, raking, what is missing; and the table of groups."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.representativeness import compare_groups, panel_size
from pipeline.kernels.raking import RakingError, bounded, effective_size, rake
from pipeline.shares import shares_of_areas
from pipeline.stages import panel_weights as module
from pipeline.stages.panel_weights import PanelWeightParams, _finish, panel_weights, pool_areas
from tests.naive_weights import naive_area_weights
from tests.stay_rows import empty, through_contract


def make_homes(n_devices, first=0):
    """Baseline homes from {area or None: devices}, with rows that are not to be counted."""
    areas = [area for area, n in n_devices.items() for _ in range(n)]
    device = first + np.arange(len(areas))
    home = pd.DataFrame(
        {
            "device_id": device,
            "span": "baseline",
            "role": "home",
            "rank": 1,
            "tract_geoid": pd.Series(areas, dtype="str"),
        }
    )
    elsewhere = home.assign(tract_geoid="99999")
    return pd.concat(
        [home, elsewhere.assign(rank=2), elsewhere.assign(span="moving"), elsewhere.assign(role="work")],
        ignore_index=True,
    )


def make_tracts(population):
    frame = pd.DataFrame({"tract_geoid": list(population), "population": list(population.values()), "geometry": b""})
    return frame.astype({"tract_geoid": "str", "population": float})


def make_demographics(persons):
    """Demographics from {area: {axis: {group: persons}}}."""
    rows = [(a, axis, g, n) for a, axes in persons.items() for axis, groups in axes.items() for g, n in groups.items()]
    frame = pd.DataFrame(rows, columns=["tract_geoid", "axis", "group", "n_persons"])
    return frame.astype({"tract_geoid": "str", "axis": "str", "group": "str", "n_persons": float})


def weigh(n_devices, population, persons=None, n_buckets=1, **params):
    chosen = PanelWeightParams(**params)
    tracts, demographics = make_tracts(population), make_demographics(persons or {})
    homes = make_homes(n_devices)
    bucket = homes["device_id"] % n_buckets
    parts = [panel_weights(homes[bucket == b], tracts, demographics, chosen) for b in range(n_buckets)]
    table = _finish(pd.concat(parts, ignore_index=True), tracts, demographics, chosen)
    return through_contract(table, "panel_weights").set_index("home_tract_geoid")


def test_area_weights_are_shares_of_people_by_shares_of_devices():
    # people 1:3, devices 3:1: weights 1/4 / (3/4) = 1/3 and 3/4 / (1/4) = 3
    table = weigh({"01001000100": 30, "01001000200": 10}, {"01001000100": 1000, "01001000200": 3000})
    assert table["area_weight"].tolist() == pytest.approx([1 / 3, 3])
    assert table["n_devices"].tolist() == [30, 10]
    assert table["pool_geoid"].tolist() == table.index.tolist()
    assert table["raked_weight"].isna().all() and table["raked_gap"].isna().all()
    # Kish: (30/3 + 10*3)^2 / (30/9 + 10*9) = 1600 / 93.33
    n, w = table["n_devices"], table["area_weight"]
    assert effective_size((n * w).sum(), (n * w * w).sum()) == pytest.approx(1600 / (30 / 9 + 90))


def test_areas_of_few_devices_are_pooled_by_county_then_state_then_altogether():
    n_devices = {"01001000100": 6, "01001000200": 6, "01003000100": 3, "02001000100": 20}
    population = {**dict.fromkeys(n_devices, 1000), "01001000300": 1000, "02003000100": 1000}
    table = weigh(n_devices, population, min_area_devices=10)
    assert table["pool_geoid"].to_dict() == {
        "01001000100": "01001*", "01001000200": "01001*", "01003000100": "*", "02001000100": "02001000100"
    }  # fmt: skip
    # pools: county 01001 of 3,000 people and 12 devices (one area has none); the rest of 2,000 and 3; 1,000 and 20
    plain = np.array([3000 / 12, 2000 / 3, 1000 / 20]) * 35 / 6000
    assert plain == pytest.approx([1.4583, 3.8889, 0.2917], abs=1e-4)
    assert table["area_weight"].tolist() == pytest.approx(plain[[0, 0, 1, 2]].tolist())
    assert weigh(n_devices, population, pool_digits=(), min_area_devices=10)["pool_geoid"].tolist() == [
        "*",
        "*",
        "*",
        "02001000100",
    ]


def test_an_area_whose_id_is_the_leading_digits_of_others_is_no_pool_of_theirs():
    # "12" is large enough by itself; the two others of state 12 are too few even together
    pool = pool_areas(pd.Series({"12": 20, "12001": 3, "12003": 4, "13001": 2}), 10, (2,))
    assert pool.to_dict() == {"12": "12", "12001": "*", "12003": "*", "13001": "*"}
    pool = pool_areas(pd.Series({"12": 20, "12001": 6, "12003": 4}), 10, (2,))
    assert pool.to_dict() == {"12": "12", "12001": "12*", "12003": "12*"}


def test_what_trimming_cuts_is_shared_out_in_proportion():
    # plain weights 0.1, 1 and 9.1 for 30, 60 and 10 devices are 0.03 + 0.6 + 0.91 of the mean 1.54
    n, weight = np.array([30, 60, 10]), np.array([0.1, 1.0, 9.1]) / 1.54
    # bounds 0.2 and 5: the last is cut to 5, the first raised to 0.2, and the others take what is left
    assert bounded(n, weight, 0.2, 5.0) == pytest.approx([0.2, (100 - 6 - 50) / 60, 5.0])
    assert bounded(n, np.ones(3), 0.2, 5.0) == pytest.approx([1, 1, 1])
    assert bounded(n, weight, 1.0, 1.0) == pytest.approx([1, 1, 1])


def test_unknown_population_counts_as_sampled_like_the_rest():
    table = weigh({"01001": 10, "01003": 30, "01005": 20}, {"01001": 300, "01003": 100, "01005": None, "01007": None})
    assert table["area_weight"].tolist() == pytest.approx([3, 1 / 3, 1])
    assert table["pool_geoid"].isna().tolist() == [False, False, True]
    assert table["population"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("population", [{"01001": None}, {}, {"01001": 0.0}])
def test_without_any_population_there_are_no_weights(population):
    table = weigh({"01001": 20}, population, {"01001": {"sex": {"f": 5, "m": 5}}})
    assert table["n_devices"].tolist() == [20]
    assert table[["area_weight", "raked_weight", "raked_gap", "pool_geoid"]].isna().all(axis=None)


def test_nobody_with_a_home_in_an_area_gives_no_rows():
    assert weigh({None: 3}, {"01001": 10}).empty
    assert weigh({}, {}).empty


RICH = {"income": {"low": 20, "high": 80}, "sex": {"f": 50, "m": 50}}
POOR = {"income": {"low": 80, "high": 20}, "sex": {"f": 50, "m": 50}}


def test_raking_restores_a_share_that_pooling_lost():
    # both areas are pooled, so their area weights are equal; the population has low 0.5, the devices 0.32
    n_devices, population = {"01001000100": 8, "01001000200": 2}, {"01001000100": 1000, "01001000200": 1000}
    persons = {"01001000100": RICH, "01001000200": POOR}
    table = weigh(n_devices, population, persons, min_area_devices=20, raking_slack=1e-6)
    assert table["area_weight"].tolist() == pytest.approx([1, 1])
    # low 0.5 needs as much weight in either area: 8 w = 2 v, 8 w + 2 v = 10
    assert table["raked_weight"].tolist() == pytest.approx([5 / 8, 5 / 2], abs=1e-4)
    assert table["raked_gap"].max() < 1e-5
    sex_only = weigh(n_devices, population, persons, min_area_devices=20, axes=("sex",))
    assert sex_only["raked_weight"].tolist() == pytest.approx([1, 1])


def test_shares_that_cannot_be_met_give_no_raked_weights_but_the_gap():
    # most poor people live where no device does, and bounds let the poor area count five times at most
    n_devices, population = {"01001000100": 30, "01001000200": 1}, {"01001000100": 100, "01001000200": 5000}
    persons = {"01001000100": RICH, "01001000200": POOR}
    table = weigh(n_devices, population, persons, min_area_devices=40)
    assert table["raked_weight"].isna().all()
    # low is 0.788 of the population; the sample reaches (26 * 0.2 + 5 * 0.8) / 31 = 0.297
    aim = (100 * 0.2 + 5000 * 0.8) / 5100
    assert table["raked_gap"].unique() == pytest.approx([aim - (26 * 0.2 + 5 * 0.8) / 31], abs=1e-3)
    assert table["area_weight"].notna().all()


def test_an_area_without_figures_of_an_axis_is_like_the_population_there():
    n_devices = {"01001000100": 8, "01001000200": 2, "01001000300": 10}
    population = dict.fromkeys(n_devices, 1000)
    persons = {"01001000100": RICH, "01001000200": POOR, "01001000300": {"sex": {"f": 1, "m": 1}, "income": {"low": 0}}}
    table = weigh(n_devices, population, persons, min_area_devices=30, raking_slack=1e-6)
    # 8 w = 2 v for the two known; the third takes no part, u = sqrt(w v); 8 w + 2 v + 10 u = 20
    assert table["raked_weight"].tolist() == pytest.approx([5 / 9, 20 / 9, 10 / 9], abs=1e-4)
    assert shares_of_areas(make_demographics(persons)).loc["01001000300", "income"].isna().all()


def test_shares_may_be_told_as_shares_and_a_group_not_listed_is_none():
    persons = {"1": {"sex": {"f": 30, "m": 70}}, "2": {"sex": {"f": 0.3, "m": 0.7}}, "3": {"sex": {"m": 9}}}
    shares = shares_of_areas(make_demographics(persons))["sex"]
    assert shares["f"].tolist() == pytest.approx([0.3, 0.3, 0])
    assert shares["m"].tolist() == pytest.approx([0.7, 0.7, 1])


def test_a_minimiser_that_stops_short_is_an_error(monkeypatch):
    monkeypatch.setattr("pipeline.kernels.raking.MAX_STEPS", 1)
    excess = np.array([[0.3, -0.3], [-0.2, 0.2], [0.25, -0.25]])
    with pytest.raises(RakingError, match="short of its aim"):
        rake(np.array([5, 90, 5]), np.ones(3), excess, 0.2, 5.0, 1e-4)


@pytest.mark.parametrize(("low", "high"), [(0.0, 5.0), (1.5, 5.0), (0.2, 0.9)])
def test_bounds_that_do_not_hold_the_mean_are_refused(low, high):
    with pytest.raises(ValueError, match="1 between them"):
        bounded(np.array([1]), np.ones(1), low, high)
    with pytest.raises(ValueError, match="1 between them"):
        rake(np.array([1]), np.ones(1), np.zeros((1, 1)), low, high, 1e-4)


areas = st.text("01", min_size=7, max_size=7).map(lambda text: "0" + text)
people = st.none() | st.integers(0, 5000)


@given(
    st.dictionaries(areas, st.integers(1, 40), min_size=1, max_size=12),
    st.dictionaries(areas, people, max_size=20),
    st.sampled_from([(5, 2), (), (2,)]),
)
@settings(max_examples=60, deadline=None)
def test_area_weights_equal_the_twin_and_keep_the_mean(n_devices, population, digits):
    population = {**dict.fromkeys(n_devices, 700), **population}
    table = weigh(n_devices, population, pool_digits=digits)
    expected = naive_area_weights(n_devices, population, 5, digits, 0.2, 5.0)
    assert table["area_weight"].isna().all() == all(weight is None for weight in expected.values())
    if table["area_weight"].notna().all():
        assert table["area_weight"].to_dict() == pytest.approx(expected, abs=1e-9)
        assert (table["n_devices"] * table["area_weight"]).sum() == pytest.approx(table["n_devices"].sum())


def test_buckets_change_no_bit():
    chance = np.random.default_rng(3)
    ids = [f"01{k % 4:03d}{k:06d}" for k in range(60)]
    n_devices = dict(zip(ids, chance.poisson(8, 60).tolist(), strict=True))
    population = dict(zip(ids, chance.uniform(500, 5000, 60).tolist(), strict=True))
    persons = {i: {"age": dict(zip("abc", chance.dirichlet(np.ones(3)), strict=True))} for i in ids}
    one, other = (weigh(n_devices, population, persons, n) for n in (1, 7))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert one["raked_weight"].notna().all() and one["raked_gap"].max() < 1e-3


# --- The table of groups ---------------------------------------------------------------------------------


def test_table_of_groups_before_and_after_weighting():
    n_devices, population = {"01001000100": 80, "01001000200": 20}, {"01001000100": 1000, "01001000200": 1000}
    tracts = make_tracts(population)
    demographics = make_demographics({"01001000100": RICH, "01001000200": POOR})
    table = weigh(n_devices, population, {"01001000100": RICH, "01001000200": POOR}).reset_index()
    groups = compare_groups(table, tracts, demographics)
    assert groups[["axis", "group"]].to_numpy().tolist() == [
        ["income", "high"], ["income", "low"], ["sex", "f"], ["sex", "m"]
    ]  # fmt: skip
    low = groups.iloc[1]
    assert low["unweighted"] == pytest.approx(0.8 * 0.2 + 0.2 * 0.8)
    assert low[["population", "area", "raked"]].tolist() == pytest.approx([0.5, 0.5, 0.5])
    for column in ("population", "unweighted", "area", "raked"):
        assert groups.groupby("axis")[column].sum().tolist() == pytest.approx([1, 1])
    size = panel_size(table, tracts)
    assert (size.n_devices, size.n_areas, size.population_covered) == (100, 2, 1.0)
    # weights 0.625 and 2.5: 100^2 / (80 * 0.390625 + 20 * 6.25)
    assert size.effective == pytest.approx({"unweighted": 100, "area": 64, "raked": 64})


def test_table_of_groups_without_raked_weights_or_without_figures():
    n_devices, population = {"01001000100": 30, "01001000200": 1}, {"01001000100": 100, "01001000200": 5000}
    persons = {"01001000100": RICH, "01001000200": POOR}
    table = weigh(n_devices, population, persons, min_area_devices=40).reset_index()
    tracts = make_tracts(population)
    groups = compare_groups(table, tracts, make_demographics(persons))
    assert groups["raked"].isna().all() and groups["area"].notna().all()
    assert np.isnan(panel_size(table, tracts).effective["raked"])
    assert compare_groups(table, tracts, make_demographics({})).empty
    nothing = weigh({}, {}).reset_index()
    assert panel_size(nothing, make_tracts({})).n_devices == 0
    assert compare_groups(nothing, make_tracts({}), empty("demographics")).empty


def test_every_axis_of_the_contract_can_be_raked_on():
    from data_contracts import DEMOGRAPHICS

    assert PanelWeightParams().axes == DEMOGRAPHICS.column("axis").values == module.Axis.__args__
