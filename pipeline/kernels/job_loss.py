"""From absence week by week to the probability that a job is lost.

`follow_absence` is ours: it says how long an absence must last, and what silence and return do to it. The formula of
`loss_probability` is reported second hand, and its two readings are reconstructions (method page 2.5, tags [S], [I]).
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel

UNSEEN, ABSENT, BACK = 0, 1, 2
"""State of a week: not observed, absent, or at work (the old or a new workplace)."""
NO_ABSENCE, BRIEF, UNDECIDED, LASTING = 0, 1, 2, 3
"""What a week belongs to: no absence, one too short to count, one whose end or length is unknown, one long enough."""


class Absences(NamedTuple):
    """What is known of each week, looking back from the end of the record."""

    verdict: NDArray[np.int8]
    since: NDArray[np.int64]
    """Row of the first week of the absence; -1 where the week is not absent."""
    known: NDArray[np.int64]
    """Row of the week with which the absence had lasted long enough; -1 where the verdict is not LASTING."""


def follow_absence(
    group_start: NDArray[np.int64],
    state: NDArray[np.int8],
    missed_visits: NDArray[np.float64],
    min_weeks: int,
    min_missed_visits: float,
    max_unseen_weeks: int,
) -> Absences:
    """Return the absence that each week belongs to, and whether that absence lasted long enough.

    Group g owns the consecutive weeks ``group_start[g]:group_start[g + 1]`` of `state` (UNSEEN, ABSENT, BACK) and of
    `missed_visits`, the visits to work expected in the week less those made. An absence is a run of absent weeks;
    unseen ones neither break nor lengthen it, unless there are more than `max_unseen_weeks` in a row. It is LASTING
    once it has `min_weeks` absent weeks that missed `min_missed_visits` between them: a Poisson number of that mean is
    zero with probability exp(-min_missed_visits). Shorter ones are BRIEF where the device is back after them,
    UNDECIDED where the record ends or falls silent. The verdict holds for all weeks of the absence.

    ValueError where arrays do not cover the same weeks or a threshold is below 1 week or 0 visits.
    """
    if group_start[0] != 0 or not state.size == missed_visits.size == group_start[-1]:
        raise ValueError("group_start, state and missed_visits must cover the same weeks")
    if min_weeks < 1 or not min_missed_visits >= 0 or max_unseen_weeks < 0:
        raise ValueError("an absence lasts at least a week and misses no fewer than 0 visits")
    return Absences(*_follow(group_start, state, missed_visits, min_weeks, min_missed_visits, max_unseen_weeks))


@kernel
def _follow(group_start, state, missed_visits, min_weeks, min_missed_visits, max_unseen_weeks):
    n = state.size
    verdict, since, known = np.zeros(n, np.int8), np.full(n, -1), np.full(n, -1)
    for g in range(group_start.size - 1):
        first, told, n_absent, n_unseen, missed = -1, -1, 0, 0, 0.0
        for k in range(group_start[g], group_start[g + 1]):
            if state[k] == UNSEEN:
                n_unseen += 1
                continue
            if first >= 0 and (state[k] == BACK or n_unseen > max_unseen_weeks):
                ended = BRIEF if state[k] == BACK and n_unseen <= max_unseen_weeks else UNDECIDED
                _judge(verdict, known, since, first, k, told, ended)
                first = -1
            n_unseen = 0
            if state[k] == BACK:
                continue
            if first < 0:
                first, told, n_absent, missed = k, -1, 0, 0.0
            since[k] = first
            n_absent += 1
            missed += missed_visits[k]
            if told < 0 and n_absent >= min_weeks and missed >= min_missed_visits:
                told = k
        if first >= 0:
            _judge(verdict, known, since, first, group_start[g + 1], told, UNDECIDED)
    return verdict, since, known


@kernel
def _judge(verdict, known, since, first, stop, told, ended):
    """Write the verdict on the absence that began at `first` and is over at `stop`."""
    for k in range(first, stop):
        if since[k] == first:
            verdict[k] = LASTING if told >= 0 else ended
            known[k] = told


class Waves(NamedTuple):
    """Times at which telework spread: wave k took in absences that began in weeks ``first[k]`` to ``last[k]``."""

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    uptake: NDArray[np.float64]
    """Of those able to work at home, the share that does since each wave; shape (n_weeks, n_waves)."""


def telework_waves(excess: NDArray[np.float64], lead_weeks: int) -> Waves:
    """Return the waves in which telework spread (ours).

    `excess` is the uptake of consecutive weeks beyond the usual one, 0 or more. A wave is a run of weeks in which it
    rises; an absence belongs to it that began in one of them or up to `lead_weeks` before, as who is seen seldom is
    dated too early. Runs whose weeks then touch are one wave. Where the excess falls, that of every wave falls in
    proportion. In the weeks before its rise a wave has the uptake of its first week.
    """
    rise = np.maximum(np.diff(excess, prepend=0.0), 0.0)
    weeks = np.flatnonzero(rise)
    is_new = np.diff(weeks, prepend=-np.inf if weeks.size else 0) > max(lead_weeks, 1)
    wave = np.cumsum(is_new) - 1
    n_waves = int(is_new.sum())
    level = np.zeros((excess.size, n_waves))
    now = np.zeros(n_waves)
    begun = dict(zip(weeks.tolist(), wave.tolist(), strict=True))
    for week in range(excess.size):
        if week and excess[week] < excess[week - 1]:
            now *= excess[week] / excess[week - 1]
        if week in begun:
            now[begun[week]] += rise[week]
        level[week] = now
    first, last = weeks[is_new], weeks[np.append(is_new[1:], True)] if weeks.size else weeks
    for k, week in enumerate(first):
        level[max(week - lead_weeks, 0) : week, k] = level[week, k]
    return Waves(first - lead_weeks, last, level)


def loss_probability(
    at_risk_share: NDArray[np.float64], telework_share: NDArray[np.float64], reading: Literal[1, 2] = 1
) -> NDArray[np.float64]:
    """Return the probability of job loss of a sector's absent workers: 1 - min(R / r, 1), and 0 where r is 0.

    Reading 1: r is the share at risk and R the share expected to work away. Of those at risk, all but the teleworkers
    have lost their job, so r P = max(r - R, 0). Reading 2: R is the share observed at work, 1 - at_risk_share, and r
    the share expected there, 1 - telework_share; P is then of the jobs that cannot be done away. Both are
    reconstructions [I] of a formula known from a summary [S] (method page 2.5). Shares are in [0, 1], arrays alike in
    shape; ValueError otherwise or where the reading is neither.
    """
    absent, away = np.asarray(at_risk_share, np.float64), np.asarray(telework_share, np.float64)
    if not all(((share >= 0) & (share <= 1)).all() for share in (absent, away)):
        raise ValueError("shares lie between 0 and 1")
    if reading not in (1, 2):
        raise ValueError(f"unknown reading {reading}: 1 or 2")
    expected, observed = (absent, away) if reading == 1 else (1 - away, 1 - absent)
    missing = np.maximum(expected - observed, 0.0)  # over what is expected, this never leaves 0 to 1
    return np.divide(missing, expected, out=np.zeros_like(missing), where=expected > 0)
