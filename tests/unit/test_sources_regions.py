"""Policies, orders and an epidemic: a small file of each layout with the oddities of the real ones."""

from datetime import date

import openpyxl
import pandas as pd
import pytest

from data_contracts import EPIDEMIC, NPI_ORDERS, NPI_POLICIES, conform
from pipeline.references import Epidemic, NpiOrders, NpiPolicies
from pipeline.sources import (
    SourceError,
    epidemic_digest,
    npi_orders_digest,
    npi_policies_digest,
    read_epidemic,
    read_npi_orders,
    read_npi_policies,
)
from tests.naive_regions import naive_residents

HEAD = ["country_code", "country_name", "region_code", "region_name", "jurisdiction", "05Apr2020", "06Apr2020"]
FIRST, SECOND = date(2020, 4, 5), date(2020, 4, 6)


def rows_of(table, contract):
    return conform(table.replace_schema_metadata(None), contract).to_pylist()


def notes_of(table):
    return {name.decode(): int(n) for name, n in table.schema.metadata.items()}


def policies(folder, text=None, name="policies.csv", **fields):
    if text is not None:
        (folder / name).write_text(text)
    table = read_npi_policies(NpiPolicies(path=name, **fields), folder)
    found = {(row["region_geoid"], row["date"]): row["stringency"] for row in rows_of(table, NPI_POLICIES)}
    return found, notes_of(table)


def state(code, *values):
    return ["USA", "United States", code, "Somewhere", "STATE_TOTAL", *values]


def excel(folder, sheets, name="oxcgrt.xlsx"):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for sheet, rows in sheets.items():
        page = book.create_sheet(sheet)
        for row in [HEAD, *rows]:
            page.append(row)
    book.save(folder / name)
    return name


def test_policies_by_the_names_of_the_contract(tmp_path):
    text = "region_geoid,date,stringency\n36,2020-04-06,80\n04,2020-04-05,62.04\n36,2020-04-05,\n"
    found, notes = policies(tmp_path, text)
    assert found == {("04", FIRST): 62.04, ("36", SECOND): 80.0}
    assert notes == {"n_without_stringency": 1}


def test_policies_with_columns_dates_and_zeros_of_their_own(tmp_path):
    text = "fips;day;index\n4;5.4.2020;10\n36;06.04.2020;20\n"
    fields = {"region_column": "fips", "date_column": "day", "stringency_column": "index", "region_digits": 2}
    found, _ = policies(tmp_path, text, **fields, date_format="%d.%m.%Y", delimiter=";")
    assert found == {("04", FIRST): 10.0, ("36", SECOND): 20.0}


def test_policies_of_a_parquet_file_with_dates(tmp_path):
    frame = pd.DataFrame({"region_geoid": ["04"], "date": [pd.Timestamp(FIRST)], "stringency": [5]})
    frame.to_parquet(tmp_path / "policies.parquet")
    assert policies(tmp_path, name="policies.parquet")[0] == {("04", FIRST): 5.0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("region_geoid,date\n36,2020-04-05\n", "no column stringency"),
        ("region_geoid,date,stringency\n", "no rows"),
        ("region_geoid,date,stringency\n36,2020-04-05,high\n", "column stringency holds no number in 1 of 1"),
        ("region_geoid,date,stringency\n36,2020-04-05,100.5\n", "not between 0 and 100 in 1 of 1"),
        ("region_geoid,date,stringency\n36,04/05/2020,1\n", "column date holds no date of the form YYYY-MM-DD in 1"),
        ("region_geoid,date,stringency\n36,,1\n", "column date is missing in 1 of 1"),
        ("region_geoid,date,stringency\n,2020-04-05,1\n", "1 rows have no id"),
        ("region_geoid,date,stringency\n36,2020-04-05,\n", "no stringency of any region"),
        (
            "region_geoid,date,stringency\n36,2020-04-05,1\n36,2020-04-05,2\n04,2020-04-05,2\n",
            "2 of 3 rows share region_geoid and date",
        ),
    ],
)
def test_policies_that_are_refused(tmp_path, text, words):
    with pytest.raises(SourceError, match=words) as refused:
        policies(tmp_path, text)
    assert "policies.csv" in str(refused.value)


