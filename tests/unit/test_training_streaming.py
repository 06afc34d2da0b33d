"""Rows read shard by shard: everyone once an epoch, the same for the same epoch, whatever the shards."""

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from data_contracts import TABLES  # noqa: E402
from pipeline.models.streaming import FrameTables, StreamedRows  # noqa: E402
from tests.naive_training import naive_batches  # noqa: E402

VISITS = TABLES["gyration"]


def frame_of(n_devices=30, seed=0):
    """Some rows of each device: their number within the device, and a number of their own."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 9, n_devices)
    device_id = np.repeat(rng.permutation(10 * n_devices)[:n_devices] - 5 * n_devices, counts)
    return pd.DataFrame({"device_id": device_id, "value": np.arange(device_id.size, dtype=np.int64)})


def buckets_of(frame, n_buckets):
    return [frame[frame["device_id"] % n_buckets == k] for k in range(n_buckets)]


def arrays_of(frame):
    value = frame["value"].to_numpy()
    return {
        "device_id": frame["device_id"].to_numpy(),
        "value": value,
        "pair": np.stack([value, -value], 1).astype(np.float32),
    }


def stream(frames, batch_size=8, **options):
    rows = StreamedRows(batch_size, **options)
    for frame in frames:
        rows.add(arrays_of(frame))
    return rows


def values(batches):
    return [batch["value"].tolist() for batch in batches]


@settings(max_examples=25, deadline=None)
@given(
    n_devices=st.integers(1, 40),
    n_buckets=st.integers(1, 9),
    batch_size=st.integers(1, 40),
    chunk_rows=st.integers(1, 60),
    epoch=st.integers(0, 3),
    start=st.integers(0, 12),
)
def test_batches_are_those_of_the_slow_twin(n_devices, n_buckets, batch_size, chunk_rows, epoch, start):
    frame = frame_of(n_devices)
    training = stream(buckets_of(frame, n_buckets), batch_size, seed=5, chunk_rows=chunk_rows)
    expected = naive_batches(frame, 5, epoch, batch_size, chunk_rows)
    assert values(training.batches(epoch)) == expected
    assert training.n_batches == len(expected)
    assert values(training.batches_from(epoch, start)) == expected[start:]


def test_an_epoch_has_every_row_once_and_another_order():
    training = stream([frame_of()], chunk_rows=20)
    first, second = ([v for batch in values(training.batches(epoch)) for v in batch] for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(len(first)))
    assert first != second
    batch = next(iter(training.batches(0)))
    assert torch.equal(batch["pair"][:, 0], batch["value"].float())
    assert batch["pair"].dtype == torch.float32


def test_no_rows_no_batches():
    training = stream([])
    assert training.n_batches == 0
    assert list(training.batches(0)) == []


def test_rows_that_do_not_fit_are_refused():
    rows = StreamedRows(4)
    rows.add({"device_id": np.arange(3), "x": np.zeros((3, 2), np.float32)})
    with pytest.raises(ValueError, match="differ in length"):
        rows.add({"device_id": np.arange(3), "x": np.zeros((2, 2), np.float32)})
    with pytest.raises(ValueError, match="before float32"):
        rows.add({"device_id": np.arange(3), "x": np.zeros((3, 3), np.float32)})
    with pytest.raises(ValueError, match="before \\['device_id', 'x'\\]"):
        rows.add({"device_id": np.arange(3), "y": np.zeros((3, 2), np.float32)})
    with pytest.raises(ValueError, match="no fixed width"):
        StreamedRows(4).add({"device_id": np.arange(1), "x": np.array(["text"], object)})
    with pytest.raises(ValueError, match="1 or more"):
        StreamedRows(0)


def test_frame_tables_answer_like_tables():
    frame = frame_of(4)
    tables = FrameTables({VISITS.name: buckets_of(frame, 2)})
    assert [list(f.columns) for f in tables.shards(VISITS, ["value"])] == [["value"], ["value"]]
    assert len(tables.whole(VISITS)) == len(frame)
    empty = tables.whole(TABLES["visits"])
    assert len(empty) == 0 and list(empty.columns) == TABLES["visits"].schema.names
