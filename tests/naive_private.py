"""Bounded sums the slow and obvious way: device by device, cell by cell."""

from pipeline.kernels.keyed_random import keyed_bits


def naive_drawn(device_ids, max_rows, stage, seed):
    """Which rows are drawn: of each device the `max_rows` with the smallest keyed bits."""
    drawn = [False] * len(device_ids)
    for device in set(device_ids):
        rows = [row for row, owner in enumerate(device_ids) if owner == device]
        bits = {row: int(keyed_bits(device, stage, seed, ordinal)[0]) for ordinal, row in enumerate(rows)}
        for row in sorted(rows, key=lambda row: bits[row])[:max_rows]:
            drawn[row] = True
    return drawn


def naive_bounded_counts(rows, max_rows, seed, is_devices):
    """{cell: count} of (device, cell) rows in order; of devices, each counts once a cell, in the order of cells."""
    if is_devices:
        rows = sorted(set(rows))
    drawn = naive_drawn([device for device, _ in rows], max_rows, "private_release", seed)
    counts = {}
    for (_, cell), is_drawn in zip(rows, drawn, strict=True):
        if is_drawn:
            counts[cell] = counts.get(cell, 0) + 1
    return counts


def naive_clipped(value, low, high):
    """A value inside its range."""
    return min(max(value, low), high)
