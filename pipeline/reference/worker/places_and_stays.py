"""scikit-mobility's stays and clusters."""

import numpy as np
from read_frames import floats, microseconds, whole
from skmob.preprocessing import clustering, detection

NO_GAP_RULE_MINUTES = 1e12  # scikit-mobility's own default


def stay_locations(rows, roam_m, dwell_s, gap_s):
    """Return stays; leaving times are scikit-mobility's, the first ping outside."""
    stays = detection.stay_locations(
        rows,
        minutes_for_a_stop=dwell_s / 60,
        spatial_radius_km=roam_m / 1000,
        leaving_time=True,
        no_data_for_minutes=NO_GAP_RULE_MINUTES if gap_s is None else gap_s / 60,
    )
    return {
        "device_id": stays["uid"].to_numpy(),
        "started_at": microseconds(stays["datetime"]),
        "finished_at": microseconds(stays["leaving_datetime"]),
        "lon": floats(stays["lng"]),
        "lat": floats(stays["lat"]),
    }


def cluster(rows, eps_m, min_samples):
    """Return the cluster of every row, in the order asked."""
    rows["row"] = np.arange(len(rows))
    found = clustering.cluster(rows, cluster_radius_km=eps_m / 1000, min_samples=int(min_samples))
    found = found.sort_values("row")
    return {"device_id": found["uid"].to_numpy(), "cluster": whole(found["cluster"])}


PREPROCESSING = {"stay_locations": stay_locations, "cluster": cluster}
