"""How figures of people are drawn: gaps, sides, regions, names of months."""

import numpy as np
import pandas as pd
import pytest

from pipeline.report import people_figures as figures
from pipeline.report.groups import Bars
from pipeline.report.rates import index_series
from tests import people_root
from tests.people_root import MONDAYS, MONTHS


@pytest.fixture
def drawn(monkeypatch):
    """The figures themselves, before they become images."""
    kept = []
    monkeypatch.setattr(figures, "to_image", lambda figure, alt: kept.append(figure))
    return kept


def test_what_is_missing_is_a_gap_in_the_line(drawn):
    weeks = pd.DataFrame({"started": MONDAYS[:3], "seen": [20.0, np.nan, 30.0]})
    figures.draw_weeks(weeks, {"seen": "with a ping"}, "Devices", "")
    (axes,) = drawn[0].axes
    assert np.isnan(axes.lines[0].get_ydata()[1])
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 30


def test_a_week_is_drawn_by_itself(drawn):
    figures.draw_weeks(pd.DataFrame({"started": MONDAYS[:1], "seen": [np.nan]}), {"seen": "s"}, "Devices", "")
    low, high = drawn[0].axes[0].get_xlim()
    assert high - low == pytest.approx(7)


def test_only_roles_with_enough_devices_are_drawn(drawn):
    bars = Bars(np.array([0.6, 0.8, 1.0]), np.array([10, 30]), np.array([10, 30]))
    figures.draw_confidence({"home": None, "work": bars}, {"home": "Home", "work": "Workplace"}, "")
    (axes,) = drawn[0].axes
    assert axes.get_title(loc="left") == "Workplace"
    heights = [patch.get_height() for patch in axes.patches]
    assert heights == pytest.approx([0.0625, 0.1875])  # per 0.05


def test_weightings_stand_side_by_side_in_a_month(drawn):
    months = people_root.unemployment().query("region_geoid == 'all' and window == 'month'")
    figures.draw_rates(months, {"none": "Unweighted", "area": "By area", "raked": "Raked"}, "")
    (axes,) = drawn[0].axes
    at = [container.lines[0].get_xdata() for container in axes.containers]
    assert len(at) == 2
    assert at[1] - at[0] == pytest.approx([0.18] * 5)
    assert (at[0] + at[1]) / 2 == pytest.approx(range(5))
    assert [line.get_xdata().tolist() for line in axes.lines if line.get_color() == "white"] == [
        pytest.approx([3.91]),
        pytest.approx([4.09]),
    ]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["Jan\n2020", "Feb", "Mar", "Apr", "May"]


def test_each_region_has_a_plot_of_its_own(drawn):
    series = index_series(people_root.unemployment().query("weighting == 'none'"), people_root.official_rates())
    other = series.assign(region="04")
    figures.draw_official(pd.concat([series, other]), {"rate": "Ours", "laus_rate": "LAUS"}, "")
    assert [axes.get_title(loc="left") for axes in drawn[0].axes] == ["Region 36", "Region 04"]
    assert [len(axes.lines) for axes in drawn[0].axes] == [2, 2]
    figures.draw_official(series[series["started"] != MONTHS[1]], {"rate": "Ours", "laus_rate": "LAUS"}, "")
    line = drawn[1].axes[0].lines[0]
    assert line.get_xdata().tolist() == [0, 1, 2, 3]
    assert np.isnan(line.get_ydata()).tolist() == [False, True, False, False]


def test_long_studies_name_every_few_months(drawn):
    started = pd.Series(pd.date_range("2019-06-01", "2021-12-01", freq="MS"))
    shown, names = figures._month_names(pd.DatetimeIndex(started), 9)
    assert shown == list(range(0, 31, 4))
    assert names[:3] == ["Jun\n2019", "Oct", "Feb\n2020"]
