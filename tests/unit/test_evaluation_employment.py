"""Scores of employment: small cases by hand, and the twins on random ones."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.employment import area_under_curve, evaluate_employment, find_losses, join_weeks, score
from pipeline.evaluation.spells import NOT_EMPLOYED, STATUSES, UNKNOWN, TrueSpells, status_by_day, status_by_week
from pipeline.study import StudyError
from tests.naive_employment import naive_auc, naive_day_status, naive_losses, naive_week_status

MONDAY = date(2020, 1, 6)
FIRST_DAY = (MONDAY - date(1970, 1, 1)).days


def spells_of(rows):
    """TrueSpells from (device, first day, last day, status), days counted from MONDAY."""
    frame = pd.DataFrame(rows, columns=["device_id", "first", "last", "status"])
    frame["status"] = frame["status"].map(STATUSES.index)
    frame[["first", "last"]] += FIRST_DAY
    return TrueSpells(frame.sort_values(["device_id", "first"], kind="stable", ignore_index=True), len(frame), 0)


def found_of(rows):
    """(EMPLOYMENT, PRESENCE) from (device, probabilities by week, first weeks lost or None)."""
    parts = []
    for device_id, probabilities in rows:
        week = np.arange(len(probabilities))
        monday = pd.Series(np.datetime64(MONDAY) + 7 * week).astype("datetime64[ms]")
        loss = np.array(probabilities, float)
        is_lost = loss >= 0.5
        since = monday.where(is_lost & ~np.append(False, is_lost[:-1])).ffill().where(is_lost)
        parts.append(
            pd.DataFrame(
                {
                    "device_id": device_id,
                    "window_started": monday,
                    "is_at_risk": loss > 0,
                    "loss_probability": loss,
                    "status": np.select(
                        [np.isnan(loss), loss == 0, is_lost], ["unknown", "employed", "not_employed"], "remote"
                    ),
                    "lost_on": since,
                    "known_on": since + pd.Timedelta(days=21),
                    "is_absent": loss > 0,
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    return frame.drop(columns="is_absent"), frame[["device_id", "window_started", "is_absent"]]


NAN = np.nan
FOUND = [
    (1, [0, 0, 0, 0.8, 0.8, 0.8, 0.8, 0]),  # truly out from Wednesday of week 3 on, for 24 days
    (2, [0, 0, 0.6, 0.6, 0.2, 0, NAN, 0]),  # never out, away in weeks 2 to 4
    (3, [0] * 8),  # out in weeks 1 and 2, unseen
    (4, [0.8] * 8),  # never had a job
    (9, [0.8] * 8),  # no truth
]
TRUE = [
    (1, 0, 22, "employed"), (1, 23, 46, "not_employed"), (1, 47, 55, "employed"),
    (2, 0, 13, "employed"), (2, 14, 34, "remote"), (2, 35, 55, "employed"),
    (3, 0, 6, "employed"), (3, 7, 20, "not_employed"), (3, 21, 55, "employed"),
    (4, 0, 55, "none"), (5, 0, 55, "employed"),
]  # fmt: skip


def test_a_small_case_by_hand():
    employment, presence = found_of(FOUND)
    spans = [(date(2020, 1, 26), date(2020, 2, 9))]  # Sunday of week 2 to Sunday of week 4
    found = evaluate_employment(employment, presence, spells_of(TRUE), spans)
    assert (found.n_devices, found.n_device_weeks, found.n_known) == (4, 24, 23)
    # Device 1 is out for most days of weeks 3 to 6 (days 23-46 of 21-27, ..., 42-48), device 3 in weeks 1 and 2.
    assert found.true_share == pytest.approx(6 / 23)
    assert found.confusion["not_employed"] == {"employed": 2, "remote": 0, "not_employed": 4, "unknown": 0}
    assert found.confusion["remote"] == {"employed": 0, "remote": 1, "not_employed": 2, "unknown": 0}
    assert found.confusion["employed"] == {"employed": 14, "remote": 0, "not_employed": 0, "unknown": 1}
    assert found.confusion["none"]["not_employed"] == 8
    brier = (4 * 0.04 + 2 * 0.36 + 0.04 + 2 * 1) / 23
    assert found.inferred.brier == pytest.approx(brier)
    assert found.baselines["never"].brier == pytest.approx(6 / 23)
    assert found.baselines["never"].auc == 0.5
    assert found.baselines["at_risk"].brier == pytest.approx((3 + 2) / 23)
    assert [b.n for b in found.reliability] == [16, 0, 1, 0, 0, 0, 2, 0, 4, 0]
    assert found.reliability[8].observed_share == 1 and found.reliability[0].observed_share == pytest.approx(2 / 16)
    false = found.false_losses["inferred"]
    assert (false.n_device_weeks, false.n_devices) == (17, 1)
    assert false.share_of_device_weeks == pytest.approx(2 / 17)
    assert (false.share_of_commuting, false.share_of_remote, false.share_of_devices) == (0, pytest.approx(2 / 3), 1)
    assert found.false_losses["at_risk"].share_of_remote == 1
    span = found.spans[0]
    assert (span["n_weeks"], span["n_known"]) == (3, 9)
    assert span["false_losses"]["inferred"].share_of_device_weeks == pytest.approx(2 / 6)


def test_delays_of_losses_by_hand():
    losses = find_losses(join_weeks(*found_of(FOUND), spells_of(TRUE)))
    assert (losses.n, losses.n_found) == (2, 1)
    by_length = [(each["from_weeks"], each["n"], each["n_found"]) for each in losses.by_length]
    assert by_length == [(0, 0, 0), (2, 2, 1), (4, 0, 0), (8, 0, 0), (16, 0, 0)]
    # The true first day is 23; week 3 begins on day 21, and three weeks later it was told.
    assert losses.first_week == losses.dated == (1, -2, -2, -2)
    assert losses.told == (1, 19, 19, 19)


def test_nobody_to_compare():
    employment, presence = found_of(FOUND[-1:])
    with pytest.raises(StudyError, match="none of its 5 devices"):
        evaluate_employment(employment, presence, spells_of(TRUE))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.2, 0.5, 1.0])), max_size=30))
def test_area_under_the_curve_equals_the_twin(items):
    is_true, value = np.array([t for t, _ in items], bool), np.array([v for _, v in items], float)
    found, twin = area_under_curve(is_true, value), naive_auc(is_true, value)
    assert np.isnan(found) if twin is None else found == pytest.approx(twin)
    scored = score(is_true, value)
    assert np.isnan(scored.brier) or 0 <= scored.brier <= 1


SPELL = st.tuples(st.integers(-5, 25), st.integers(0, 15), st.sampled_from(STATUSES))


@given(st.lists(SPELL, max_size=6, unique_by=lambda spell: spell[0]))
@settings(deadline=None)
def test_weeks_and_losses_equal_the_twin(spells):
    spells = [(first, first + length, status) for first, length, status in spells]
    frame = spells_of([(7, *spell) for spell in spells]).spells
    by_day = status_by_day(frame, np.array([7]), FIRST_DAY, 21)
    twin = [naive_day_status(spells, day) for day in range(21)]
    assert [None if s == UNKNOWN else STATUSES[s] for s in by_day[0]] == twin
    by_week = status_by_week(by_day)[0]
    weeks = [naive_week_status(spells, range(7 * w, 7 * w + 7), STATUSES) for w in range(3)]
    assert [None if s == UNKNOWN else STATUSES[s] for s in by_week] == weeks
    employment, presence = found_of([(7, [0.0, 0.8, 0.8])])
    if any(status is not None for status in twin):
        found = find_losses(join_weeks(employment, presence, spells_of([(7, *spell) for spell in spells])))
        assert found.n == len(naive_losses(twin))
        assert found.n_found == sum(stop > 7 for first, stop in naive_losses(twin))
    assert (by_day == NOT_EMPLOYED).sum() == twin.count("not_employed")
