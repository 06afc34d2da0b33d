"""Census tables of every file kind to the table of demographics: ids, groups, sums, totals and what is missing."""

import gzip
from typing import get_args

import geopandas as gpd
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box

from data_contracts import DEMOGRAPHICS, conform
from pipeline.references import Demographics
from pipeline.sources import SourceError, demographics_digest, read_demographics
from pipeline.sources.demographics import PRESETS, fill
from tests.naive_census import naive_demographics, naive_ids

GROUPS = {"sex": {"male": "M", "female": "F"}, "age": {"young": "A", "old": ["B", "C"]}}
FRAME = pd.DataFrame(
    {
        "id": ["010020001001", "010020001002", "010020003001"],
        "M": [3, 4, 10],
        "F": [5, 6, 0],
        "A": [1, 2, 3],
        "B": [4, 5, 6],
        "C": [3, 3, 1],
    }
)


def read(folder, path, **fields):
    section = Demographics(**({"path": path, "id_column": "id", "groups": GROUPS} | fields))
    table = read_demographics(section, folder)
    rows = conform(table.replace_schema_metadata(None), DEMOGRAPHICS).to_pylist()
    return {(row["tract_geoid"], row["axis"], row["group"]): row["n_persons"] for row in rows}, table.schema.metadata


def write(folder, frame, name="a.csv"):
    path = folder / name
    if ".parquet" in name:
        frame.to_parquet(path)
    elif "geojson" in name:
        shapes = gpd.GeoDataFrame(frame, geometry=[box(0, 0, 1, 1)] * len(frame), crs="EPSG:4326")
        plain = folder / "plain.geojson"
        shapes.to_file(plain)
        path.write_bytes(gzip.compress(plain.read_bytes()) if name.endswith(".gz") else plain.read_bytes())
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    return name


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.parquet", "a.geojson", "a.geojson.gz"])
def test_every_kind_of_file_gives_the_same_sums_of_block_groups(tmp_path, name):
    found, notes = read(tmp_path, write(tmp_path, FRAME, name), area_digits=11)
    assert found == {
        ("01002000100", "age", "old"): 15.0,
        ("01002000100", "age", "young"): 3.0,
        ("01002000100", "sex", "female"): 11.0,
        ("01002000100", "sex", "male"): 7.0,
        ("01002000300", "age", "old"): 7.0,
        ("01002000300", "age", "young"): 3.0,
        ("01002000300", "sex", "female"): 0.0,
        ("01002000300", "sex", "male"): 10.0,
    }
    assert notes == {b"n_areas": b"2", b"n_areas_without_age": b"0", b"n_areas_without_sex": b"0"}


def test_lost_zeros_are_put_back_and_texts_keep_theirs(tmp_path):
    as_text, _ = read(tmp_path, write(tmp_path, FRAME, "text.csv"))
    assert {key[0] for key in as_text} == set(FRAME["id"])
    numbers = FRAME.assign(id=FRAME["id"].astype("int64"))
    for name, frame in (("a.csv", numbers), ("a.parquet", numbers), ("b.parquet", numbers.astype({"id": float}))):
        assert read(tmp_path, write(tmp_path, frame, name), id_digits=12)[0] == as_text
    with pytest.raises(SourceError, match="id has 11 characters where the first 12 are the area's; were leading zeros"):
        read(tmp_path, "a.csv", area_digits=12)
    with pytest.raises(SourceError, match="3 of 3 ids are no numbers of 10 digits"):
        read(tmp_path, "a.csv", id_digits=10)
    mixed = write(tmp_path, pd.concat([numbers, FRAME.assign(id="2" + FRAME["id"].str[1:])]), "c.csv")
    with pytest.raises(SourceError, match="id has 11, 12 characters"):
        read(tmp_path, mixed, area_digits=11)


def test_ids_that_all_lost_their_zero_are_not_cut_to_tracts(tmp_path):
    groups = FRAME.assign(bgrp=FRAME["id"].str[1:])  # of 12 digits, as of Connecticut
    name = write(tmp_path, groups)
    words = "bgrp has 11 characters where the first 11 are the area's; were leading zeros lost"
    with pytest.raises(SourceError, match=words):
        read(tmp_path, name, id_column="bgrp", area_digits=11)
    found, _ = read(tmp_path, name, id_column="bgrp", id_digits=12, area_digits=11)
    assert {key[0] for key in found} == {"01002000100", "01002000300"}
    # Tracts under the same name are believed when they are declared, and under another name as they are.
    tracts = FRAME.assign(bgrp=["01002000100", "01002000200", "01002000300"]).astype({"bgrp": str})
    name = write(tmp_path, tracts.assign(id=tracts["bgrp"]))
    declared, _ = read(tmp_path, name, id_column="bgrp", id_digits=11, area_digits=11)
    assert {key[0] for key in declared} == set(tracts["bgrp"])
    assert read(tmp_path, name, area_digits=11)[0] == declared


