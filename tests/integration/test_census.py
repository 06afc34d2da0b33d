"""Census tables and official series: in a run, and on real files, which are skipped where they are absent."""

from datetime import date

import pandas as pd
import pytest
from typer.testing import CliRunner

from data_contracts import DEMOGRAPHICS, JOBS, OFFICIAL_RATES, TELEWORK, conform
from pipeline.catalog import load
from pipeline.cli import app
from pipeline.engine.records import read_runs
from pipeline.engine.run import open_run, status
from pipeline.engine.trouble import RunError
from pipeline.id_join import join_ids
from pipeline.references import Areas, Demographics, Jobs, OfficialRates, Telework
from pipeline.settings import Settings
from pipeline.shown import show_summaries
from pipeline.sources import read_areas, read_demographics, read_jobs, read_official_rates, read_telework

STATICS = ("tracts", "demographics", "jobs", "telework")


def frame_of(table, contract):
    return conform(table.replace_schema_metadata(None), contract).to_pandas()


@pytest.fixture
def tables(city, tmp_path):
    """A study of the simulated city with its jobs and sexes, one area without jobs and one of elsewhere."""
    areas = sorted(
        read_areas(Areas(path=str(city.tracts), id_column="tract_geoid"), city.folder)["tract_geoid"].to_pylist()
    )
    pd.DataFrame({"id": areas, "M": 10, "F": 20}).to_csv(tmp_path / "sex.csv", index=False)
    pd.DataFrame({"id": [*areas[1:], "zz"], "a": 3, "b": 4}).to_csv(tmp_path / "jobs.csv", index=False)
    pd.DataFrame({"NAICS": ["11", "99"], "teleworkable_emp": [0.1, 0.4]}).to_csv(tmp_path / "t.csv", index=False)
    study = city.study(
        demographics={
            "path": str(tmp_path / "sex.csv"),
            "id_column": "id",
            "groups": {"sex": {"male": "M", "female": "F"}},
        },
        jobs={
            "path": str(tmp_path / "jobs.csv"),
            "id_column": "id",
            "area_digits": 0,
            "sectors": {"11": "a", "23": "b"},
        },
        telework={"path": str(tmp_path / "t.csv")},
    )
    return study, areas, tmp_path


def execute(study, root, stages=STATICS):
    with open_run(study, Settings(root=root, n_buckets=3, n_threads=1), "test") as run:
        return {name: run.execute(name) for name in stages}


def test_a_run_says_which_areas_and_industries_did_not_join(tables, tmp_path, capsys):
    study, areas, _ = tables
    root = tmp_path / "t"
    summaries = execute(study, root)
    assert summaries["demographics"].n_rows == 2 * len(areas)
    assert summaries["jobs"].n_rows == 2 * len(areas)
    assert len(load("jobs", root=root)) == 2 * len(areas)
    (join,) = summaries["jobs"].details["joins"]
    assert (join["left"], join["n_both"], join["only_left"], join["only_right"]) == (
        "tracts",
        len(areas) - 1,
        (areas[0],),
        ("zz",),
    )
    words = f"tracts and jobs: {len(areas) - 1} areas in both; 1 of {len(areas)} in tracts alone ({areas[0]})"
    assert join["words"].startswith(words)
    show_summaries(list(summaries.values()), as_json=False)
    shown = capsys.readouterr().out
    assert words in shown and "industries in both; 1 of 2 in jobs alone (23); 1 of 2 in telework alone (92)" in shown
    assert read_runs(root)[0]["stages"][2]["details"]["joins"][0]["only_left"] == [areas[0]]

    # Said again where nothing was to do.
    again = execute(study, root)
    assert [s.shards for s in again.values()] == [{"current": 1}] * 4
    assert again["jobs"].details["joins"] == summaries["jobs"].details["joins"]


