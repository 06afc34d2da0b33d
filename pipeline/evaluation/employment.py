"""How good inferred employment is: against true spells, week by week, and beside what needs no inference."""

import itertools
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_contracts import EMPLOYMENT
from pipeline.evaluation.scores import ratio
from pipeline.evaluation.spells import (
    EMPLOYED,
    NONE,
    NOT_EMPLOYED,
    REMOTE,
    STATUSES,
    UNKNOWN,
    TrueSpells,
    status_by_day,
    status_by_week,
)
from pipeline.study import StudyError
from pipeline.windows import WEEK_DAYS

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FOUND = EMPLOYMENT.column("status").values or ()
"""Statuses of EMPLOYMENT in the order of their numbers."""
N_BINS = 10
NO_DAY = -(2**31)
SPELL_WEEKS = (2, 4, 8, 16)
"""Bounds of the classes of lengths of true spells without work, in weeks."""
EMPLOYMENT_COLUMNS = ["device_id", "window_started", "is_at_risk", "loss_probability", "status", "lost_on", "known_on"]
PRESENCE_COLUMNS = ["device_id", "window_started", "is_absent"]


class Weeks(NamedTuple):
    """Truth and findings of devices with a baseline workplace; shape (n_devices, n_weeks)."""

    first_day: int
    """Days since 1970 of the first Monday."""
    by_day: NDArray[np.int8]
    """True status (number of STATUSES) of each day; shape (n_devices, 7 n_weeks)."""
    truth: NDArray[np.int8]
    probability: Floats
    """Of job loss; NaN where unknown."""
    status: NDArray[np.int8]
    """Number of FOUND."""
    is_at_risk: Flags
    is_absent: Flags
    lost_day: NDArray[np.int64]
    """Days since 1970 of `lost_on`, NO_DAY where there is none."""
    known_day: NDArray[np.int64]


class Bin(NamedTuple):
    """Device-weeks whose probability lies in one tenth of its range."""

    low: float
    high: float
    n: int
    mean_probability: float
    observed_share: float
    """Share of them that truly are without work."""


class Scored(NamedTuple):
    """How well a number between 0 and 1 tells who is without work."""

    auc: float
    """Chance that it is higher for somebody without work than for somebody with, ties counting half."""
    brier: float
    """Mean squared difference to what is true."""


class FalseLosses(NamedTuple):
    """Of people truly employed, those said to be without work."""

    n_device_weeks: int
    """Truly employed and of known status."""
    share_of_device_weeks: float
    share_of_commuting: float
    """The same of those who do not work away."""
    share_of_remote: float
    n_devices: int
    """Truly employed in all weeks of known truth."""
    share_of_devices: float
    """Of these, said to be without work in at least one week."""


class Quartiles(NamedTuple):
    """Of errors in days; NaN where there are none."""

    n: int
    median_d: float
    q25_d: float
    q75_d: float


class Losses(NamedTuple):
    """True job losses of devices with a baseline workplace, and when they were found."""

    n: int
    n_found: int
    """Said to be without work in at least one week of the spell."""
    by_length: tuple[dict[str, Any], ...]
    """The same by weeks without work: from, to (None: and more), n, n_found."""
    first_week: Quartiles
    """Monday of the first week with status not_employed, minus the true first day without work."""
    dated: Quartiles
    """`lost_on` of that week minus the true first day."""
    told: Quartiles
    """From the true first day to when the absence had lasted long enough, the found week was over, and so was the
    baseline; all else is known from the whole study, so an observer in real time would be told no earlier."""


class EmploymentResult(NamedTuple):
    """The whole comparison."""

    n_devices: int
    n_device_weeks: int
    """Of known truth, with a job that could be lost."""
    n_known: int
    """Of these, of known status."""
    true_share: float
    """Share of the known that truly are without work."""
    inferred: Scored
    baselines: dict[str, Scored]
    """at_risk: lasting absence is loss, telework or not; absent: so is every absent week; never: nobody loses a job."""
    reliability: tuple[Bin, ...]
    confusion: dict[str, dict[str, int]]
    """True status → status found → device-weeks."""
    losses: Losses
    false_losses: dict[str, FalseLosses]
    """By status (inferred), and by the baselines."""
    spans: tuple[dict[str, Any], ...]
    """For weeks that hold a date of each span asked for: start, end, scores and false losses."""


def evaluate_employment(
    employment: pd.DataFrame, presence: pd.DataFrame, true: TrueSpells, spans: Sequence[tuple[date, date]] = ()
) -> EmploymentResult:
    """Return how well EMPLOYMENT agrees with true spells, beside PRESENCE alone.

    Frames hold EMPLOYMENT_COLUMNS and PRESENCE_COLUMNS, ids hashed as those of the spells. A week's true status is
    that of most of its days. StudyError where no device has both truth and a baseline workplace.
    """
    weeks = join_weeks(employment, presence, true)
    return EmploymentResult(
        weeks.truth.shape[0],
        int(_has_job(weeks).sum()),
        int(_is_scored(weeks).sum()),
        _mean(weeks.truth[_is_scored(weeks)] == NOT_EMPLOYED),
        *_scores(weeks),
        _reliability(weeks),
        _confusion(weeks),
        find_losses(weeks),
        _false_losses(weeks),
        tuple(_of_span(weeks, start, end) for start, end in spans),
    )


