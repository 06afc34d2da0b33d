"""The event study against its naive twin, and what must hold whatever the panel."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.event_study import JITTER_SD, STREAM, TIES, EventStudyParams, estimate_effects
from pipeline.kernels.keyed_random import keyed_uniform
from pipeline.kernels.matched_sets import mean_of, monthly_means, nearest
from tests.naive_effects import naive_effects, naive_month

MONDAY = pd.Timestamp("2020-01-06")
NO_GROUPS = pd.DataFrame({"axis": [], "group": [], "area": []}, dtype="str")
seeds = st.integers(0, 2**32 - 1)


@st.composite
def panels(draw, densities=(0.6, 0.9, 1.0)):
    """(panel, devices) of up to forty devices over twenty-four weeks, with holes, few strata and whole values."""
    rng = np.random.default_rng(draw(seeds))
    n, n_weeks = draw(st.integers(6, 40)), 24
    device = np.sort(rng.choice(10**6, n, replace=False)) - 500_000
    event = np.where(rng.random(n) < 0.4, rng.integers(0, n_weeks, n), -1)
    values = np.round(rng.normal(5, 2, (n, 1)) + rng.normal(0, 1, (n, n_weeks)), draw(st.integers(0, 2)))
    row, week = np.nonzero(rng.random((n, n_weeks)) < draw(st.sampled_from(densities)))
    panel = pd.DataFrame(
        {
            "device_id": device[row],
            "window_started": MONDAY + pd.to_timedelta(7 * week, unit="D"),
            "n_locations": values[row, week],
            "is_out": rng.random(row.size) < draw(st.sampled_from([0.0, 0.02])),
            "is_back": False,
        }
    )
    event_on = pd.Series(MONDAY + pd.to_timedelta(7 * event, unit="D")).where(event >= 0)
    devices = pd.DataFrame({"device_id": device, "stratum": rng.integers(0, 2, n), "event_on": event_on})
    return panel, devices.assign(is_control=True, area="")


params = st.builds(
    EventStudyParams,
    months_before=st.integers(2, 3),
    months_after=st.integers(0, 2),
    min_weeks=st.integers(1, 4),
    n_controls=st.integers(2, 6),
    caliper_sd=st.sampled_from([0.3, 1.0, 100.0]),
    cap_quantile=st.just(1.0),
)


def effects(panel, devices, chosen, min_devices=2, groups=NO_GROUPS):
    return estimate_effects(panel, devices, groups, ("n_locations",), 3, chosen, min_devices)


def people_of(panel, devices):
    """The devices as the twin takes them."""
    first = panel["window_started"].min()
    jitter = (keyed_uniform(devices["device_id"].to_numpy(), STREAM, 3, TIES) - 0.5) * JITTER_SD
    people = []
    for device, moved in zip(devices.itertuples(), jitter, strict=True):
        rows = panel[panel["device_id"] == device.device_id]
        week = ((rows["window_started"] - first).dt.days // 7).tolist()
        event = None if pd.isna(device.event_on) else (device.event_on - first).days // 7
        out = {w for w, is_out in zip(week, rows["is_out"], strict=True) if is_out}
        values = dict(zip(week, rows["n_locations"].tolist(), strict=True))
        one = {"device_id": device.device_id, "stratum": device.stratum, "event": event, "values": values, "out": out}
        people.append({**one, "jitter": moved})
    return people


@given(panels(), params)
@settings(max_examples=50, deadline=None)
def test_effects_equal_the_naive_twin(made, chosen):
    panel, devices = made
    found = effects(panel, devices, chosen).set_index("months_since_loss")
    of_twin = naive_effects(
        people_of(panel, devices),
        chosen.months_before,
        chosen.months_after,
        chosen.min_weeks,
        chosen.n_controls,
        chosen.caliper_sd,
        2,
    )
    assert found.index.tolist() == sorted(of_twin)
    columns = ["n_devices", "n_controls", "estimate", "std_error", "control_mean"]
    for month, expected in of_twin.items():
        assert found.loc[month, columns].tolist() == pytest.approx(list(expected), rel=1e-9, abs=1e-6)


@given(panels(), params, seeds)
@settings(max_examples=18, deadline=None)
def test_order_of_rows_changes_no_byte(made, chosen, seed):
    panel, devices = made
    shuffled = panel.sample(frac=1, random_state=seed), devices.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(effects(*made, chosen), effects(*shuffled, chosen), check_exact=True)


@given(panels(densities=(1.0,)), params, seeds)
@settings(max_examples=18, deadline=None)
def test_what_a_week_does_to_everybody_changes_nothing(made, chosen, seed):
    panel, devices = made
    shock = np.random.default_rng(seed).integers(-8, 8, 24)[(panel["window_started"] - MONDAY).dt.days // 7]
    found, moved = (
        effects(rows, devices, chosen) for rows in (panel, panel.assign(n_locations=panel["n_locations"] + shock))
    )
    names = ["months_since_loss", "n_devices", "n_controls", "estimate", "std_error"]
    pd.testing.assert_frame_equal(found[names], moved[names], rtol=1e-6, atol=1e-8)


@given(panels(), params)
@settings(max_examples=30, deadline=None)
def test_rows_keep_their_promises(made, chosen):
    panel, devices = made
    areas = np.where(devices.index % 2 == 0, "even", "odd")
    groups = pd.DataFrame({"axis": "sex", "group": "female", "area": ["even"]})
    found = effects(panel, devices.assign(area=areas), chosen, groups=groups)
    assert (found[["n_devices", "n_controls"]] >= 2).all(axis=None)
    reference = found[found["months_since_loss"] == -1]
    assert (reference[["estimate", "std_error"]] == 0).all(axis=None)
    assert (reference[["p_value", "p_adjusted"]] == 1).all(axis=None)
    assert (found["p_adjusted"] >= found["p_value"]).all()
    assert found["p_value"].between(0, 1).all()
    assert (found["estimate_low"] <= found["estimate"]).all()
    assert (found["estimate"] <= found["estimate_high"]).all()
    counts = found.pivot(index="months_since_loss", columns="axis", values="n_devices").dropna()
    if "sex" in counts:
        assert (counts["sex"] <= counts["all"]).all()


@given(panels(), params, st.sampled_from(["before_event", "not_affected"]))
@settings(max_examples=18, deadline=None)
def test_a_placebo_never_sees_what_came_after_the_event(made, chosen, placebo):
    panel, devices = made
    chosen = chosen.model_copy(update={"placebo": placebo, "caliper_sd": 100.0})
    event_on = panel["device_id"].map(devices.set_index("device_id")["event_on"])
    is_after = panel["window_started"] >= event_on
    found = effects(panel, devices, chosen)
    # Of devices left out, values still enter the spread that the caliper and the breaking of ties are measured in.
    masked = panel.assign(n_locations=panel["n_locations"].mask(is_after))
    pd.testing.assert_frame_equal(found, effects(masked, devices, chosen), check_exact=placebo == "before_event")


@given(st.lists(st.integers(-5, 5), max_size=12), st.lists(st.integers(-5, 5), max_size=6), st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_nearest_are_the_nearest(offered, asked, n):
    offered, asked = np.array(offered, float), np.array(asked, float)
    found = nearest(asked, offered, n, 3.0)
    assert found.shape == (asked.size, n)
    for value, row in zip(asked, found, strict=True):
        picked = row[row >= 0]
        assert np.unique(picked).size == picked.size
        expected = np.sort(np.abs(offered - value))
        assert np.abs(offered[picked] - value).tolist() == expected[expected <= 3.0][:n].tolist()
        assert (row[picked.size :] == -1).all()


@given(seeds, st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_monthly_means_equal_the_twin(seed, min_weeks):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((3, 9)) < 0.6, rng.normal(size=(3, 9)), np.nan)
    found = monthly_means(values, 4, min_weeks)
    for row, means in zip(values, found, strict=True):
        known = {week: value for week, value in enumerate(row.tolist()) if value == value}
        expected = [naive_month(known, start, min_weeks) for start in range(6)]
        assert means.tolist() == pytest.approx([np.nan if m is None else m for m in expected], nan_ok=True)
    assert mean_of(list(values.T)).tolist() == pytest.approx(pd.DataFrame(values).mean(axis=1).tolist(), nan_ok=True)
