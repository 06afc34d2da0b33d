"""Labels and true stays as files hold them: types, missing words, pieces, unusable rows."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine.plan import params_of
from pipeline.evaluation.columns import read_columns, to_texts
from pipeline.evaluation.reading import EMPTY, MOVE, UNLABELLED, place_coder, read_labelled, stop_coder
from pipeline.evaluation.tables import TruthFile, parse_columns, read_true_stays
from pipeline.sources import SourceError, parquet
from pipeline.study import Source, Study, StudyError

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([1, 0, None]), ["1", "0", None]),
        (pa.array([1.0, 0.5, None, float("nan")]), ["1", "0.5", None, None]),
        (pa.array([" stop ", "", "NA"]), ["stop", None, None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([None, None], pa.null()), [None, None]),
    ],
)
def test_labels_of_any_type_are_texts(values, texts):
    assert to_texts(values).to_pylist() == texts


def test_usual_words_for_stop_and_move():
    code = stop_coder("x", [])
    assert (
        code(["TRUE", "1", "Stop", "stay", None, "False", "0", "move"]).tolist() == [0] * 4 + [UNLABELLED] + [MOVE] * 3
    )
    with pytest.raises(StudyError, match="--stop-value") as refused:
        code(["secret"])
    assert "secret" not in str(refused.value)
    assert stop_coder("x", ["Home"])(["home", "secret", None]).tolist() == [0, MOVE, UNLABELLED]


def test_places_keep_their_numbers_from_block_to_block():
    code = place_coder()
    assert code(["a", None, "b"]).tolist() == [0, EMPTY, 1]
    assert code(["b", "c", "a"]).tolist() == [1, 2, 0]


def test_labels_of_a_file_in_pieces_stay_with_their_rows(tmp_path, monkeypatch):
    n = 1000
    is_stop = np.random.default_rng(1).random(n) < 0.5
    seconds = np.arange(n) + 1_709_280_000
    frame = {
        "u": ["a"] * n,
        "t": seconds,
        "x": np.where(np.arange(n) % 7, 1.5, 200.0),
        "y": 2.5 + 0 * seconds,
        "s": is_stop,
    }
    pq.write_table(pa.table(frame), tmp_path / "p.parquet", row_group_size=100)
    monkeypatch.setattr(parquet, "PIECE_ROWS", 250)
    source = {"path": "p.parquet", "format": "parquet", "time_unit": "s"}
    columns = {"device_id": "u", "tracked_at": "t", "lon": "x", "lat": "y"}
    study = Study.from_dict(
        {
            "name": "p",
            "start": "2024-03-01",
            "end": "2024-03-01",
            "zone": "UTC",
            "sources": [{**source, "columns": columns}],
        },
        tmp_path,
    )
    pings = read_labelled(study, params_of(study), KEY, "s", stop_coder("s", []))
    is_accepted = np.arange(n) % 7 != 0
    assert pings.reasons == {"longitude_out_of_range": n - is_accepted.sum()}
    assert ((pings.place == 0) == is_stop[is_accepted]).all()
    assert (pings.at_us // 1_000_000 == seconds[is_accepted]).all()


def test_formats_without_columns_hold_no_labels(tmp_path):
    with pytest.raises(SourceError, match="geolife_plt"):
        next(read_columns(tmp_path / "x.plt", Source(path="x.plt", format="geolife_plt"), ["s"]))


@pytest.mark.parametrize("kind", ["csv", "parquet", "folder"])
def test_true_stays_from_any_table(tmp_path, kind):
    at = pd.to_datetime(["2024-03-01 08:00", "2024-03-01 10:00", "2024-03-01 12:00"])
    frame = pd.DataFrame(
        {
            "device_id": ["b", "a", "a"],
            "started_at": at,
            "finished_at": at + pd.Timedelta("1h"),
            "place_id": ["x", None, "x"],
        }
    )
    path = tmp_path / ("d" if kind == "folder" else f"t.{kind}")
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        for k in range(3):
            (path / f"k={k}").mkdir(parents=True)
            frame.iloc[[k]].to_parquet(path / f"k={k}" / "p.parquet")
    true = read_true_stays(TruthFile(str(path), parse_columns(None), time_zone="Europe/Berlin"), KEY, has_place=True)
    assert (true.n_rows, true.n_unusable) == (3, 0)
    assert (np.diff(true.stays.device_id) >= 0).all()
    utc = (at.tz_localize("Europe/Berlin").tz_convert("UTC").astype("datetime64[us, UTC]").astype("int64")).tolist()
    assert sorted(true.stays.started_us.tolist()) == sorted(utc)
    assert (true.stays.length_us == 3_600_000_000).all()
    place = dict(zip(true.stays.started_us.tolist(), true.stays.place.tolist(), strict=True))
    assert place[utc[0]] == place[utc[2]] >= 0 and place[utc[1]] == -1


def test_columns_of_a_table_may_have_other_names():
    assert parse_columns(" device_id = uid,place_id=poi ")["device_id"] == "uid"
    assert parse_columns("place_id=poi")["started_at"] == "started_at"
    for wrong in ("uid", "who=uid", "device_id="):
        with pytest.raises(StudyError, match="ROLE=COLUMN"):
            parse_columns(wrong)


def test_malformed_rows_of_truth_are_counted(tmp_path):
    row = "a,2024-03-01 08:00,2024-03-01 09:00\n"
    head = "device_id,started_at,finished_at\n"
    path = tmp_path / "t.csv"
    path.write_text(head + row + "a,2024-03-01 10:00\n" + row + "a,b,c,d\n")
    true = read_true_stays(TruthFile(str(path), parse_columns(None)), KEY)
    assert (true.n_rows, true.n_unusable, true.stays.device_id.size) == (4, 2, 2)
    for empty in (head, head + "a,b\n"):
        path.write_text(empty)
        with pytest.raises(StudyError, match="no row"):
            read_true_stays(TruthFile(str(path), parse_columns(None)), KEY)


def test_a_folder_of_parquet_and_text_is_refused(tmp_path):
    frame = pd.DataFrame({"device_id": ["a"], "started_at": ["2024-03-01"], "finished_at": ["2024-03-02"]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_true_stays(TruthFile(str(tmp_path), parse_columns(None)), KEY).n_rows == 1
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(StudyError, match="Parquet and text"):
        read_true_stays(TruthFile(str(tmp_path), parse_columns(None)), KEY)
