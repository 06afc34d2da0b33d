"""The parts of the report about people: numbers, assumptions, and nobody in them."""

import re

import pytest

from pipeline.evaluation.representativeness import compare_groups, panel_size
from pipeline.report import write_report
from tests import people_root
from tests.integration.page import Page, rows_of


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """The page of a root with every table of people."""
    folder = tmp_path_factory.mktemp("people")
    people_root.write_people(folder / "tables")
    return write_report(people_root.study_of(), folder / "tables", folder / "r.html").read_text()


def test_parts_of_people_have_their_numbers_and_assumptions(people):
    words, rows = Page(people).text, rows_of(people, "homes")
    assert rows["Home, in the baseline"] == ["12", "not shown", "not shown", "0"]
    assert rows["Workplace, in any week"] == ["20", "40", "0", "0"]
    size, rows = panel_size(people_root.panel_weights(), people_root.tracts()), rows_of(people, "panel")
    assert [rows[name][0] for name in ("Unweighted", "By area", "Raked")] == [
        f"{size.effective[name]:.0f}" for name in ("unweighted", "area", "raked")
    ]
    groups = compare_groups(people_root.panel_weights(), people_root.tracts(), people_root.demographics())
    for row in groups[groups["axis"] != "education"].itertuples():
        shares = [f"{100 * share:.1f}\N{NO-BREAK SPACE}%" for share in row[3:]]
        assert rows[f"{row.axis}: {row.group.replace('_', ' ')}"] == shares
    assert "education" not in " ".join(rows)
    table = people_root.unemployment()
    may = table[(table["window_started"] == "2020-05-01") & (table["region_geoid"] == "all")].set_index("weighting")
    none, raked = (
        f"{100 * row.rate:.1f} ({100 * row.rate_low:.1f} to {100 * row.rate_high:.1f})"
        for row in may.loc[["none", "raked"]].itertuples()
    )
    assert rows_of(people, "unemployment")["2020-05, provisional"] == ["38", none, raked]
    hotels = rows_of(people, "employment")["72 Hotels and restaurants"]
    assert hotels[4:] == ["20", *(f"{x}\N{NO-BREAK SPACE}%" for x in ("25.0", "10.0", "60.0"))]
    assert rows_of(people, "effects")["everybody"][:2] == ["30", "−1.20 ± 0.39*"]
    for told in (
        "is not one without a home or a job",
        "groups are of areas, not of persons",
        "40 of the 60 devices have a baseline workplace",
        "P = 1 − min(R / r, 1), of somebody at risk (reading 1)",
        "Uptake of telework by those who can: 0.1, 0.9 from 2020-03-16 to 2020-05-15",
        "Levels cannot be compared",
        "The comparison group: for each loss the",
        "after correction for all of them (Holm)",
    ):
        assert told in words
    of_people = people.partition('<h2 id="homes">')[2].partition('<h2 id="changes">')[0]
    assert not re.search("Nothing to show|No comparison|No industries", of_people)


def test_no_device_and_no_area_is_in_the_parts_of_people(people):
    page = Page(people)
    everything = "\n".join([people, *page.images])
    for device in people_root.DEVICES:
        for written in (str(device), str(abs(device)), format(int(device) & (2**64 - 1), "016x")):
            assert written not in everything
    for area in (*people_root.AREAS, "36061"):
        assert area not in everything
    # Seven devices have two homes, nine live in the third area, two and a half work in agriculture.
    assert "Agriculture" not in everything
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert {a["href"].removeprefix("#") for a in page.of("a")} == set(ids)
    assert all("scope" in th for th in page.of("th"))
    assert not re.search(r"\bnan\b|\bNone\b(?! found)|\bNaT\b", page.text)


def test_assumptions_follow_the_parameters(tmp_path):
    people_root.write_people(tmp_path / "tables")
    params = {
        "home_work": {"method": "howde"},
        "sector_absence": {"reading": 2, "assignment": "draw"},
        "unemployment": {"count": "status"},
        "employment_effects": {"placebo": "before_event", "controls": "not_yet", "region_digits": 0},
    }
    told = people_root.study_of(params=params, telework=None)
    words = Page(write_report(told, tmp_path / "tables", tmp_path / "r.html").read_text()).text
    for sentence in (
        "The method is HoWDe 2.0.0",
        "HoWDe gives no probability: this is the score that it compares with its threshold",
        "(one drawn)",
        "Reading 2: P compares observed presence with that expected",
        "No [telework] in the study: nobody at risk is expected to work away",
        "The share with status “job lost” of devices that had a baseline workplace",
        "A placebo: dates of job loss are shuffled (before event), so there is no effect to find",
        "devices that have not lost the job yet (working away counts as having it), of the same industry, whose",
    ):
        assert sentence in words
