"""A study whose start or end moves: the rows of a fresh root, and no file read again that has none of them."""

import pytest

from pipeline.engine.books import Books
from pipeline.engine.run import count_pings
from pipeline.engine.store import Store
from pipeline.sources import read_blocks
from tests.integration.test_loading import NOON_S, assert_like_fresh, day, raw, run, states, study, write

__all__ = ["raw"]


@pytest.mark.parametrize("span", [("2020-01-01", "2020-01-02"), ("2020-01-02", "2020-01-06")], ids=["end", "start"])
def test_a_changed_span_leaves_nothing_of_the_old_one(raw, tmp_path, span):
    fields = {"params": {"stays": {"gap_s": float("inf")}}}
    run(study(tmp_path, **fields), tmp_path / "t")
    changed = study(tmp_path, start=span[0], end=span[1], **fields)
    assert "stale" in states(changed, tmp_path / "t").values()
    assert_like_fresh(changed, tmp_path / "t", tmp_path / "fresh")


def test_a_later_end_reads_only_files_with_rows_of_the_new_dates(tmp_path, monkeypatch):
    for k in range(4):
        write(tmp_path / "raw" / f"{k}.csv", day("A", k) + day("B", k) + day("C", 400))
    write(tmp_path / "raw" / "night.csv", day("A", 1, lon=11.0) + day("A", 2, lon=11.0))
    run(study(tmp_path, end="2020-01-02"), tmp_path / "t")
    read = []
    monkeypatch.setattr(
        "pipeline.engine.ingest.read_blocks", lambda piece, key: read.append(piece.path.name) or read_blocks(piece, key)
    )
    assert_like_fresh(study(tmp_path, end="2020-01-03"), tmp_path / "t", tmp_path / "fresh")
    assert sorted(read[:-5]) == ["2.csv", "night.csv"]


def test_a_row_that_another_span_judges_otherwise_is_refused_for_its_new_reason(tmp_path):
    """A row that is refused on a date of the study is refused as outside once the study leaves that date out."""
    write(tmp_path / "raw" / "a.csv", [*day("A", 0), ("B", NOON_S + 86_400, 10.0, 99.0, 0)])
    run(study(tmp_path), tmp_path / "t")
    assert count_pings(Store(tmp_path / "t")).reasons == {"latitude_out_of_range": 1}
    write(tmp_path / "raw" / "a.csv", [*day("A", 0), ("B", NOON_S + 86_400, 10.0, 50.0, 99_999)])
    run(study(tmp_path), tmp_path / "t")
    assert count_pings(Store(tmp_path / "t")).reasons == {"bad_utc_offset": 1}
    shorter = study(tmp_path, end="2020-01-01")
    assert_like_fresh(shorter, tmp_path / "t", tmp_path / "fresh")
    assert count_pings(Store(tmp_path / "t")).reasons == {"outside_study": 1}


def test_a_span_moved_and_moved_back_in_a_killed_run_refuses_the_rows_of_a_fresh_root(tmp_path, monkeypatch):
    """As many rows are outside of either span: their number does not tell that others were refused meanwhile."""
    write(tmp_path / "raw" / "a.csv", day("A", 0, n=5) + day("A", 1, n=5) + day("A", 2, n=5))
    early, late = study(tmp_path, end="2020-01-02"), study(tmp_path, start="2020-01-02", end="2020-01-03")
    run(early, tmp_path / "t")
    kept = Books.add

    def killed(books, records):
        if any(r.reach.fits(late) for r in records):
            raise KeyboardInterrupt
        kept(books, records)

    with monkeypatch.context() as patch:
        patch.setattr(Books, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            run(late, tmp_path / "t")
    assert_like_fresh(early, tmp_path / "t", tmp_path / "fresh")
