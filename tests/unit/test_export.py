"""Worked examples of exports: what leaves, in which steps, what stays as it was, and what is said of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from data_contracts import MOTIF_SHARES, OD_FLOWS, PLACE_VISITS, REGION_CHANGES, TABLES, Release
from pipeline.engine.records import RunRecord
from pipeline.engine.store import ALL, Store
from pipeline.export import export_table
from pipeline.export.protection import coarse, exact
from pipeline.export.register import register_path
from pipeline.params import digest
from pipeline.stages import od_flows as stage
from pipeline.study import Study, StudyError
from tests.collective_rows import make_trips

SPAN = {"name": "toy", "start": "2020-01-06", "end": "2020-02-02", "zone": "UTC"}


def make_flows(flows, window="study", started="2020-01-06"):
    """od_flows from (origin, destination, devices, trips, distance)."""
    frame = pd.DataFrame(flows, columns=["origin_area", "destination_area", "n_devices", "n_trips", "distance_mean_m"])
    frame = frame.assign(window=window, window_started=pd.Timestamp(started), day_hour="all")
    frame = frame.astype({"distance_mean_m": float, "window_started": "datetime64[ms]"})
    return frame.sort_values(list(OD_FLOWS.key), ignore_index=True)[OD_FLOWS.names]


def make_changes(devices, day="2020-01-06"):
    """region_changes of one day and measure from {region: devices}; the mean tells the vintage apart."""
    frame = pd.DataFrame({"region_geoid": list(devices), "n_devices": list(devices.values())})
    frame = frame.assign(axis="all", group="all", date=pd.Timestamp(day), measure="visits", baseline=2.0)
    frame = frame.assign(mean=frame["n_devices"] / 7, log_change=np.nan, log_change_others=np.nan)
    frame = frame.astype({"date": "datetime64[ms]"})
    return frame.sort_values(list(REGION_CHANGES.key), ignore_index=True)[REGION_CHANGES.names]


def put(root, table, frame, study=SPAN, **made_from):
    """Write a table as a run would."""
    RunRecord(root, "run", study).close("finished")
    data = pa.Table.from_pandas(frame, table.schema, preserve_index=False)
    Store(root).write(table, ALL, data, made_from)


def export(root: Path, folder: Path, table, formats=("parquet",)):
    done = export_table(table.name, root, folder, formats)
    return pq.read_table(done.paths[0]).to_pandas(), done


def left(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def flows_of(trips, **params):
    """od_flows of trips, as its stage makes them of one bucket."""
    study = Study(name="toy", start="2020-01-06", end="2020-01-31", zone="UTC", sources=())
    known = stage.OdFlowParams(windows=("study",), **params)
    return stage._finish(stage.od_flows(make_trips(trips), study=study, params=known), study, known)


def people(first, n, destination, day=1):
    return [(first + i, "X", destination, day, 8, 1000.0) for i in range(n)]


def test_counts_leave_in_steps_and_values_up_to_the_highest(tmp_path):
    rows = [("a", "b", 12, 43, 1_200_000), ("a", "c", 13, 42, 3030), ("b", "a", 9, 300, 10)]
    put(tmp_path / "t", OD_FLOWS, make_flows(rows))
    told, done = export(tmp_path / "t", tmp_path / "out", OD_FLOWS)
    assert told["n_devices"].tolist() == [10, 15] and told["n_trips"].tolist() == [45, 40]
    assert told["distance_mean_m"].tolist() == [1_000_000, 3050]
    assert (done.internal.n_rows, done.internal.n_left_out, done.internal.n_top_coded) == (2, 1, 1)


def test_decimals_leave_in_steps_or_to_three_digits():
    places = pd.DataFrame({"area": ["a", "all"], "n_visits": [57, 63], "n_devices": [12, 13]})
    places = places.assign(dwell_hours=37.25, visitor_entropy_bits=2.3456, home_entropy_bits=[np.nan, 0.14])
    told = coarse(places.assign(segregation=0.33), PLACE_VISITS)
    assert told.iloc[0, 1:].tolist()[:4] == [55, 10, 35.0, 2.3] and told["segregation"].tolist() == [0.35, 0.35]
    assert np.isnan(told["home_entropy_bits"][0]) and told["home_entropy_bits"][1] == 0.1
    changes = make_changes({"01": 10, "02": 20, "03": 30, "04": 40}).assign(mean=[0.0, -1.23456, 123_456.0, 0.00098765])
    assert coarse(changes, REGION_CHANGES)["mean"].tolist() == [0.0, -1.23, 123_000.0, 0.000988]
    motifs = pd.DataFrame({"motif": ["0"], "n_devices": [12], "n_days": [37], "share": [37 / 837]})
    told = coarse(motifs.assign(share_low=0.0412, share_high=0.05), MOTIF_SHARES)
    assert told.iloc[0, 1:].tolist() == [10, 35, 0.045, 0.04, 0.05]


def test_no_count_of_devices_or_of_what_they_did_leaves_exact():
    known = {"n_regions", "n_control_regions", "n_clusters", "n_left_out", "lag_days", "n_facts", "n_facts_wrong"}
    for table in TABLES.values():
        assert table.release is not Release.PUBLIC or set(exact(table)) <= known, table.name


def test_the_statement_says_what_was_done_and_to_which_bytes(tmp_path):
    put(tmp_path / "t", OD_FLOWS, make_flows([("a", "b", 12, 43, 500), ("b", "a", 9, 300, 10)]))
    export(tmp_path / "t", tmp_path / "out", OD_FLOWS, formats=("parquet", "csv"))
    statement = json.loads((tmp_path / "out/od_flows.protection.json").read_text())
    assert statement["study"] == {**SPAN, "whole_study_end": SPAN["end"]} and statement["min_devices"] == 10
    assert statement["n_rows"] == 1 and "rows" not in statement
    assert statement["rounded_to"] == {"n_trips": 5, "n_devices": 5, "distance_mean_m": 50}
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
            export_table(name, tmp_path / "t", tmp_path / "out")
    with pytest.raises(StudyError, match="no finished run"):
        export(tmp_path / "none", tmp_path / "out", OD_FLOWS)
    assert not (tmp_path / "out").exists()


def test_what_was_released_stays_and_only_later_windows_are_added(tmp_path):
    def vintage(**days):
        frames = [make_changes(devices, f"2020-01-{day[1:]}") for day, devices in days.items()]
        put(tmp_path / "t", REGION_CHANGES, pd.concat(frames).sort_values(list(REGION_CHANGES.key)))
        told, done = export(tmp_path / "t", tmp_path / "out", REGION_CHANGES)
        return list(zip(told["region_geoid"], told["date"].astype(str).str[-2:], told["n_devices"], strict=True)), done

    assert vintage(d07={"01": 30})[0] == [("01", "07", 30)]
    # 02 is new beside a released row, the 6th lies before it: neither is told. What is gone or known better stays.
    told, done = vintage(d06={"01": 50}, d07={"01": 70, "02": 40}, d08={"02": 20})
    assert told == [("01", "07", 30), ("02", "08", 20)]
    assert (done.internal.n_kept, done.internal.n_held_back) == (1, 2)
    assert vintage(d09={"01": 11})[0] == [("01", "07", 30), ("01", "09", 10), ("02", "08", 20)]


@pytest.mark.parametrize(
    ("window", "started", "later", "is_told"),
    [
        ("week", "2020-01-06", "2020-01-13", True),
        ("month", "2020-01-01", "2020-01-27", False),
        ("month", "2020-01-01", "2020-02-03", True),
        ("study", "2020-01-06", "2020-02-03", False),
        ("study", "2020-01-06", "2020-02-10", True),
    ],
)
def test_a_window_is_added_once_no_released_one_covers_it(tmp_path, window, started, later, is_told):
    first = make_flows([("a", "b", 12, 43, 500)], window, started)
    put(tmp_path / "t", OD_FLOWS, first)
    export(tmp_path / "t", tmp_path / "out", OD_FLOWS)
    both = pd.concat([first, make_flows([("a", "b", 20, 60, 500)], "week", later)])
    put(tmp_path / "t", OD_FLOWS, both.sort_values(list(OD_FLOWS.key)), {**SPAN, "end": "2020-03-01"})
    told, _ = export(tmp_path / "t", tmp_path / "out", OD_FLOWS)
    assert len(told) == 1 + is_told


def test_tables_without_dates_are_final(tmp_path):
    motifs = pd.DataFrame({"motif": ["0"], "n_devices": [12], "n_days": [37], "share": 1.0})
    motifs = motifs.assign(share_low=0.9, share_high=1.0)
    put(tmp_path / "t", MOTIF_SHARES, motifs)
    export(tmp_path / "t", tmp_path / "out", MOTIF_SHARES)
    before = left(tmp_path / "out")
    put(tmp_path / "t", MOTIF_SHARES, pd.concat([motifs.assign(n_devices=40), motifs.assign(motif="01/10")]))
    export(tmp_path / "t", tmp_path / "out", MOTIF_SHARES)
    assert left(tmp_path / "out") == before


COMMON = [*people(2000, 12, "B"), *people(3000, 40, "C"), *people(4000, 50, "D")]
MANY = [row for c in range(6) for row in people(100 * c, 30 - 2 * (c == 0), f"A{c}")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # One device more shows a cell of nine, and with the margin of before what it and the nine did.
        ([*COMMON, *people(1000, 9, "A")], [*COMMON, *people(1000, 9, "A"), *[(1009, "X", "A", 0, 9, 33_333.0)] * 7]),
        # A cell that is hidden for another now was told before, so the other would follow.
        (MANY, [*MANY, *people(5000, 12, "A1", 2), *[(9999, "X", "Z", 2, 10, 5.0)] * 7]),
        # Rows alike but for one device's, in two cells: the statement does not tell in how many.
        (MANY, [*MANY, (9999, "X", "A1", 2, 8, 50.0), (9999, "X", "A4", 2, 9, 50.0)]),
    ],
)
def test_a_second_vintage_of_flows_tells_of_nobody(tmp_path, first, second):
    put(tmp_path / "t", OD_FLOWS, flows_of(first))
    export(tmp_path / "t", tmp_path / "out", OD_FLOWS)
    before = left(tmp_path / "out")
    assert not flows_of(first).equals(flows_of(second))
    put(tmp_path / "t", OD_FLOWS, flows_of(second))
    _, done = export(tmp_path / "t", tmp_path / "out", OD_FLOWS)
    assert left(tmp_path / "out") == before and done.internal.n_kept > 0


def test_other_facts_than_those_released_are_refused(tmp_path):
    root, out, flows = tmp_path / "t", tmp_path / "out", make_flows([("a", "b", 12, 43, 500)])
    put(root, OD_FLOWS, flows, params="one", contracts="x")
    export(root, out, OD_FLOWS)
    before = left(out)
    for study, params, said in (
        (SPAN, "two", "other parameters:"),
        ({**SPAN, "start": "2020-01-07"}, "one", "other start of the study:"),
        ({**SPAN, "zone": "Asia/Tokyo"}, "two", "other parameters, zone:"),
    ):
        put(root, OD_FLOWS, flows, study, params=params, contracts="x")
        with pytest.raises(StudyError, match=said):
            export(root, out, OD_FLOWS)
    assert left(out) == before
    put(root, OD_FLOWS, flows, {**SPAN, "end": "2020-03-01"}, params="one", contracts="x")
    export(root, out, OD_FLOWS)
    # A run that asked for another span, but did not make this table, does not say of which span it is.
    put(root, OD_FLOWS, flows, params="one", contracts="x", study=SPAN | {"start": "2020-01-07"})
    Store(root).write(OD_FLOWS, ALL, pa.Table.from_pandas(flows, OD_FLOWS.schema), {"study": digest(SPAN)})
    with pytest.raises(StudyError, match="another span or zone than the last run had"):
        export(root, out, OD_FLOWS)


def test_an_export_that_is_killed_goes_on_where_it_was(tmp_path, monkeypatch):
    """Whatever file was being written: no part of one is left, and the next export gives the bytes of one unharmed."""
    first, second = (
        make_changes({"01": 30, "02": 30}),
        pd.concat([make_changes({"01": 39}), make_changes({"02": 45}, "2020-01-07")]),
    )

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
