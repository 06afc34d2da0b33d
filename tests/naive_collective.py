"""Flows, visits of places and what of them may be shown, the slow and obvious way: device by device, cell by cell."""

from collections import Counter, defaultdict
from itertools import product
from math import log2


def naive_flows(trips, windows_of, hours):
    """{(origin, destination, window, hour): (trips, devices, metres in all)} of (device, origin, destination, date,
    hour, metres); `windows_of(date)` lists the windows of a date."""
    found = defaultdict(list)
    for device, origin, destination, date, hour, way_m in trips:
        for o, d, window, h in product(
            (origin, "all"), (destination, "all"), windows_of(date), (hour, "all") if hours else ("all",)
        ):
            found[o, d, window, h].append((device, way_m))
    return {
        key: (len(rows), len({device for device, _ in rows}), sum(way_m for _, way_m in rows))
        for key, rows in found.items()
    }


def entropy_bits(counts):
    total = sum(counts)
    return sum(-count / total * log2(count / total) for count in counts if count)


def naive_places(visits, homes, groups, windows_of, n_groups, min_devices):
    """{(area, window): (visits, devices, hours, entropy, entropy of homes or None, segregation or None)} of visits
    (device, area, date, hours), the home area of devices, and the group of home areas."""
    found = defaultdict(list)
    for device, area, date, hours in visits:
        for a, window in product((area, "all"), windows_of(date)):
            found[a, window].append((device, hours))
    table = {}
    for key, rows in found.items():
        devices = {device for device, _ in rows}
        known = Counter(homes[device] for device in devices if device in homes)
        enough = [n for n in known.values() if n >= min_devices]
        from_homes = enough + [sum(known.values()) - sum(enough)] * (sum(known.values()) > sum(enough))
        grouped = Counter(groups[homes[device]] for device in devices if homes.get(device) in groups)
        time = [sum(h for d, h in rows if groups.get(homes.get(d)) == k) for k in range(n_groups)]
        apart = sum(abs(t / sum(time) - 1 / n_groups) for t in time) if sum(time) else 0
        table[key] = (
            len(rows),
            len(devices),
            sum(hours for _, hours in rows),
            entropy_bits(Counter(device for device, _ in rows).values()),
            entropy_bits(from_homes) if from_homes and min(from_homes) >= min_devices else None,
            apart / (2 - 2 / n_groups) if min(grouped.values(), default=0) >= min_devices and sum(time) else None,
        )
    return table


def naive_lines(cells, parent_of_window):
    """Lines (margin, its cells) of cells {(labels..., window): devices}: over each label, and over windows."""
    lines = defaultdict(list)
    for *labels, window in cells:
        for at, label in enumerate(labels):
            if label != "all":
                lines[(*labels[:at], "all", *labels[at + 1 :], window), at].append((*labels, window))
        parent = parent_of_window(window)
        if parent is not None:
            lines[(*labels, parent), "window"].append((*labels, window))
    return [(margin, inside) for (margin, _), inside in lines.items() if margin in cells]


def naive_is_told(cells, shown, lines, min_devices):
    """Whether a shown margin less the shown cells of its line is one hidden cell, or may be of few devices.

    Behind several are at least as many as behind the largest, and as the margin has more than what is shown of it.
    """
    for margin, inside in lines:
        hidden = [key for key in inside if key not in shown]
        if margin in shown and hidden:
            n_more = cells[margin] - sum(cells[key] for key in inside if key in shown)
            if len(hidden) == 1 or max(n_more, *(cells[key] for key in hidden)) < min_devices:
                return True
    return any(cells[key] < min_devices for key in shown)
