"""Event studies of orders: exact effects, what is left out, and the twin."""

import numpy as np
import pandas as pd
import pytest

from pipeline.npi_event_study import NpiEventParams, fit_events, pretrend
from tests.naive_npi import naive_event_effect, naive_event_errors
from tests.npi_rows import MONDAY, dates
from tests.stay_rows import empty, through_contract

PARAMS = NpiEventParams(measures=(), weeks_before=3, weeks_after=3)


def make_weeks(by_region, n_devices=100):
    """Changes from {region: [log change of each week]}, the same on all days of a week; None: unknown."""
    rows = []
    for region, weeks in by_region.items():
        values = np.repeat(np.array([np.nan if v is None else v for v in weeks], float), 7)
        columns = {"region_geoid": region, "date": dates(values.size), "n_devices": n_devices, "log_change": values}
        rows.append(pd.DataFrame({**columns, "measure": "visits", "axis": "all", "group": "all"}))
    return pd.concat(rows, ignore_index=True)


def make_orders(weeks, order="stay"):
    """Orders from {region: week or None}, given on the Wednesday."""
    days = [pd.NaT if week is None else MONDAY + pd.Timedelta(days=7 * week + 2) for week in weeks.values()]
    return pd.DataFrame({"region_geoid": list(weeks), "order": order, "ordered_on": pd.to_datetime(days)})


def events(by_region, weeks, **params):
    found = fit_events(make_weeks(by_region), make_orders(weeks), PARAMS.model_copy(update=params))
    return through_contract(found, "npi_events").set_index("weeks_since")


def test_an_effect_is_the_change_beside_that_of_regions_without_the_order():
    common = np.array([0.0, 0.1, -0.2, 0.3, 0.1, 0.0, 0.2, 0.1])
    effect = np.array([0, 0, 0, 0, -0.5, -0.6, -0.7, -0.8])
    by_region = {"01": common + effect, "02": common + 0.2, "03": common - 0.1}
    found = events(by_region, {"01": 4, "02": None, "03": None})
    assert found["log_effect"].to_numpy() == pytest.approx([0, 0, 0, -0.5, -0.6, -0.7, -0.8])
    assert list(found.index) == [-3, -2, -1, 0, 1, 2, 3]
    assert (found["n_regions"] == 1).all() and (found["n_control_regions"] == 2).all()
    assert (found["n_devices"] == 100).all()
    assert found[["log_std_error", "log_effect_low", "pretrend_p_value"]].isna().all(axis=None), "one region only"


def test_growing_effects_of_staggered_orders_are_not_mistaken_for_each_other():
    def of(start):
        return [0.0 if w < start else -0.2 * (w - start + 1) for w in range(12)]

    by_region = {"01": of(4), "02": of(4), "03": of(7), "04": of(7), "05": of(99), "06": of(99)}
    found = events(by_region, {"01": 4, "02": 4, "03": 7, "04": 7, "05": None, "06": None})
    assert found["log_effect"].to_numpy() == pytest.approx([0, 0, 0, -0.2, -0.4, -0.6, -0.8])
    # In week 7, three weeks after 4, the regions ordered then are no controls of the first two any more.
    assert found["n_control_regions"].tolist() == [4, 4, 4, 4, 4, 4, 2]


def test_a_region_has_the_order_of_the_region_it_lies_in_and_errors_are_of_those():
    chance = np.random.default_rng(0)
    by_state = {f"{s:02d}": chance.normal(0, 0.1, 10) for s in range(8)}
    by_region = {f"{s}{c}": values for s, values in by_state.items() for c in "123"}
    weeks = {s: (None if k % 2 else 5) for k, s in enumerate(by_state)}
    by_county, states = events(by_region, weeks), events(by_state, weeks)
    for name in ("log_effect", "log_std_error", "pretrend_p_value"):
        assert by_county[name].to_numpy() == pytest.approx(states[name].to_numpy(), nan_ok=True), name
    assert (by_county["n_regions"] == 3 * states["n_regions"]).all()


