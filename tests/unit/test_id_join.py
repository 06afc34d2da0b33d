"""What joins and what does not, counted and named."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.id_join import MAX_NAMED, describe_join, join_ids

IDS = st.lists(st.sampled_from([f"{k:02d}" for k in range(60)]))


@given(IDS, IDS)
def test_the_parts_make_the_wholes_and_sides_exchange(left, right):
    join, back = join_ids(left, right), join_ids(right, left)
    assert join.n_both + join.n_only_left == len(set(left))
    assert join.n_both + join.n_only_right == len(set(right))
    assert (back.n_both, back.n_only_left, back.only_left) == (join.n_both, join.n_only_right, join.only_right)
    assert join.only_left == tuple(sorted(set(left) - set(right))[:MAX_NAMED])


def test_words():
    join = join_ids(["01", "02", "03"], ["03", "02"])
    assert describe_join("tracts", "jobs", "areas", join) == (
        "tracts and jobs: 2 areas in both; 1 of 3 in tracts alone (01); all 2 of jobs"
    )
    many = join_ids([f"{k:04d}" for k in range(1200)], [])
    words = describe_join("tracts", "jobs", "areas", many)
    assert "1,200 of 1,200 in tracts alone (0000, " in words and ", 0019, …)" in words and "0020" not in words
