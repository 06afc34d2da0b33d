"""The slow, obvious version of OxCGRT's index, written from the method page (3.5)."""

HIGHEST = {"c1": 3, "c2": 3, "c3": 2, "c4": 4, "c5": 2, "c6": 3, "c7": 2, "c8": 4, "h1": 2}


def naive_stringency(levels: dict[str, float | None], flags: dict[str, float | None]) -> float | None:
    """The index of one region on one day; None where it cannot be known."""
    total = 0.0
    for name, highest in HIGHEST.items():
        level, flag = levels[name], flags.get(name)
        if level is None or (level > 0 and name != "c8" and flag is None):
            return None
        if level == 0:
            continue
        has_flag = 0 if name == "c8" else 1
        general = 0 if name == "c8" else flag
        total += 100 * (level - 0.5 * (has_flag - general)) / highest
    return total / 9
