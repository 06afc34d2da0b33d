"""A study says which field is wrong and what it takes."""

import pytest

from pipeline.settings import KEY_VARIABLE, KeyMissingError, read_key
from pipeline.study import Study, StudyError, parse_date

GOOD = {"name": "x", "start": "2020-01-01", "end": "2020-01-31", "zone": "UTC", "sources": [{"path": "a.csv"}]}
SEX = {"path": "a", "id_column": "id", "groups": {"sex": {"m": "M", "f": "F"}}}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("zone", "Europe/Londn", "zone: 'Europe/Londn' is not an IANA time zone"),
        ("end", "2019-12-31", "is before start"),
        ("name", "a b", "name: String should match"),
        ("start", "soon", "start: Input should be a valid date"),
        ("sources", [{"path": "a", "format": "csv"}], "sources.0.format: Input should be 'delimited', 'parquet'"),
        ("sources", [{"path": "a", "columns": {"lon": ["x", "x"]}}], "must have a name, and each but once"),
        ("sources", [{"path": "a", "columns": {"lon": []}}], "must have a name, and each but once"),
        ("sources", [{"path": "a", "columns": {"lon": ["x", ""]}}], "only accuracy_m and utc_offset_s may be missing"),
        ("sources", [{"path": "a", "colums": {}}], "sources.0.colums: no such field; accepted: path, format"),
        ("tracts", {"path": "a"}, "tracts.id_column: Field required"),
        ("spam", 1, "spam: no such field; accepted: name, start, end"),
        ("demographics", {"path": "a"}, "demographics: without a preset, id_column and groups are needed"),
        (
            "demographics",
            {"path": "a", "preset": "dp5"},
            "preset: Input should be 'lodes_rac', 'lodes_wac' or 'acs_dp05'",
        ),
        ("demographics", {"path": "a", "spam": 1}, "demographics.spam: no such field; accepted: path, id_digits"),
        ("demographics", SEX | {"groups": {"gender": {"m": "M"}}}, "Input should be 'sex', 'age', 'income', 'race'"),
        ("demographics", SEX | {"groups": {"sex": {"m": "M", "f": ["F", "M"]}}}, "groups.sex: M counts twice"),
        ("demographics", SEX | {"totals": {"age": "T"}}, "totals.age: groups.age is needed with it"),
        ("demographics", SEX | {"rests": {"sex": "x"}}, "rests.sex: needs totals.sex"),
        ("demographics", SEX | {"id_digits": 5, "area_digits": 11}, "area_digits (11) is more than id_digits (5)"),
        ("jobs", {"path": "a", "id_digits": 0}, "jobs.id_digits: Input should be greater than or equal to 1"),
        ("jobs", {"id_column": "a"}, "jobs.path: Field required"),
        ("telework", {"path": "a", "unit": "%"}, "telework.unit: Input should be 'share' or 'percent'"),
        ("npi_policies", {"path": "a", "preset": "x"}, "npi_policies.preset: Input should be 'oxcgrt_index' or"),
        (
            "npi_policies",
            {"path": "a", "column": "b"},
            "npi_policies.column: no such field; accepted: path, region",
        ),
        ("npi_orders", {"preset": "county_npi"}, "npi_orders.path: Field required"),
        ("epidemic", {"path": "a", "population": {"path": "b"}}, "epidemic.population.id_column: Field required"),
        (
            "epidemic",
            {"path": "a", "population": {"path": "b", "columns": "c"}},
            "epidemic.population.columns: no such field; accepted: path, id_digits",
        ),
        ("official_rates", {}, "official_rates: laus_path or claims_path is needed"),
        ("official_rates", {"path": "a"}, "official_rates.path: no such field; accepted: laus_path, claims_path"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_accepted(field, value, words):
    with pytest.raises(StudyError) as error:
        Study.from_dict(GOOD | {field: value})
    assert words in str(error.value)


def test_a_file_is_the_same_study_with_fields_replaced(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        'name="x"\nstart=2020-01-01\nend=2020-01-31\nzone="UTC"\nsources=[{path="a.csv"}]\n[params.stays]\nroam_m=50'
    )
    study = Study.from_toml(path, {"end": "2020-02-01", "params": {"stays": {"dwell_s": 60}}})
    assert study.n_dates == 32
    assert study.params == {"stays": {"roam_m": 50, "dwell_s": 60}}
    assert study.folder == tmp_path
    path.write_text("name = ")
    with pytest.raises(StudyError, match="not valid TOML"):
        Study.from_toml(path)
    with pytest.raises(StudyError, match="no study file"):
        Study.from_toml(tmp_path / "other.toml")


def test_sections_of_reference_data_in_a_file(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        """name="x"
start=2020-01-01
end=2020-01-31
zone="UTC"
sources=[{path="a.csv"}]
[demographics]
path = "shares.csv"
id_column = "GEOID"
totals = { race = 100, sex = "all" }
rests = { race = "other" }
[demographics.groups.race]
white = "White"
black = ["Black", "Mixed"]
[demographics.groups.sex]
male = "M"
[jobs]
path = "wac.csv"
[telework]
path = "t.csv"
government = ""
"""
    )
    study = Study.from_toml(path)
    assert study.demographics.groups["race"] == {"white": "White", "black": ("Black", "Mixed")}
    assert study.demographics.totals == {"race": 100.0, "sex": "all"}
    assert (study.jobs.area_digits, study.jobs.id_column, study.telework.government) == (11, "w_geocode", "")
    assert study.official_rates is None


def test_dates_are_iso():
    assert parse_date("2020-02-29").isoformat() == "2020-02-29"
    with pytest.raises(StudyError, match="YYYY-MM-DD"):
        parse_date("29.2.2020")


@pytest.mark.parametrize("key", ["", "short", "x" * 65])
def test_a_key_that_cannot_serve_is_refused_without_being_shown(monkeypatch, key):
    monkeypatch.setenv(KEY_VARIABLE, key)
    with pytest.raises(KeyMissingError) as error:
        read_key()
    assert "openssl rand -hex 32" in str(error.value)
    assert not key or key not in str(error.value)
