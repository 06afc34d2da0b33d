"""Slow, obvious twins of the kernels: plain loops, written from the definition and not from the kernel."""

import itertools
import math
import statistics
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.kernels.geodesy import haversine_m

# --- Geodesy: distances and means from unit vectors -------------------------------------------------


def naive_unit_vector(lon, lat):
    phi, lam = math.radians(lat), math.radians(lon)
    return np.array([math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)])


def naive_great_circle_m(lon1, lat1, lon2, lat2):
    """The angle between two unit vectors, from the lengths of their cross and dot product."""
    a, b = naive_unit_vector(lon1, lat1), naive_unit_vector(lon2, lat2)
    return 6_371_000.0 * math.atan2(np.linalg.norm(np.cross(a, b)), float(a @ b))


def naive_mean_position(lons, lats, weights):
    vector = sum(w * naive_unit_vector(lon, lat) for lon, lat, w in zip(lons, lats, weights, strict=True))
    lon = math.degrees(math.atan2(vector[1], vector[0]))
    return lon, math.degrees(math.atan2(vector[2], math.hypot(vector[0], vector[1])))


# --- Clustering: DBSCAN by comparing every stay with every other ------------------------------------


def naive_cluster_places(lons, lats, eps_m, min_samples):
    """Place numbers of one device's stays; a border stay joins its nearest core stay's place."""
    n = len(lons)
    apart_m = [[haversine_m(lons[i], lats[i], lons[j], lats[j]) for j in range(n)] for i in range(n)]
    is_core = [sum(apart_m[i][j] <= eps_m for j in range(n)) >= min_samples for i in range(n)]
    cluster = [None] * n
    for i in range(n):
        if is_core[i] and cluster[i] is None:
            reached = [i]
            for j in reached:
                cluster[j] = i
                reached += [k for k in range(n) if is_core[k] and apart_m[j][k] <= eps_m and k not in reached]
    joined = list(cluster)
    for i in range(n):
        cores = [(apart_m[i][j], cluster[j]) for j in range(n) if is_core[j] and apart_m[i][j] <= eps_m]
        if not is_core[i] and cores:
            joined[i] = min(cores)[1]
    numbers = {}
    return [-1 if c is None else numbers.setdefault(c, len(numbers)) for c in joined]


# --- Gyration: the definition, one group at a time --------------------------------------------------


def naive_radius_of_gyration(lons, lats, weights, centre_weights, centre_space, places):
    rows = range(len(lons))
    if len(lons) == 0 or sum(weights) == 0:
        return math.nan
    shares = list(weights)
    if centre_weights == "unweighted":
        shares = [1 / sum(places[j] == places[i] for j in rows) for i in rows]
    if centre_space == "degrees":
        lon = sum(s * x for s, x in zip(shares, lons, strict=True)) / sum(shares)
        lat = sum(s * y for s, y in zip(shares, lats, strict=True)) / sum(shares)
    else:
        lon, lat = naive_mean_position(lons, lats, shares)
    squares = [weights[i] * naive_great_circle_m(lons[i], lats[i], lon, lat) ** 2 for i in rows]
    return math.sqrt(sum(squares) / sum(weights))


# --- Exploration: sets of locations seen so far -----------------------------------------------------


def naive_explore(device_start, location, window):
    """Rows (device, window, n_visits, n_locations, n_new_locations) and is_new per visit."""
    rows, is_new = {}, []
    for device in range(len(device_start) - 1):
        seen = set()
        for i in range(device_start[device], device_start[device + 1]):
            visits, here, new = rows.setdefault((device, window[i]), ([], set(), set()))
            visits.append(i)
            here.add(location[i])
            is_new.append(location[i] not in seen)
            if is_new[-1]:
                new.add(location[i])
            seen.add(location[i])
    counts = [(d, w, len(visits), len(here), len(new)) for (d, w), (visits, here, new) in rows.items()]
    return counts, is_new


# --- Contracts: every rule as a loop over rows -------------------------------------------------------