def test_reference_tables_are_current_while_their_files_are(tables, tmp_path):
    study, _, folder = tables
    root = tmp_path / "t"
    execute(study, root)

    def states(study):
        reports = status(study, Settings(root=root, n_buckets=3))
        return {r.table: r.state for r in reports if r.table in STATICS}

    assert set(states(study).values()) == {"current"}
    (folder / "moved").mkdir()
    moved = folder / "moved" / "jobs.csv"
    moved.write_bytes((folder / "jobs.csv").read_bytes())
    elsewhere = study.jobs.model_copy(update={"path": str(moved)})
    assert set(states(study.model_copy(update={"jobs": elsewhere})).values()) == {"current"}
    finer = study.telework.model_copy(update={"share_column": "NAICS"})
    assert states(study.model_copy(update={"telework": finer}))["telework"] == "stale"
    (folder / "sex.csv").write_text((folder / "sex.csv").read_text().replace(",10,", ",11,"))
    assert {table for table, state in states(study).items() if state != "current"} == {"demographics"}


def test_what_joins_nothing_is_an_error_every_time(tables, tmp_path):
    study, areas, folder = tables
    pd.DataFrame({"id": [f"0{a}" for a in areas], "a": 3, "b": 4}).to_csv(folder / "jobs.csv", index=False)
    for _ in range(2):
        with pytest.raises(RunError, match=r"jobs: tracts and jobs: 0 areas in both.*the same digits"):
            execute(study, tmp_path / "t", ("tracts", "jobs"))


def test_status_shows_the_joins(tables, city, tmp_path):
    study, areas, folder = tables
    root, path = tmp_path / "t", tmp_path / "study.toml"
    execute(study, root)
    sections = f"""
[jobs]
path = "{folder / "jobs.csv"}"
id_column = "id"
area_digits = 0
sectors = {{ 11 = "a", 23 = "b" }}
"""
    path.write_text(city.toml() + sections)
    shown = CliRunner().invoke(app, ["status", str(path), "--root", str(root), "--buckets", "3"])
    assert f"1 of {len(areas)} in tracts alone ({areas[0]})" in shown.output
    shown = CliRunner().invoke(app, ["status", str(path), "--root", str(root), "--buckets", "3", "--json"])
    assert '"n_only_left": 1' in shown.output


# Real files.


def test_washington_has_demographics_and_jobs_in_every_tract(shared_data):
    where = "dc_tracts_acs/*.geojson.gz"
    areas = read_areas(Areas(path=where, id_column="GEOID", population_column="DP05_0001E"), shared_data).to_pandas()
    people = frame_of(read_demographics(Demographics(path=where, preset="acs_dp05"), shared_data), DEMOGRAPHICS)
    jobs = frame_of(
        read_jobs(Jobs(path="lodes_wac_bg/47900*.csv.gz", id_column="bgrp", id_digits=12), shared_data), JOBS
    )
    assert join_ids(areas["tract_geoid"], people["tract_geoid"])[:3] == (206, 0, 0)
    assert join_ids(areas["tract_geoid"], jobs["tract_geoid"])[:3] == (206, 0, 1_462 - 206)
    # Every axis is everybody, in every tract.
    sums = people.pivot_table(index="tract_geoid", columns="axis", values="n_persons", aggfunc="sum")
    population = areas.set_index("tract_geoid")["population"]
    assert list(sums.columns) == ["age", "race", "sex"]
    assert all((sums[axis] == population).all() for axis in sums)
    assert people.groupby("group")["n_persons"].sum()[["female", "black", "from_65"]].tolist() == [
        352_078,
        290_772,
        85_501,
    ]
    assert jobs["n_jobs"].sum() == 3_140_158
    assert jobs.groupby("sector")["n_jobs"].sum()["92"] == 272_653 and jobs["sector"].nunique() == 20


def test_california_keeps_its_zero(shared_data):
    path = "lodes_wac_bg/41860*.csv.gz"
    jobs = frame_of(read_jobs(Jobs(path=path, id_column="bgrp", id_digits=12), shared_data), JOBS)
    assert jobs["n_jobs"].sum() == 2_497_939
    assert set(jobs["tract_geoid"].str[:2]) == {"06"} and set(jobs["tract_geoid"].str.len()) == {11}
    both = Jobs(path="lodes_wac_bg/*_all2023.csv.gz", id_column="bgrp", id_digits=12)
    assert frame_of(read_jobs(both, shared_data), JOBS)["n_jobs"].sum() == 3_140_158 + 2_497_939
    # Undetected by length, an id without its zero joins nothing; the two files side by side give it away.
    with pytest.raises(ValueError, match="bgrp has 11, 12 characters"):
        read_jobs(both.model_copy(update={"id_digits": None}), shared_data)


