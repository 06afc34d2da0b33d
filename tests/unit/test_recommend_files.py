"""Check-ins out of files: names of columns, times, rows that cannot be used, places and friends."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.recommendation.check_in_files import CHECK_IN_ROLES, Table, parse_roles, read_check_in_rows
from pipeline.evaluation.recommendation.check_ins import describe_places, read_check_ins
from pipeline.study import StudyError

CSV = """user,venue,at,category,lat,lon
b,p2,2012-04-03T18:00:00Z,Bar,40.5,-74.0
a,p1,2012-04-03T19:00:00Z,Cafe,40.6,-74.1
a,p2,2012-04-04T19:00:00+02:00,Bar,40.5,-74.0
,p1,2012-04-04T19:00:00Z,Cafe,40.6,-74.1
a,,2012-04-04T19:00:00Z,Cafe,40.6,-74.1
a,p1,,Cafe,40.6,-74.1
a,p1,yesterday,Cafe,40.6,-74.1
a,p1,2012-04-05T19:00:00Z
b,p1,2012-04-05T19:00:00Z,Cafe,95.0,-74.1
b,p3,2012-04-06T19:00:00Z,NA,,
b,p3,2012-04-06T19:00:00Z,,,
"""
NAMED = {"person": "user", "place": "venue", "time": "at"}


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "checkins.csv"
    path.write_text(CSV)
    return path


def table(path, named=NAMED, option="FILE", **fields):
    return Table(str(path), dict(named), option, **fields)


def test_every_row_is_accounted_for(csv):
    found = read_check_ins(table(csv))
    assert found.counts == {
        "check_ins_bad_position": 1, "check_ins_bad_time": 1, "check_ins_malformed_row": 1, "check_ins_no_person": 1,
        "check_ins_no_place": 1, "check_ins_no_time": 1, "check_ins_repeated": 1,
    }  # fmt: skip
    # a = 0, b = 1; p1 = 0, p2 = 1, p3 = 2. The offset is taken off: 19:00+02:00 is 17:00 UTC.
    assert found.rows[["person", "place"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 1], [1, 0], [1, 2]]
    at = pd.to_datetime(found.rows["at_us"], unit="us")
    assert at.dt.strftime("%d %H").tolist() == ["03 19", "04 17", "03 18", "05 19", "06 19"]
    assert (found.n_people, found.n_places) == (2, 3)
    places = describe_places(found.told, found.rows)
    assert places["category"].tolist() == ["Cafe", "Bar", None]
    assert places["lat"].tolist() == pytest.approx([40.6, 40.5, np.nan], nan_ok=True)
    assert found.told.drop(columns="is_told").isna().all(axis=None)  # of a table of places alone
    assert not found.told["is_told"].any() and not found.rows["is_held_out"].any()


def test_compressed_text_and_parquet_say_the_same(csv, tmp_path):
    plain = read_check_ins(table(csv))
    packed = tmp_path / "checkins.csv.gz"
    packed.write_bytes(gzip.compress(CSV.encode()))
    kept = pd.read_csv(csv).drop(index=7).dropna(subset=["user", "venue", "at"])  # 7 has too few fields
    kept = kept[kept["at"].str.startswith("2012")]
    kept.to_parquet(tmp_path / "checkins.parquet")
    for path in (packed, tmp_path / "checkins.parquet"):
        other = read_check_ins(table(path))
        pd.testing.assert_frame_equal(other.rows, plain.rows)
        pd.testing.assert_frame_equal(other.told, plain.told)


def test_order_of_rows_changes_nothing(csv, tmp_path):
    header, *lines = CSV.strip().splitlines()
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("\n".join([header, *reversed(lines)]) + "\n")
    one, other = read_check_ins(table(csv)), read_check_ins(table(shuffled))
    pd.testing.assert_frame_equal(one.rows, other.rows)
    pd.testing.assert_frame_equal(one.told, other.told)
    assert one.counts == other.counts


def test_numbers_are_times_of_their_unit(tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text("person,place,time\n7,3,1333476000\n7,4,1333476060.5\n")
    rows, reasons = read_check_in_rows(table(path, {}, time_unit="s"))
    assert rows["at_us"].tolist() == [1_333_476_000_000_000, 1_333_476_060_500_000] and not reasons
    assert rows["place"].tolist() == ["3", "4"]


def test_a_held_out_file_places_and_friends(csv, tmp_path):
    held, places, friends = (tmp_path / name for name in ("held.csv", "places.csv", "friends.csv"))
    held.write_text("user,venue,at\na,p9,2012-05-01T00:00:00Z\na,p1,2012-04-03T19:00:00Z\n")
    places.write_text("id,name,category,lon,lat\np1,Joe's,Food > Cafe,-74.2,40.7\np7,New,Food > Bar,,\n,x,,,\n")
    friends.write_text("u1,u2\na,b\nb,a\na,a\na,zoe\na,\n")
    found = read_check_ins(
        table(csv),
        table(held, option="--valid"),
        Table(str(places), {"place": "id"}, "--places"),
        Table(str(friends), {"person": "u1", "friend": "u2"}, "--friends"),
    )
    assert found.rows["is_held_out"].sum() == 2  # told twice, it is held out
    assert found.n_places == 5  # p1, p2, p3, p7, p9
    assert found.told["is_told"].tolist() == [True, False, False, True, False]
    places = describe_places(found.told, found.rows)
    assert places["category"].tolist() == ["Food > Cafe", "Bar", None, "Food > Bar", None]
    assert places["lon"].tolist() == pytest.approx([-74.2, -74.0, *[np.nan] * 3], nan_ok=True)
    assert found.friends.tolist() == [[0, 1]]
    wanted = {"places_no_place": 1, "friends_no_person": 1, "friends_unknown_person": 1, "friends_with_oneself": 1}
    assert wanted.items() <= found.counts.items() and found.counts["friends_repeated"] == 1


def test_errors_name_the_option_and_no_id(csv, tmp_path):
    with pytest.raises(StudyError, match=r"FILE: .* no column person, place, time; it has user, venue"):
        read_check_ins(table(csv, {}))
    with pytest.raises(StudyError, match="--valid"):
        read_check_ins(table(csv), table(tmp_path / "absent.csv", option="--valid"))
    with pytest.raises(StudyError, match=r"FILE: .* no column kind"):
        read_check_ins(table(csv, NAMED | {"category": "kind"}))
    nothing = tmp_path / "nothing.csv"
    nothing.write_text("person,place,time\nsecret-17,p,never\n")
    with pytest.raises(StudyError, match=r"holds no row that can be used \(bad_time 1\)") as told:
        read_check_ins(table(nothing, {}))
    assert "secret" not in str(told.value)


def test_column_maps_are_checked():
    assert parse_roles("person=u, place=v", CHECK_IN_ROLES, "--columns") == {"person": "u", "place": "v"}
    for text in ("person", "persn=u", "person="):
        with pytest.raises(StudyError, match=r"--columns .*ROLE=COLUMN"):
            parse_roles(text, CHECK_IN_ROLES, "--columns")


@settings(max_examples=10, deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 9)), min_size=1))
def test_numbers_stand_for_ids_and_rows_are_kept_once(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    pd.DataFrame(rows, columns=["person", "place", "time"]).to_csv(path, index=False)
    found = read_check_ins(table(path, {}, time_unit="s"))
    people, places = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
    back = [(people[r.person], places[r.place], r.at_us // 1_000_000) for r in found.rows.itertuples()]
    assert sorted(back) == sorted(set(rows))
    assert found.counts.get("check_ins_repeated", 0) == len(rows) - len(set(rows))
