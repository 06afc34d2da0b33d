"""Features of models of people: against the slow twin, without what lies ahead, whatever the order of rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.models.people.features import UNKNOWN, exploration_rows, feature_names
from pipeline.models.people.presence_windows import feature_names as presence_names
from pipeline.models.people.presence_windows import presence_rows
from pipeline.models.people.weeks import kinds_of
from tests.naive_people_models import naive_exploration, naive_kind, naive_presence
from tests.people_models_rows import MONDAY, make_visits, presence_of

KINDS = ["Food", "Shop"]
CATEGORIES = [None, "", "Food > Bar", "Food", "Shop: shoes", "Park"]
DAY_0 = int(MONDAY.astype(np.int64))
visit = st.tuples(st.sampled_from([3, 8]), st.integers(0, 80), st.integers(0, 5), st.sampled_from(CATEGORIES))
visits_of_two = st.lists(visit, min_size=1, max_size=40)


def rows_of(rows, **changes):
    return exploration_rows(make_visits(rows), **({"n_lags": 3, "kinds": KINDS, "min_days": 1} | changes))


def of_device(rows, device_id):
    return sorted([(day, place, kind, False) for d, day, place, kind in rows if d == device_id], key=lambda v: v[0])


# --- Exploration --------------------------------------------------------------------------------------


@given(visits_of_two, st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_features_and_targets_equal_the_twin(rows, min_days):
    found, names = rows_of(rows, min_days=min_days), feature_names(3, KINDS)
    expected = []
    for device_id in sorted({row[0] for row in rows}):
        own = of_device(rows, device_id)
        expected += [(device_id, *each) for each in naive_exploration(own, own[-1][0], 3, KINDS, min_days)]
    assert found.device_id.tolist() == [each[0] for each in expected]
    assert (found.monday - DAY_0).tolist() == [each[1] for each in expected]
    assert found.has_new.tolist() == [each[3] for each in expected]
    assert found.kind.tolist() == [each[4] for each in expected]
    twin = np.array([[each[2][name] for name in names] for each in expected]).reshape(-1, len(names))
    np.testing.assert_allclose(found.features, twin, atol=2e-6)
    assert all(set(each[2]) == set(names) for each in expected)


@given(visits_of_two, visits_of_two, st.integers(1, 11))
@settings(max_examples=25, deadline=None)
def test_what_comes_later_changes_no_feature(rows, other, week):
    """Whatever happens from a Monday on, forecasts of weeks up to the one that begins there are the same."""
    cut = 7 * week
    before = [row for row in rows if row[1] < cut]
    changed = before + [row for row in other if row[1] >= cut]
    one, two = (rows_of(each) if each else None for each in (rows, changed))
    if one is None or two is None:
        return
    kept = [part.monday - DAY_0 <= cut for part in (one, two)]
    common = set(zip(one.device_id[kept[0]], one.monday[kept[0]], strict=True))
    common &= set(zip(two.device_id[kept[1]], two.monday[kept[1]], strict=True))
    for device_id, monday in common:
        at = [np.flatnonzero((part.device_id == device_id) & (part.monday == monday))[0] for part in (one, two)]
        for name in ("features", "n_observed", "n_new", "n_recent_new", "n_recent_observed", "kinds_before"):
            assert (getattr(one, name)[at[0]] == getattr(two, name)[at[1]]).all(), name


@given(visits_of_two, st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_neither_order_nor_other_devices_change_a_bit(rows, chance):
    visits = make_visits(rows)
    whole = exploration_rows(visits, 3, KINDS, 1)
    order = list(range(len(visits)))
    chance.shuffle(order)
    mixed = exploration_rows(visits.iloc[order], 3, KINDS, 1)
    parts = [exploration_rows(part, 3, KINDS, 1) for _, part in visits.groupby("device_id")]
    for name in whole._fields:
        assert np.array_equal(getattr(whole, name), getattr(mixed, name)), name
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(part, name) for part in parts])), name


def test_a_worked_example():
    """Two places in the first week, a shop in the second; the third is not over."""
    rows = [
        (1, 0, 0, None),
        (1, 1, 1, "Food > Bar"),
        (1, 6, 0, None),
        (1, 8, 2, "Shop"),
        (1, 13, 0, None),
        (1, 15, 3, None),
    ]
    found = rows_of(rows)
    assert (found.monday - DAY_0).tolist() == [7, 14]
    assert found.has_new.tolist() == [1, UNKNOWN]  # the third week is not over
    assert found.kind.tolist() == [1, UNKNOWN]
    assert found.is_last.tolist() == [False, True]
    assert found.kinds_before.tolist() == [[1, 0, 0, 1], [1, 1, 0, 1]]
    value = dict(zip(feature_names(3, KINDS), found.features[1], strict=True))
    assert value["log_visits_1_back"] == pytest.approx(np.log(3))
    assert value["log_places_so_far"] == pytest.approx(np.log(4))
    assert value["places_seen_once"] == pytest.approx(2 / 3)
    assert value["new_share_of_weeks"] == pytest.approx(3 / 4)
    assert value["is_in_record_3_back"] == 0


def test_the_kind_of_a_week_is_that_of_its_first_new_place():
    found = rows_of([(1, 0, 0, None), (1, 8, 1, "Shop"), (1, 9, 2, "Food"), (1, 11, 3, "Park"), (1, 15, 0, None)])
    assert found.kind.tolist() == [KINDS.index("Shop"), UNKNOWN]


def test_a_week_without_visits_is_no_target_and_a_lone_visit_has_no_row():
    found = rows_of([(1, 0, 0, None), (1, 20, 1, None)])
    assert found.has_new.tolist() == [UNKNOWN, 1, UNKNOWN]
    assert found.n_observed.tolist() == [1, 1, 2]
    assert rows_of([(1, 2, 0, None)]).features.shape == (0, len(feature_names(3, KINDS)))


def test_no_visits_have_no_rows():
    empty = make_visits([(1, 0, 0, None)]).iloc[:0]
    found = exploration_rows(empty, 3, KINDS, 1)
    assert found.features.shape == (0, len(feature_names(3, KINDS)))
    assert all(len(column) == 0 for column in found)


@given(st.lists(st.one_of(st.none(), st.text("ab >:/ ", max_size=6)), max_size=10))
@settings(max_examples=40, deadline=None)
def test_kinds_equal_the_twin(categories):
    assert kinds_of(pd.Series(categories, dtype="str")).tolist() == [naive_kind(each) for each in categories]


# --- Presence -----------------------------------------------------------------------------------------

week_rows = st.tuples(
    st.sampled_from([3, 8]), st.integers(0, 12), st.booleans(), st.sampled_from([0.0, 0.2, 1.0, 3.0]), st.booleans()
)


@st.composite
def presences(draw):
    """PRESENCE of two devices, weeks missing here and there."""
    rows = draw(st.lists(week_rows, min_size=1, max_size=20, unique_by=lambda row: row[:2]))
    return presence_of([(d, w, seen, r if seen else np.nan, seen and away) for d, w, seen, r, away in rows])


@given(presences(), st.integers(0, 4), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_windows_equal_the_twin(presence, before, after):
    found, names = presence_rows(presence, before, after), presence_names(before, after)
    week = (presence["window_started"].to_numpy() - MONDAY).astype("timedelta64[D]").astype(int) // 7
    devices = {d: {} for d in presence["device_id"]}
    for k, row in enumerate(presence.to_dict("records")):
        devices[row["device_id"]][int(week[k])] = row
    twin = [naive_presence(devices[d], int(w), before, after) for d, w in zip(presence["device_id"], week, strict=True)]
    assert set(twin[0]) == set(names)
    np.testing.assert_allclose(found.features, [[each[name] for name in names] for each in twin], atol=2e-6)


@given(presences(), st.integers(0, 12), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_without_weeks_after_the_future_changes_nothing_nor_does_order(presence, week, chance):
    day = np.datetime64(MONDAY + 7 * week, "s")
    past = presence[presence["window_started"].to_numpy() <= day].reset_index(drop=True)
    whole, part = (presence_rows(each, 4, 0) for each in (presence, past))
    assert np.array_equal(whole.features[whole.monday <= DAY_0 + 7 * week], part.features)
    order = list(range(len(presence)))
    chance.shuffle(order)
    mixed = presence_rows(presence.iloc[order], 4, 2)
    for one, other in zip(mixed, presence_rows(presence, 4, 2), strict=True):
        assert np.array_equal(one, other)


def test_no_presence_has_no_rows():
    assert presence_rows(presence_of([(1, 0, True, 1.0, False)]).iloc[:0], 4, 2).features.shape[0] == 0
