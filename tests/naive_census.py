"""Census tables the slow and obvious way: rows as dictionaries, one at a time."""

from collections import defaultdict


def naive_ids(ids, id_digits, area_digits):
    """The areas of ids: lost zeros put back, then cut."""
    full = [str(i) if id_digits is None else str(i).rjust(id_digits, "0") for i in ids]
    return [i[:area_digits] if area_digits else i for i in full]


def naive_demographics(areas, rows, groups):
    """(area, axis, group) → persons, for areas in which nothing of the axis is missing and somebody is counted."""
    found = {}
    for axis, named in groups.items():
        sums = {}
        for area, row in zip(areas, rows, strict=True):
            mine = sums.setdefault(area, dict.fromkeys(named, 0.0))
            for group, columns in named.items():
                for column in columns:
                    value = row[column]
                    mine[group] = None if value is None or mine[group] is None else mine[group] + value
        for area, mine in sums.items():
            if None not in mine.values() and sum(mine.values()) > 0:
                found |= {(area, axis, group): n for group, n in mine.items()}
    return found


def naive_jobs(areas, rows, sectors):
    """(area, sector) → jobs, where there are any."""
    found = defaultdict(float)
    for area, row in zip(areas, rows, strict=True):
        for sector, columns in sectors.items():
            for column in columns:
                found[area, sector] += row[column]
    return {key: n for key, n in found.items() if n}