@pytest.mark.parametrize(("n_digits", "is_right"), [(11, True), (12, True), (13, False), (14, False), (15, True)])
def test_tracts_are_cut_from_tracts_block_groups_and_blocks_only(tmp_path, n_digits, is_right):
    name = write(tmp_path, FRAME.assign(id=[f"1{k}0020001001234"[:n_digits] for k in range(3)]))
    if is_right:
        assert {key[0] for key in read(tmp_path, name, area_digits=11)[0]} == {f"1{k}002000100" for k in range(3)}
    else:
        with pytest.raises(SourceError, match=f"id has {n_digits} characters where the first 11 are the area's"):
            read(tmp_path, name, area_digits=11)


IDS = st.lists(st.integers(0, 99_999), min_size=1, max_size=12, unique=True)


@settings(max_examples=40, deadline=None)
@given(st.data(), IDS, st.sampled_from([None, 3, 5]), st.booleans())
def test_sums_are_those_of_the_obvious_loop(tmp_path_factory, data, ids, area_digits, is_number):
    amounts = st.one_of(st.none(), st.integers(0, 1000))
    rows = [{name: data.draw(amounts) for name in "MFABC"} for _ in ids]
    rows[0] |= {"M": 700, "A": 700}  # what looks like shares is not added up
    texts = ids if is_number else [f"{i:05d}" for i in ids]
    id_digits = 5 if is_number else None
    folder = tmp_path_factory.mktemp("census")
    frame = pd.DataFrame(rows, dtype="Int64").assign(id=texts)
    found, notes = read(folder, write(folder, frame), id_digits=id_digits, area_digits=area_digits or 0)
    areas = naive_ids(texts, id_digits, area_digits)
    columns = {axis: {g: [c] if isinstance(c, str) else c for g, c in named.items()} for axis, named in GROUPS.items()}
    assert found == naive_demographics(areas, rows, columns)
    n_sex = len({area for area, axis, _ in found if axis == "sex"})
    assert int(notes[b"n_areas_without_sex"]) == len(set(areas)) - n_sex
    shuffled = frame.sample(frac=1, random_state=1)
    again, _ = read(folder, write(folder, shuffled, "b.csv"), id_digits=id_digits, area_digits=area_digits or 0)
    assert list(again.items()) == list(found.items())


def test_an_area_with_a_missing_figure_or_nobody_has_no_rows_of_the_axis(tmp_path):
    frame = FRAME.assign(M=[-666666666, 4, 0], B=[4.0, None, 6.0])
    found, notes = read(tmp_path, write(tmp_path, frame))
    assert {key[:2] for key in found} == {("010020001001", "age"), ("010020001002", "sex"), ("010020003001", "age")}
    assert notes[b"n_areas_without_sex"] == b"2" and notes[b"n_areas_without_age"] == b"1"
    # The sum of a tract of which one block group is unknown is unknown too.
    found, _ = read(tmp_path, "a.csv", area_digits=11)
    assert {key[:2] for key in found} == {("01002000300", "age")}


def test_groups_have_to_add_up_to_the_total_that_is_declared(tmp_path):
    frame = FRAME.assign(T=[8, 10, 10], U=[8, 11, 10])
    name = write(tmp_path, frame)
    found, _ = read(tmp_path, name, totals={"sex": "T", "age": ["T"]})
    assert len(found) == 12
    with pytest.raises(SourceError, match=r"groups of sex do not add up to their total in 1 of 3 areas; .*\(M, F, U\)"):
        read(tmp_path, name, totals={"sex": "U"})
    found, _ = read(tmp_path, name, totals={"sex": "U"}, rests={"sex": "unknown"})
    assert [found[i, "sex", "unknown"] for i in frame["id"]] == [0.0, 1.0, 0.0]
    with pytest.raises(SourceError, match="do not add up"):  # more than all there are is no rest
        read(tmp_path, write(tmp_path, frame.assign(U=[7, 11, 10])), totals={"sex": "U"}, rests={"sex": "unknown"})
    # Where the total is missing, the axis is.
    found, notes = read(tmp_path, write(tmp_path, frame.assign(T=[8, None, 10])), totals={"sex": "T"})
    assert notes[b"n_areas_without_sex"] == b"1" and (FRAME["id"][1], "sex", "male") not in found


def test_shares_have_a_number_for_a_total_and_are_not_added_up(tmp_path):
    frame = pd.DataFrame({"id": ["01", "02", "03"], "poor": [12.5, 100.4, 0.0]})
    fields = {"groups": {"income": {"poor": "poor"}}, "totals": {"income": 100}, "rests": {"income": "not_poor"}}
    found, _ = read(tmp_path, write(tmp_path, frame), **fields)
    # Rounded shares may exceed the total by a little; what is left then is none.
    assert [found[i, "income", "not_poor"] for i in frame["id"]] == [87.5, 0.0, 100.0]
    with pytest.raises(SourceError, match="income is shares, and several rows are of one area"):
        read(tmp_path, "a.csv", area_digits=1, **fields)


SHARES = {"groups": {"sex": {"m": "m", "f": "f"}}, "area_digits": 11}


