"""Lines of the log: one JSON object each, or text."""

import json
import logging

import pytest

from pipeline.logs import ROOT_LOGGER, LogFormat, LogLevel, configure, log_event


@pytest.fixture(autouse=True)
def _as_before():
    logger = logging.getLogger(ROOT_LOGGER)
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def test_json_lines_hold_what_an_event_says(tmp_path):
    file = tmp_path / "log.json"
    configure(LogFormat.JSON, LogLevel.INFO, file)
    log_event("run", logging.INFO, "stage finished", run_id="r", stage="stays", seconds=1.25, n_rows=7)
    log_event("run", logging.DEBUG, "shard computed", stage="stays")
    logging.getLogger("sojourn.other").error("100%% of %s", "it")
    first, second = map(json.loads, file.read_text().splitlines())
    assert first.pop("time").endswith("+00:00") and second.pop("time")
    assert first == {
        "level": "info",
        "logger": "sojourn.run",
        "event": "stage finished",
        "run_id": "r",
        "stage": "stays",
        "seconds": 1.25,
        "n_rows": 7,
    }
    assert second == {"level": "error", "logger": "sojourn.other", "message": "100% of it"}


def test_text_goes_to_standard_error_from_the_level_asked_for(capsys):
    configure(LogFormat.TEXT, LogLevel.WARNING)
    log_event("run", logging.INFO, "run started", run_id="r")
    log_event("run", logging.WARNING, "stage tried again", stage="stays", seconds=0.123456, error=None)
    line = capsys.readouterr().err.strip()
    assert line.endswith("WARNING sojourn.run: stage tried again stage=stays seconds=0.123")


def test_text_is_never_a_pattern(capsys):
    configure(LogFormat.TEXT, LogLevel.ERROR)
    log_event("run", logging.ERROR, "run failed", error="100% of %s rows")
    assert "100% of %s rows" in capsys.readouterr().err


def test_configuring_again_replaces_what_was_there(tmp_path):
    for name in ("a", "b"):
        configure(LogFormat.JSON, LogLevel.INFO, tmp_path / name)
    log_event("run", logging.INFO, "run started")
    assert (tmp_path / "a").read_text() == ""
    assert len((tmp_path / "b").read_text().splitlines()) == 1
