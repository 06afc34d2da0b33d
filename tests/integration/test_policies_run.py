"""A study whose policies or epidemic lack a county or a date says so before anything is computed."""

import json
from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import pytest

from pipeline.catalog import load
from pipeline.engine.joins import static_joins
from pipeline.engine.run import open_run, status
from pipeline.engine.store import Store
from pipeline.engine.trouble import RunError
from pipeline.settings import Settings
from pipeline.study import Study
from tests.integration.test_cli import sojourn

COUNTIES = ("09003", "09005")


class Place:
    """The city with half of its tracts in a second county, and the files of a study of policies there."""

    def __init__(self, city, folder: Path) -> None:
        self.city, self.folder = city, folder
        tracts = gpd.read_file(city.tracts)
        half = len(tracts) // 2
        ids = tracts["tract_geoid"]
        tracts["tract_geoid"] = [COUNTIES[k >= half] + one[5:] for k, one in enumerate(ids)]
        tracts.to_file(folder / "tracts.geojson")
        self.n_second = len(tracts) - half
        study = city.study()
        self.days = [study.start + timedelta(days=k) for k in range(study.n_dates)]

    def write(
        self, policies: dict[str, list[date]], epidemic: dict[str, list[date]] | None = None, **of_models: int
    ) -> Study:
        """The study with the days on which regions have policies, and cases where these are given."""
        sections = {"npi_policies": {"path": self._policies(policies)}}
        if epidemic is not None:
            sections["epidemic"] = {"path": self._epidemic(epidemic)}
        tracts = {"path": str(self.folder / "tracts.geojson"), "id_column": "tract_geoid"}
        params = {"npi_fits": of_models, "npi_response": of_models}
        return self.city.study(tracts=tracts, params=params, **sections)

    def toml(self, study: Study) -> Path:
        text = self.city.toml().replace(str(self.city.tracts), study.tracts.path)
        text += f'[npi_policies]\npath = "{study.npi_policies.path}"\n'
        path = self.folder / "study.toml"
        path.write_text(text)
        return path

    def _policies(self, days_of: dict[str, list[date]]) -> str:
        rows = [f"{region},{day},50\n" for region, days in days_of.items() for day in days]
        return self._file("policies.csv", "region_geoid,date,stringency", rows)

    def _epidemic(self, days_of: dict[str, list[date]]) -> str:
        rows = [f"{region},{day},1,0,1000\n" for region, days in days_of.items() for day in days]
        return self._file("epidemic.csv", "region_geoid,date,new_cases,new_deaths,population", rows)

    def _file(self, name: str, head: str, rows: list[str]) -> str:
        (self.folder / name).write_text("".join([f"{head}\n", *rows]))
        return str(self.folder / name)


@pytest.fixture(scope="module")
def place(city, tmp_path_factory):
    return Place(city, tmp_path_factory.mktemp("place"))


def load_statics(study: Study, root: Path) -> dict:
    with open_run(study, Settings(root=root, n_buckets=3), "test") as run:
        wanted = [name for name in run.stages if name in ("tracts", "npi_policies", "npi_orders", "epidemic")]
        assert run.stages[: len(wanted)] == wanted, "reference tables come first"
        return {name: run.execute(name) for name in wanted}


def test_the_command_line_names_the_county_that_lacks_and_computes_nothing(place, tmp_path):
    study_file, root = place.toml(place.write({COUNTIES[0]: place.days})), tmp_path / "tables"
    done = sojourn("run", study_file, "--root", root)
    assert done.returncode == 1
    words = f"npi_policies: no region holds {place.n_second} of {2 * place.n_second} areas of tracts, in {COUNTIES[1]}"
    assert words in " ".join(done.stderr.split())
    tables = {path.name for path in root.iterdir() if path.is_dir() and list(path.rglob("*.parquet"))}
    assert tables == {"tracts", "npi_policies", "run_shards"}

    shown = sojourn("status", study_file, "--root", root)
    assert shown.returncode == 3
    assert f"{place.n_second} of {2 * place.n_second} areas in a region (not those in {COUNTIES[1]})" in shown.stdout
    (join,) = json.loads(sojourn("status", study_file, "--root", root, "--json").stdout)["joins"]
    assert join["only_left"] == [COUNTIES[1]] and join["n_only_left"] == place.n_second


def test_the_state_is_named_where_all_of_it_lacks(place, tmp_path):
    study = place.write({"36": place.days})
    for _ in range(2):  # said again though the file is loaded already
        with pytest.raises(RunError, match=r"areas of tracts, in 09$"):
            load_statics(study, tmp_path)


def test_the_first_missing_date_is_named_with_its_region(place, tmp_path):
    study = place.write({"09": place.days, COUNTIES[1]: place.days[:2]})
    words = f"the first for region {COUNTIES[1]} on {place.days[2]} \\({len(place.days) - 2} missing\\)"
    with pytest.raises(RunError, match=words):
        load_statics(study, tmp_path)
    (join,) = static_joins(study, Store(tmp_path))
    assert join["first_missing_dates"] == {COUNTIES[1]: place.days[2].isoformat()}


def test_policies_are_needed_from_the_lag_before_the_study_on(place, tmp_path):
    study = place.write({"09": place.days}, stringency_lag_days=7)
    first = place.days[0] - timedelta(days=7)
    with pytest.raises(RunError, match=f"npi_policies: dates .* region 09 on {first} \\({len(place.days)} missing\\)"):
        load_statics(study, tmp_path)
    earlier = [day - timedelta(days=7) for day in place.days]
    load_statics(place.write({"09": earlier}, stringency_lag_days=7), tmp_path)


def test_an_epidemic_that_lacks_a_date_after_its_first_is_refused_as_well(place, tmp_path):
    study = place.write({"09": place.days}, {"09": [place.days[0], *place.days[2:]]})
    with pytest.raises(RunError, match=f"epidemic: dates .* region 09 on {place.days[1]} \\(1 missing\\)"):
        load_statics(study, tmp_path)


def test_an_epidemic_may_begin_inside_the_study_and_end_before_it_by_its_lag(place, tmp_path):
    study = place.write({"09": place.days}, {"09": place.days[1:-1]}, severity_lag_days=1)
    (join,) = load_statics(study, tmp_path)["epidemic"].details["joins"]
    assert join["first_missing_dates"] == {}


def test_a_study_with_all_of_it_goes_on(place, tmp_path):
    study = place.write({"09": place.days}, dict.fromkeys(COUNTIES, place.days))
    summaries = load_statics(study, tmp_path)
    (join,) = summaries["epidemic"].details["joins"]
    assert (join["n_both"], join["n_only_left"], join["n_only_right"]) == (2 * place.n_second, 0, 0)
    assert len(load("npi_policies", root=tmp_path)) == len(place.days)
    states = {r.table: r.state for r in status(study, Settings(root=tmp_path, n_buckets=3))}
    assert states["npi_policies"] == states["epidemic"] == "current"
