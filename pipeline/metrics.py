"""How a run ended, in the text format of Prometheus: a file that node_exporter's textfile collector reads.

A batch is no process that Prometheus could ask, so a file tells of it. Series are named by study and command, so that
files of several studies may lie in one folder.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from pipeline.engine.files import atomic_file
from pipeline.engine.trouble import refusal
from pipeline.logs import log_event

RUN_STATES = ("finished", "failed", "cancelled")
FAILED = "failed"
SHARD_STATES = ("computed", "current", "removed", FAILED)


class RunMetrics:
    """Counts while a run goes on: stages, shards, rows and seconds."""

    def __init__(self, study: str, command: str) -> None:
        """Begin to count a run that starts now."""
        self._labels = {"study": study, "command": command}
        self._started = time.time()
        self._stage = ""
        self._begun: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._n_rows = Counter[str]()
        self._n_shards = Counter[tuple[str, str]]()

    def begin(self, stage: str) -> None:
        """Count for this stage from now on."""
        self._stage = stage
        self._begun[stage] = time.perf_counter()

    def count(self, state: str, n_rows: int) -> None:
        """Count a shard of the stage, which was found or left in `state` with so many rows."""
        self._n_shards[self._stage, state] += 1
        self._n_rows[self._stage] += n_rows

    def end(self) -> None:
        """Note that the stage is over."""
        self._seconds[self._stage] = time.perf_counter() - self._begun[self._stage]

    @contextmanager
    def kept(self, path: Path | None) -> Iterator[None]:
        """Write how the run inside ended, whole or not at all, also where it failed; None writes nothing."""
        try:
            yield
        except BaseException as error:
            state = "cancelled" if isinstance(error, KeyboardInterrupt) else FAILED
            try:
                self._write(path, state)
            except OSError as second:
                log_event("run", logging.ERROR, "metrics not written", reason=refusal(second))
            raise
        self._write(path, "finished")

    def _write(self, path: Path | None, state: str) -> None:
        if path is not None:
            text = self.text(state)
            with atomic_file(path) as file:
                file.write(text)

    def text(self, state: str) -> bytes:
        """Return the metrics of a run that ends now in `state`."""
        registry = CollectorRegistry()

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(f"sojourn_{name}", about, [*self._labels, *labels], registry=registry)

        states = gauge("run_state", "1 for the state in which the latest run ended", "state")
        for known in RUN_STATES:
            states.labels(**self._labels, state=known).set(known == state)
        gauge("run_started_timestamp_seconds", "When the latest run began").labels(**self._labels).set(self._started)
        gauge("run_finished_timestamp_seconds", "When the latest run ended").labels(**self._labels).set(time.time())
        self._tell_stages(
            gauge("stage_seconds", "Time that the stage took in the latest run", "stage"),
            gauge("stage_rows", "Rows of the shards that the stage computed or found current", "stage"),
            gauge("stage_shards", "Shards by what became of them (a run stops at one that fails)", "stage", "state"),
        )
        return generate_latest(registry)

    def _tell_stages(self, seconds: Gauge, rows: Gauge, shards: Gauge) -> None:
        for stage, began in self._begun.items():
            is_over = stage in self._seconds
            took = self._seconds[stage] if is_over else time.perf_counter() - began
            seconds.labels(**self._labels, stage=stage).set(took)
            rows.labels(**self._labels, stage=stage).set(self._n_rows[stage])
            for state in SHARD_STATES:
                n = int(not is_over) if state == FAILED else self._n_shards[stage, state]
                shards.labels(**self._labels, stage=stage, state=state).set(n)
