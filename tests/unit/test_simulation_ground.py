"""A city on given areas has its homes where people live and its workplaces where jobs are."""

import tomllib
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely

from data_contracts import DEMOGRAPHICS, JOBS, TELEWORK, TRACTS
from pipeline.demo import make_employment_study
from pipeline.geography import areas_at
from pipeline.references import Areas, Demographics, Jobs, Telework
from pipeline.simulation import (
    CityParams,
    Employment,
    employment_scenario,
    ground_of,
    simulate_bucket,
    simulate_tracts,
    write_census,
    write_city,
    write_tracts,
)
from pipeline.simulation.bucket import draw_bucket
from pipeline.simulation.census import simulate_jobs
from pipeline.simulation.city import build_city, degrees_of
from pipeline.simulation.ground import draw_in_area
from pipeline.simulation.random_streams import open_stream
from pipeline.simulation.sectors import N_SECTORS, SECTORS
from pipeline.sources.areas import read_areas
from pipeline.sources.demographics import read_demographics
from pipeline.sources.jobs import read_jobs
from pipeline.sources.telework import read_telework
from tests.dc_census import DC_DEMOGRAPHICS, DC_JOBS

NAICS = [sector.naics for sector in SECTORS]
OWN = CityParams(n_devices=1_500, n_days=3, pings_per_day=1.0, n_counties=3, employment=Employment())
SECTIONS = {
    "tracts": Areas(path="tracts.geojson", id_column="tract_geoid", population_column="population"),
    "jobs": Jobs(path="jobs.csv"),
    "demographics": Demographics(path="demographics.csv", preset="lodes_rac", area_digits=11),
    "telework": Telework(path="telework.csv"),
}


@pytest.fixture(scope="module")
def census(tmp_path_factory):
    """The census files of the artificial city as the loaders of real ones read them."""
    folder = tmp_path_factory.mktemp("census")
    write_tracts(OWN, folder)
    write_census(OWN, folder)
    return {
        "tracts": read_areas(SECTIONS["tracts"], folder),
        "jobs": read_jobs(SECTIONS["jobs"], folder),
        "demographics": read_demographics(SECTIONS["demographics"], folder),
        "telework": read_telework(SECTIONS["telework"], folder),
    }


def square(geoid, west, south, population=100.0):
    shape = shapely.box(west, south, west + 0.01, south + 0.01)
    return {"tract_geoid": geoid, "population": population, "geometry": shapely.to_wkb(shape)}


def tracts_of(*rows):
    return pa.Table.from_pylist(list(rows), schema=TRACTS.schema)


def jobs_of(*rows):
    return pa.Table.from_pylist([dict(zip(JOBS.names, row, strict=True)) for row in rows], schema=JOBS.schema)


# --- census files of the artificial city ------------------------------------------------------------------


def test_census_files_are_read_by_the_loaders_of_real_ones(census):
    assert census["jobs"].schema.equals(JOBS.schema) and census["telework"].schema.equals(TELEWORK.schema)
    assert census["demographics"].schema.equals(DEMOGRAPHICS.schema)
    tracts = set(census["tracts"]["tract_geoid"].to_pylist())
    assert set(census["jobs"]["tract_geoid"].to_pylist()) <= tracts
    assert set(census["demographics"]["tract_geoid"].to_pylist()) == tracts
    shares = dict(zip(*(census["telework"][name].to_pylist() for name in TELEWORK.names), strict=True))
    assert shares == {sector.naics: sector.telework_share for sector in SECTORS}


def test_jobs_on_file_are_where_people_of_the_city_work(census):
    params = OWN.model_copy(update={"n_devices": 6_000, "n_days": 1})
    spells = simulate_bucket(params, 0, 1).employment.to_pandas().query("status == 'employed'")
    jobs = census["jobs"].to_pandas()
    by_sector = jobs.groupby("sector").n_jobs.sum()
    workers = spells.sector.value_counts()
    assert by_sector.sum() == pytest.approx(params.population * params.employed_share, rel=0.01)
    assert np.corrcoef(workers.reindex(NAICS, fill_value=0), by_sector.reindex(NAICS))[0, 1] > 0.99
    cells = jobs.set_index(["tract_geoid", "sector"]).n_jobs
    there = spells.groupby(["work_tract_geoid", "sector"]).size()
    assert there.index.isin(cells.index).all()  # nobody works where no jobs of the sector are on file
    assert np.corrcoef(there.reindex(cells.index, fill_value=0), cells)[0, 1] > 0.8