def test_ids_that_are_no_such_numbers(tmp_path):
    with pytest.raises(SourceError, match="column region_geoid holds no number of 2 digits in 2 of 3 rows"):
        policies(
            tmp_path,
            "region_geoid,date,stringency\n4,2020-04-05,1\nNY,2020-04-05,1\n036,2020-04-05,1\n",
            region_digits=2,
        )


def test_oxcgrt_index_of_states_by_day(tmp_path):
    name = excel(tmp_path, {"stringency_index": [state("US_NY", 82.41, None), state("US_AZ", 0, 62.04)]})
    found, notes = policies(tmp_path, name=name, preset="oxcgrt_index")
    assert found == {("36", FIRST): 82.41, ("04", FIRST): 0.0, ("04", SECOND): 62.04}
    assert notes == {"n_without_stringency": 1}


def indicator_sheets(**replaced):
    """The worked example on the first day; on the second, nothing at all."""
    levels = {"c1": 2, "c2": 0, "c3": 2, "c4": 2, "c5": 0, "c6": 1, "c7": 1, "c8": 3, "h1": 2} | replaced
    flags = {"c1": 1, "c2": None, "c3": 0, "c4": 0, "c5": None, "c6": 0, "c7": 1, "h1": 0}
    sheets = {f"{name}_of_something": [state("US_NY", level, 0)] for name, level in levels.items()}
    return sheets | {f"{name}_flag": [state("US_NY", flag, None)] for name, flag in flags.items()}


def test_oxcgrt_index_from_its_indicators(tmp_path):
    name = excel(tmp_path, indicator_sheets())
    found, _ = policies(tmp_path, name=name, preset="oxcgrt_indicators")
    assert found == {("36", FIRST): pytest.approx(43.9815, abs=5e-5), ("36", SECOND): 0.0}
    name = excel(tmp_path, indicator_sheets(c5=1))  # a policy that does not say whether it is general
    found, notes = policies(tmp_path, name=name, preset="oxcgrt_indicators")
    assert (list(found), notes) == ([("36", SECOND)], {"n_without_stringency": 1})


def test_oxcgrt_files_that_are_refused(tmp_path):
    def refused(sheets, words, preset="oxcgrt_index"):
        with pytest.raises(SourceError, match=words):
            policies(tmp_path, name=excel(tmp_path, sheets), preset=preset)

    refused({"c1_flag": []}, "no sheet stringency_index; there are c1_flag")
    refused({"stringency_index": [state("US_XX", 1, 1)]}, "no state, such as US_NY, in 1 of 1 rows")
    refused({"stringency_index": [state("US_NY", "high", 1)]}, "holds no number in 1 of 2 cells")
    refused({"stringency_index": [state("US_NY", 1, 1)] * 2}, "a state or day is twice")
    refused({"stringency_index": [state("US_NY", 101, 1)]}, "not between 0 and 100")
    refused(indicator_sheets(c1=9), "1 of 18 indicators have a level or flag", "oxcgrt_indicators")
    without = {name: rows for name, rows in indicator_sheets().items() if name != "c1_of_something"}
    refused(without, "0 sheets of the indicator c1", "oxcgrt_indicators")
    (tmp_path / "broken.xlsx").write_text("no Excel")
    with pytest.raises(SourceError, match="not readable as an Excel file"):
        policies(tmp_path, name="broken.xlsx", preset="oxcgrt_index")


def test_a_preset_of_policies_takes_no_columns():
    with pytest.raises(ValueError, match="takes a path alone"):
        NpiPolicies(path="a", preset="oxcgrt_index", date_column="day")


def orders(folder, text, **fields):
    (folder / "orders.csv").write_text(text)
    table = read_npi_orders(NpiOrders(path="orders.csv", **fields), folder)
    found = {(row["region_geoid"], row["order"]): row["ordered_on"] for row in rows_of(table, NPI_ORDERS)}
    return found, notes_of(table)


