"""Days of the week of days since 1970."""

from pipeline.kernels._numba import kernel

WEEK_DAYS = 7
EPOCH_WEEKDAY = 3
"""Days from a Monday to 1970-01-01, a Thursday."""
SATURDAY = 5
"""Days from a Monday to it."""


@kernel
def is_weekday(days):
    """Return which days since 1970 are a Monday to Friday: bool, of an array or of one day."""
    return (days + EPOCH_WEEKDAY) % WEEK_DAYS < SATURDAY