def naive_broken_rules(data, table) -> list[str]:
    """Return the rules of `table` that `data` (pyarrow, already of the contract's types) breaks, with counts.

    Every rule is one loop over rows held as Python values. Mirrors the promise of `conform`: rules
    on names stop all others, rules on single columns stop those on the whole table.
    """
    broken = []
    for name in table.names:
        if name not in data.column_names:
            broken.append(f"column {name} is missing")
    for name in data.column_names:
        if name not in table.names:
            broken.append(f"column {name} is not declared")
    if broken:
        return broken
    rows = data.to_pylist()
    for column in table.columns:
        broken.extend(_naive_broken_column(rows, column))
    if broken:
        return broken
    n_falling, n_repeated, n_small = 0, 0, 0
    for i in range(1, len(rows) if table.key else 0):
        before = [rows[i - 1][name] for name in table.key]
        after = [rows[i][name] for name in table.key]
        if after < before:
            n_falling += 1
        if after == before:
            n_repeated += 1
    if table.release == "release":
        for row in rows:
            if row["n_devices"] is None or row["n_devices"] < table.min_devices:
                n_small += 1
    key = ", ".join(table.key)
    if n_falling:
        broken.append(f"rows are not in the order of ({key}) at {n_falling} places")
    if n_repeated:
        broken.append(f"key ({key}) is repeated by {n_repeated} rows")
    if n_small:
        broken.append(f"n_devices is below {table.min_devices} in {n_small} rows")
    return broken


def _naive_broken_column(rows, column) -> list[str]:
    counts = {"null": 0, "infinite": 0, "low": 0, "high": 0, "other": 0}
    for row in rows:
        value = row[column.name]
        if value is None:
            counts["null"] += not column.is_nullable
            continue
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            counts["infinite"] += 1
        if column.minimum is not None and value < column.minimum:
            counts["low"] += 1
        if column.maximum is not None and value > column.maximum:
            counts["high"] += 1
        if column.values is not None and value not in column.values:
            counts["other"] += 1
    texts = {
        "null": f"{column.name} is null in {counts['null']} rows",
        "infinite": f"{column.name} is not a finite number in {counts['infinite']} rows",
        "low": f"{column.name} is below {column.minimum} in {counts['low']} rows",
        "high": f"{column.name} is above {column.maximum} in {counts['high']} rows",
        "other": f"{column.name} is none of {', '.join(column.values or ())} in {counts['other']} rows",
    }
    return [texts[rule] for rule, n in counts.items() if n]


# --- Stays: the definition, ping by ping -------------------------------------------------------------


