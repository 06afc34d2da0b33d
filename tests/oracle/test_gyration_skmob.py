"""Radius of gyration against scikit-mobility 1.3.1 and fastmob, on real pings and in an artificial city.

scikit-mobility puts the centre at the plain mean of latitudes and of longitudes; ours is the mean of
unit vectors. Both then take the root mean square haversine distance on a sphere of 6,371 km, so with
``centre_space="degrees"`` the numbers agree to rounding.

With our default they differ because the mean parallel is not a great circle: points strewn east and west
with variance v (radians of longitude) at latitude phi have their mean direction to the poleward side of
their mean latitude by v sin(phi) cos(phi) / 2. Their own centre is where the squared distances are
least, up to the curvature of the sphere, so moving it by s raises the mean square by s^2: our radius is the
smaller, by about s^2 / (2 r_g). For people of a city (r_g near 5 km) s is about a metre and the radius
differs by less than 0.1 mm; for GeoLife people who flew across a country it differs by parts in 10,000.
"""

import numpy as np
import pandas as pd
import pytest

from pipeline.kernels.gyration import radius_of_gyration
from pipeline.reference import run_reference

pytestmark = pytest.mark.oracle


def _radii(pings, centre_space):
    pings = pings.sort_values(["device_id", "tracked_at"], kind="stable")
    start = np.append(0, np.cumsum(pings.groupby("device_id").size()))
    return radius_of_gyration(
        start, pings["lon"].to_numpy(), pings["lat"].to_numpy(), centre_space=centre_space
    )


def _reference_radii(pings):
    result = run_reference("radius_of_gyration", pings)
    assert result["device_id"].tolist() == sorted(pings["device_id"].unique())
    return result["gyration_m"].to_numpy()


def test_pings_of_real_people(reference, geolife_pings):
    pings = geolife_pings(3)
    theirs = _reference_radii(pings)
    np.testing.assert_allclose(_radii(pings, "degrees"), theirs, rtol=1e-9)
    ours = _radii(pings, "sphere")
    print((ours / theirs - 1).tolist())


@pytest.mark.parametrize(("lon", "lat"), [(-77.0, 38.9), (25.5, 66.5), (36.8, -1.3)])
def test_people_of_an_artificial_city(reference, city_pings, lon, lat):
    pings = city_pings(lon, lat).sample(frac=1, random_state=1)
    theirs = _reference_radii(pings)
    np.testing.assert_allclose(_radii(pings, "degrees"), theirs, rtol=1e-9)
    ours = _radii(pings, "sphere")
    print((ours - theirs).tolist(), theirs.min(), theirs.max())


def test_where_raw_degrees_break(reference, city_pings):
    """Across the antimeridian scikit-mobility's centre is half a turn away; on the sphere nothing changes."""
    inland, split = city_pings(100.0, -17.0), city_pings(180.0, -17.0)
    split["lon"] = (split["lon"] + 180) % 360 - 180
    theirs = _reference_radii(split)
    np.testing.assert_allclose(_radii(split, "degrees"), theirs, rtol=1e-9)
    print(theirs.min(), _radii(inland, "sphere").max())
    np.testing.assert_allclose(_radii(split, "sphere"), _radii(inland, "sphere"), rtol=1e-9)


def test_fastmob_uses_another_radius_of_the_earth(city_pings):
    fastmob = pytest.importorskip("fastmob", reason="fastmob comes with the bench extra")
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