# --- Bringing together --------------------------------------------------------------------------------


def join_weeks(employment: pd.DataFrame, presence: pd.DataFrame, true: TrueSpells) -> Weeks:
    """Return truth and findings side by side, of devices that have both."""
    device_id = np.intersect1d(employment["device_id"], true.spells["device_id"])
    if not device_id.size:
        raise StudyError(
            f"--truth: none of its {true.spells['device_id'].nunique():,} devices has a baseline workplace; ids must "
            "be those of the source, and SOJOURN_KEY the one that tables were made with"
        )
    monday = _days(employment["window_started"])
    first_day, n_weeks = int(monday.min()), int((monday.max() - monday.min()) // WEEK_DAYS + 1)
    by_day = status_by_day(true.spells, device_id, first_day, n_weeks * WEEK_DAYS)

    def grid(frame: pd.DataFrame, values: NDArray[Any], missing: Any) -> NDArray[Any]:
        row = np.minimum(np.searchsorted(device_id, frame["device_id"]), device_id.size - 1)
        week = (_days(frame["window_started"]) - first_day) // WEEK_DAYS
        is_in = (device_id[row] == frame["device_id"].to_numpy()) & (week >= 0) & (week < n_weeks)
        cells = np.full((device_id.size, n_weeks), missing, values.dtype)
        cells[row[is_in], week[is_in]] = values[is_in]
        return cells

    numbers = {name: number for number, name in enumerate(FOUND)}
    status = employment["status"].map(numbers).to_numpy(np.int8)
    return Weeks(
        first_day,
        by_day,
        status_by_week(by_day),
        grid(employment, employment["loss_probability"].to_numpy(np.float64), np.nan),
        grid(employment, status, numbers["unknown"]),
        grid(employment, employment["is_at_risk"].to_numpy(np.bool_), False),
        grid(presence, presence["is_absent"].to_numpy(np.bool_), False),
        grid(employment, _days(employment["lost_on"]), NO_DAY),
        grid(employment, _days(employment["known_on"]), NO_DAY),
    )


def _days(dates: pd.Series) -> NDArray[np.int64]:
    """Return local dates as days since 1970, NO_DAY where missing."""
    days = dates.to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(days), NO_DAY, days.astype(np.int64))


def _has_job(weeks: Weeks) -> Flags:
    """Return where truth is known and there was a job to lose."""
    return (weeks.truth != UNKNOWN) & (weeks.truth != NONE)


def _is_scored(weeks: Weeks) -> Flags:
    return _has_job(weeks) & ~np.isnan(weeks.probability)


# --- Scores -------------------------------------------------------------------------------------------


def _scores(weeks: Weeks) -> tuple[Scored, dict[str, Scored]]:
    """Return the scores of the probability, and of the baselines over the same device-weeks."""
    rows = _is_scored(weeks)
    is_lost = weeks.truth[rows] == NOT_EMPLOYED
    guesses = {
        "at_risk": weeks.is_at_risk[rows],
        "absent": weeks.is_absent[rows],
        "never": np.zeros(is_lost.size),
    }
    baselines = {name: score(is_lost, guess.astype(np.float64)) for name, guess in guesses.items()}
    return score(is_lost, weeks.probability[rows]), baselines


def score(is_true: Flags, probability: Floats) -> Scored:
    """Return AUC and Brier score of probabilities of what is true; arrays alike in shape, NaN without items."""
    difference = probability - is_true
    return Scored(area_under_curve(is_true, probability), _mean(difference * difference))


def area_under_curve(is_true: Flags, value: Floats) -> float:
    """Return the chance that a true item has a higher value than a false one, ties as halves; NaN without either."""
    true, false = np.sort(value[is_true]), np.sort(value[~is_true])
    below, up_to = (np.searchsorted(false, true, side) for side in ("left", "right"))
    return ratio(float((below + up_to).sum()) / 2, true.size * false.size)


def _reliability(weeks: Weeks) -> tuple[Bin, ...]:
    rows = _is_scored(weeks)
    probability, is_lost = weeks.probability[rows], weeks.truth[rows] == NOT_EMPLOYED
    number = np.minimum((probability * N_BINS).astype(np.int64), N_BINS - 1)
    bins = []
    for k in range(N_BINS):
        at = number == k
        bins.append(Bin(k / N_BINS, (k + 1) / N_BINS, int(at.sum()), _mean(probability[at]), _mean(is_lost[at])))
    return tuple(bins)


def _confusion(weeks: Weeks) -> dict[str, dict[str, int]]:
    return {
        true: {found: int(((weeks.truth == t) & (weeks.status == f)).sum()) for f, found in enumerate(FOUND)}
        for t, true in enumerate(STATUSES)
    }


