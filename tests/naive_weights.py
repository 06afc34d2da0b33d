"""Slow, obvious twins of weights of areas and of the bootstrap over devices. Plain loops over definitions."""

import math
from hashlib import blake2b

# --- Weights --------------------------------------------------------------------------------------------


def naive_bounded(n, weight, low, high):
    """Trim, give what was cut to the weights not trimmed in proportion, and again, by halving for the common factor."""
    top = max(weight)
    weight = [max(w / top, 1e-12) for w in weight]

    def trimmed(factor):
        return [min(max(factor * w, low), high) for w in weight]

    least, most = 0.0, high / min(weight)
    for _ in range(400):
        middle = (least + most) / 2
        mean = sum(k * w for k, w in zip(n, trimmed(middle), strict=True)) / sum(n)
        least, most = (middle, most) if mean < 1 else (least, middle)
    return trimmed(most)


def naive_rake(n, base, shares, aims, n_rounds=20_000):
    """Generalised iterative scaling (Darroch and Ratcliff): every share pulls its areas, over and over.

    `shares` of an area add up to the number of axes. Without bounds or slack, so only for what can be met.
    """
    weight = list(base)
    axes = sum(shares[0])
    for _ in range(n_rounds):
        total = sum(k * w for k, w in zip(n, weight, strict=True))
        now = [sum(k * w * s[g] for k, w, s in zip(n, weight, shares, strict=True)) / total for g in range(len(aims))]
        pulls = [aim / share if aim > 0 else 0.0 for aim, share in zip(aims, now, strict=True)]
        weight = [
            w * math.prod(p ** (s[g] / axes) for g, p in enumerate(pulls)) for w, s in zip(weight, shares, strict=True)
        ]
    total = sum(k * w for k, w in zip(n, weight, strict=True))
    return [w * sum(n) / total for w in weight]


def naive_pools(n_devices, min_devices, digits):
    """Pool of every area from {id: devices}: its own id, or leading digits with the other small ones."""
    pool = {area: area for area in n_devices}
    for length in [*sorted(digits, reverse=True), 0]:
        size = {}
        for area, name in pool.items():
            size[name] = size.get(name, 0) + n_devices[area]
        pool = {area: name if size[name] >= min_devices else area[:length] + "*" for area, name in pool.items()}
    return pool


def naive_area_weights(n_devices, population, min_devices, digits, low, high):
    """Weight by home area from {area: devices} and {area: residents or None}."""
    known = {a: p for a, p in population.items() if p is not None}
    pool = naive_pools({a: n_devices.get(a, 0) for a in known}, min_devices, digits)
    people, devices = {}, {}
    for area, name in pool.items():
        people[name] = people.get(name, 0) + known[area]
        devices[name] = devices.get(name, 0) + n_devices.get(area, 0)
    people = {name: p for name, p in people.items() if devices[name] > 0}
    all_people, all_devices = sum(people.values()), sum(devices.values())
    if not all_people:
        return dict.fromkeys(n_devices)
    weight = {
        area: (people[pool[area]] / all_people) / (devices[pool[area]] / all_devices) if area in pool else 1.0
        for area in n_devices
    }
    return dict(zip(weight, naive_bounded(list(n_devices.values()), list(weight.values()), low, high), strict=True))


# --- Bootstrap over devices ------------------------------------------------------------------------------

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def _mixed(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def naive_count(device_id, stage, seed, replicate):
    """How often a device counts in a replicate: a uniform draw of its own, put through Poisson's distribution."""
    name = int.from_bytes(blake2b(stage.encode(), digest_size=8).digest(), "big")
    bits = _mixed(((seed & MASK) + GOLDEN) & MASK)
    bits = _mixed(bits ^ name)
    bits = _mixed(bits ^ (((device_id & MASK) + GOLDEN) & MASK))
    uniform = (_mixed(bits ^ ((replicate * GOLDEN) & MASK)) >> 11) * 2.0**-53
    count, chance = 0, 0.0
    while True:
        chance += math.exp(-1) / math.factorial(count)
        if uniform < chance or count == 18:
            return count
        count += 1


def naive_unemployment(rows, weights, digits, stage, seed, n_replicates):
    """(region, window, start, weighting) → (devices, effective devices, rate, replicate rates).

    `rows`: (device, Monday as a date, home area or None, value or None); `weights`: {area: (area, raked)}.
    """
    values = {}
    for device, monday, home, value in rows:
        if value is not None:
            for window, start in (("week", monday), ("month", monday.replace(day=1))):
                values.setdefault((window, start, device, home), []).append(value)
    members = {}
    for (window, start, device, home), found in sorted(values.items(), key=str):
        regions = ["all"] + [home[:d] for d in digits if home is not None and len(home) >= d]
        area, raked = weights.get(home, (None, None))
        for weighting, weight in (("none", 1.0), ("area", area), ("raked", raked)):
            if weight is not None:
                for region in regions:
                    key = region, window, start, weighting
                    members.setdefault(key, []).append((device, weight, sum(found) / len(found)))
    return {key: _naive_rate(found, stage, seed, n_replicates) for key, found in members.items()}


def _naive_rate(members, stage, seed, n_replicates):
    def mean(counts):
        total = sum(k * w for k, (_, w, _) in zip(counts, members, strict=True))
        lost = sum(k * w * v for k, (_, w, v) in zip(counts, members, strict=True))
        return lost / total if total else math.nan

    draws = [[naive_count(d, stage, seed, r) for d, _, _ in members] for r in range(n_replicates)]
    effective = sum(w for _, w, _ in members) ** 2 / sum(w * w for _, w, _ in members)
    return len(members), effective, mean([1] * len(members)), [mean(counts) for counts in draws]
