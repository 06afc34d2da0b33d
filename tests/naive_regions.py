"""Slow, obvious twins of what is asked of regions: their residents, and the dates that they lack."""

from datetime import timedelta


def naive_residents(region, people):
    """Residents of a region from {id: residents} of areas, none counted again inside another; None without areas."""
    inside = [area for area in people if area.startswith(region)]
    largest = [area for area in inside if not any(area != other and area.startswith(other) for other in inside)]
    return sum(people[area] for area in largest) if largest else None


def naive_missing(rows, areas, dates, is_epidemic):
    """{region: its missing dates} of regions that hold areas; `rows` are (region, date) that a table has.

    An epidemic needs dates from the first that its region has, however early, to the last of `dates`.
    """
    known = {region for region, _ in rows}
    missing = {}
    for area in areas:
        holders = [region for region in known if area.startswith(region)]
        if holders:
            region = max(holders, key=len)
            has = [date for name, date in rows if name == region]
            wanted = dates
            if is_epidemic:
                n_days = (dates[-1] - min(has)).days + 1
                wanted = [min(has) + timedelta(days=k) for k in range(n_days)]
            missing[region] = [date for date in wanted if date not in has]
    return {region: days for region, days in missing.items() if days}
