"""Slow, obvious twins of the kernels of employment and of its evaluation: plain loops over definitions."""

import itertools

DAY_S = 86_400

# --- Presence: day by day ---------------------------------------------------------------------------


def naive_pieces(started_s, finished_s):
    """(day, seconds from its midnight to the start, to the finish) of each local day that a visit touches."""
    pieces = []
    for day in range(started_s // DAY_S, finished_s // DAY_S + 1):
        start, finish = max(started_s, day * DAY_S), min(finished_s, (day + 1) * DAY_S)
        if finish > start or day == started_s // DAY_S:
            pieces.append((day, start - day * DAY_S, finish - day * DAY_S))
    return pieces


def naive_expected(day_values, is_baseline, is_observed, kinds, week_days):
    """What a week would hold: for each observed day the mean over observed baseline days of its kind."""
    total = 0.0
    for day in week_days:
        alike = [
            day_values[other]
            for other in range(len(day_values))
            if is_baseline[other] and is_observed[other] and kinds[other] == kinds[day]
        ]
        if is_observed[day] and alike:
            total += sum(alike) / len(alike)
    return total


# --- Absences: the whole record as a list of runs -----------------------------------------------------


def naive_absences(states, expected, min_weeks, min_expected, max_unseen):
    """(verdict, first week, week it was known with) of each week of one device; None where there is none.

    `states`: "unseen", "absent" or "back" of each week. Verdicts: "none", "brief", "undecided", "lasting".
    """
    found = [("none", None, None)] * len(states)
    for weeks, is_back in _naive_runs(states, max_unseen):
        known = None
        for n in range(1, len(weeks) + 1):
            if known is None and n >= min_weeks and sum(expected[k] for k in weeks[:n]) >= min_expected:
                known = weeks[n - 1]
        verdict = "lasting" if known is not None else "brief" if is_back else "undecided"
        for week in weeks:
            found[week] = (verdict, weeks[0], known)
    return found


def _naive_runs(states, max_unseen):
    """The absent weeks of each absence, and whether the device was seen back right after it."""
    runs, weeks, last_seen = [], [], None
    for week, state in enumerate(states):
        if state == "unseen":
            continue
        is_silent = last_seen is not None and week - last_seen - 1 > max_unseen
        last_seen = week
        if weeks and (is_silent or state == "back"):
            runs.append((weeks, state == "back" and not is_silent))
            weeks = []
        if state == "absent":
            weeks = [*weeks, week]
    return [*runs, (weeks, False)] if weeks else runs


# --- Probabilities ------------------------------------------------------------------------------------


def naive_loss_probability(at_risk_share, telework_share, reading):
    """The formula as it is written, in either reading."""
    if reading == 1:
        large_r, small_r = telework_share, at_risk_share
    else:
        large_r, small_r = 1 - at_risk_share, 1 - telework_share
    return 0.0 if small_r == 0 else 1 - min(large_r / small_r, 1)


def naive_waves(excess, lead):
    """((first week, last week), uptake by week) of each wave in which telework spread beyond the usual.

    Each rise is a wave of its own at first, which keeps its share of what is left; waves whose weeks touch are one.
    """
    single = []
    for week, now in enumerate(excess):
        rise = now - (excess[week - 1] if week else 0.0)
        if rise <= 0:
            continue
        level, left = [0.0] * week + [rise], rise
        for later in range(week + 1, len(excess)):
            if excess[later] < excess[later - 1]:
                left *= excess[later] / excess[later - 1]
            level.append(left)
        single.append(([week], level))
    waves = []
    for weeks, level in single:
        if waves and weeks[0] - max(lead, 1) <= waves[-1][0][-1]:
            waves[-1] = (waves[-1][0] + weeks, [a + b for a, b in zip(waves[-1][1], level, strict=True)])
        else:
            waves.append((weeks, level))
    for weeks, level in waves:
        for week in range(max(weeks[0] - lead, 0), weeks[0]):
            level[week] = level[weeks[0]]
    return [((weeks[0] - lead, weeks[-1]), level) for weeks, level in waves]


def naive_sector_shares(rows, weights):
    """(week, sector) → (devices, weight, share at risk) of (device, week, is at risk), those known alone.

    `weights`: device → sector → weight.
    """
    found = {}
    for week in {week for _, week, _ in rows}:
        here = [(device, is_at_risk) for device, other, is_at_risk in rows if other == week]
        for sector in {s for device, _ in here for s, w in weights[device].items() if w > 0}:
            all_of_it = [weights[device].get(sector, 0.0) for device, _ in here]
            of_risk = [weights[device].get(sector, 0.0) for device, is_at_risk in here if is_at_risk]
            n = sum(w > 0 for w in all_of_it)
            found[week, sector] = (n, sum(all_of_it), sum(of_risk) / sum(all_of_it))
    return found


# --- Evaluation ---------------------------------------------------------------------------------------


def naive_auc(is_true, score):
    """The share of pairs of a true and a false one in which the true one scores higher, ties as halves."""
    pairs = [
        (s, t)
        for s, is_s in zip(score, is_true, strict=True)
        if is_s
        for t, is_t in zip(score, is_true, strict=True)
        if not is_t
    ]
    if not pairs:
        return None
    return sum((s > t) + 0.5 * (s == t) for s, t in pairs) / len(pairs)


def naive_day_status(spells, day):
    """The status on a day: of the spells (first day, last day, status) that hold it, that of the last to start."""
    here = [(first, status) for first, last, status in spells if first <= day <= last]
    return max(here, key=lambda spell: spell[0])[1] if here else None


def naive_week_status(spells, days, order):
    """The status of most of the days for which there is one, the first of `order` of equals; None where none is."""
    found = [status for status in (naive_day_status(spells, day) for day in days) if status is not None]
    return max(order, key=found.count) if found else None


def naive_losses(by_day):
    """(first day, day after the last) of each spell without work that follows a day with work."""
    return [
        (first, last + 1)
        for (before, _, _), (status, first, last) in itertools.pairwise(naive_runs(by_day))
        if status == "not_employed" and before in ("employed", "remote")
    ]


def naive_runs(values):
    """(value, first index, last index) of each run of equal values."""
    runs, at = [], 0
    for value, group in itertools.groupby(values):
        n = len(list(group))
        runs.append((value, at, at + n - 1))
        at += n
    return runs