def test_estimates_and_errors_equal_the_twin():
    chance = np.random.default_rng(3)
    by_region = {f"{s:02d}{c}": chance.normal(0, 0.1, 14) for s in range(9) for c in "12"}
    by_region["001"][5] = by_region["031"][9] = np.nan
    weeks = {f"{s:02d}": w for s, w in enumerate([5, 5, 5, 7, 7, 9, None, None, None])}
    event = {region: weeks[region[:2]] for region in by_region}
    found = events(by_region, weeks)
    since = found.index.to_numpy()
    assert found["log_effect"].to_numpy() == pytest.approx(naive_event_effect(by_region, event, since))
    errors = naive_event_errors(by_region, event, {r: r[:2] for r in by_region}, since)
    is_other = since != -1
    assert found["log_std_error"].to_numpy()[is_other] == pytest.approx(errors[is_other])
    assert found["log_effect_low"].isna().tolist() == (~is_other).tolist()
    assert found["pretrend_p_value"].nunique() == 1 and 0 < found["pretrend_p_value"].iloc[0] < 1


def test_of_one_week_before_the_pretrend_test_is_the_t_test():
    from scipy.stats import t

    p = pretrend(np.array([0.3, 0.0, 1.0]), np.diag([0.04, 0.0, 0.1]), np.array([6, 6, 6]), np.array([-2, -1, 0]))
    assert p == pytest.approx(2 * t.sf(1.5, 6))
    none = pretrend(np.array([0.3, 0.1, 0.0]), np.eye(3), np.array([0, 1, 1]), np.array([-3, -2, -1]))
    assert np.isnan(none)


def test_without_controls_or_orders_in_the_span_there_are_no_rows():
    by_region = {"01": np.zeros(8), "02": np.ones(8)}
    assert events(by_region, {"01": 4, "02": 4}).empty
    assert events(by_region, {"01": None, "02": None}).empty
    assert events(by_region, {"01": 40, "02": None}).empty
    assert events(by_region, {"01": 0, "02": None}).empty, "no week before"
    assert events(by_region, {"01": -3, "02": 4}).empty, "ordered before the span: no control either"
    no_orders = fit_events(make_weeks(by_region), empty("npi_orders"), PARAMS)
    assert through_contract(no_orders, "npi_events").empty


def test_each_measure_and_kind_of_order_has_rows_of_its_own():
    weeks = make_weeks({"01": np.zeros(8), "02": np.ones(8), "03": np.zeros(8)})
    both = pd.concat([weeks, weeks.assign(measure="contacts"), weeks.assign(axis="income", group="low")])
    orders = pd.concat([make_orders({"0": None, "01": 4}), make_orders({"01": None, "02": 5, "03": None}, "schools")])
    found = fit_events(both.reset_index(drop=True), orders, PARAMS)
    counts = found.groupby(["measure", "order"]).size()
    assert counts.index.tolist() == [(m, o) for m in ("contacts", "visits") for o in ("schools", "stay")]
    only = fit_events(both.reset_index(drop=True), orders, PARAMS.model_copy(update={"measures": ("visits",)}))
    assert set(only["measure"]) == {"visits"}


def test_a_region_whose_orders_are_not_known_is_neither_ordered_nor_a_control():
    chance = np.random.default_rng(5)
    weeks = {f"{s:02d}": (5 if s < 4 else None) for s in range(8)}
    by_region = {region: chance.normal(0, 0.1, 12) for region in weeks}
    found = events({**by_region, "98": np.ones(12), "99001": np.arange(12.0)}, weeks)
    pd.testing.assert_frame_equal(found, events(by_region, weeks))
    assert events({"98": np.zeros(12), "99": np.zeros(12)}, weeks).empty


def test_a_region_without_a_row_of_one_kind_of_order_is_in_the_study_of_another():
    by_region = {"01": np.zeros(8), "02": np.ones(8), "03": np.zeros(8)}
    orders = pd.concat([make_orders({"01": 4, "02": None}), make_orders({"01": 4, "02": None, "03": None}, "schools")])
    found = fit_events(make_weeks(by_region), orders, PARAMS)
    assert found.groupby("order")["n_control_regions"].max().to_dict() == {"schools": 2, "stay": 1}
