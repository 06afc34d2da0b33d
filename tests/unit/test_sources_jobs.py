"""Jobs by industry and telework shares: zeros, sums, NAICS 92 and units."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts import JOBS, TELEWORK, conform
from pipeline.references import Jobs, Telework
from pipeline.sources import SourceError, read_jobs, read_telework
from pipeline.sources.jobs import LODES_SECTORS
from tests.naive_census import naive_ids, naive_jobs

SECTORS = {"11": ["a"], "44-45": ["b", "c"]}


def rows_of(table, contract):
    return conform(table.replace_schema_metadata(None), contract).to_pylist()


def jobs(folder, frame=None, **fields):
    if frame is not None:
        frame.to_csv(folder / "wac.csv", index=False)
    table = read_jobs(Jobs(**({"path": "wac.csv"} | fields)), folder)
    return {(r["tract_geoid"], r["sector"]): r["n_jobs"] for r in rows_of(table, JOBS)}, table.schema.metadata


def lodes(ids, **columns):
    zeros = dict.fromkeys(LODES_SECTORS.values(), 0)
    return pd.DataFrame({"w_geocode": ids, **(zeros | columns)})


def test_blocks_become_tracts_and_industries_naics(tmp_path):
    blocks = ["060014001001001", "060014001001002", "060014002001001", "060014003001001"]
    frame = lodes(blocks, CNS01=[1, 2, 0, 0], CNS07=[0, 5, 0, 0], CNS20=[0, 0, 7, 0])
    found, notes = jobs(tmp_path, frame)
    assert found == {
        ("06001400100", "11"): 3.0,
        ("06001400100", "44-45"): 5.0,
        ("06001400200", "92"): 7.0,
    }
    assert notes == {b"n_areas": b"3", b"n_areas_without_jobs": b"1"}
    # Read as numbers somewhere on the way: 14 digits, of which the first 11 are nobody's tract.
    frame = frame.assign(w_geocode=frame["w_geocode"].astype("int64"))
    with pytest.raises(SourceError, match="w_geocode has 14 characters where the first 11"):
        jobs(tmp_path, frame)
    assert jobs(tmp_path, frame, id_digits=15)[0] == found
    assert jobs(tmp_path, frame, id_digits=15, area_digits=0)[0].keys() != found.keys()


@settings(max_examples=30, deadline=None)
@given(st.data(), st.lists(st.integers(0, 9_999), min_size=1, max_size=10, unique=True), st.sampled_from([0, 2, 4]))
def test_jobs_are_those_of_the_obvious_loop(tmp_path_factory, data, ids, area_digits):
    rows = [{name: data.draw(st.integers(0, 3)) for name in "abc"} for _ in ids]
    folder = tmp_path_factory.mktemp("jobs")
    frame = pd.DataFrame(rows).assign(id=ids)
    found, _ = jobs(folder, frame, id_column="id", id_digits=4, area_digits=area_digits, sectors=SECTORS)
    assert found == naive_jobs(naive_ids(ids, 4, area_digits), rows, SECTORS)
    assert sum(found.values()) == frame[list("abc")].to_numpy().sum()


@pytest.mark.parametrize(
    ("frame", "fields", "words"),
    [
        (lodes(["1" * 15, "2" * 15], CNS03=[1, None]), {}, "a number of jobs is missing in 1 of 2 rows"),
        (lodes(["1" * 15, "2" * 15], CNS03=[1, -2]), {}, "column CNS03 is below 0 in 1 of 2 rows"),
        (lodes(["1" * 15] * 2), {}, "2 of 2 rows share their w_geocode"),
        (lodes(["1" * 10] * 2), {"area_digits": 0}, "2 of 2 rows share"),
        (lodes(["1" * 10, "2" * 10]), {}, "w_geocode has 10 characters where the first 11 are the area's"),
        (lodes(["1"]).drop(columns="CNS20"), {}, "no column CNS20"),
    ],
)
def test_wrong_jobs_are_named_and_counted(tmp_path, frame, fields, words):
    with pytest.raises(SourceError) as error:
        jobs(tmp_path, frame, **fields)
    assert words in str(error.value) and "wac.csv" in str(error.value)


def telework(folder, rows, **fields):
    pd.DataFrame(rows, columns=["NAICS", "teleworkable_emp"]).to_csv(folder / "t.csv", index=False)
    table = read_telework(Telework(path="t.csv", **fields), folder)
    return {r["sector"]: r["telework_share"] for r in rows_of(table, TELEWORK)}, table.schema.metadata


def test_government_is_99_unless_the_file_has_92(tmp_path):
    found, notes = telework(tmp_path, [("31-33", 0.25), ("99", 0.4)])
    assert found == {"31-33": 0.25, "92": 0.4} and notes == {b"government_row": b"99"}
    found, notes = telework(tmp_path, [("11", 0.1), ("99", 0.4), ("92", 0.5)])
    assert found == {"11": 0.1, "92": 0.5} and notes == {b"government_row": b"92"}
    assert telework(tmp_path, [("11", 0.1), ("G", 0.3)], government="G")[0] == {"11": 0.1, "92": 0.3}
    assert telework(tmp_path, [("11", 0.1), ("99", 0.4)], government="")[0] == {"11": 0.1, "99": 0.4}
    with pytest.raises(SourceError, match=r"no row 92 \(public administration\) and no row 99 to stand for it"):
        telework(tmp_path, [("11", 0.1)])


def test_shares_and_percentages_are_not_confused(tmp_path):
    assert telework(tmp_path, [("11", 10), ("92", 55.5)], unit="percent")[0] == {"11": 0.1, "92": 0.555}
    with pytest.raises(SourceError, match=r'is above 1 in 2 of 2 rows \(unit = "percent"\?\)'):
        telework(tmp_path, [("11", 10), ("92", 55.5)])
    with pytest.raises(SourceError, match=r'nowhere above 1; are these shares \(unit = "share"\)'):
        telework(tmp_path, [("11", 0.1), ("92", 1.0)], unit="percent")
    with pytest.raises(SourceError, match=r"above 1 in 1 of 2 rows$"):
        telework(tmp_path, [("11", 101), ("92", 55.5)], unit="percent")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("11", 0.1), ("92", None)], "column teleworkable_emp is missing in 1 of 2 rows"),
        ([], "is missing in 0 of 0 rows"),
        ([("11", 0.1), ("11", 0.2), ("92", 0.1)], "2 of 3 rows share their NAICS"),
        ([("11", "low"), ("92", 0.1)], "holds no number in 1 of 2 rows"),
        ([(None, 0.2), ("92", 0.1)], "1 rows have no id"),
    ],
)
def test_wrong_telework_is_named_and_counted(tmp_path, rows, words):
    with pytest.raises(SourceError) as error:
        telework(tmp_path, rows)
    assert words in str(error.value) and "t.csv" in str(error.value)