def test_orders_by_the_names_of_the_contract(tmp_path):
    found, _ = orders(tmp_path, "region_geoid,order,ordered_on\n36,stay at home,2020-04-05\n04,stay at home,\n")
    assert found == {("36", "stay at home"): FIRST, ("04", "stay at home"): None}


def test_orders_of_us_counties(tmp_path):
    kinds = NpiOrders(path="a", preset="county_npi").orders
    ordinal = FIRST.toordinal()
    assert ordinal == 737520
    rows = [["0", "US", "united states"], ["1000", "AL", "alabama"], ["01001", "AL", "autauga county"]]
    lines = [",".join(["FIPS", "STATE", "AREA_NAME", *kinds])]
    lines += [",".join([*row, str(ordinal), *["NA"] * (len(kinds) - 1)]) for row in rows]
    found, notes = orders(tmp_path, "\n".join(lines) + "\n", preset="county_npi")
    assert notes == {"n_rows_of_a_country": 1}
    assert {region for region, _ in found} == {"01", "01001"} and len(found) == 2 * len(kinds) == 26
    assert found["01", "stay at home"] == found["01001", "stay at home"] == FIRST
    assert found["01001", "public schools"] is None


@pytest.mark.parametrize(
    ("text", "fields", "words"),
    [
        ("region_geoid,order,ordered_on\n36,,2020-04-05\n", {}, "1 orders have no id"),
        ("region_geoid,order,ordered_on\n36,a,soon\n", {}, "column ordered_on holds no date"),
        ("region_geoid,order,ordered_on\n36,a,\n36,a,\n", {}, "2 of 2 rows share region_geoid and order"),
        ("region_geoid,a\n36,737519.5\n", {"orders": {"a": "a"}, "dates_are": "ordinal"}, "no day number in 1 of 1"),
        ("region_geoid,a\n36,0\n", {"orders": {"a": "a"}, "dates_are": "ordinal"}, "no day number in 1 of 1"),
        ("region_geoid,a\n36,2020-04-05\n", {"orders": {"b": "b"}}, "no column b"),
    ],
)
def test_orders_that_are_refused(tmp_path, text, fields, words):
    with pytest.raises(SourceError, match=words):
        orders(tmp_path, text, **fields)


def epidemic(folder, text, **fields):
    (folder / "cases.csv").write_text(text)
    table = read_epidemic(Epidemic(path="cases.csv", **fields), folder)
    found = {(row["region_geoid"], row["date"]): row for row in rows_of(table, EPIDEMIC)}
    return found, notes_of(table)


def counts(row):
    return row["new_cases"], row["new_deaths"], row["population"]


def test_an_epidemic_by_the_names_of_the_contract(tmp_path):
    text = "region_geoid,date,new_cases,new_deaths,population\n36,2020-04-05,7,-1,100\n36,2020-04-06,,1,100\n"
    found, notes = epidemic(tmp_path, text)
    assert {key: counts(row) for key, row in found.items()} == {("36", FIRST): (7.0, -1.0, 100.0)}
    assert notes["n_without_counts"] == notes["n_corrections"] == 1


def nyt(folder, rows, **fields):
    (folder / "people.csv").write_text("county,persons\n36061,30\n4013,5\n36001,10\n")
    population = {"path": "people.csv", "id_column": "county", "population_column": "persons", "id_digits": 5}
    text = "date,state,fips,cases,deaths\n" + "".join(rows)
    return epidemic(folder, text, preset="nyt_states", population=population, **fields)


def test_cumulative_counts_of_states_become_new_ones(tmp_path):
    rows = ["4/7/2020,NY,36,5,2\n", "4/5/2020,NY,36,4,1\n", "4/6/2020,NY,36,6,1\n", "4/6/2020,AZ,4,1,0\n"]
    found, notes = nyt(tmp_path, [*rows, "4/5/2020,Guam,66,1,0\n"], zero_from="2020-04-05")
    assert {key: counts(row) for key, row in found.items()} == {
        ("04", FIRST): (0.0, 0.0, 5.0),
        ("04", SECOND): (1.0, 0.0, 5.0),
        ("36", FIRST): (4.0, 1.0, 40.0),
        ("36", SECOND): (2.0, 0.0, 40.0),
        ("36", date(2020, 4, 7)): (-1.0, 1.0, 40.0),
    }
    assert notes == {
        "n_without_region": 0,
        "n_without_counts": 0,
        "n_regions_without_population": 1,
        "n_corrections": 1,
        "n_first_cumulative": 0,
        "n_zero_rows_before_the_first": 1,
    }


