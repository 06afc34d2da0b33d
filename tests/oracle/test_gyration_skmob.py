"""Radius of gyration against scikit-mobility 1.3.1 and fastmob, on real pings and in an artificial city.

scikit-mobility puts the centre at the plain mean of latitudes and of longitudes; ours is the mean of
unit vectors. Both then take the root mean square haversine distance on a sphere of 6,371 km, so with
``centre_space="degrees"`` the numbers agree to rounding.

With our default they differ because the mean parallel is not a great circle: points strewn east and west
with variance v (squared radians of longitude) at latitude phi have their mean direction to the poleward
side of their mean latitude, by v sin(phi) cos(phi) / 2. The mean direction is where the squared distances
are least, up to the curvature of the sphere, and a centre that lies s metres off it raises the mean square
by s^2. Hence ours is the smaller, by s^2 / (2 r_g): the tests measure s and find that it accounts for the
difference. For the people of the city (r_g of 3 to 10 km) s is about a metre and the difference at most
1.5 mm; for three GeoLife people, some of whom flew across a country, it is up to 1 part in 10,000.
"""

import numpy as np
import pandas as pd
import pytest

from pipeline.kernels.geodesy import haversine_m, mean_position
from pipeline.kernels.gyration import radius_of_gyration
from pipeline.reference import run_reference

pytestmark = pytest.mark.oracle


def _radii(pings, centre_space):
    pings = pings.sort_values(["device_id", "tracked_at"], kind="stable")
    start = np.append(0, np.cumsum(pings.groupby("device_id").size()))
    return radius_of_gyration(start, pings["lon"].to_numpy(), pings["lat"].to_numpy(), centre_space=centre_space)


def _between_centres_m(pings):
    """Per device, how far apart the plain mean of degrees and the mean direction are."""
    apart_m = []
    for _, own in pings.groupby("device_id"):
        lon, lat = own["lon"].to_numpy(), own["lat"].to_numpy()
        apart_m.append(haversine_m(lon.mean(), lat.mean(), *mean_position(lon, lat, np.ones(lon.size))))
    return np.array(apart_m)


def _reference_radii(pings):
    result = run_reference("radius_of_gyration", pings)
    assert result["device_id"].tolist() == sorted(pings["device_id"].unique())
    return result["gyration_m"].to_numpy()


def test_pings_of_real_people(reference, geolife_pings):
    pings = geolife_pings(3)
    theirs = _reference_radii(pings)
    np.testing.assert_allclose(_radii(pings, "degrees"), theirs, rtol=1e-9)
    ours = _radii(pings, "sphere")
    assert (ours <= theirs).all()
    np.testing.assert_allclose(ours, theirs, rtol=1.5e-4)
    np.testing.assert_allclose(theirs**2 - ours**2, _between_centres_m(pings) ** 2, rtol=0.05)


@pytest.mark.parametrize(("lon", "lat"), [(-77.0, 38.9), (25.5, 66.5), (36.8, -1.3)])
def test_people_of_an_artificial_city(reference, city_pings, lon, lat):
    pings = city_pings(lon, lat).sample(frac=1, random_state=1)
    theirs = _reference_radii(pings)
    np.testing.assert_allclose(_radii(pings, "degrees"), theirs, rtol=1e-9)
    ours = _radii(pings, "sphere")
    assert (ours <= theirs).all()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.0015)
    np.testing.assert_allclose(theirs**2 - ours**2, _between_centres_m(pings) ** 2, rtol=0.005, atol=2e-4)


def test_where_raw_degrees_break(reference, city_pings):
    """Across the antimeridian scikit-mobility's centre is half a turn away; on the sphere nothing changes."""
    inland, split = city_pings(100.0, -17.0), city_pings(180.0, -17.0)
    split["lon"] = (split["lon"] + 180) % 360 - 180
    theirs = _reference_radii(split)
    np.testing.assert_allclose(_radii(split, "degrees"), theirs, rtol=1e-9)
    ours = _radii(split, "sphere")
    np.testing.assert_allclose(ours, _radii(inland, "sphere"), rtol=1e-9)
    # people who range over 10 km come out with thousands
    assert ours.max() < 11_000
    assert theirs.min() > 2_000_000


def test_fastmob_uses_another_radius_of_the_earth(city_pings):
    import fastmob

    pings = city_pings(-77.0, 38.9)
    theirs = fastmob.radius_of_gyration(
        pd.DataFrame(
            {
                "uid": pings["device_id"],
                "datetime": pings["tracked_at"],
                "lat": pings["lat"],
                "lng": pings["lon"],
            }
        )
    ).sort_values("uid")["radius_of_gyration"]
    np.testing.assert_allclose(_radii(pings, "degrees") / 1000, theirs * 6371.0 / 6371.0088, rtol=1e-9)
