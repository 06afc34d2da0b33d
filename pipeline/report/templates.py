"""The templates of pages, and how numbers are written in them."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.report.words import (
    format_km,
    format_known,
    format_number,
    format_part,
    format_percent,
    format_percent1,
)


def new_environment() -> Environment:
    """Return where templates are found; a name that one does not know is an error."""
    environment = Environment(
        loader=PackageLoader("pipeline", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": format_number,
        "known": format_known,
        "percent": format_percent,
        "percent1": format_percent1,
        "km": format_km,
        "part": format_part,
    }
    return environment
