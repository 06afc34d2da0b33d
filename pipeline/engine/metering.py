"""What one piece of work costs where it is done: seconds, rows, bytes, and the memory of its process.

A piece of work runs in one thread of a worker. `metered` opens a meter in that thread, and the store tells it of every
shard it reads or writes there.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psutil

SAMPLE_S = 0.02
"""Seconds from one look at the memory of the process to the next (ours: a look costs some 20 µs)."""
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of the operating system's highest resident memory."""


class Cost(NamedTuple):
    """What one piece of work cost."""

    seconds: float
    """By the clock on the wall, waiting for storage and for other threads included."""
    cpu_s: float
    """Of the processor, of the thread that did the work; threads that libraries start are not in it."""
    n_rows_in: int
    """Rows of the shards read for it alone; of static and study tables, which every shard reads whole, only if it reads
    no others."""
    read_bytes: int
    written_bytes: int
    """Sizes of the files read and written, or what of rows came through an exchange."""
    peak_memory_bytes: int
    """Most resident memory that the process was seen to hold meanwhile. Threads of a process share it."""
    worker: str
    """Host and process id."""


class Meter:
    """Counts while a piece of work goes on."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.rows, self.rows_of_wholes, self.read_bytes, self.written_bytes = 0, 0, 0, 0
        self.peak_bytes = 0
        self._started, self._cpu_started = time.perf_counter(), time.thread_time()

    def add_rows(self, n_rows: int, n_bytes: int) -> None:
        """Count rows that came another way than from a shard."""
        self.rows += n_rows
        self.read_bytes += n_bytes

    def cost(self) -> Cost:
        """Return what it has cost so far."""
        seconds, cpu_s = time.perf_counter() - self._started, time.thread_time() - self._cpu_started
        rows = self.rows or self.rows_of_wholes
        return Cost(seconds, cpu_s, rows, self.read_bytes, self.written_bytes, self.peak_bytes, worker_name())


class _Watch:
    """Looks at the memory of this process for as long as any meter is open in it."""

    def __init__(self) -> None:
        self._open: list[Meter] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process = psutil.Process()

    def add(self, meter: Meter) -> None:
        with self._changed:
            self._open.append(meter)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look_on, name="sojourn-memory", daemon=True)
                self._thread.start()
            self._changed.notify()
        self.look()

    def remove(self, meter: Meter) -> None:
        self.look()
        with self._changed:
            self._open.remove(meter)

    def look(self) -> None:
        resident = self._process.memory_info().rss
        with self._changed:
            for meter in self._open:
                meter.peak_bytes = max(meter.peak_bytes, resident)

    def _look_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._open)
            self.look()
            time.sleep(SAMPLE_S)


_watch = _Watch()
_mine = threading.local()


def _begin_anew() -> None:
    global _watch
    _watch = _Watch()


# Threads do not survive a fork, and the lock may have been held by one of them.
os.register_at_fork(after_in_child=_begin_anew)


@contextmanager
def metered() -> Iterator[Meter]:
    """Yield a meter of what this thread does inside; ask it for the `cost` before or after the end.

    Peaks between two looks are missed, unless they were the highest of the process so far: that one the operating
    system remembers.
    """
    meter, outer = Meter(), getattr(_mine, "meter", None)
    highest = _highest_bytes()
    _mine.meter = meter
    _watch.add(meter)
    try:
        yield meter
    finally:
        _watch.remove(meter)
        _mine.meter = outer
        if _highest_bytes() > highest:
            meter.peak_bytes = max(meter.peak_bytes, _highest_bytes())


def note_read(n_rows: int, n_bytes: int, is_whole: bool) -> None:
    """Tell the meter of this thread, if it has one, that a shard was read; `is_whole`: its table is one file."""
    meter: Meter | None = getattr(_mine, "meter", None)
    if meter:
        meter.read_bytes += n_bytes
        meter.rows += 0 if is_whole else n_rows
        meter.rows_of_wholes += n_rows if is_whole else 0


def note_part(cost: Cost) -> None:
    """Tell the meter of this thread, if it has one, what a part of its work read elsewhere."""
    meter: Meter | None = getattr(_mine, "meter", None)
    if meter:
        meter.add_rows(cost.n_rows_in, cost.read_bytes)


def note_written(n_bytes: int) -> None:
    """Tell the meter of this thread, if it has one, that a file was written."""
    meter: Meter | None = getattr(_mine, "meter", None)
    if meter:
        meter.written_bytes += n_bytes


def worker_name() -> str:
    """Return the host and the id of this process."""
    return f"{platform.node()}:{os.getpid()}"


def _highest_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT
