"""Places and visits of stays: our kernel beside trackintel's DBSCAN, and the two stages whole, on one thread.

    python -m tests.benchmarks.bench_locations --stays 1000000 --peer-stays 100000

"Kernel" is `cluster_places` and the summary of the places, from arrays; "trackintel" is ``generate_locations`` (DBSCAN,
haversine, per user) on a frame of staypoints that it already accepts. Both find the same clusters, which is
checked: the stays lie near (0, 0), where trackintel's exchanged axes do no harm. trackintel is given as many
devices as --peer-stays allows and is linear in devices, so rates are compared. "Stages" is from frame to frame,
with and without places of interest. "One device" is all stays about one spot, each a visit. Seconds are the
processor's, so that a busy machine counts against nobody.
"""

import argparse
import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import trackintel

from pipeline.kernels.clustering import cluster_places, members_by_place, summarise_places
from pipeline.kernels.grouping import group_starts
from pipeline.stages.locations import LocationParams, locations
from pipeline.stages.visits import VisitParams, visits
from tests.benchmarks.bench_area_lookup import seconds_of
from tests.stay_rows import as_times, empty, through_contract

SEED = 5
EPS_M = 60.0
DEGREE_M = 111_195.0
LONGEST_STUDY_S = 600_000_000


def make_stays(n_stays, stays_per_device, n_places):
    """Return stays of people who return to few places often and to many seldom, metres apart each time."""
    rng = np.random.default_rng(SEED)
    n_devices = max(n_stays // stays_per_device, 1)
    device = np.repeat(np.arange(n_devices), n_stays // n_devices)
    home = rng.normal(0, 0.2, (n_devices, 1, 2))
    place = home + rng.normal(0, 0.05, (n_devices, n_places, 2))
    often = np.minimum(rng.zipf(1.6, device.size) - 1, n_places - 1)
    at = place[device, often] + rng.normal(0, 12 / DEGREE_M, (device.size, 2))
    order = np.tile(np.arange(n_stays // n_devices), n_devices)
    step_s = min(10_800, LONGEST_STUDY_S // stays_per_device)
    start_s = 1_704_067_200 + order * step_s
    frame = pd.DataFrame(
        {
            "device_id": device,
            "started_at": as_times(start_s),
            "finished_at": as_times(start_s + rng.integers(step_s // 2, step_s - 60, device.size)),
            "lon": at[:, 0],
            "lat": at[:, 1],
            "utc_offset_s": np.int32(0),
            "n_pings": 9,
            "max_gap_s": 300.0,
            "is_inferred": rng.random(device.size) < 0.1,
        }
    )
    return through_contract(frame, "stays")


def of_kernel(stays):
    """Return the place number of every stay, having summarised the places as well."""
    device_start = group_starts(stays["device_id"].to_numpy())
    lon, lat = stays["lon"].to_numpy(), stays["lat"].to_numpy()
    label = cluster_places(device_start, lon, lat, EPS_M, 1)
    members = members_by_place(device_start, label)
    summarise_places(members.group_start, lon[members.order], lat[members.order], np.ones(members.order.size))
    return label


def of_trackintel(staypoints):
    found, _ = staypoints.generate_locations(
        method="dbscan", epsilon=EPS_M, num_samples=1, distance_metric="haversine", agg_level="user"
    )
    return found["location_id"].astype(int).to_numpy()


def to_staypoints(stays):
    frame = stays[["started_at", "finished_at"]].assign(user_id=stays["device_id"])
    points = gpd.points_from_xy(stays["lon"], stays["lat"])
    return trackintel.Staypoints(gpd.GeoDataFrame(frame, geometry=points, crs="EPSG:4326"))


def check(stays, ours, theirs):
    """Stop unless the same stays of a device are together (places are numbered otherwise)."""
    frame = pd.DataFrame({"device_id": stays["device_id"], "ours": ours, "theirs": theirs})
    pairs = frame.drop_duplicates()
    one = pairs.groupby(["device_id", "ours"]).size().max()
    other = pairs.groupby(["device_id", "theirs"]).size().max()
    assert one == other == 1, "the places differ"


def make_reference(n_pois):
    """Return (areas, places of interest) about (0, 0)."""
    rng = np.random.default_rng(SEED)
    corners = np.arange(-1.0, 1.0, 0.02)
    boxes = shapely.box(
        *[a.ravel() for a in np.meshgrid(corners, corners)],
        *[a.ravel() for a in np.meshgrid(corners + 0.02, corners + 0.02)],
    )
    ids = [f"{k:011d}" for k in range(boxes.size)]
    tracts = pd.DataFrame({"tract_geoid": ids, "population": 1.0, "geometry": shapely.to_wkb(boxes)})
    at = rng.normal(0, 0.25, (n_pois, 2))
    pois = pd.DataFrame(
        {
            "poi_id": [f"{k:09d}" for k in range(n_pois)],
            "poi_category": "café",
            "lon": at[:, 0],
            "lat": at[:, 1],
            "usual_dwell_s": rng.integers(300, 7_200, n_pois).astype(float),
            "weight": np.nan,
        }
    )
    return through_contract(tracts, "tracts"), through_contract(pois, "pois")


def stages(stays, tracts, pois, merge_gap_s=600.0):
    """Return (seconds of locations, seconds of visits, seconds of their contracts, rows of both)."""
    first_s, places = seconds_of(lambda: locations(stays, tracts, LocationParams(eps_m=EPS_M, merge_gap_s=merge_gap_s)))
    check_s, places = seconds_of(lambda: through_contract(places, "locations"))
    second_s, found = seconds_of(lambda: visits(stays, places, pois, VisitParams()))
    last_s, found = seconds_of(lambda: through_contract(found, "visits"))
    return first_s, second_s, check_s + last_s, len(places), len(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--stays", type=int, default=1_000_000)
    parser.add_argument("--peer-stays", type=int, default=100_000)
    parser.add_argument("--stays-per-device", type=int, default=1_000)
    parser.add_argument("--places", type=int, default=60)
    parser.add_argument("--pois", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    stays = make_stays(args.stays, args.stays_per_device, args.places)
    few = stays.iloc[: args.peer_stays // args.stays_per_device * args.stays_per_device].reset_index(drop=True)
    staypoints = to_staypoints(few)
    tracts, pois = make_reference(args.pois)
    stages(stays.iloc[:50], tracts, pois)  # compiles
    for _ in range(args.rounds):
        kernel_s, ours = seconds_of(lambda: of_kernel(stays))
        peer_s, theirs = seconds_of(lambda: of_trackintel(staypoints))
        check(few, ours[: len(few)], theirs)
        rate, peer_rate = len(stays) / kernel_s, len(few) / peer_s
        print(f"kernel {rate / 1e6:.2f} M stays/s; trackintel {peer_rate / 1e6:.4f} M/s; ratio {rate / peer_rate:.0f}")
    for name, table in (("without", empty("pois")), ("with", pois)):
        first_s, second_s, checks_s, n_places, n_visits = stages(stays, tracts, table)
        rate = len(stays) / (first_s + second_s) / 1e6
        print(
            f"stages {name} places of interest: locations {first_s:.2f} s ({n_places} rows), visits {second_s:.2f} s "
            f"({n_visits} rows), {rate:.2f} M stays/s; contracts and arrow {checks_s:.2f} s more"
        )
    for n in (args.stays // 4, args.stays):
        first_s, second_s, *_ = stages(make_stays(n, n, 1), tracts, pois, 0.0)
        print(f"one device, one spot, {n} stays: locations {first_s:.2f} s, visits {second_s:.2f} s")


if __name__ == "__main__":
    main()
