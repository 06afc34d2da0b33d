"""Places against scikit-mobility's `cluster` and trackintel's DBSCAN locations.

Both call scikit-learn's DBSCAN per device, so who is together agrees once two differences are undone:

* scikit-mobility turns metres into radians with 6,371.0088 km and measures with no radius at all, so its
  reach on our sphere is ``eps_m * 6371 / 6371.0088``. It numbers clusters by falling size, ours by time,
  hence partitions are compared. It fails where there is noise, hence ``min_samples=1``.
* trackintel 1.4.2 hands scikit-learn (longitude, latitude) where the haversine metric expects
  (latitude, longitude). Distances are then right only near (0, 0) and are ours again when the
  two are exchanged beforehand; in Beijing it shrinks distances to the north by half.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from pipeline.kernels.clustering import cluster_places
from pipeline.reference import ReferenceFailedError, run_reference

pytestmark = pytest.mark.oracle
EPS_M = 100.0


def _clusters(stays, eps_m, min_samples=1):
    start = np.append(0, np.cumsum(stays.groupby("device_id").size()))
    return cluster_places(start, stays["lon"].to_numpy(), stays["lat"].to_numpy(), eps_m, min_samples)


def _partition(stays, label):
    """Who is together: per device, labels renumbered by first appearance."""
    frame = pd.DataFrame({"device_id": stays["device_id"].to_numpy(), "label": label})
    return frame.groupby("device_id")["label"].transform(lambda labels: pd.factorize(labels)[0]).tolist()


def _stays_of_city(city_pings, lon=116.3, lat=39.9):
    """Every fourth ping stands in for a stay."""
    return city_pings(lon, lat).iloc[::4].reset_index(drop=True)


@pytest.fixture(scope="module")
def real_stays(reference, geolife_pings):
    """Stays that scikit-mobility finds in the pings of three real people."""
    stays = run_reference("stay_locations", geolife_pings(3), roam_m=200.0, dwell_s=600.0, gap_s=None)
    stays = stays.rename(columns={"started_at": "tracked_at"})
    return stays.sort_values(["device_id", "tracked_at"], ignore_index=True)


def _trackintel_clusters(stays, x, y, min_samples):
    import trackintel

    staypoints = trackintel.Staypoints(
        gpd.GeoDataFrame(
            {
                "user_id": stays["device_id"],
                "started_at": stays["tracked_at"],
                "finished_at": stays["tracked_at"] + pd.Timedelta(minutes=1),
            },
            geometry=gpd.points_from_xy(stays[x], stays[y]),
            crs="EPSG:4326",
        )
    )
    found, _ = staypoints.generate_locations(epsilon=EPS_M, num_samples=min_samples, distance_metric="haversine")
    return found.sort_index()["location_id"].astype("Float64").fillna(-1).to_numpy().astype(int)


def _assert_equal_to_skmob(stays):
    theirs = run_reference("cluster", stays, eps_m=EPS_M, min_samples=1)
    assert (theirs["device_id"].to_numpy() == stays["device_id"].to_numpy()).all()
    ours = _clusters(stays, EPS_M * 6371 / 6371.0088)
    assert _partition(stays, ours) == _partition(stays, theirs["cluster"])
    assert 1 < np.unique(ours).size < len(stays)


def test_places_of_real_people_equal_scikit_mobility(real_stays):
    _assert_equal_to_skmob(real_stays)


def test_places_of_an_artificial_city_equal_scikit_mobility(reference, city_pings):
    _assert_equal_to_skmob(_stays_of_city(city_pings))


def test_scikit_mobility_fails_on_noise(reference, city_pings):
    with pytest.raises(ReferenceFailedError, match="ValueError"):
        run_reference("cluster", _stays_of_city(city_pings), eps_m=1.0, min_samples=3)


def test_places_of_real_people_equal_trackintel_with_its_axes_exchanged(real_stays):
    theirs = _trackintel_clusters(real_stays, "lat", "lon", 1)
    assert _partition(real_stays, _clusters(real_stays, EPS_M)) == _partition(real_stays, theirs)
    as_published = _trackintel_clusters(real_stays, "lon", "lat", 1)
    assert _partition(real_stays, as_published) != _partition(real_stays, theirs)


@pytest.mark.parametrize("min_samples", [1, 4])
def test_places_near_zero_zero_equal_trackintel_as_it_is(city_pings, min_samples):
    stays = _stays_of_city(city_pings, 0.0, 0.0)
    theirs = _trackintel_clusters(stays, "lon", "lat", min_samples)
    ours = _clusters(stays, EPS_M, min_samples)
    assert ((ours == -1) == (theirs == -1)).all()
    kept = ours >= 0
    assert _partition(stays[kept], ours[kept]) == _partition(stays[kept], theirs[kept])
