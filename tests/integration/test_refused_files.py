"""Folders that may not be listed and reference files that are damaged: named in one line, and nothing is lost."""

import json

import pytest

from pipeline.engine.run import count_pings, status
from pipeline.engine.store import Store
from pipeline.engine.trouble import RunError
from pipeline.settings import KEY_VARIABLE, Settings
from tests.conftest import KEY, shard_bytes
from tests.integration.test_faults import as_nobody, fails, run
from tests.integration.test_faults import open_folder as open_folder
from tests.integration.test_loading import COLUMNS, day, study, write


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory):
    """Import what a run imports on its way: nobody may read the libraries of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("imported")
    write(folder / "raw" / "a.csv", day("A", 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        run(study(folder), folder / "t")
        status(study(folder), Settings(root=folder / "t", n_buckets=1))


@pytest.mark.parametrize("path", ["raw", "raw/**/*.csv", "raw/*/*.csv", "ra*/v*/*.csv"])
def test_a_folder_that_may_not_be_listed_is_named_and_loses_nothing(open_folder, tmp_path, path):
    for k, name in enumerate("AB"):
        write(tmp_path / "raw" / f"vendor{k}" / "x.csv", day(name, 0))
    write(tmp_path / "raw" / "other" / "below" / "notes.csv.old", [])
    sources = [{"path": path, "time_unit": "s", "columns": COLUMNS}]
    a_study, root, closed = study(tmp_path, sources=sources), tmp_path / "t", tmp_path / "raw" / "vendor1"
    closed.chmod(0)
    with as_nobody():
        text = fails(a_study, root, "1 source file cannot be read. The others were loaded")
        assert text.endswith("raw/vendor1: Permission denied")
        assert count_pings(Store(root)).n_pings == 30
    # What was loaded before stays, whether its folder may be entered or not.
    closed.chmod(0o755)
    run(a_study, root)
    before = shard_bytes(root)
    for mode in (0, 0o311):
        closed.chmod(mode)
        with as_nobody():
            fails(a_study, root, "raw/vendor1: Permission denied")
            assert {r.path: r.state for r in status(a_study, Settings(root=root, n_buckets=1))}[
                "raw/vendor1"
            ] == "missing"
        assert shard_bytes(root) == before
    closed.chmod(0o755)
    run(a_study, root)
    assert shard_bytes(root) == before


def test_folders_that_a_glob_does_not_lead_into_are_not_missed(open_folder, tmp_path):
    write(tmp_path / "raw" / "a.csv", day("A", 0))
    (tmp_path / "raw" / "private").mkdir(mode=0)
    with as_nobody():
        run(study(tmp_path), tmp_path / "t")
        assert count_pings(Store(tmp_path / "t")).n_pings == 30


def test_what_stops_a_load_names_files_that_may_not_be_read_too(open_folder, tmp_path):
    """A corrected file spoils shards, so that nothing is loaded while one cannot be read to its end."""
    root, raw = tmp_path / "t", tmp_path / "raw"
    for name in "AB":
        write(raw / f"{name.lower()}.csv", day(name, 0))
    with as_nobody():
        run(study(tmp_path), root)
    before = shard_bytes(root)
    write(raw / "a.csv", day("A", 0, lon=11.0))
    write(raw / "c.csv", day("C", 0))
    (raw / "c.csv").chmod(0)
    (raw / "d.csv").write_text("")
    with as_nobody():
        text = fails(study(tmp_path), root, "2 source files cannot be read. Nothing more was loaded")
    assert "raw/c.csv: Permission denied" in text and "d.csv: the file is empty" in text
    assert shard_bytes(root) == before


def test_a_file_that_is_needed_again_and_may_not_be_read_is_named(open_folder, tmp_path):
    root, raw = tmp_path / "t", tmp_path / "raw"
    for name in "AB":
        write(raw / f"{name.lower()}.csv", day(name, 0))
    with as_nobody():
        run(study(tmp_path), root)
    before = shard_bytes(root)
    write(raw / "a.csv", day("A", 0, lon=11.0))
    (raw / "b.csv").chmod(0)
    with as_nobody():
        fails(study(tmp_path), root, "may not be read are needed again.*raw/b.csv: Permission denied")
    assert shard_bytes(root) == before
    (raw / "b.csv").chmod(0o644)
    with as_nobody():
        run(study(tmp_path), root)
    assert count_pings(Store(root)).n_pings == 60


def test_a_damaged_reference_file_is_named_and_keeps_the_table(tmp_path):
    write(tmp_path / "raw" / "a.csv", day("A", 0))
    root, path = tmp_path / "t", tmp_path / "tracts.geojson"
    areas = {"tracts": {"path": "tracts.geojson", "id_column": "id"}}
    box = [[[9, 49], [11, 49], [11, 51], [9, 51], [9, 49]]]
    feature = {"type": "Feature", "properties": {"id": "00000000001"}}
    whole = json.dumps(
        {"type": "FeatureCollection", "features": [feature | {"geometry": {"type": "Polygon", "coordinates": box}}]}
    )
    path.write_text(whole)
    run(study(tmp_path, **areas), root, ("tracts", "pings"))
    before = shard_bytes(root)
    for text, words in ((whole[:-40], "not readable as areas"), ("", "the file is empty")):
        path.write_text(text)
        with pytest.raises(RunError, match=rf"^tracts: .*tracts\.geojson: {words}") as caught:
            run(study(tmp_path, **areas), root, ("tracts", "pings"))
        assert "\n" not in str(caught.value)
        assert shard_bytes(root) == before
    path.write_text(whole)
    run(study(tmp_path, **areas), root, ("tracts", "pings"))
    assert shard_bytes(root) == before


def test_a_source_of_which_no_file_may_be_read_stops_no_other(open_folder, tmp_path):
    """What it brought stays, and its declaration is still known by what the study says of it."""
    raw, root = tmp_path / "raw", tmp_path / "t"
    write(raw / "a.csv", day("A", 0))
    write(tmp_path / "two" / "b.csv", [(device, 1000 * at, *rest) for device, at, *rest in day("B", 0)])
    units = {"raw/*.csv": "s", "two/*.csv": "ms"}
    sources = [{"path": path, "time_unit": unit, "columns": COLUMNS} for path, unit in units.items()]
    with as_nobody():
        run(study(tmp_path, sources=sources), root)
    (tmp_path / "two" / "b.csv").chmod(0)
    write(raw / "late.csv", day("A", 1))
    with as_nobody():
        text = fails(study(tmp_path, sources=sources), root, "The others were loaded")
    assert "two/b.csv: Permission denied" in text
    assert count_pings(Store(root)).n_pings == 90
