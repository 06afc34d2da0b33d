"""A dry run names the shards that then change: the certain ones are computed, no other than named ones are."""

import random
import shutil
from datetime import date

import pytest

from pipeline.engine.outlook import SHARD, ShardReport
from pipeline.engine.plan import with_followers
from pipeline.engine.run import left_stale, open_run, status
from pipeline.settings import KEY_VARIABLE, Settings
from tests.conftest import KEY, shard_bytes
from tests.integration.test_loading import day, study, write

BUCKETS = 2
PEOPLE = "ABCDEF"
USED = ("pois", "pings", "coverage", "stays", "locations", "visits", "contacts", "displacement")
"""A stage of each kind of move, and what they need."""
AREAS = {"path": "areas.csv", "id_column": "venue_id", "category_column": "kind", "lon_column": "x", "lat_column": "y"}


def write_places(folder, lon=10.0):
    folder.joinpath("areas.csv").write_text(f"venue_id,kind,x,y\n1,shop,{lon},50.0\n")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with files of six people on days 0 to 2, places, and the root of a run over them."""
    folder = tmp_path_factory.mktemp("dry")
    for k in range(3):
        write(folder / "raw" / f"day{k}.csv", [r for i, p in enumerate(PEOPLE) for r in day(p, k, lon=10 + i / 100)])
    write_places(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        compute(base(folder), folder / "t")
    return folder


@pytest.fixture
def root(done, tmp_path):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    return tmp_path / "t"


@pytest.fixture
def raw(root):
    return root.parent / "raw"


def settings(root):
    return Settings(root=root, n_buckets=BUCKETS, n_threads=1)


def tree(root):
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(root.rglob("*")) if p.is_file()}


def foresee(a_study, root, stages=USED, **options) -> tuple[set[str], set[str], list[ShardReport]]:
    """Shards named for certain, those named as waiting, and all reports; the root is as before."""
    before = tree(root)
    reports = [r for r in status(a_study, settings(root), stages=stages, **options) if r.table != "source files"]
    assert tree(root) == before
    named = {s: {f"{r.table}/{r.path}" for r in reports if r.state in s} for s in (("stale", "missing"), ("waiting",))}
    return *named.values(), reports


def compute(a_study, root, dates=None, stages=USED, is_forced=False) -> set[str]:
    """Run, and return the shards that it says it computed or removed."""
    done = set()

    def note(_, report):
        if report.state != "current" and report.step == SHARD:
            done.add(f"{report.table}/{report.path}")

    with open_run(a_study, settings(root), "test", dates, is_forced) as run:
        for name in run.stages:
            if name in stages:
                run.execute(name, note)
    return done


def assert_foreseen(a_study, root, is_exact=False, **options):
    certain, waiting, _ = foresee(a_study, root, **options)
    done = compute(a_study, root, **options)
    assert certain <= done, sorted(certain - done)
    assert done <= certain | waiting, sorted(done - certain - waiting)
    if is_exact:
        assert done == certain
    again = foresee(a_study, root, **options)
    if options == {}:
        assert again[:2] == (set(), set())
    return certain, waiting, done


def base(folder, **fields):
    return study(folder, pois=AREAS, **fields)


def tables(names):
    return {name.split("/")[0] for name in names}


def test_a_first_run_is_foreseen_to_the_shard(raw, tmp_path):
    (tmp_path / "new").mkdir()
    certain, waiting, _ = assert_foreseen(base(tmp_path), tmp_path / "new")
    assert {"pings", "stays", "visits"} <= tables(certain)
    # What an open stay reaches after the last ping is known only once it was computed.
    assert {name.split("=")[1][:10] for name in waiting if "date=" in name} <= {f"2020-01-0{k}" for k in (4, 5, 6)}


def test_nothing_is_due_after_a_run(root, tmp_path):
    assert assert_foreseen(base(tmp_path), root) == (set(), set(), set())


def test_a_changed_parameter_of_the_middle_is_named_with_its_values(root, tmp_path):
    changed = base(tmp_path, params={"locations": {"eps_m": 90.0}})
    reports = foresee(changed, root)[2]
    assert {r.why for r in reports if r.table == "locations"} == {("parameter eps_m: 60.0 → 90.0",)}
    certain, waiting, done = assert_foreseen(changed, root)
    assert tables(certain) == {"locations"} == tables(done)
    assert "visits" in tables(waiting) and not {"pings", "stays", "coverage"} & tables(waiting)


def test_a_late_file_is_read_and_what_it_reaches_named_exactly(root, raw, tmp_path):
    write(raw / "late.csv", day("A", 1, lon=11.0) + day("A", 1, n=3))
    certain, _, reports = foresee(base(tmp_path), root)
    pings = [r for r in reports if r.table == "pings" and r.state != "current"]
    assert [(r.state, r.why) for r in pings] == [("stale", ("33 rows of raw/late.csv",))]
    assert pings[0].path.startswith("date=2020-01-02")
    assert f"coverage/{pings[0].path}" in certain and f"stays/{pings[0].path}" in certain
    assert_foreseen(base(tmp_path), root)


def test_a_late_file_of_rows_that_are_there_changes_pings_alone(root, raw, tmp_path):
    write(raw / "late.csv", day("A", 1))
    _, waiting, done = assert_foreseen(base(tmp_path), root, is_exact=True)
    assert tables(done) == {"pings"} and not waiting


def test_a_better_accuracy_may_change_what_follows(root, raw, tmp_path):
    rows = [(*row[:4], 3600) for row in day("A", 1)]
    write(raw / "late.csv", rows)
    certain, waiting, done = assert_foreseen(base(tmp_path), root)
    assert tables(certain) == {"pings"} == tables(done) and "stays" in tables(waiting)


def test_a_corrected_file(root, raw, tmp_path):
    write(raw / "day1.csv", day("A", 1, lon=12.0) + day("B", 1))
    reports = status(base(tmp_path), settings(root), stages=USED)
    files = {r.path: r.why for r in reports if r.table == "source files" and r.state != "current"}
    assert files["raw/day1.csv"] in {("its contents changed",), ("its rows are to go",)}
    certain, _, done = assert_foreseen(base(tmp_path), root)
    assert {n for n in done if n.startswith("pings")} == {n for n in certain if n.startswith("pings")}


def test_a_file_that_loses_its_last_row_of_a_date(root, raw, tmp_path):
    write(raw / "day2.csv", day("A", 1))
    certain, _, done = assert_foreseen(base(tmp_path), root)
    assert any(n.startswith("pings/date=2020-01-03") for n in certain & done)


@pytest.mark.parametrize("span", [("2020-01-01", "2020-01-02"), ("2020-01-02", "2020-01-09")])
def test_another_span(root, tmp_path, span):
    changed = base(tmp_path, start=span[0], end=span[1])
    reports = foresee(changed, root)[2]
    why = {reason for r in reports for reason in r.why}
    assert any(reason.startswith(("study's", "the study", "parameter")) or "rows of" in reason for reason in why)
    assert_foreseen(changed, root)


def test_changed_code_is_named_by_module(root, tmp_path, monkeypatch):
    from pipeline.engine import lineage

    source = lineage._source
    monkeypatch.setattr(lineage, "_source", lambda m: source(m) + ("# new" if m == "pipeline.kernels.stays" else ""))
    caches = (lineage.code_digest, lineage.code_values)
    for cached in caches:
        cached.cache_clear()
    try:
        reports = foresee(base(tmp_path), root)[2]
        stale = [r for r in reports if r.state == "stale"]
        assert "stays" in {r.table for r in stale}
        assert {r.why for r in stale} == {("code of pipeline.kernels.stays changed",)}
        assert_foreseen(base(tmp_path), root)
    finally:
        monkeypatch.undo()
        for cached in caches:
            cached.cache_clear()


def test_another_library_is_named_with_its_versions(root, tmp_path, monkeypatch):
    from pipeline.engine import lineage

    version = lineage.version
    monkeypatch.setattr(lineage, "version", lambda name: "99" if name == "shapely" else version(name))
    for cached in (lineage.code_digest, lineage.code_values):
        cached.cache_clear()
    try:
        why = {r.why for r in foresee(base(tmp_path), root)[2] if r.table == "locations"}
        assert why == {(f'library shapely: "{version("shapely")}" → "99"',)}
    finally:
        monkeypatch.undo()
        for cached in (lineage.code_digest, lineage.code_values):
            cached.cache_clear()


def test_a_changed_static_table_is_read(root, tmp_path):
    write_places(tmp_path, lon=10.00001)
    certain, _, done = assert_foreseen(base(tmp_path), root)
    assert {"pois", "visits"} <= tables(certain) & tables(done) and "locations" not in tables(done)
    with (tmp_path / "areas.csv").open("a") as file:
        file.write("\n")
    assert assert_foreseen(base(tmp_path), root, is_exact=True)[2] == {"pois/all.parquet"}


def test_dates_and_stages_leave_the_rest_as_it_is(root, tmp_path):
    changed = base(tmp_path, params={"stays": {"gap_s": 7200}})
    certain, waiting, _ = assert_foreseen(changed, root, stages=["stays", "visits"])
    assert tables(certain) == {"stays"} and tables(waiting) <= {"stays", "visits"}
    assert_foreseen(changed, root, dates=[date(2020, 1, 2)])


def test_forced_shards_are_foreseen_and_come_out_the_same(root, tmp_path):
    before = shard_bytes(root, *USED)
    options = {"stages": ["stays"], "dates": [date(2020, 1, 2)], "is_forced": True}
    _, _, done = assert_foreseen(base(tmp_path), root, is_exact=True, **options)
    assert len(done) == BUCKETS and all("date=2020-01-02" in name for name in done)
    assert shard_bytes(root, *USED) == before


def test_tables_that_follow_are_those_made_from_others():
    assert {"visits", "gyration", "tracts"} & with_followers(["visits"]) == {"visits", "gyration"}
    assert with_followers(["pois"]) >= {"pois", "visits"} and "locations" not in with_followers(["pois"])
    assert with_followers(["pings"]) >= set(USED) - {"pois"}


def test_what_a_backfill_leaves_is_counted(root, tmp_path):
    changed = base(tmp_path, params={"locations": {"eps_m": 90.0}})
    compute(changed, root, stages=["stays"])
    left = left_stale(changed, settings(root))
    assert "locations 2 stale" in left and "visits 2 waiting" in left and "stays" not in left
    compute(changed, root, stages=["locations"])
    assert "locations" not in left_stale(changed, settings(root))


def test_files_too_large_to_be_read_leave_what_they_may_reach_waiting(root, raw, tmp_path):
    write(raw / "late.csv", day("A", 1, lon=11.0))
    reports = status(base(tmp_path), settings(root), stages=USED, max_bytes=10)
    assert {r.state for r in reports if r.table in ("pings", "stays")} == {"waiting"}
    assert "--read-all" in next(r for r in reports if r.path == "raw/late.csv").why[-1]


def test_a_footer_without_details_is_judged_by_its_digest(root, tmp_path, monkeypatch):
    from pipeline.engine.store import Store

    footer = Store.footer

    def old(self, table, key):
        found = footer(self, table, key)
        return found and found._replace(made_from={k: v for k, v in found.made_from.items() if k != "input_shards"})

    write_places(tmp_path, lon=10.00001)
    (root / "_origins.json").unlink()
    monkeypatch.setattr(Store, "footer", old)
    certain, _, reports = foresee(base(tmp_path, params={"locations": {"eps_m": 90.0}}), root)
    assert {"pois", "visits", "locations"} <= tables(certain)
    assert any("keeps no note" in why for r in reports for why in r.why)


def test_a_shard_of_very_many_inputs_is_judged_by_its_digest_too(root, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.engine.outlook.MAX_DETAILS", 0)
    write_places(tmp_path, lon=10.00001)
    compute(base(tmp_path), root)
    assert foresee(base(tmp_path), root)[:2] == (set(), set())
    write_places(tmp_path, lon=10.00002)
    certain, _, done = assert_foreseen(base(tmp_path), root)
    assert "visits" in tables(certain) & tables(done)


@pytest.mark.parametrize("seed", range(2))
def test_any_sequence_of_changes_is_foreseen(root, raw, tmp_path, seed):
    draw = random.Random(seed)
    fields: dict = {}
    for step in range(4):
        what = draw.choice(["late", "correct", "param", "places", "end", "lose", "partial"])
        if what == "late":
            write(raw / f"late{step}.csv", day(draw.choice(PEOPLE), draw.randrange(6), lon=10 + draw.random()))
        elif what == "correct":
            kept = draw.sample(PEOPLE, 3)
            write(raw / f"day{draw.randrange(3)}.csv", [r for p in kept for r in day(p, draw.randrange(4))])
        elif what == "param":
            fields["params"] = {"locations": {"eps_m": draw.uniform(30, 99)}}
        elif what == "places":
            write_places(tmp_path, lon=10 + draw.random() / 1000)
        elif what == "end":
            fields["end"] = f"2020-01-0{draw.randrange(5, 9)}"
        elif what == "lose":
            shards = sorted((root / draw.choice(["stays", "visits", "pings", "coverage"])).rglob("*.parquet"))
            draw.choice(shards).unlink()
        else:
            compute(base(tmp_path, **fields), root, stages=draw.sample(["pings", "stays", "locations"], 1))
        assert_foreseen(base(tmp_path, **fields), root)
