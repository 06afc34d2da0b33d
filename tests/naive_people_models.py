"""Features of models of people, written again slowly: one device, one week, one list of visits at a time."""

from collections import Counter
from math import log, log1p


def naive_kind(category):
    """The leading part of a category."""
    if category is None or category == "":
        return "none known"
    for mark in ">:/|=;":
        category = category.split(mark)[0]
    return category.strip() or "none known"


def naive_class(category, kinds):
    """Number of a kind: those learnt, other, none known."""
    kind = naive_kind(category)
    if kind == "none known":
        return len(kinds) + 1
    return kinds.index(kind) if kind in kinds else len(kinds)


def naive_exploration(visits, last_day, n_lags, kinds, min_days):
    """What is known of one device's weeks: list of (Monday, features by name, target, kind of the target).

    `visits` are (day, place, category, is inferred) in order; days count from a Monday, and so do the Mondays given.
    """
    first = visits[0][0] // 7
    n_weeks = max((last_day + 1) // 7 - first, 0)
    found = []
    for number in range(1, n_weeks + 1):
        monday = 7 * (first + number)
        before = [visit for visit in visits if visit[0] < monday]
        during = [visit for visit in visits if monday <= visit[0] < monday + 7]
        seen = {visit[1] for visit in before}
        target, kind = -1, -1
        if number < n_weeks and len({day for day, *_ in during}) >= min_days:
            new = [visit for visit in during if visit[1] not in seen]
            target, kind = int(bool(new)), naive_class(new[0][2], kinds) if new else -1
        found.append((monday, _features(before, first, number, n_lags, kinds), target, kind))
    return found


def _features(before, first, number, n_lags, kinds):
    """Features of the week `number` weeks after the first, of visits before it."""
    weeks = [[visit for visit in before if visit[0] // 7 == first + k] for k in range(number)]
    is_new, known = [], set()
    for visit in before:
        is_new.append(visit[1] not in known)
        known.add(visit[1])
    new_of_week = [
        [visit for visit, new in zip(before, is_new, strict=True) if new and visit[0] // 7 == first + k]
        for k in range(number)
    ]
    found = {}
    for lag in range(n_lags):
        at = number - 1 - lag
        week, new = (weeks[at], new_of_week[at]) if at >= 0 else ([], [])
        found |= {
            f"log_visits_{lag + 1}_back": log1p(len(week)),
            f"days_seen_{lag + 1}_back": len({day for day, *_ in week}) / 7,
            f"log_places_{lag + 1}_back": log1p(len({place for _, place, *_ in week})),
            f"log_new_places_{lag + 1}_back": log1p(len(new)),
            f"has_new_place_{lag + 1}_back": float(bool(new)),
            f"entropy_{lag + 1}_back": _entropy([place for _, place, *_ in week]),
            f"is_in_record_{lag + 1}_back": float(at >= 0),
        }
    counts = Counter(place for _, place, *_ in before)
    n, n_places = len(before), len(counts)
    entropy = _entropy([place for _, place, *_ in before])
    seen = [bool(week) for week in weeks]
    has_new = [bool(new) for new in new_of_week]
    found |= {
        "log_weeks": log(number),
        "log_visits_so_far": log1p(n),
        "log_places_so_far": log1p(n_places),
        "new_share_of_visits": n_places / max(n, 1),
        "places_seen_once": sum(c == 1 for c in counts.values()) / max(n_places, 1),
        "entropy_so_far": entropy,
        "evenness_so_far": entropy / log(n_places) if n_places > 1 else 0.0,
        "weeks_seen": sum(seen) / number,
        "new_share_of_weeks": (sum(has_new) + 1) / (sum(seen) + 2),
        "log_new_per_week": log1p(n_places / max(sum(seen), 1)),
        "log_weeks_since_seen": log1p(_since(seen)),
        "log_weeks_since_new": log1p(_since(has_new)),
    }
    for span in (8, 26):
        late_seen, late_new = sum(seen[-span:]), sum(has_new[-span:])
        found[f"new_share_of_{span}_weeks"] = (late_new + 1) / (late_seen + 2)
        late = sum(len(new) for new in new_of_week[-span:])
        found[f"log_new_per_week_of_{span}"] = log1p(late / max(late_seen, 1))
    for weekday in range(7):
        found[f"visits_on_weekday_{weekday}"] = sum(day % 7 == weekday for day, *_ in before) / max(n, 1)
    fresh = [visit for visit, new in zip(before, is_new, strict=True) if new]
    found["new_places_on_weekends"] = sum(day % 7 >= 5 for day, *_ in fresh) / max(len(fresh), 1)
    found["inferred_visits"] = sum(visit[3] for visit in before) / max(n, 1)
    names = [*kinds, "other", "none known"]
    of_kind = Counter(names[naive_class(visit[2], kinds)] for visit in fresh)
    for name in names:
        found[f"log_new_places_{name}"] = log((of_kind[name] + 0.5) / (len(fresh) + 0.5 * len(names)))
    return found


def _entropy(values):
    counts = Counter(values)
    return -sum(c / len(values) * log(c / len(values)) for c in counts.values()) if values else 0.0


def _since(flags):
    """Steps back from the last to the last that is so; all of them where none is."""
    return next((k for k, flag in enumerate(reversed(flags)) if flag), len(flags))


def naive_presence(weeks, at, before, after):
    """Features of week `at` of one device by name, of a dict week → row of PRESENCE."""
    found = {}
    for offset in range(-before, after + 1):
        row = weeks.get(at + offset)
        is_observed = row is not None and row["is_observed"]
        found |= {
            f"is_in_record{offset:+d}": float(row is not None),
            f"is_observed{offset:+d}": float(is_observed),
            f"visit_ratio{offset:+d}": min(row["visit_ratio"], 2.0) if is_observed else 0.0,
            f"hours_ratio{offset:+d}": min(row["hours_ratio"], 2.0) if is_observed else 0.0,
            f"days_observed{offset:+d}": row["n_observed_days"] / 7 if row is not None else 0.0,
            f"is_absent{offset:+d}": float(row is not None and row["is_absent"]),
            f"has_new_work{offset:+d}": float(row is not None and row["has_new_work"]),
        }
    inside = [weeks[k] for k in range(at - before, at + after + 1) if k in weeks]
    observed = [row for row in inside if row["is_observed"]]
    later = [weeks[k] for k in range(at + 1, at + after + 1) if k in weeks]
    return found | {
        "weeks_absent_so_far": _run(weeks, range(at, at - before - 1, -1)),
        "weeks_absent_to_come": _run(weeks, range(at, at + after + 1)),
        "observed_share": len(observed) / len(inside),
        "mean_visit_ratio": sum(min(row["visit_ratio"], 2.0) for row in observed) / max(len(observed), 1),
        "is_back_later": float(any(row["is_observed"] and not row["is_absent"] for row in later)),
        "log_expected_visits": log1p(weeks[at]["expected_visits"]),
        "log_work_hours": log1p(weeks[at]["work_dwell_s"] / 3600),
        "log_weeks_before": log1p(sum(k < at for k in weeks)),
    }


def _run(weeks, numbers):
    n_absent = 0
    for number in numbers:
        row = weeks.get(number)
        if row is not None and row["is_observed"] and not row["is_absent"]:
            break
        n_absent += row is not None and row["is_absent"]
    return n_absent


def naive_auc(is_true, values, weights):
    """Chance that a true item has the higher value, by all pairs."""
    won = total = 0.0
    for a, va, wa in zip(is_true, values, weights, strict=True):
        for b, vb, wb in zip(is_true, values, weights, strict=True):
            if a and not b:
                total += wa * wb
                won += wa * wb * (1.0 if va > vb else 0.5 if va == vb else 0.0)
    return won / total if total else float("nan")