def test_lodes_workers_by_every_axis(shared_data):
    section = Demographics(
        path="lodes_wac_bg/47900*.csv.gz", preset="lodes_wac", id_column="bgrp", id_digits=12, area_digits=11
    )
    people = frame_of(read_demographics(section, shared_data), DEMOGRAPHICS)
    assert people.groupby("axis")["n_persons"].sum().to_dict() == {
        "age": 3_140_158,
        "education": 1_734_169 + 779_338,  # of workers from 30 on
        "income": 3_140_158,
        "race": 3_140_158,
        "sex": 3_140_158,
    }


METHOD_PAGE = {
    "11": (0.0764, 0.0547),
    "21": (0.2545, 0.2104),
    "22": (0.37, 0.3699),
    "23": (0.1856, 0.1435),
    "31-33": (0.2248, 0.2295),
    "42": (0.5176, 0.4184),
    "44-45": (0.1434, 0.112),
    "48-49": (0.1861, 0.1369),
    "51": (0.7171, 0.6233),
    "52": (0.762, 0.7314),
    "53": (0.4181, 0.3125),
    "54": (0.8028, 0.7588),
    "55": (0.7919, 0.7548),
    "56": (0.3106, 0.2842),
    "61": (0.8265, 0.7095),
    "62": (0.2525, 0.186),
    "71": (0.2975, 0.1589),
    "72": (0.0354, 0.0278),
    "81": (0.3124, 0.2475),
    "92": (0.4148, 0.3605),
}
"""Sector → teleworkable_emp and teleworkable_manual_emp, section 2.4."""


@pytest.mark.parametrize(("column", "place"), [("teleworkable_emp", 0), ("teleworkable_manual_emp", 1)])
def test_telework_by_sector_as_the_method_page_has_it(shared_data, column, place):
    section = Telework(path="dingel_neiman/NAICS_workfromhome.csv", share_column=column)
    found = frame_of(read_telework(section, shared_data), TELEWORK).set_index("sector")["telework_share"]
    assert found.round(4).to_dict() == {sector: shares[place] for sector, shares in METHOD_PAGE.items()}
    with pytest.raises(ValueError, match="no row 92"):
        read_telework(section.model_copy(update={"path": "dingel_neiman/NAICS3_workfromhome.csv"}), shared_data)


FOUR_STATES = {"04": 0.138, "21": 0.167, "36": 0.157, "40": 0.125}
"""Arizona, Kentucky, New York, Oklahoma: LAUS, April 2020."""


@pytest.fixture(scope="module")
def official(shared_data):
    section = OfficialRates(
        laus_path="bls_laus_states/ststdsadata.xlsx",
        claims_path="oi_economic_tracker/UI Claims - State - Weekly.csv.gz",
    )
    table = read_official_rates(section, shared_data)
    return frame_of(table, OFFICIAL_RATES), table.schema.metadata


def test_laus_of_four_states(official):
    rates, notes = official
    laus = rates[rates["series"] == "laus_rate"]
    april = laus[laus["window_started"] == date(2020, 4, 1)].set_index("region_geoid")["value"]
    assert april[list(FOUR_STATES)].round(6).to_dict() == FOUR_STATES
    assert laus["region_geoid"].nunique() == 51 and len(laus) == 51 * 601 - 51
    assert {name: int(n) for name, n in notes.items() if b"laus" in name} == {
        b"n_laus_lines_without_area": 4,
        b"n_laus_rows_below_states": 2 * 601,
        b"n_laus_not_available": 51,
    }
    in_2020 = laus[laus["window_started"].map(lambda day: day.year == 2020)]
    assert (in_2020.groupby("region_geoid").size() == 12).all()


