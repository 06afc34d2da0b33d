"""Worked examples of exports: what leaves, in which steps, what stays as it was, and what is said of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from data_contracts import OD_FLOWS, REGION_CHANGES
from pipeline.engine.records import RunRecord
from pipeline.engine.store import ALL, Store
from pipeline.export import ExportParams, export_table
from pipeline.export.register import FIRST, LAST, read_register, register_path
from pipeline.study import StudyError

SPAN = {"name": "toy", "start": "2020-01-06", "end": "2020-02-02", "zone": "UTC"}


def make_flows(flows):
    """od_flows from (origin, destination, devices, trips, distance)."""
    frame = pd.DataFrame(flows, columns=["origin_area", "destination_area", "n_devices", "n_trips", "distance_mean_m"])
    frame = frame.assign(window="study", window_started=pd.Timestamp("2020-01-06"), day_hour="all")
    frame = frame.astype({"distance_mean_m": float, "window_started": "datetime64[ms]"})
    return frame.sort_values(list(OD_FLOWS.key), ignore_index=True)[OD_FLOWS.names]


def make_changes(devices, day="2020-01-06"):
    """region_changes of one day and measure from {region: devices}; the mean tells the vintage apart."""
    frame = pd.DataFrame({"region_geoid": list(devices), "n_devices": list(devices.values())})
    frame = frame.assign(axis="all", group="all", date=pd.Timestamp(day), measure="visits", baseline=2.0)
    frame = frame.assign(mean=frame["n_devices"] / 7, log_change=np.nan, log_change_others=np.nan)
    frame = frame.astype({"date": "datetime64[ms]"})
    return frame.sort_values(list(REGION_CHANGES.key), ignore_index=True)[REGION_CHANGES.names]


def put(root, table, frame):
    """Write a table as a run would."""
    if not (root / "_runs").exists():
        RunRecord(root, "run", SPAN).close("finished")
    data = pa.Table.from_pandas(frame, table.schema, preserve_index=False)
    Store(root).write(table, ALL, data, {})


def export(root: Path, folder: Path, table, formats=("parquet",), **params):
    done = export_table(table.name, root, folder, ExportParams(**params), formats)
    return pq.read_table(done.paths[0]).to_pandas(), done


def test_counts_leave_in_steps_and_values_up_to_the_highest(tmp_path):
    rows = [("a", "b", 12, 43, 1_200_000), ("a", "c", 13, 42, 3000), ("b", "a", 9, 300, 10)]
    put(tmp_path / "t", OD_FLOWS, make_flows(rows))
    told, done = export(tmp_path / "t", tmp_path / "out", OD_FLOWS)
    assert told["n_devices"].tolist() == [10, 15] and told["n_trips"].tolist() == [45, 40]
    assert told["distance_mean_m"].tolist() == [1_000_000, 3000]
    assert (done.counts.n_rows, done.counts.n_left_out, done.counts.n_top_coded) == (2, 1, 1)
    exact, _ = export(tmp_path / "t", tmp_path / "out", OD_FLOWS, is_rounded=False)
    assert exact["n_devices"].tolist() == [12, 13] and exact["n_trips"].tolist() == [43, 42]


def test_the_statement_says_what_was_done_and_to_which_bytes(tmp_path):
    put(tmp_path / "t", OD_FLOWS, make_flows([("a", "b", 12, 43, 500), ("b", "a", 9, 300, 10)]))
    _, done = export(tmp_path / "t", tmp_path / "out", OD_FLOWS, formats=("parquet", "csv"))
    statement = json.loads((tmp_path / "out/od_flows.protection.json").read_text())
    assert statement["study"] == SPAN and statement["min_devices"] == 10
    assert statement["rows"] == done.counts._asdict() and statement["rows"]["n_left_out"] == 1
    assert statement["rounded_to"] == {"n_trips": 5, "n_devices": 5}
    assert set(statement["files"]) == {"od_flows.parquet", "od_flows.csv"} and statement["not_protected"]
    text = (tmp_path / "out/od_flows.protection.md").read_text()
    assert all(part in text for part in ("| rows | 1 |", "n_trips to multiples of 5", *statement["files"].values()))
    assert pyarrow.csv.read_csv(tmp_path / "out/od_flows.csv").num_rows == 1
    # What a shard was made from names source files: none of it leaves.
    assert b"sojourn" not in (pq.read_metadata(tmp_path / "out/od_flows.parquet").metadata or {})


def test_the_same_again_gives_the_same_bytes(tmp_path):
    put(tmp_path / "t", REGION_CHANGES, make_changes({"all": 60, "01": 30, "02": 30}))
    put(tmp_path / "t", OD_FLOWS, make_flows([("a", "b", 12, 43, 500)]))
    written = []
    for _ in range(2):
        for table in (REGION_CHANGES, OD_FLOWS):
            export(tmp_path / "t", tmp_path / "out", table, formats=("parquet", "csv"))
        files = [*(tmp_path / "out").iterdir(), register_path(tmp_path / "t", OD_FLOWS)]
        written.append({path: path.read_bytes() for path in files})
    assert written[0] == written[1] and len(written[0]) == 9


def test_tables_that_stay_inside_are_refused(tmp_path):
    put(tmp_path / "t", OD_FLOWS, make_flows([("a", "b", 12, 43, 500)]))
    for name, message in (
        ("visits", "visits stays inside: its contract says internal"),
        ("flows", "no table 'flows', did you mean od_flows"),
        ("unemployment", "unemployment is not computed under"),
    ):
        with pytest.raises(StudyError, match=message):
            export_table(name, tmp_path / "t", tmp_path / "out", ExportParams())
    with pytest.raises(StudyError, match="from 10 devices a row on, not from 5"):
        export(tmp_path / "t", tmp_path / "out", OD_FLOWS, min_devices=5)
    with pytest.raises(StudyError, match="what 20 would hide is found from its margins"):
        export(tmp_path / "t", tmp_path / "out", OD_FLOWS, min_devices=20)
    with pytest.raises(StudyError, match="no finished run"):
        export(tmp_path / "none", tmp_path / "out", OD_FLOWS)
    assert not (tmp_path / "out").exists()


def test_more_devices_a_row_hide_neighbours_too(tmp_path):
    put(tmp_path / "t", REGION_CHANGES, make_changes({"all": 100, "01": 45, "02": 40, "03": 15}))
    told, done = export(tmp_path / "t", tmp_path / "out", REGION_CHANGES, min_devices=20)
    assert told["region_geoid"].tolist() == ["01", "all"]
    assert (done.counts.n_primary, done.counts.n_complementary) == (1, 1)


def test_a_row_is_renewed_where_ten_devices_more_are_known(tmp_path):
    def vintage(devices):
        put(tmp_path / "t", REGION_CHANGES, make_changes(devices))
        told, done = export(tmp_path / "t", tmp_path / "out", REGION_CHANGES, is_rounded=False)
        return dict(zip(told["region_geoid"], told["n_devices"], strict=True)), done.counts

    assert vintage({"01": 30, "02": 30}) == ({"01": 30, "02": 30}, vintage({"01": 30, "02": 30})[1])
    told, counts = vintage({"01": 39, "02": 40, "03": 12})
    assert told == {"01": 30, "02": 40, "03": 12} and counts.n_kept == 1
    # 02 is 10 from the vintage before, but 1 from the first.
    told, counts = vintage({"01": 45, "02": 31, "03": 12})
    assert told == {"01": 45, "02": 40, "03": 12} and counts.n_kept == 1
    past = read_register(tmp_path / "t", REGION_CHANGES)
    assert past[["region_geoid", "n_devices", FIRST, LAST]].to_numpy().tolist() == [
        ["01", 30, 0, 1], ["01", 45, 2, 2], ["02", 30, 0, 0], ["02", 40, 1, 2], ["03", 12, 1, 2],
    ]  # fmt: skip


def test_the_same_count_of_other_values_is_not_renewed(tmp_path):
    frame = make_changes({"01": 30})
    put(tmp_path / "t", REGION_CHANGES, frame)
    export(tmp_path / "t", tmp_path / "out", REGION_CHANGES)
    put(tmp_path / "t", REGION_CHANGES, frame.assign(mean=9.0))
    told, done = export(tmp_path / "t", tmp_path / "out", REGION_CHANGES)
    assert told["mean"].tolist() == [30 / 7] and done.counts.n_kept == 1


def test_a_margin_is_kept_whose_rest_changed_by_a_few(tmp_path):
    put(tmp_path / "t", REGION_CHANGES, make_changes({"all": 100, "01": 50, "02": 30}))
    export(tmp_path / "t", tmp_path / "out", REGION_CHANGES)
    # 15 devices more, 12 of them in region 01: 3 in what is not shown.
    put(tmp_path / "t", REGION_CHANGES, make_changes({"all": 115, "01": 62, "02": 30}))
    told, done = export(tmp_path / "t", tmp_path / "out", REGION_CHANGES, is_rounded=False)
    assert told["n_devices"].tolist() == [62, 30, 100] and done.counts.n_kept == 1


def test_rows_new_beside_released_ones_are_held_back_where_they_may_be_what_was_hidden(tmp_path):
    put(tmp_path / "t", REGION_CHANGES, make_changes({"all": 100, "01": 50, "02": 30}))
    export(tmp_path / "t", tmp_path / "out", REGION_CHANGES)
    # 03 and 04 were hidden: 20 devices. Now they have 22.
    put(tmp_path / "t", REGION_CHANGES, make_changes({"all": 102, "01": 50, "02": 30, "03": 11, "04": 11}))
    told, done = export(tmp_path / "t", tmp_path / "out", REGION_CHANGES, is_rounded=False)
    assert told["n_devices"].tolist() == [50, 30, 100] and (done.counts.n_kept, done.counts.n_held_back) == (1, 2)


def test_final_rows_stay_and_none_is_added_beside_them(tmp_path):
    put(tmp_path / "t", REGION_CHANGES, make_changes({"01": 30}))
    export(tmp_path / "t", tmp_path / "out", REGION_CHANGES)
    both = pd.concat([make_changes({"01": 70, "02": 40}), make_changes({"01": 25}, "2020-01-07")])
    put(tmp_path / "t", REGION_CHANGES, both.sort_values(list(REGION_CHANGES.key)))
    told, done = export(tmp_path / "t", tmp_path / "out", REGION_CHANGES, is_rounded=False, is_final=True)
    assert told["n_devices"].tolist() == [30, 25] and (done.counts.n_kept, done.counts.n_held_back) == (1, 1)


def test_an_export_that_is_killed_goes_on_where_it_was(tmp_path, monkeypatch):
    """Whatever file was being written: no part of one is left, and the next export gives the bytes of one unharmed."""
    first, second = make_changes({"01": 30, "02": 30}), make_changes({"01": 39, "02": 45, "03": 12})

    def vintages(folder, n_written=None):
        put(folder / "t", REGION_CHANGES, first)
        export(folder / "t", folder / "out", REGION_CHANGES)
        put(folder / "t", REGION_CHANGES, second)
        if n_written is not None:
            left = iter([True] * n_written)

            def dies(source, target, rename=Path.replace):
                if not next(left, False):
                    raise KeyboardInterrupt
                return rename(source, target)

            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(Path, "replace", dies)
                export(folder / "t", folder / "out", REGION_CHANGES)
        export(folder / "t", folder / "out", REGION_CHANGES)
        files = [*(folder / "out").iterdir(), register_path(folder / "t", REGION_CHANGES)]
        return {path.relative_to(folder): path.read_bytes() for path in files}

    whole = vintages(tmp_path / "whole")
    assert len(whole) == 4
    # The register, the data and the two files of the statement are renamed in this order.
    for n_written in range(4):
        assert vintages(tmp_path / str(n_written), n_written) == whole, n_written
