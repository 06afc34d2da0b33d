"""Numbers as a reader is told them."""

from __future__ import annotations

from pipeline.params import Params
from pipeline.report.groups import MIN_DEVICES, Bars

LEAST_SHARE = 1e-5
"""Smaller shares are told as smaller than this."""


def format_number(value: float | None, digits: int = 0) -> str:
    """Return a number with thousands separated; "not shown" for one that must be suppressed."""
    if value is None or value != value:
        return "not shown"
    return f"{value:,.{digits}f}"


def format_percent(value: float | None) -> str:
    """Return a share as a percentage."""
    if value is None or value != value:
        return "not shown"
    if 0 < value < LEAST_SHARE:
        return f"< {format_percent(LEAST_SHARE)}"
    return f"{100 * value:.3g}\N{NO-BREAK SPACE}%"


def format_percent1(value: float) -> str:
    """Return a share as a percentage with one decimal, for columns; a dash for one that does not exist."""
    return "–" if value != value else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def format_known(value: float, digits: int) -> str:
    """Return a number with its sign; a dash for one that does not exist."""
    return "–" if value != value else f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def format_part(n: int, total: int) -> str:
    """Return "n of total" devices in words, so that neither the part nor the rest is a small group."""
    if 0 < n < MIN_DEVICES:
        return f"fewer than {MIN_DEVICES} of the {total:,} devices"
    if 0 < total - n < MIN_DEVICES:
        return f"all but fewer than {MIN_DEVICES} of the {total:,} devices"
    return f"{n:,} of the {total:,} devices"


def format_km(metres: float | None) -> str:
    """Return metres as kilometres with two significant digits: coarse enough not to name one device."""
    if metres is None:
        return "not shown"
    return f"{float(f'{metres / 1000:.2g}'):,g} km"


def format_seconds(seconds: float) -> str:
    """Return a time in the unit a person would use."""
    for unit_s, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.2g} {name}"
    return f"{seconds:.2g} s"


def format_param(value: object) -> str:
    """Return the value of a parameter: collections without brackets, whole floats without a point."""
    if isinstance(value, list | tuple):
        return ", ".join(format_param(item) for item in value)
    if isinstance(value, Params):
        return "(" + ", ".join(f"{name} {format_param(part)}" for name, part in value) + ")"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def fullest_bar(bars: Bars, rows: str) -> tuple[str, float, float]:
    """Return what share of `rows` the fullest bar holds, in words, and its borders."""
    k = int(bars.n_rows.argmax())
    words = f"The fullest of {bars.n_rows.size} bars holds {format_percent(float(bars.shares[k]))} of the {rows}"
    return words, float(bars.edges[k]), float(bars.edges[k + 1])