def test_new_counts_sum_to_the_last_cumulative_one(tmp_path):
    found, _ = nyt(tmp_path, ["3/31/2020,NY,36,3,0\n", "4/2/2020,NY,36,9,4\n"])
    assert sum(row["new_cases"] for row in found.values()) == 9
    assert sum(row["new_deaths"] for row in found.values()) == 4
    assert min(day for _, day in found) == date(2020, 1, 1) and ("36", date(2020, 4, 1)) not in found


def test_the_file_of_the_times_and_a_copy_out_of_a_spreadsheet_are_alike(tmp_path):
    rows = ["2020-04-05,New York,36,4,1\n", "2020-04-11,New York,36,9,2\n", "2020-04-06,Arizona,04,1,0\n"]
    found, notes = nyt(tmp_path, rows)
    copied = ["4/5/2020,New York,36,4,1\n", "4/11/2020,New York,36,9,2\n", "4/6/2020,Arizona,4,1,0\n"]
    assert (found, notes) == nyt(tmp_path, copied)
    assert found["36", date(2020, 4, 11)]["new_cases"] == 5


def test_cases_of_no_known_county_are_left_out_and_counted(tmp_path):
    rows = ["2020-04-05,New York City,,9,1\n", "2020-04-05,Kings,36047,1,0\n", "2020-04-05,Unknown, ,1,0\n"]
    text = "date,county,fips,new_cases,new_deaths,population\n" + "".join(row.replace("\n", ",7\n") for row in rows)
    found, notes = epidemic(tmp_path, text, region_column="fips", region_digits=5)
    assert (list(found), notes["n_without_region"]) == ([("36047", FIRST)], 2)
    frame = pd.read_csv(tmp_path / "cases.csv")
    numbers = {"date": pd.to_datetime(frame["date"]), "fips": pd.to_numeric(frame["fips"], errors="coerce")}
    frame.assign(**numbers).to_parquet(tmp_path / "cases.parquet")
    table = read_epidemic(Epidemic(path="cases.parquet", region_column="fips", region_digits=5), tmp_path)
    assert table["region_geoid"].to_pylist() == ["36047"] and notes_of(table)["n_without_region"] == 2


def amid(folder, rows, **fields):
    named = {"cases_column": "cases", "deaths_column": "deaths", "counts": "cumulative"}
    return epidemic(folder, "region_geoid,date,cases,deaths,population\n" + "".join(rows), **named, **fields)


def test_what_was_counted_before_the_file_begins_is_not_of_its_first_day(tmp_path):
    rows = ["04,2020-04-05,3000,900,100\n", "04,2020-04-07,3010,905,100\n", "36,2020-04-05,1,0,100\n"]
    found, notes = amid(tmp_path, rows)
    assert {key: counts(row) for key, row in found.items()} == {("04", date(2020, 4, 7)): (10.0, 5.0, 100.0)}
    assert (notes["n_first_cumulative"], notes["n_zero_rows_before_the_first"]) == (2, 0)
    before, notes = amid(tmp_path, rows, zero_from="2020-04-06")
    assert (before, notes["n_first_cumulative"]) == (found, 2), "begun before it is declared to have been none"
    with pytest.raises(SourceError, match="no region with cumulative counts of two dates"):
        amid(tmp_path, rows[::2])