def naive_distance_m(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Return the haversine distance in metres of two positions in degrees, R = 6,371 km."""
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    half_dlam = math.radians(lon2 - lon1) / 2
    h = math.sin((phi2 - phi1) / 2) ** 2 + math.cos(phi1) * math.cos(phi2) * math.sin(half_dlam) ** 2
    return 2 * 6_371_000.0 * math.asin(math.sqrt(min(1.0, h)))


def _naive_runs(pings, gap_s):
    """Return the pings of one device cut wherever the silence is longer than gap_s."""
    runs = [[pings[0]]]
    for before, ping in itertools.pairwise(pings):
        if ping[0] - before[0] > gap_s:
            runs.append([])
        runs[-1].append(ping)
    return runs


def _naive_anchor_stays(run, roam_m, dwell_s, leaves_at_next_ping):
    """Return (member pings, finished_at) of each stay about its first ping within one run."""
    stays = []
    i = 0
    while i < len(run):
        j = i + 1
        while j < len(run) and naive_distance_m(*run[i][1:], *run[j][1:]) <= roam_m:
            j += 1
        finished_at = run[j][0] if leaves_at_next_ping and j < len(run) else run[j - 1][0]
        if finished_at - run[i][0] >= dwell_s:
            stays.append((run[i:j], finished_at))
        i = j
    return stays


def _naive_diameter_m(pings):
    """Return the largest distance of any two pings."""
    return max(naive_distance_m(*p[1:], *q[1:]) for p in pings for q in pings)


def _naive_diameter_stays(run, roam_m, dwell_s, leaves_at_next_ping):
    """Return (member pings, finished_at) of each stay by Hariharan and Toyama's loop within one run."""
    stays = []
    i = 0
    while True:
        late = [j for j in range(i, len(run)) if run[j][0] - run[i][0] >= dwell_s]
        if not late:
            return stays
        j = late[0]
        if _naive_diameter_m(run[i : j + 1]) > roam_m:
            i += 1
            continue
        while j + 1 < len(run) and all(naive_distance_m(*p[1:], *run[j + 1][1:]) <= roam_m for p in run[i : j + 1]):
            j += 1
        is_left = leaves_at_next_ping and j + 1 < len(run)
        stays.append((run[i : j + 1], run[j + 1][0] if is_left else run[j][0]))
        i = j + 1


def _naive_centre(pings, centre):
    """Return (lon, lat) of the mean, median or medoid: of unit vectors beyond 89 degrees of latitude."""
    lon0, lat0 = pings[0][1:]
    if abs(lat0) <= 89:
        # The shorter way round from the first ping, so that the antimeridian is no border.
        lons = [lon0 + (lon - lon0 + 180) % 360 - 180 for _, lon, _ in pings]
        lats = [lat for _, _, lat in pings]
        average = statistics.median if centre == "median" else statistics.fmean
        lon, lat = average(lons), average(lats)
    else:
        xs = [math.cos(math.radians(lat)) * math.cos(math.radians(lon)) for _, lon, lat in pings]
        ys = [math.cos(math.radians(lat)) * math.sin(math.radians(lon)) for _, lon, lat in pings]
        zs = [math.sin(math.radians(lat)) for _, _, lat in pings]
        x, y, z = statistics.fmean(xs), statistics.fmean(ys), statistics.fmean(zs)
        lon, lat = math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))
    if centre == "medoid":
        return min(pings, key=lambda p: naive_distance_m(lon, lat, *p[1:]))[1:]
    return (lon + 180) % 360 - 180, lat


def naive_stays(pings, *, criterion, centre, roam_m, dwell_s, gap_s, leaves_at_next_ping):
    """Return one dict per stay, from rows (device_id, tracked_at in s, lon, lat) in degrees.

    Beyond 89 degrees of latitude "median" is not covered: the kernel takes medians in the polar
    plane whose axes are those of the stay's first meridian.
    """
    find = {"anchor": _naive_anchor_stays, "diameter": _naive_diameter_stays}[criterion]
    stays = []
    for device_id in sorted({p[0] for p in pings}):
        mine = [p[1:] for p in pings if p[0] == device_id]
        for run in _naive_runs(mine, gap_s):
            for members, finished_at in find(run, roam_m, dwell_s, leaves_at_next_ping):
                lon, lat = _naive_centre(members, centre)
                times = [p[0] for p in members]
                stays.append(
                    {
                        "device_id": device_id,
                        "started_at": times[0],
                        "finished_at": finished_at,
                        "lon": lon,
                        "lat": lat,
                        "n_pings": len(members),
                        "max_gap_s": max([b - a for a, b in itertools.pairwise(times)], default=0),
                        "members": members,
                    }
                )
    return stays


# --- Simulation: random bits, order of rows, who is where, when the next ping comes -------------------


def naive_splitmix64(state, n):
    """The next n outputs of splitmix64, in Python integers cut to 64 bits."""
    mask, outputs = 2**64 - 1, []
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        outputs.append(z ^ (z >> 31))
    return outputs


def naive_time_order(seconds):
    return sorted(range(len(seconds)), key=lambda row: (seconds[row], row))


def naive_position(stays, at_s):
    """(x, y, is_still) at at_s, from a list of (started, finished, x, y); straight lines between stays."""
    for started, finished, x, y in stays:
        if started <= at_s < finished:
            return x, y, True
    before = max((stay for stay in stays if stay[1] <= at_s), key=lambda stay: stay[1])
    after = min((stay for stay in stays if stay[0] > at_s), key=lambda stay: stay[0])
    part = (at_s - before[1]) / (after[0] - before[1])
    return before[2] + part * (after[2] - before[2]), before[3] + part * (after[3] - before[3]), False


