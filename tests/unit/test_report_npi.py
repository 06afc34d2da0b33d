"""The parts of the report about policies and risk, on tables small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest

from data_contracts import NPI_EVENTS, NPI_FITS, NPI_RESPONSE, REGION_CHANGES
from pipeline.engine.store import ALL, Store
from pipeline.evaluation.showing import format_p
from pipeline.npi_drivers import NpiParams
from pipeline.report.missing import Missing
from pipeline.report.npi import (
    draw_response,
    event_measures,
    kind_plots,
    measure_response,
    region_measures,
    side_plots,
    tell,
)
from pipeline.report.npi_model_figures import factor_ticks
from pipeline.report.npi_models import (
    judge,
    order_measures,
    pretrends,
    summarize_verdicts,
    tabulate_differences,
    tabulate_effects,
    tabulate_fits,
)
from pipeline.report.response_words import fold, format_change, measure_title, region_title, term_units
from tests import response_root
from tests.people_root import as_table
from tests.response_root import study_of, write_response
from tests.unit.test_report_figures import svg_of

MONDAY = pd.Timestamp("2020-03-02")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_response(tmp_path_factory.mktemp("response"))


@pytest.fixture(scope="module")
def response(store):
    return measure_response(store, study_of())


@pytest.fixture(scope="module")
def drawn(response):
    return draw_response(response)


# --- Words --------------------------------------------------------------------------------------


def test_measures_are_told_in_words():
    assert measure_title("visits:venue:Food") == "Visits at venues: Food"
    assert measure_title("minutes:home") == "Time at home"
    assert measure_title("gyration_m") == "Radius of gyration"
    assert measure_title("google_grocery_and_pharmacy") == "Google grocery and pharmacy"
    assert [region_title(region, {"04": "AZ"}) for region in ("all", "04", "04013")] == [
        "All regions",
        "AZ",
        "Region 04013",
    ]


def test_log_changes_are_told_in_per_cent():
    assert format_change(np.log(0.5)) == "−50\N{NO-BREAK SPACE}%"
    assert format_change(np.log(1.021)) == "+2.1\N{NO-BREAK SPACE}%"
    assert format_change(float("nan")) == "–"
    assert [format_p(p) for p in (0.0004, 0.25, float("nan"))] == ["< 0.001", "0.250", "–"]


def test_long_labels_break_near_their_middle():
    assert fold("Visits at venues: Arts and Entertainment", 19) == "Visits at venues: Arts\nand Entertainment"
    assert fold("Visits", 3) == "Visits"


def test_units_of_severity_follow_the_parameters():
    assert term_units("severity", "severity", NpiParams()) == "one more in ln(1 + weekly deaths per 100,000 residents)"
    linear = NpiParams(severity="cases", severity_scale="linear")
    assert term_units("severity", "severity", linear) == "one more weekly cases per 100,000 residents"
    assert "ten weeks" in term_units("adaptation", "weeks", NpiParams())


# --- Which candidate wins -----------------------------------------------------------------------


def fits_of(**errors):
    """Fits of one measure with errors by model; gains of all have an interval of ± 0.01."""
    rows = [(model, error, errors["stringency"] - error) for model, error in errors.items()]
    frame = pd.DataFrame(rows, columns=["model", "left_out_error", "gain"])
    chosen = frame.loc[frame["model"] != "nothing", "left_out_error"].idxmin()
    return frame.assign(
        measure="visits", axis="all", group="all", gain_low=frame["gain"] - 0.01, gain_high=frame["gain"] + 0.01,
        is_chosen=frame.index == chosen, n_regions=8, n_left_out=4, within_r2=0.5,
    )  # fmt: skip


def test_the_trivial_candidate_may_win_and_the_page_says_so():
    (verdict,) = judge(fits_of(nothing=0.1, stringency=0.2, weeks=0.19))
    assert (verdict.best, verdict.chosen, verdict.is_certain) == ("nothing", "weeks", True)
    assert "“nothing” wins (error 0.100), by 0.100 over stringency alone" in verdict.sentence
    assert verdict.sentence.endswith("so policies do not foretell a region that was left out.")
    assert "“nothing” in 1, stringency alone in 0" in summarize_verdicts([verdict])
    assert "In 0 severity or adaptation wins" in summarize_verdicts([verdict])
    (verdict,) = judge(fits_of(nothing=0.1999, stringency=0.2, weeks=0.21))
    assert not verdict.is_certain and "do not foretell" not in verdict.sentence
    assert verdict.sentence.endswith("which may be chance: the interval holds 0.")


def test_stringency_alone_may_win():
    (verdict,) = judge(fits_of(nothing=0.3, stringency=0.2, severity=0.25))
    assert (verdict.best, verdict.is_certain) == ("stringency", True)
    assert "stringency alone wins (error 0.200, that of “nothing” 0.300)" in verdict.sentence
    assert verdict.sentence.endswith("; with severity or adaptation it is worse.")


@pytest.mark.parametrize(("severity", "words"), [(0.2001, "not told apart from 0"), (0.25, "it is worse")])
def test_what_hardly_differs_is_not_said_to_add_nothing(severity, words):
    (verdict,) = judge(fits_of(nothing=0.2001, stringency=0.2, severity=severity))
    assert not verdict.is_certain and words in verdict.sentence
    assert "that of “nothing” 0.200; not told apart from it: the interval holds 0)" in verdict.sentence


def test_of_few_parts_nothing_is_certain_and_the_page_says_why():
    unknown = {"gain_low": np.nan, "gain_high": np.nan}
    (verdict,) = judge(fits_of(nothing=0.3, stringency=0.2, severity=0.15).assign(**unknown))
    assert not verdict.is_certain
    assert verdict.sentence.endswith(
        "by 0.050 over stringency alone, which may be chance: too few parts for an interval."
    )
    (verdict,) = judge(fits_of(nothing=0.3, stringency=0.2, severity=0.25).assign(**unknown))
    assert "not told apart from it: too few parts for an interval" in verdict.sentence
    assert tabulate_fits(fits_of(nothing=0.3, stringency=0.2).assign(**unknown))[0]["gain"] == "0.000"


@pytest.mark.parametrize(("error", "is_certain"), [(0.18, True), (0.195, False)])
def test_a_gain_counts_only_with_an_interval_above_0(error, is_certain):
    (verdict,) = judge(fits_of(nothing=0.3, stringency=0.2, log_weeks=error))
    assert (verdict.best, verdict.is_certain) == ("log_weeks", is_certain)
    assert ("may be chance" in verdict.sentence) is not is_certain
    assert f"In {int(is_certain)} severity or adaptation wins" in summarize_verdicts([verdict])


def test_without_regions_left_out_nothing_wins_or_loses():
    fits = fits_of(nothing=0.3, stringency=0.2).assign(left_out_error=np.nan, gain=np.nan)
    (verdict,) = judge(fits)
    assert (verdict.best, verdict.chosen) == (None, "stringency")
    assert "not known whether any candidate" in summarize_verdicts([verdict])
    assert tabulate_fits(fits)[0]["errors"]["stringency"] == "–"


def test_the_table_of_candidates_has_all_errors(response):
    rows = {row["title"]: row for row in tabulate_fits(response.fits)}
    assert rows["Visits"]["errors"]["log_weeks"] == "0.070"
    assert (rows["Visits"]["best"], rows["Visits"]["chosen"]) == ("log_weeks", "log_weeks")
    assert rows["Visits"]["gain"] == "0.030 (0.020 to 0.040)"
    assert rows["Predictability"]["best"] == "nothing"
    assert order_measures(response.fits)[:2] == ["visits", "visits:venue"]


def test_coefficients_are_told_with_intervals_and_mixed_beside(response):
    rows = {(row["title"], row["term"]): row for row in tabulate_effects(response.effects, response.params)}
    row = rows["Visits", "Stringency"]
    low, high = np.exp([-0.5 - 1.96 * 0.125, -0.5 + 1.96 * 0.125]) - 1
    assert row["effect"] == "−39\N{NO-BREAK SPACE}%"
    assert row["interval"] == f"−{-100 * low:.0f}\N{NO-BREAK SPACE}% to −{-100 * high:.0f}\N{NO-BREAK SPACE}%"
    assert row["mixed"] == format_change(-0.49)
    assert (row["lag_days"], row["n_clusters"]) == (0, 4)
    assert ("Predictability", "Severity") not in rows


def test_ticks_of_effects_stand_at_round_factors():
    assert factor_ticks(-1.0, 0.2) == [-np.log(2), 0.0]
    assert factor_ticks(-0.3, 0.3) == [-np.log(1.25), 0.0, np.log(1.25)]


def test_groups_have_a_table_a_term(response):
    tables = tabulate_differences(response.effects)
    assert [table["title"] for table in tables] == ["Stringency", "Severity", "Adaptation"]
    assert [row["label"] for row in tables[0]["rows"]] == [
        "age: from 55", "income: high", "income: low", "race: black or african american",
    ]  # fmt: skip
    assert tables[0]["rows"][1]["cells"][0].startswith(format_change(-0.5 * 0.3))
    assert tables[1]["measures"] == [title for title in tables[0]["measures"] if title not in (
        "Predictability", "Share of visits in routines")]  # fmt: skip


def test_a_small_pretrend_p_is_told(response):
    rows = pretrends(response.events)
    assert {row["order"] for row in rows if row["differs"]} == {"schools closed"}
    assert {row["p"] for row in rows} == {"0.003", "0.410"}
    unknown = pretrends(response.events.assign(pretrend_p_value=np.nan))
    assert not any(row["differs"] or row["is_known"] for row in unknown)


# --- The whole ----------------------------------------------------------------------------------


def test_every_part_is_drawn_with_words_and_the_same_bytes(response, drawn):
    names = [one.name for one in drawn]
    assert names == [
        "side", "kinds", "regions_visits", "regions_minutes:venue", "regions_gyration_m", "regions_contacts",
        "regions_routine_share", "change_maps", "candidates", "coefficients", "group_terms",
        "events_restaurants_closed", "events_schools_closed", "events_stay_at_home",
    ]  # fmt: skip
    again = {one.name: one.image for one in draw_response(response)}
    for one in drawn:
        assert one.image == again[one.name], one.name
        assert 'href="http' not in svg_of(one.image), one.name
        assert len(one.image.alt) > 60 and one.image.alt.endswith("."), one.name
        assert "nan" not in one.image.alt, one.name


def test_alternative_texts_have_the_numbers(response, drawn):
    alts = {one.name: one.image.alt for one in drawn}
    weeks = response.changes.weeks
    visits = weeks[(weeks["region_geoid"] == "all") & (weeks["measure"] == "visits")]["change"]
    assert f"Visits, visits: −{-100 * np.expm1(visits.min()):.0f} to" in alts["side"]
    assert "visits, stringency: −39\N{NO-BREAK SPACE}%" in alts["coefficients"]
    assert "visits in 8 regions" in alts["change_maps"]


def test_plots_are_of_what_there_is(response):
    changes = response.changes
    assert [plot.title for plot in side_plots(changes)] == ["Visits", "Time", "Contacts", "Routines", "Distances"]
    assert [plot.title for plot in kind_plots(changes)][4:] == [
        "Venues: Food", "Venues: Retail", "Venues: Arts and Entertainment",
    ]  # fmt: skip
    assert region_measures(changes) == ["visits", "minutes:venue", "gyration_m", "contacts", "routine_share"]
    assert event_measures(response.events) == ["visits", "minutes:venue", "gyration_m", "contacts"]
    other = changes._replace(weeks=changes.weeks.assign(measure="google_parks"))
    assert [list(plot.lines) for plot in side_plots(other)] == [["google_parks"]]
    assert region_measures(other) == ["google_parks"]


# --- What is missing ----------------------------------------------------------------------------


def test_a_root_without_tables_says_what_makes_them(tmp_path):
    found = measure_response(Store(tmp_path), study_of())
    for part in (found.changes, found.fits, found.effects, found.events):
        assert "has not been computed. It is made by: sojourn run" in part.why
    assert draw_response(found) == []
    assert tell(found).verdict_summary == ""


def test_a_study_without_sections_says_which(store):
    found = measure_response(store, study_of(npi_policies=None, npi_orders=None, tracts=None))
    assert "no [npi_policies]" in found.fits.why and "Declare it" in found.fits.why
    assert "no [npi_orders]" in found.events.why
    assert "no [tracts]" in found.outlines.why
    assert not found.has_band and not found.has_orders
    names = {one.name for one in draw_response(found)}
    assert "side" in names and not names & {"change_maps", "candidates", "coefficients"}


def test_empty_tables_say_why(tmp_path):
    store = Store(tmp_path)
    for table, frame in (
        (REGION_CHANGES, response_root.region_changes()),
        (NPI_FITS, response_root.npi_fits()),
        (NPI_RESPONSE, response_root.npi_response()),
        (NPI_EVENTS, response_root.npi_events()),
    ):
        store.write(table, ALL, as_table(table, frame.iloc[:0]), {})
    found = measure_response(store, study_of())
    assert all(isinstance(part, Missing) for part in found[:5])
    assert "fewer than 10 devices" in found.fits.why
    assert "have a baseline" in found.changes.why
