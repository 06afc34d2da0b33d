"""Runs in any order of chunks, of files or of dates, end in the bytes of one run over the span."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import all_rows, run_all, shard_bytes

MODEST = settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

WAYS = [
    {},
    {"preset": "app", "centre": "accuracy"},
    {"preset": "literature"},
    {"criterion": "anchor", "centre": "median"},
    {"criterion": "density"},
]


def chunks_of(items, data):
    """Cut a random order of `items` into random chunks."""
    order = data.draw(st.permutations(items))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(items) - 1), max_size=3)))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(items)], strict=True)]


@MODEST
@given(data=st.data())
def test_files_arriving_in_any_order_of_chunks(city, data):
    n_buckets = data.draw(st.sampled_from([1, 4]))
    with tempfile.TemporaryDirectory() as folder:
        root, whole = Path(folder) / "chunks", Path(folder) / "whole"
        arrived = []
        for chunk in chunks_of(city.files, data):
            arrived += chunk
            wave_bytes = data.draw(st.integers(1, sum(path.stat().st_size for path in city.files)))
            run_all(city.study(arrived), root, n_buckets=n_buckets, wave_bytes=wave_bytes)
        run_all(city.study(), whole, n_buckets=n_buckets)
        assert shard_bytes(root) == shard_bytes(whole)


@MODEST
@given(data=st.data())
def test_dates_computed_in_any_order_of_chunks(city, data):
    n_buckets = data.draw(st.sampled_from([1, 4]))
    gap_s = data.draw(st.sampled_from([3600.0, 86_400.0, float("inf")]))
    chosen = data.draw(st.sampled_from(WAYS))
    fields = {"params": {"stays": {"gap_s": gap_s, **chosen}}}
    with tempfile.TemporaryDirectory() as folder:
        root, whole = Path(folder) / "chunks", Path(folder) / "whole"
        for chunk in chunks_of(city.days, data):
            run_all(city.study(**fields), root, dates=chunk, n_buckets=n_buckets)
        run_all(city.study(**fields), whole, n_buckets=n_buckets)
        assert shard_bytes(root) == shard_bytes(whole)
        one = Path(folder) / "one"
        run_all(city.study(**fields), one, n_buckets=1, n_threads=1)
        assert all_rows(one, "stays").equals(all_rows(whole, "stays"))