def test_claims_are_per_person_of_the_labour_force_of_2019(official, shared_data):
    rates, _ = official
    claims = rates[rates["series"] != "laus_rate"]
    assert {day.weekday() for day in claims["window_started"]} == {0}
    in_2020 = claims[claims["window_started"].map(lambda day: date(2019, 12, 30) <= day < date(2020, 12, 28))]
    n_weeks = in_2020[in_2020["region_geoid"].isin(FOUR_STATES)].groupby(["region_geoid", "series"]).size()
    assert set(n_weeks) == {52} and len(n_weeks) == 8
    raw = pd.read_csv(shared_data / "oi_economic_tracker/UI Claims - State - Weekly.csv.gz", na_values=".")
    sheet = pd.read_excel(
        shared_data / "bls_laus_states/ststdsadata.xlsx", header=None, skiprows=8, dtype=str, nrows=31_000
    )
    sheet = sheet[(sheet[2] == "2019") & sheet[0].isin(FOUR_STATES)]
    force = pd.to_numeric(sheet[5]).groupby(sheet[0]).mean()
    # Rates have three digits, so one number of people is behind all weeks of a state; LAUS has been revised since.
    per_rate = (
        (raw["contclaims_count_regular"] / raw["contclaims_rate_regular"] * 100).groupby(raw["statefips"]).median()
    )
    for state in FOUR_STATES:
        assert per_rate[int(state)] == pytest.approx(force[state], rel=0.05)


@pytest.mark.parametrize(
    ("fields", "race", "counts"),
    [
        (
            {"path": "nyc_tracts_2010/nyc_census_tracts.csv", "id_column": "CensusTract", "id_digits": 11},
            ("Hispanic", "White", "Black", "Native", "Asian"),
            {"n_areas": 2167, "n_areas_without_income": 42, "n_areas_without_race": 39, "n_areas_without_sex": 39},
        ),
        (
            {"path": "us_county_acs/acs2017_county_data.csv.gz", "id_column": "CountyId", "id_digits": 5},
            ("Hispanic", "White", "Black", "Native", "Asian", "Pacific"),
            {"n_areas": 3220, "n_areas_without_income": 0, "n_areas_without_race": 0, "n_areas_without_sex": 0},
        ),
    ],
)
def test_shares_of_other_tables_without_a_preset(shared_data, fields, race, counts):
    section = Demographics(
        groups={
            "sex": {"male": "Men", "female": "Women"},
            "race": {name.lower(): name for name in race},
            "income": {"poor": "Poverty"},
        },
        totals={"sex": "TotalPop", "race": 100, "income": 100},
        rests={"race": "other", "income": "not_poor"},
        **fields,
    )
    table = read_demographics(section, shared_data)
    assert {name.decode(): int(n) for name, n in table.schema.metadata.items()} == counts
    people = frame_of(table, DEMOGRAPHICS)
    assert set(people["tract_geoid"].str.len()) == {fields["id_digits"]}
    sums = people.groupby(["tract_geoid", "axis"])["n_persons"].sum().unstack()
    assert sums["race"].dropna().between(99.9, 100.3).all()
    assert (sums["income"].dropna() - 100).abs().max() < 1e-9
    if fields["id_digits"] == 11:
        areas = read_areas(Areas(path="nyc_tracts_2010/nyc_tracts.geojson.gz", id_column="GEOID"), shared_data)
        assert join_ids(areas["tract_geoid"].to_pylist(), people["tract_geoid"])[1:3] == (39, 0)


def test_ages_of_new_york_state_from_a_file_with_a_byte_order_mark(shared_data):
    bands = ["0-14", "15-20", "21-34", "35-49", "50-64", "65-79", "80+"]
    section = Demographics(
        path="nyc_tracts_2010/populations.csv.gz",
        id_column="GEOID",
        groups={"age": {band: f"2018_{band}" for band in bands}},
        totals={"age": "2018_totpop"},
    )
    people = frame_of(read_demographics(section, shared_data), DEMOGRAPHICS)
    assert set(people["group"]) == set(bands) and set(people["tract_geoid"].str[:2]) == {"36"}
    areas = read_areas(Areas(path="nyc_tracts_2010/nyc_tracts.geojson.gz", id_column="GEOID"), shared_data)
    join = join_ids(areas["tract_geoid"].to_pylist(), people["tract_geoid"])
    assert join.n_both > 2_100