def test_demographics_follow_affluence_and_add_up(census):
    table = census["demographics"].to_pandas()
    wide = table[table.axis == "income"].pivot(index="tract_geoid", columns="group", values="n_persons")
    people = simulate_bucket(OWN, 0, 1).people.to_pandas().drop_duplicates("home_tract_geoid")
    affluence = people.set_index("home_tract_geoid").affluence
    share = (wide["above_3333"] / wide.sum(axis=1)).reindex(affluence.index)
    assert np.corrcoef(share, affluence)[0, 1] > 0.8
    totals = table.groupby(["tract_geoid", "axis"]).n_persons.sum().unstack()
    assert (totals.sex == totals.income).all() and (totals.education < totals.sex).mean() > 0.9


def test_census_files_are_byte_equal(tmp_path):
    params = OWN.model_copy(update={"n_tracts": 12})
    one, two = (write_census(params, tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert [path.name for path in sorted((tmp_path / "one").iterdir())] == [
        "demographics.csv", "jobs.csv", "telework.csv",
    ]  # fmt: skip


@pytest.mark.filterwarnings("error")
def test_a_sector_without_a_workplace_has_no_jobs_on_file():
    params = employment_scenario(50, 30, n_workplaces=20)  # the fewest there may be
    jobs = simulate_jobs(params).drop(columns="w_geocode")
    there = {f"CNS{number + 1:02d}" for number in build_city(params).work_sector}
    assert 0 < len(there) < N_SECTORS
    assert set(jobs.columns[(jobs.sum() > 0).to_numpy()]) == there | {"C000"}
    assert (jobs.to_numpy() >= 0).all() and jobs["C000"].sum() == jobs.drop(columns="C000").to_numpy().sum()
    assert 0.5 < jobs["C000"].sum() / (params.population * params.employed_share) < 1.0


def test_the_baseline_of_a_short_study_ends_with_it(tmp_path):
    baseline = {}
    for n_days in (21, 90):  # the lockdown begins on the 71st day
        study = make_employment_study(tmp_path, 10, n_days, pings_per_day=1.0)
        baseline[n_days] = study.params["home_work"]["baseline_end"]
        assert study.start <= baseline[n_days] <= study.end
    assert baseline == {21: date(2020, 1, 26), 90: date(2020, 3, 15)}


# --- ground -----------------------------------------------------------------------------------------------


def test_positions_are_uniform_within_an_area_with_a_hole_and_an_island():
    shape = shapely.union(
        shapely.difference(shapely.box(0.0, 50.0, 0.02, 50.02), shapely.box(0.0, 50.0, 0.01, 50.01)),
        shapely.box(0.03, 50.0, 0.04, 50.01),
    )
    tracts = tracts_of({"tract_geoid": "1", "population": 5.0, "geometry": shapely.to_wkb(shape)})
    ground = ground_of(tracts, jobs_of(("1", "72", 3.0)))
    params = OWN.model_copy(update={"centre_lon": ground.centre_lon, "centre_lat": ground.centre_lat})
    state = np.empty(1, np.uint64)
    open_stream(state, np.uint64(1), 0, 0)
    x, y = np.array([draw_in_area(state, ground.plots, 0) for _ in range(8_000)]).T
    points = shapely.points(*degrees_of(params, x, y))
    assert shapely.intersects(shapely.buffer(shape, 1e-7), points).all()
    quarters = [shapely.box(*corner, corner[0] + 0.01, corner[1] + 0.01) for corner in
                ((0.0, 50.01), (0.01, 50.0), (0.01, 50.01), (0.03, 50.0))]  # fmt: skip
    assert [shapely.intersects(q, points).mean() for q in quarters] == pytest.approx([0.25] * 4, abs=0.02)


def test_people_live_and_work_where_the_tables_say():
    tracts = tracts_of(
        square("001", 10.0, 50.0, population=900.0), square("002", 10.01, 50.0, population=100.0),
        square("003", 10.02, 50.0, population=None),
    )  # fmt: skip
    jobs = jobs_of(("002", "54", 300.0), ("003", "54", 100.0), ("003", "72", 50.0), ("999", "11", 1e6))
    params = CityParams(n_devices=4_000, n_days=1, pings_per_day=1.0, employment=Employment(), commute_exponent=0.0)
    bucket = simulate_bucket(params, 0, 1, ground_of(tracts, jobs))
    homes = bucket.people.to_pandas().home_tract_geoid.value_counts(normalize=True)
    assert homes.to_dict() == pytest.approx({"001": 0.9, "002": 0.1}, abs=0.02)
    spells = bucket.employment.to_pandas().query("status == 'employed'")
    shares = spells.groupby(["work_tract_geoid", "sector"]).size() / len(spells)
    assert shares.to_dict() == pytest.approx(
        {("002", "54"): 300 / 450, ("003", "54"): 100 / 450, ("003", "72"): 50 / 450}, abs=0.03
    )


def test_ground_refuses_what_nobody_can_live_on():
    tracts, jobs = tracts_of(square("001", 0.0, 0.0)), jobs_of(("001", "72", 3.0))
    with pytest.raises(ValueError, match="nobody lives"):
        ground_of(tracts_of(square("001", 0.0, 0.0, population=None)), jobs)
    with pytest.raises(ValueError, match="none of the jobs"):
        ground_of(tracts, jobs_of(("002", "72", 3.0)))
    with pytest.raises(ValueError, match="no such sector: 99"):
        ground_of(tracts, jobs_of(("001", "99", 3.0)))
    groups = pa.Table.from_pylist(
        [{"tract_geoid": "001", "axis": "race", "group": "white", "n_persons": 3.0}], schema=DEMOGRAPHICS.schema
    )
    with pytest.raises(ValueError, match="no group 'high' on the axis 'income'"):
        ground_of(tracts, jobs, groups, ("income", "high"))


def test_affluence_is_the_rank_of_a_share():
    tracts = tracts_of(*(square(f"00{k}", k / 100, 0.0) for k in range(1, 5)))
    rows = [
        ("001", "high", 1.0), ("001", "low", 3.0), ("002", "high", 50.0), ("002", "low", 50.0),
        ("003", "high", 9.0), ("003", "low", 1.0),
    ]  # fmt: skip
    groups = pa.Table.from_pylist(
        [{"tract_geoid": t, "axis": "income", "group": g, "n_persons": n} for t, g, n in rows],
        schema=DEMOGRAPHICS.schema,
    )
    ground = ground_of(tracts, jobs_of(("001", "72", 3.0)), groups, ("income", "high"))
    assert ground.affluence.tolist() == pytest.approx([-2 / 3, 0.0, 2 / 3, 0.0])


def test_a_city_on_its_own_tracts_and_jobs_is_like_itself(census):
    ground = ground_of(census["tracts"], census["jobs"], census["demographics"], ("income", "above_3333"))
    params = OWN.model_copy(update={"n_devices": 6_000})
    bucket = simulate_bucket(params, 0, 1, ground)
    people = bucket.people.to_pandas()
    population = census["tracts"].to_pandas().set_index("tract_geoid").population
    homes = people.home_tract_geoid.value_counts().reindex(population.index, fill_value=0)
    expected = population / population.sum() * len(people)
    assert ((homes - expected).abs() <= 5 * np.sqrt(expected + 1)).all()
    workplaces = build_city(params, ground)
    size = np.diff(workplaces.work_pull, prepend=0.0)
    lon, lat = degrees_of(params.model_copy(update={"centre_lon": ground.centre_lon, "centre_lat": ground.centre_lat}),
                          workplaces.work_x_m, workplaces.work_y_m)  # fmt: skip
    there = np.zeros((ground.geoid.size, N_SECTORS))
    np.add.at(there, (areas_at(ground.wkb, lon, lat, 5.0), workplaces.work_sector), size)
    assert np.corrcoef(there.ravel(), ground.jobs.ravel())[0, 1] > 0.98
    part = simulate_bucket(params, 1, 4, ground).people.to_pandas()
    pd.testing.assert_frame_equal(people[people.device_id.isin(part.device_id)].reset_index(drop=True), part)


def test_washington_is_a_ground(shared_data):
    census = (DC_JOBS + DC_DEMOGRAPHICS).format(data=shared_data)
    sections = tomllib.loads(census)
    tracts = read_areas(Areas(**sections["tracts"]), shared_data)
    jobs = read_jobs(Jobs(**sections["jobs"]), shared_data)
    groups = read_demographics(Demographics(**sections["demographics"]), shared_data)
    ground = ground_of(tracts, jobs, groups, ("race", "white"))
    assert ground.geoid.size == 206 and ground.jobs.sum() > 600_000
    params = employment_scenario(8_000, 28, pings_per_day=1.0)
    bucket = simulate_bucket(params, 0, 1, ground)
    people, spells = bucket.people.to_pandas(), bucket.employment.to_pandas()
    assert people.home_lon.between(-77.12, -76.90).all() and people.home_lat.between(38.79, 39.0).all()
    share = pd.Series(ground.population / ground.population.sum(), ground.geoid)
    homes = people.home_tract_geoid.value_counts(normalize=True).reindex(share.index, fill_value=0.0)
    first = spells[(spells.started_on == params.start) & (spells.status != "none")]
    by_sector = first.sector.value_counts(normalize=True).reindex(NAICS, fill_value=0.0)
    jobs_share = pd.Series(ground.jobs.sum(axis=0) / ground.jobs.sum(), NAICS)
    by_tract = first.work_tract_geoid.value_counts(normalize=True).reindex(share.index, fill_value=0.0)
    jobs_by_tract = pd.Series(ground.jobs.sum(axis=1) / ground.jobs.sum(), ground.geoid)
    correlations = [
        np.corrcoef(one, other)[0, 1]
        for one, other in ((homes, share), (by_sector, jobs_share), (by_tract, jobs_by_tract))
    ]
    print("Washington: homes by population, workers by sector, workers by tract of work", np.round(correlations, 3))
    print(f"jobs within the tracts {ground.jobs.sum():,.0f} of {np.sum(jobs['n_jobs'].to_numpy()):,.0f}")
    assert correlations[0] > 0.9 and correlations[1] > 0.95 and correlations[2] > 0.9


# --- the study ----------------------------------------------------------------------------------------------


def test_the_employment_study_declares_what_it_wrote(tmp_path):
    study = make_employment_study(tmp_path, 12, 80, pings_per_day=5.0)
    assert study.tracts and study.jobs and study.demographics and study.telework
    for section in SECTIONS:
        assert (tmp_path / getattr(study, section).path).is_file()
    assert study.params["sector_absence"]["telework_spans"][0]["uptake"] == 0.9
    assert {path.name for path in (tmp_path / "city" / "truth").iterdir()} == {"stays", "people", "employment"}
    old = (tmp_path / "study.toml").read_bytes()
    make_employment_study(tmp_path, 12, 80, pings_per_day=5.0)
    assert (tmp_path / "study.toml").read_bytes() == old
    assert "sector_absence" not in make_employment_study(tmp_path, 3, 2, lockdown=None).params


def test_the_employment_study_can_stand_on_washington(tmp_path, shared_data):
    study = make_employment_study(
        tmp_path, 20, 3, (DC_JOBS + DC_DEMOGRAPHICS).format(data=shared_data), ("race", "white"), pings_per_day=5.0
    )
    assert study.jobs.id_column == "bgrp" and not (tmp_path / "city" / "jobs.csv").exists()
    people = pd.read_parquet(tmp_path / "city" / "truth" / "people")
    assert people.home_tract_geoid.str.startswith("11001").all()


def test_employment_is_written_with_its_city_only(tmp_path):
    params = OWN.model_copy(update={"n_devices": 4, "n_days": 2})
    write_city(params, tmp_path / "one", 0, 1)
    write_city(params.model_copy(update={"employment": None}), tmp_path / "two", 0, 1)
    spells = pd.read_parquet(tmp_path / "one" / "truth" / "employment")
    assert spells.started_on.min() == params.start and len(spells) >= 4
    assert not (tmp_path / "two" / "truth" / "employment").exists()
    assert draw_bucket(params, 0, 1).areas.geoid.size == params.n_tracts


def test_tracts_of_counties_are_those_of_the_people():
    people = simulate_bucket(OWN, 0, 1).people.to_pandas()
    tracts = simulate_tracts(OWN)
    row = areas_at(shapely.to_wkb(tracts.geometry.to_numpy()), people.home_lon.to_numpy(), people.home_lat.to_numpy())
    assert (tracts.tract_geoid.to_numpy()[row] == people.home_tract_geoid).all()
