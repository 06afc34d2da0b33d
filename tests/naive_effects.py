"""Slow, obvious twin of the event study: people as dictionaries, weeks as whole numbers, plain loops."""

import math
import statistics

WEEKS = 4
REFERENCE = -1


def naive_month(values, start, min_weeks):
    """Mean of the four weeks from `start` on, None where too few are known; values: week → number."""
    known = [values[week] for week in range(start, start + WEEKS) if week in values]
    return statistics.fmean(known) if len(known) >= min_weeks else None


def naive_baseline(person, event, months_before, min_weeks):
    """Mean of the months before the reference, None where one or the other is not known."""
    months = [naive_month(person["values"], event + WEEKS * m, min_weeks) for m in range(-months_before, REFERENCE)]
    known = [mean for mean in months if mean is not None]
    if not known or naive_month(person["values"], event + WEEKS * REFERENCE, min_weeks) is None:
        return None
    return statistics.fmean(known)


def is_out(person, week, last):
    """Whether somebody may not serve as a control in a week; with an event outside the panel's weeks in none."""
    event = person["event"]
    return week in person["out"] or (event is not None and (week >= event or not 0 <= event <= last))


def naive_sets(people, months_before, months_after, min_weeks, n_controls, caliper_sd):
    """(treated, controls) of everybody with an event for whom two controls are found; nearest first."""
    sets, last = [], max(week for person in people for week in [*person["values"], *person["out"], 0])
    for person in people:
        event = person["event"]
        if event is None:
            continue
        window = range(event - WEEKS * months_before, event + WEEKS * (months_after + 1))
        before = range(event - WEEKS * months_before, event + WEEKS * REFERENCE)
        baselines = {p["device_id"]: naive_baseline(p, event, months_before, min_weeks) for p in people}
        if baselines[person["device_id"]] is None:
            continue
        usual = [p for p in people if not any(is_out(p, week, last) for week in before)]
        usual = [baselines[p["device_id"]] for p in usual if baselines[p["device_id"]] is not None]
        spread = statistics.pstdev(usual) if usual else 0.0
        # Ties are broken by `jitter`, in standard deviations.
        moved = {
            p["device_id"]: baselines[p["device_id"]] + p["jitter"] * spread
            for p in people
            if baselines[p["device_id"]] is not None
        }
        near = []
        for other in people:
            is_in = other["event"] is None and not any(is_out(other, week, last) for week in window)
            is_there = is_in and other["device_id"] in moved
            if is_there and other["stratum"] == person["stratum"]:
                away = abs(moved[other["device_id"]] - moved[person["device_id"]])
                near.append((away, other["device_id"], other))
        near = [
            other
            for away, _, other in sorted(near, key=lambda entry: entry[:2])[:n_controls]
            if away <= caliper_sd * spread
        ]
        if len(near) >= 2:
            sets.append((person, near))
    return sets


def naive_differences(sets, months, min_weeks):
    """Per set, month → (difference, {control: its own change}, {control: its own mean}); unknown months left out."""
    found = []
    for person, controls in sets:
        event = person["event"]

        def change(of, month, event=event):
            mean = naive_month(of["values"], event + WEEKS * month, min_weeks)
            reference = naive_month(of["values"], event + WEEKS * REFERENCE, min_weeks)
            return None if mean is None or reference is None else (mean - reference, mean)

        of_month = {}
        for month in months:
            own = change(person, month)
            theirs = {other["device_id"]: change(other, month) for other in controls}
            theirs = {key: value for key, value in theirs.items() if value is not None}
            if own is not None and len(theirs) >= 2:
                changes = {key: value[0] for key, value in theirs.items()}
                difference = own[0] - statistics.fmean(changes.values())
                of_month[month] = (difference, changes, {key: value[1] for key, value in theirs.items()})
        found.append(of_month)
    return [of_month for of_month in found if any(month >= 0 for month in of_month)]


def naive_effects(people, months_before, months_after, min_weeks, n_controls, caliper_sd, min_devices):
    """Month → (n_devices, n_controls, estimate, std_error, control_mean) of everybody."""
    months = range(-months_before, months_after + 1)
    sets = naive_sets(people, months_before, months_after, min_weeks, n_controls, caliper_sd)
    found = naive_differences(sets, months, min_weeks)
    rows = {}
    for month in months:
        here = [of_month[month] for of_month in found if month in of_month]
        used = {key for _, changes, _ in here for key in changes}
        if len(here) >= min_devices and len(used) >= min_devices:
            level = statistics.fmean(statistics.fmean(means.values()) for _, _, means in here)
            rows[month] = (len(here), len(used), statistics.fmean(row[0] for row in here), level, here)
    result = {}
    for month, (n, n_used, mean, level, here) in rows.items():
        squares = n / (n - 1) * sum((difference - mean) ** 2 for difference, _, _ in here)
        error = math.sqrt(squares + naive_shared(here)) / n
        result[month] = (n, n_used, 0.0, 0.0, level) if month == REFERENCE else (n, n_used, mean, error, level)
    return result


def naive_shared(here):
    """What controls in several sets add: the products of what they say in any two different sets."""
    shares = []
    for _, changes, _ in here:
        k = len(changes)
        mean = statistics.fmean(changes.values())
        shares.append({key: (change - mean) * math.sqrt(k / (k - 1)) / k for key, change in changes.items()})
    pairs = [(one, other) for i, one in enumerate(shares) for j, other in enumerate(shares) if i != j]
    added = sum(one[key] * other[key] for one, other in pairs for key in one if key in other)
    return max(added, 0.0)
