"""What a run says while it goes on: loggers named ``sojourn...``, one event a line, as text or as JSON.

Events carry names, counts, sizes and times; never a device, a position or a row's value. The library configures
nothing: `configure` is for command lines, and whoever embeds the engine attaches handlers to the logger ``sojourn``.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

ROOT_LOGGER = "sojourn"


class LogFormat(StrEnum):
    """How a line of the log is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """From which level on events are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def log_event(name: str, level: int, event: str, **facts: Any) -> None:
    """Log one event under the logger ``sojourn.<name>``: what happened, and names and numbers that say more."""
    logging.getLogger(f"{ROOT_LOGGER}.{name}").log(level, _words(event, facts), extra={"event": event, "facts": facts})


def configure(log_format: LogFormat, level: LogLevel, file: Path | None = None) -> None:
    """Send what the loggers of this project say to standard error, or append it to a file."""
    logger = logging.getLogger(ROOT_LOGGER)
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()
    chosen = logging.FileHandler(file, encoding="utf-8") if file else logging.StreamHandler(sys.stderr)
    chosen.setFormatter(JsonLines() if log_format is LogFormat.JSON else logging.Formatter(TEXT_LINE))
    logger.addHandler(chosen)
    logger.setLevel(level.upper())
    logger.propagate = False


TEXT_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, event, then what the event says of itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; one that is no event of ours has its text as ``message``."""
        event = getattr(record, "event", None)
        said = {"event": event} if event else {"message": record.getMessage()}
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **said,
            **getattr(record, "facts", {}),
        }
        return json.dumps(line, default=str)


def _words(event: str, facts: dict[str, Any]) -> str:
    told = " ".join(f"{name}={_short(value)}" for name, value in facts.items() if value is not None)
    return f"{event} {told}".rstrip()


def _short(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