def naive_advance(weights, minute, spent_s, gap, step_s=0.001):
    """Second (since minute 0) at which `gap` weighted seconds are over, by small steps; None past the end."""
    at_s = minute * 60 + spent_s
    while gap > 0:
        if at_s >= 60 * len(weights):
            return None
        gap -= step_s * weights[int(at_s // 60)]
        at_s += step_s
    return at_s


# --- Pings: times by asking the zone, reasons and merges row by row ---------------------------------


def naive_utc_us(local_us, zone):
    """µs UTC of a clock time of `zone`: the one instant at which the clock shows it, None if not one."""
    clock = datetime(1970, 1, 1) + timedelta(microseconds=local_us)
    shown = set()
    for offset_s in range(-50_400, 50_401, 900):
        instant = (clock - timedelta(seconds=offset_s)).replace(tzinfo=UTC)
        if instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) == clock:
            shown.add(instant)
    if len(shown) != 1:
        return None
    since = shown.pop() - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def naive_reason(row, start, end, max_accuracy_m, null_island_deg):
    """First broken rule of one raw row (a dictionary), None where it is to be accepted."""
    fault = row["fault"]
    if fault == "malformed_row":
        return fault
    broken = {fault}
    lon, lat, accuracy_m, offset_s = row["lon"], row["lat"], row["accuracy_m"], row["utc_offset_s"]
    if row["device_id"] is None:
        broken.add("missing_device")
    if row["tracked_at"] is None and fault != "bad_time":
        broken.add("missing_time")
    if (lon is None or lat is None) and fault != "bad_position":
        broken.add("missing_position")
    if lat is not None and abs(lat) > 90:
        broken.add("latitude_out_of_range")
    if lon is not None and abs(lon) > 180:
        broken.add("longitude_out_of_range")
    if lon is not None and lat is not None and abs(lon) < null_island_deg and abs(lat) < null_island_deg:
        broken.add("null_island")
    if row["tracked_at"] is not None and not start <= row["tracked_at"].date() <= end:
        broken.add("outside_study")
    if accuracy_m is not None and (accuracy_m < 0 or math.isinf(accuracy_m)):
        broken.add("bad_accuracy")
    if accuracy_m is not None and max_accuracy_m is not None and accuracy_m > max_accuracy_m:
        broken.add("poor_accuracy")
    if offset_s is not None and abs(offset_s) > 14 * 3600:
        broken.add("bad_utc_offset")
    order = [
        "missing_device",
        "missing_time",
        "bad_time",
        "missing_position",
        "bad_position",
        "latitude_out_of_range",
        "longitude_out_of_range",
        "null_island",
        "outside_study",
        "bad_accuracy",
        "poor_accuracy",
        "bad_utc_offset",
    ]
    return next((rule for rule in order if rule in broken), None)


def naive_merge_pings(rows, max_speed_mps):
    """Pings (dictionaries) of one date and bucket: one per key, the most accurate, jumps marked."""
    kept = {}
    for row in rows:
        key = (row["device_id"], row["tracked_at"], row["lon_e7"], row["lat_e7"])
        accuracy_m = math.inf if row["accuracy_m"] is None else row["accuracy_m"]
        choice = (accuracy_m, row["accuracy_m"] is None, row["utc_offset_s"])
        if key not in kept or choice < kept[key][0]:
            kept[key] = (choice, row)
    merged = []
    for key in sorted(kept):
        row = {name: value for name, value in kept[key][1].items() if name != "is_jump"}
        before = merged[-1] if merged and merged[-1]["device_id"] == row["device_id"] else None
        merged.append({**row, "is_jump": before is not None and naive_is_jump(before, row, max_speed_mps)})
    return merged


def naive_is_jump(before, row, max_speed_mps):
    places = [(p["lon_e7"] / 1e7, p["lat_e7"] / 1e7) for p in (before, row)]
    distance_m = naive_great_circle_m(*places[0], *places[1])
    seconds = (row["tracked_at"] - before["tracked_at"]).total_seconds()
    if seconds == 0:
        return distance_m > 1e-4
    return distance_m / seconds > max_speed_mps
