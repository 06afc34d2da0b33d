"""Official rates: a small file of each layout with every oddity the real ones have."""

from datetime import date

import openpyxl
import pandas as pd
import pytest

from data_contracts import OFFICIAL_RATES, conform
from pipeline.references import OfficialRates
from pipeline.sources import SourceError, official_rates_digest, read_official_rates

HEAD = [
    ["States and selected areas: employment status", *[None] * 10],
    [None] * 11,
    ["FIPS Code", "State and area", "Period", None, "Population", "Civilian labor force", *[None] * 5],
    [None, None, "Year", "Month", None, None, None, "Total", "Percent of population", "Total", "Rate"],
    [None, None, "Labor force", "Labor force", None, None, None, "Labor force", None, "level", "rate"],
]


def area(code, year, month, rate):
    return [code, "Somewhere", year, month, 2605000, 1486509, 57.1, 1387606, 53.3, 98903, rate]


LAUS = [
    area("04", "2020", "04", 13.8),
    area("04", "2020", "05", "–"),
    area("37", "2020", "04", 13.1),
    area("037", "2020", "04", 18.8),
    area("51000", "2020", "04", 15.0),
    ["Dash (–) indicates that data are not available.", *[None] * 10],
]
CLAIMS = (
    "year,month,day_endofweek,statefips,initclaims_rate_regular,contclaims_rate_regular,"
    "initclaims_rate_combined,contclaims_rate_combined\n"
    "2020,4,18,4,2.04,4.79,2.5,.\n2020,12,31,36,.,14.2,.,.\n"
)


def excel(folder, rows, head=HEAD):
    book = openpyxl.Workbook()
    for row in [*head, *rows]:
        book.active.append(row)
    book.save(folder / "laus.xlsx")


def read(folder, **fields):
    table = read_official_rates(OfficialRates(**fields), folder)
    rows = conform(table.replace_schema_metadata(None), OFFICIAL_RATES).to_pylist()
    found = {(r["region_geoid"], r["series"], r["window"], r["window_started"]): r["value"] for r in rows}
    return found, {name.decode(): int(n) for name, n in table.schema.metadata.items()}


def test_states_of_laus_and_nothing_else(tmp_path):
    excel(tmp_path, LAUS)
    found, notes = read(tmp_path, laus_path="laus.xlsx")
    april = date(2020, 4, 1)
    assert found == {
        ("04", "laus_rate", "month", april): pytest.approx(0.138),
        ("37", "laus_rate", "month", april): pytest.approx(0.131),
    }
    assert notes == {"n_laus_lines_without_area": 2, "n_laus_rows_below_states": 2, "n_laus_not_available": 1}


def test_codes_that_became_numbers(tmp_path):
    excel(tmp_path, [area(4, 2020, 4, 13.8)])
    assert [key[0] for key in read(tmp_path, laus_path="laus.xlsx")[0]] == ["04"]
    # Los Angeles County is North Carolina then, which must not go unnoticed.
    excel(tmp_path, [area(37, 2020, 4, 13.1), area(37, 2020, 4, 18.8)])
    with pytest.raises(SourceError, match="2 of 2 rows share region, series and period"):
        read(tmp_path, laus_path="laus.xlsx")


def test_claims_of_weeks_that_end_on_saturday(tmp_path):
    (tmp_path / "claims.csv").write_text(CLAIMS)
    found, notes = read(tmp_path, claims_path="claims.csv")
    monday, last = date(2020, 4, 13), date(2020, 12, 28)
    assert found == {
        ("04", "initial_claims", "week", monday): pytest.approx(0.0204),
        ("04", "continued_claims", "week", monday): pytest.approx(0.0479),
        ("36", "continued_claims", "week", last): pytest.approx(0.142),
    }
    assert notes == {"n_initial_claims_not_available": 1, "n_continued_claims_not_available": 0}
    found, _ = read(tmp_path, claims_path="claims.csv", claims="combined")
    assert found == {("04", "initial_claims", "week", monday): pytest.approx(0.025)}


@pytest.mark.parametrize("day", pd.date_range("2020-02-24", "2020-03-08"))
def test_a_week_begins_on_the_monday_before_its_last_day(tmp_path, day):
    text = CLAIMS.splitlines()[0] + f"\n{day.year},{day.month},{day.day},4,1,1,1,1\n"
    (tmp_path / "claims.csv").write_text(text)
    starts = {key[3] for key in read(tmp_path, claims_path="claims.csv")[0]}
    assert starts == {(day - pd.Timedelta(days=day.weekday())).date()}


def test_both_files_make_one_table_and_one_digest(tmp_path):
    excel(tmp_path, LAUS)
    (tmp_path / "claims.csv").write_text(CLAIMS)
    found, _ = read(tmp_path, laus_path="*.xlsx", claims_path="*.csv")
    assert len(found) == 5
    both = OfficialRates(laus_path="*.xlsx", claims_path="*.csv")
    before = official_rates_digest(both, tmp_path)
    assert before != official_rates_digest(OfficialRates(laus_path="*.xlsx"), tmp_path)
    (tmp_path / "claims.csv").write_text(CLAIMS + "\n")
    assert official_rates_digest(both, tmp_path) != before


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([area("04", "2020", "13", 5.0)], "the date is none in 1 of 1 rows"),
        ([area("04", "2020", "04", "many")], "rate is no percentage in 1 of 1 rows"),
        ([area("04", "2020", "04", 138.0)], "rate is no percentage in 1 of 1 rows"),
        ([area("037", "2020", "04", 13.8)], "hold no rate of a state"),
    ],
)
def test_wrong_laus_rows_are_counted(tmp_path, rows, words):
    excel(tmp_path, rows)
    with pytest.raises(SourceError, match=words):
        read(tmp_path, laus_path="laus.xlsx")


def test_files_of_another_kind(tmp_path):
    excel(tmp_path, LAUS, head=HEAD[:2])
    with pytest.raises(SourceError, match=r"laus.xlsx: no header with year, month, rate"):
        read(tmp_path, laus_path="laus.xlsx")
    (tmp_path / "laus.xlsx").write_text("not a workbook")
    with pytest.raises(SourceError, match="not readable as an Excel file"):
        read(tmp_path, laus_path="laus.xlsx")
    (tmp_path / "claims.csv").write_text(CLAIMS.replace(",4,2.04", ",AZ,2.04"))
    with pytest.raises(SourceError, match="statefips holds no state in 1 of 2 rows"):
        read(tmp_path, claims_path="claims.csv")
    with pytest.raises(SourceError, match="no such file of official rates"):
        read(tmp_path, claims_path="other.csv")