@pytest.mark.parametrize(
    ("m", "f"),
    [
        ([0.2, 0.9, 0.5], [0.1, 0.0, None]),  # 1 or less
        ([0.2, 0.904, 0.5], [0.8, 0.1, 0.5]),  # rounded, about 1
        ([49.6, 10.0, None], [50.0, 90.0, 7.0]),  # about 100
    ],
)
def test_what_looks_like_shares_is_not_added_up(tmp_path, m, f):
    name = write(tmp_path, FRAME.assign(m=m, f=f))
    words = "a.csv: the values of sex look like shares, and 2 of 3 rows share their area .* declare totals.sex"
    with pytest.raises(SourceError, match=words):
        read(tmp_path, name, **SHARES)
    assert read(tmp_path, name, **(SHARES | {"area_digits": 0}))[0]["010020001001", "sex", "m"] == m[0]


@pytest.mark.parametrize(("m", "f"), [([1, 0, 2], [0, 1, 1]), ([50, 10, 3], [50, 90, 2]), ([0, 0, 0], [0, 0, None])])
def test_what_may_be_counts_is_added_up(tmp_path, m, f):
    found, _ = read(tmp_path, write(tmp_path, FRAME.assign(m=m, f=f)), **SHARES)
    assert found.get(("01002000100", "sex", "m"), 0) == m[0] + m[1]


def test_a_declared_total_says_that_small_numbers_are_counts(tmp_path):
    name = write(tmp_path, FRAME.assign(m=[1, 0, 0], f=[0, 1, 1], all=1))
    found, _ = read(tmp_path, name, totals={"sex": "all"}, **SHARES)
    assert found["01002000100", "sex", "f"] == 1.0


def test_demographics_without_an_axis_are_refused(tmp_path):
    write(tmp_path, FRAME)
    for preset in ("lodes_rac", "acs_dp05"):
        groups = {axis: {} for axis in PRESETS[preset]["groups"]}
        with pytest.raises(SourceError, match=r"a.csv: every axis is left out"):
            read_demographics(Demographics(path="a.csv", preset=preset, id_column="id", groups=groups), tmp_path)


@pytest.mark.parametrize(
    ("frame", "fields", "words"),
    [
        (FRAME, {"path": "b.csv"}, "no such file of demographics"),
        (FRAME, {"id_column": "GEOID"}, "no column GEOID; it has id, M, F, A, B, C"),
        (FRAME, {"groups": {"race": {"white": "W", "black": "B"}}}, "no column W; it has"),
        (FRAME.assign(M=["3", "many", "x"]), {}, "column M holds no number in 2 of 3 rows"),
        (FRAME.assign(M=[3, -1, 0]), {}, "column M is below 0 in 1 of 3 rows"),
        (FRAME.assign(id=["1", None, "2"]), {}, "1 rows have no id"),
        (FRAME.assign(id=["1", "1", "2"]), {}, "2 of 3 rows share their id with another row"),
        (FRAME.iloc[:0], {}, "no rows"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_counted(tmp_path, frame, fields, words):
    write(tmp_path, frame)
    with pytest.raises(SourceError) as error:
        read(tmp_path, **({"path": "a.csv"} | fields))
    assert words in str(error.value) and str(error.value).count(".csv") >= 1
    assert "many" not in str(error.value)


def test_several_files_are_read_as_one_and_none_twice(tmp_path):
    for k in range(3):
        write(tmp_path, FRAME.iloc[[k]], f"part{k}.csv")
    whole, _ = read(tmp_path, write(tmp_path, FRAME))
    assert read(tmp_path, "part*.csv")[0] == whole
    section = Demographics(path="part*.csv", id_column="id", groups=GROUPS)
    before = demographics_digest(section, tmp_path)
    write(tmp_path, FRAME, "part9.csv")
    assert demographics_digest(section, tmp_path) != before
    with pytest.raises(SourceError, match="6 of 6 rows share their id"):
        read(tmp_path, "part*.csv")


def test_an_axis_of_the_study_replaces_the_presets_or_leaves_it_out():
    filled = fill(
        Demographics(
            path="a.csv", preset="lodes_rac", groups={"race": {"hispanic": "CT02", "other": "CT01"}, "income": {}}
        )
    )
    assert filled.id_column == "h_geocode"
    assert filled.groups["race"] == {"hispanic": "CT02", "other": "CT01"} and "race" not in filled.totals
    assert filled.groups["income"] == {} and "income" not in filled.totals
    assert filled.totals["education"] == ("CA02", "CA03")
    assert fill(Demographics(path="a.csv", preset="acs_dp05", id_column="geoid")).id_column == "geoid"


def test_presets_are_those_a_study_accepts_and_name_every_column_once():
    accepted = get_args(get_args(Demographics.model_fields["preset"].annotation)[0])
    assert set(accepted) == set(PRESETS)
    for name in PRESETS:
        section = fill(Demographics(path="a", preset=name))
        assert set(section.totals) == set(section.groups)
