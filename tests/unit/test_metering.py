"""What a meter counts: its own thread's shards, and the memory of its process."""

import threading
import time

import numpy as np
import pytest

from data_contracts import PINGS, TRACTS
from pipeline.engine.metering import SAMPLE_S, metered, note_read
from pipeline.engine.store import ShardKey, Store
from tests.contract_rows import make_rows

BIG = 200_000_000


def test_reading_and_writing_count_where_they_happen(tmp_path):
    store, rows, key = Store(tmp_path), make_rows(PINGS, 50), ShardKey(name="x")
    with metered() as writing:
        store.write(PINGS, key, rows, {})
    size = store.path(PINGS, key).stat().st_size
    assert (writing.cost().n_rows_in, writing.cost().written_bytes) == (0, size)
    with metered() as reading:
        other = threading.Thread(target=store.read, args=(PINGS, key))
        other.start()
        other.join()
        assert reading.cost().n_rows_in == 0
        store.read(PINGS, key)
    assert (reading.cost().n_rows_in, reading.cost().read_bytes) == (rows.num_rows, size)


def test_tables_that_every_shard_reads_whole_count_only_alone():
    with metered() as meter:
        note_read(70_000, 10, TRACTS.shard.is_single)
        assert meter.cost().n_rows_in == 70_000
        note_read(5, 1, PINGS.shard.is_single)
    assert (meter.cost().n_rows_in, meter.cost().read_bytes) == (5, 11)


def test_memory_held_for_a_moment_is_seen_by_all_that_go_on_in_the_process():
    with metered() as outer:
        with metered() as first:
            pass
        with metered() as second:
            held = np.ones(BIG, np.uint8)
            time.sleep(10 * SAMPLE_S)
            del held
    assert second.cost().peak_memory_bytes >= first.cost().peak_memory_bytes + BIG * 0.9
    assert outer.cost().peak_memory_bytes >= second.cost().peak_memory_bytes


def test_processor_time_is_that_of_the_thread():
    with metered() as meter:
        time.sleep(0.05)
    assert meter.cost().seconds >= 0.05 > meter.cost().cpu_s


def test_a_meter_inside_another_gives_way_when_it_ends():
    with metered() as outer:
        with metered() as inner, pytest.raises(ValueError, match="odd"):
            note_read(3, 1, False)
            raise ValueError("odd")
        note_read(4, 1, False)
    assert (inner.cost().n_rows_in, outer.cost().n_rows_in) == (3, 4)