def _mean(values: NDArray[Any]) -> float:
    return ratio(float(values.sum()), values.size)


# --- False losses -------------------------------------------------------------------------------------


def _false_losses(weeks: Weeks) -> dict[str, FalseLosses]:
    said = {
        "inferred": weeks.status == FOUND.index("not_employed"),
        "at_risk": weeks.is_at_risk,
        "absent": weeks.is_absent,
    }
    return {name: _false_of(weeks, is_said) for name, is_said in said.items()}


def _false_of(weeks: Weeks, is_said: Flags) -> FalseLosses:
    is_known = ~np.isnan(weeks.probability)
    is_commuting, is_remote = (is_known & (weeks.truth == status) for status in (EMPLOYED, REMOTE))
    is_employed = is_commuting | is_remote
    is_out = (weeks.truth == NOT_EMPLOYED) | (weeks.truth == NONE)
    had_work_always = is_employed.any(axis=1) & ~is_out.any(axis=1)
    was_said = np.asarray((is_said & is_known).any(axis=1))
    return FalseLosses(
        int(is_employed.sum()),
        _mean(is_said[is_employed]),
        _mean(is_said[is_commuting]),
        _mean(is_said[is_remote]),
        int(had_work_always.sum()),
        _mean(was_said[had_work_always]),
    )


def _of_span(weeks: Weeks, start: date, end: date) -> dict[str, Any]:
    """Return scores and false losses in the weeks that hold a date from `start` to `end`."""
    first, last = (int(np.datetime64(day, "D").astype(np.int64)) for day in (start, end))
    monday = weeks.first_day + WEEK_DAYS * np.arange(weeks.truth.shape[1])
    at = (monday <= last) & (monday + WEEK_DAYS > first)
    part = weeks._replace(**{name: getattr(weeks, name)[:, at] for name in Weeks._fields[2:]})
    inferred, baselines = _scores(part)
    return {
        "start": start.isoformat(),
        "end": end.isoformat(),
        "n_weeks": int(at.sum()),
        "n_known": int(_is_scored(part).sum()),
        "true_share": _mean(part.truth[_is_scored(part)] == NOT_EMPLOYED),
        "inferred": inferred,
        "baselines": baselines,
        "false_losses": _false_losses(part),
    }


# --- Losses -------------------------------------------------------------------------------------------


class _Spells(NamedTuple):
    """True spells without work that begin, after work, within the weeks compared; columns from the first Monday."""

    row: NDArray[np.int64]
    first: NDArray[np.int64]
    stop: NDArray[np.int64]


def find_losses(weeks: Weeks) -> Losses:
    """Return which true losses were found, and how late."""
    spells = _spells(weeks.by_day)
    found = np.full((spells.row.size, 3), NO_DAY)
    for k, (row, first, stop) in enumerate(zip(*spells, strict=True)):
        part = slice(first // WEEK_DAYS, (stop - 1) // WEEK_DAYS + 1)
        at = np.flatnonzero(weeks.status[row, part] == FOUND.index("not_employed"))
        if at.size:
            week = part.start + at[0]
            monday = weeks.first_day + WEEK_DAYS * week
            told = max(weeks.known_day[row, week], monday + WEEK_DAYS)
            found[k] = monday, weeks.lost_day[row, week], told
    is_found = found[:, 0] != NO_DAY
    late = found[is_found] - (weeks.first_day + spells.first[is_found])[:, None]
    length = (spells.stop - spells.first) / WEEK_DAYS
    return Losses(
        spells.row.size, int(is_found.sum()), _by_length(length, is_found), *(_quartiles(column) for column in late.T)
    )


def _spells(by_day: NDArray[np.int8]) -> _Spells:
    is_out = np.pad(by_day == NOT_EMPLOYED, ((0, 0), (1, 1))).astype(np.int8)
    row, first = np.nonzero(np.diff(is_out, axis=1) == 1)
    _, stop = np.nonzero(np.diff(is_out, axis=1) == -1)
    before = by_day[row, np.maximum(first - 1, 0)]
    is_loss = (first > 0) & ((before == EMPLOYED) | (before == REMOTE))
    return _Spells(row[is_loss], first[is_loss], stop[is_loss])


def _by_length(length_weeks: Floats, is_found: Flags) -> tuple[dict[str, Any], ...]:
    at = np.searchsorted(SPELL_WEEKS, length_weeks, side="right")
    n, n_found = (np.bincount(which, minlength=len(SPELL_WEEKS) + 1).tolist() for which in (at, at[is_found]))
    bounds = itertools.pairwise((0, *SPELL_WEEKS, None))
    return tuple(
        {"from_weeks": low, "below_weeks": high, "n": n[k], "n_found": n_found[k]}
        for k, (low, high) in enumerate(bounds)
    )


def _quartiles(values: NDArray[np.int64]) -> Quartiles:
    if not values.size:
        return Quartiles(0, np.nan, np.nan, np.nan)
    q25, median, q75 = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    return Quartiles(values.size, median, q25, q75)
