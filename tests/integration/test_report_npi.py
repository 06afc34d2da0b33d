"""The page of a root with every table of policies and risk, and the page of published series."""

import re
from itertools import pairwise

import pandas as pd
import pytest

from pipeline.report import write_report
from pipeline.report.series import params_of_series, with_mean, write_series_page
from pipeline.study import StudyError
from tests import response_root
from tests.integration.page import Page, rows_of
from tests.integration.test_cli import sojourn

FOOD = "+8.3\N{NO-BREAK SPACE}% (−4.1\N{NO-BREAK SPACE}% to +22\N{NO-BREAK SPACE}%)"
SCOPES = (("all", "region"), ("all", "region_and_period"), ("chosen", "region"), ("chosen", "region_and_period"))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("response")
    response_root.write_response(folder / "tables")
    return write_report(response_root.study_of(), folder / "tables", folder / "r.html").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `sojourn evaluate npi --out` writes, of two measures: in the last comparison nothing wins."""
    folder = tmp_path_factory.mktemp("series")
    changes = response_root.region_changes()
    changes = changes[(changes["region_geoid"] != "all") & changes["measure"].isin(["visits", "contacts"])]
    names = {"visits": "google_parks", "contacts": "m50_index"}
    series = changes[changes["region_geoid"].isin(["04013", "21067", "36047", "40109"])]
    state = series["region_geoid"].str[:2]
    series = series.assign(region_geoid=state, measure=series["measure"].map(names), n_devices=0)
    parts = {"fits": response_root.npi_fits(), "response": response_root.npi_response()}
    parts = {name: rows[(rows["axis"] == "all") & rows["measure"].isin(names)] for name, rows in parts.items()}
    for name, rows in parts.items():
        rows = pd.concat([rows.assign(scope=scope, effects=effects) for scope, effects in SCOPES])
        if name == "fits":
            is_last = (rows["scope"] == "chosen") & (rows["effects"] == "region_and_period")
            rows.loc[is_last & (rows["model"] == "nothing"), "left_out_error"] = 0.01
        rows.assign(measure=rows["measure"].map(names)).to_parquet(folder / f"{name}.parquet")
    series.to_parquet(folder / "changes.parquet")
    lags().to_parquet(folder / "lags.parquet")
    return folder


def lags():
    rows = [
        (scope, driver, measure, lag, 0.1 + 0.001 * (lag - best) ** 2)
        for scope in ("all", "chosen")
        for driver, best in (("stringency", 0), ("severity", 5), ("both", 3))
        for measure in ("google_parks", "m50_index")
        for lag in range(-7, 15)
    ]
    return pd.DataFrame(rows, columns=["scope", "driver", "measure", "lag_days", "left_out_error"])


@pytest.fixture(scope="module")
def series(folder):
    path = write_series_page(folder, folder / "series.html", response_root.npi_policies(), response_root.npi_orders())
    return path.read_text()


def is_sound(text):
    """Fail where a page needs anything else, has a link to nowhere, or writes what is no number."""
    page = Page(text)
    assert not page.of("script", "link", "iframe", "base")
    assert not re.search(r"url\(|@import|https?://", text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"].removeprefix("#") for a in page.of("a")} == set(ids)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in th for th in page.of("th"))
    assert not re.search(r"\bnan\b|\bNone\b(?! found)|\bNaT\b", page.text)
    return page


# --- A study ------------------------------------------------------------------------------------


def test_the_page_of_a_study_has_numbers_and_assumptions(text):
    page = is_sound(text)
    rows = rows_of(text, "explains")
    # Of rows alike the last: visits to food are told by adaptation.
    assert rows["Visits at venues: Food"][:2] == ["Adaptation", FOOD]
    assert rows["age: from 55"][0] == "540"
    for told in (
        "the median of the same weekdays of the baseline, 2020-01-06 to 2020-02-02",
        "Whom it counts. Devices with pings in 8 hours of the day or more",
        "These are associations, not effects",
        "as if devices were drawn from these at random",
        "groups are of areas, not of persons",
        "Of 12 measures, regions left out are foretold best by: “nothing” in 1, stringency alone in 1",
        "Predictability: “nothing” wins",
        "“Nothing” foretells every region’s baseline.",
        "Mean of the weeks from 2020-",
        "those with the strictest policies",
        "The 6 regions with most devices, of 8",
    ):
        assert told in page.text, told
    assert "Nothing to show" not in text[text.index('<h2 id="changes">') : text.index('<h2 id="provenance">')]


def test_a_pretrend_is_a_warning(text, tmp_path):
    page = Page(text)
    assert "differed from others before it (pre-trend p < 0.05): schools closed, people met (p 0.003)" in page.text
    assert "visits p = 0.410" in page.text
    store = response_root.write_response(tmp_path / "tables")
    events = response_root.npi_events().assign(pretrend_p_value=0.5)
    store.write(
        response_root.NPI_EVENTS, response_root.ALL, response_root.as_table(response_root.NPI_EVENTS, events), {}
    )
    again = write_report(response_root.study_of(), tmp_path / "tables", tmp_path / "r.html").read_text()
    assert "before it</strong>" not in again


def test_no_position_and_no_area_is_in_the_page(text):
    page = Page(text)
    everything = "\n".join([text, *page.images])
    for area in response_root.AREAS:
        assert area not in everything
    written = " ".join([page.text, *(image["alt"] for image in page.of("img"))])
    assert not re.search(r"-?9\d\.\d{3}|\b3[5-7]\.\d{3}", written)


def test_a_root_without_tables_says_how_to_get_them(tmp_path):
    (tmp_path / "tables").mkdir()
    page = is_sound(write_report(response_root.study_of(), tmp_path / "tables", tmp_path / "r.html").read_text())
    for table in ("region_changes", "npi_fits", "npi_events"):
        assert f"the table {table} has not been computed. It is made by: sojourn run" in page.text
    plain = response_root.study_of(npi_policies=None, npi_orders=None, epidemic=None)
    page = is_sound(write_report(plain, tmp_path / "tables", tmp_path / "r.html").read_text())
    assert "no [npi_policies] or no [epidemic] in the study. Declare it in the study file" in page.text


# --- Published series ---------------------------------------------------------------------------


def test_the_page_of_series_has_all_four_comparisons(series):
    page = is_sound(series)
    for told in (
        "All states (8), levels of states taken out",
        "The chosen states (8), levels of states and of weeks taken out. Of 2 measures",
        "“nothing” in 2",
        "“Nothing” foretells what the other regions did in the same period.",
        "Google parks",
        "AZ, KY, NY, OK.",
        "Whom it counts. People whose devices reported to the source",
        "Associations, not effects",
        "Grey, on the scale at the right: stringency",
    ):
        assert told in page.text, told
    alts = " ".join(image["alt"] for image in page.of("img"))
    assert "google parks, severity: 5 days" in alts
    assert alts.count("Errors of candidates in regions left out") == 4


def test_series_without_a_study_have_no_band(folder, tmp_path):
    page = is_sound(write_series_page(folder, tmp_path / "s.html", regions=("36",)).read_text())
    assert "No stringency is drawn" in page.text
    assert "AZ, KY" not in page.text


def test_the_mean_of_states_counts_each_alike():
    at = pd.Timestamp("2020-04-01")
    rows = pd.DataFrame({"region_geoid": ["04", "36"], "log_change": [-0.2, -0.6], "n_devices": 0, "baseline": 1.0})
    found = with_mean(rows.assign(axis="all", group="all", measure="m", date=at))
    mean = found[found["region_geoid"] == "all"]
    assert mean["log_change"].tolist() == pytest.approx([-0.4])
    assert found["n_devices"].tolist() == [1, 1, 2]


def test_the_mean_of_states_is_not_that_of_those_who_changed_less():
    """Of a day that lacks a state, or a number of it, there is none; a state that a series never has does not count."""
    days = pd.to_datetime(["2020-04-01", "2020-04-02", "2020-04-03"])
    nan = float("nan")
    values = {"04": [-0.2, -0.2, -0.2], "36": [-0.6, nan, -0.8], "40": [nan] * 3}
    rows = pd.DataFrame(
        [(state, day, one) for state, mine in values.items() for day, one in zip(days, mine, strict=True)],
        columns=["region_geoid", "date", "log_change"],
    ).assign(axis="all", group="all", measure="m50_index", n_devices=0, baseline=1.0)
    lacks = (rows["region_geoid"] == "36") & (rows["date"] == days[2])
    other = rows[~lacks].assign(measure="other")
    found = with_mean(pd.concat([rows, other]))
    mean = found[found["region_geoid"] == "all"].pivot(index="date", columns="measure", values="log_change")
    assert mean["m50_index"].tolist() == pytest.approx([-0.4, nan, -0.5], nan_ok=True)
    assert mean["other"].tolist() == pytest.approx([-0.4, nan, nan], nan_ok=True)


def test_parameters_of_series_are_those_of_the_study():
    study = response_root.study_of(params={"npi_fits": {"severity": "cases"}, "npi_response": {"severity": "cases"}})
    assert params_of_series(study).severity == "cases"
    assert params_of_series(None).severity == "deaths"


def test_a_missing_table_of_series_says_how_to_get_it(folder, tmp_path):
    with pytest.raises(StudyError, match=r"no .*changes\.parquet; it is written by: sojourn evaluate npi --out"):
        write_series_page(tmp_path, tmp_path / "s.html")
    done = sojourn("report", "series", tmp_path, "--out", tmp_path / "s.html")
    assert done.returncode == 2
    assert "sojourn evaluate npi --out" in done.stderr
    assert not (tmp_path / "s.html").exists()


def test_the_commands_write_pages(folder, tmp_path):
    done = sojourn("report", "series", folder, "--out", tmp_path / "s.html")
    assert done.returncode == 0, done.stderr
    assert "Policies, risk and published series" in (tmp_path / "s.html").read_text()
    response_root.write_response(tmp_path / "tables")
    sets = ['name="r"', 'start="2020-01-06"', 'end="2020-07-05"', 'zone="UTC"', "sources=[]"]
    options = [part for text in sets for part in ("--set", text)]
    done = sojourn("report", "study", *options, "--root", tmp_path / "tables", "--out", tmp_path / "r.html")
    assert done.returncode == 0, done.stderr
    assert "no [npi_policies]" in (tmp_path / "r.html").read_text()
    assert done.stdout.split() == [str(tmp_path / "r.html")]