def test_an_epidemic_that_cannot_have_begun_on_the_first_day_is_refused(tmp_path):
    calm, sudden = "36,2020-04-05,90,9,1\n36,2020-04-06,91,9,1\n", "40,2020-04-05,500,11,1\n40,2020-04-12,900,20,1\n"
    words = r"cases.csv: 1 of 3 regions have .* the first 04 on 2020-04-05 with 3,000 cases and 11 deaths; a file"
    with pytest.raises(SourceError, match=words):
        amid(tmp_path, ["04,2020-04-05,3000,11,1\n04,2020-04-07,3050,20,1\n", calm, sudden], zero_from="2020-04-01")
    deaths = ["04,2020-04-05,0,11,1\n04,2020-04-15,0,99,1\n", "40,2020-04-05,0,11,1\n40,2020-04-12,0,18,1\n"]
    with pytest.raises(SourceError, match=r"1 of 2 regions have .* the first 40"):
        amid(tmp_path, deaths, zero_from="2020-04-01")
    found, _ = amid(tmp_path, [calm, sudden], zero_from="2020-04-01")
    assert found["40", FIRST]["new_cases"] == 500 and found["40", date(2020, 4, 1)]["new_cases"] == 0


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["4/5/2020,NY,36,-4,1\n"], "a cumulative count is below 0 in 1 of 1 rows"),
        (["4/5/2020,NY,36,4,1\n"] * 2, "2 of 2 rows share region and date"),
        (["2020-04-05,NY,36,4,1\n", "4/6/2020,NY,36,4,1\n"], "no date of the form %Y-%m-%d or %m/%d/%Y in 1 of 2"),
        (["4/5/2020,NY,NY,4,1\n", "4/6/2020,NY,,4,1\n"], "column fips holds no number of 2 digits in 1 of 1 rows"),
        (["4/6/2020,NY,,4,1\n"], "no region with counts and population"),
        (["4/5/2020,Guam,66,4,1\n"], "no region with counts and population"),
    ],
)
def test_epidemics_that_are_refused(tmp_path, rows, words):
    with pytest.raises(SourceError, match=words):
        nyt(tmp_path, rows)


def test_populations_that_are_refused(tmp_path):
    text = "region_geoid,date,new_cases,new_deaths,population\n36,2020-04-05,7,1,0\n"
    with pytest.raises(SourceError, match="the population is below 1 in 1 of 1"):
        epidemic(tmp_path, text)
    with pytest.raises(ValueError, match="two ways to say one thing"):
        Epidemic(
            path="a",
            population_column="b",
            population={"path": "a", "id_column": "b", "population_column": "c"},
        )


PEOPLE = {"04": 1000, "04013": 600, "04019": 400, "36061": 30, "36061000100": 20, "360610002": 7, "36001000100": 5,
          "36001000200": 4}  # fmt: skip


@pytest.mark.parametrize("people", [PEOPLE, {k: n for k, n in PEOPLE.items() if len(k) > 2}, {"04013000100": 3}])
def test_nobody_counts_twice_where_a_file_has_states_beside_counties(tmp_path, people):
    (tmp_path / "people.csv").write_text("id,n\n" + "".join(f"{area},{n}\n" for area, n in people.items()))
    regions = ["04", "04013", "36", "36061", "36001", "360610002", "50"]
    text = "region_geoid,date,new_cases,new_deaths\n" + "".join(f"{region},2020-04-05,1,0\n" for region in regions)
    population = {"path": "people.csv", "id_column": "id", "population_column": "n"}
    found, _ = epidemic(tmp_path, text, population=population)
    twin = {region: naive_residents(region, people) for region in regions}
    assert {region: row["population"] for (region, _), row in found.items()} == {r: n for r, n in twin.items() if n}


def test_digests_are_those_of_the_contents(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n1\n")
    population = {"path": "b.csv", "id_column": "x", "population_column": "x"}
    of = {
        "policies": lambda: npi_policies_digest(NpiPolicies(path="a.csv"), tmp_path),
        "orders": lambda: npi_orders_digest(NpiOrders(path="a.csv"), tmp_path),
        "epidemic": lambda: epidemic_digest(Epidemic(path="a.csv", population=population), tmp_path),
    }
    before = {name: digest() for name, digest in of.items()}
    (tmp_path / "b.csv").write_text("x\n2\n")
    assert {name for name, digest in of.items() if digest() != before[name]} == {"epidemic"}
    (tmp_path / "a.csv").write_text("x\n2\n")
    assert all(digest() != before[name] for name, digest in of.items())
