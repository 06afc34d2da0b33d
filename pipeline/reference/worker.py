"""Run one scikit-mobility measure: worker.py MEASURE PARAMS_JSON ASKED.parquet ANSWERED.parquet.

Runs in the reference environment (pandas 1) and therefore imports nothing of Sojourn. On failure it
writes where it failed and the kind of error, but not the error's message, which may quote a row.
"""

import json
import sys
import traceback

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import skmob
from skmob.measures.individual import radius_of_gyration as skmob_radius_of_gyration
from skmob.measures.individual import uncorrelated_entropy as skmob_uncorrelated_entropy
from skmob.preprocessing import clustering, detection

NO_GAP_RULE_MINUTES = 1e12  # scikit-mobility's own default


def read_trajectories(path):
    """Return the asked rows as a TrajDataFrame with `row`, their position."""
    table = pq.read_table(path)
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    frame = pd.DataFrame(
        {
            "uid": columns["device_id"],
            "datetime": columns["tracked_at"].astype("datetime64[us]").astype("datetime64[ns]"),
            "lat": columns["lat"],
            "lng": columns["lon"],
            "row": np.arange(table.num_rows),
        }
    )
    return skmob.TrajDataFrame(frame)


def microseconds(times):
    """Return a column of times as whole microseconds since 1970."""
    return pd.to_datetime(times).to_numpy().astype("datetime64[us]").astype("int64")


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
        "lon": stays["lng"].to_numpy(dtype="float64"),
        "lat": stays["lat"].to_numpy(dtype="float64"),
    }


def radius_of_gyration(rows):
    """Return one radius in metres per device."""
    radii = skmob_radius_of_gyration(rows, show_progress=False)
    return {
        "device_id": radii["uid"].to_numpy(),
        "gyration_m": radii["radius_of_gyration"].to_numpy(dtype="float64") * 1000,
    }


def uncorrelated_entropy(rows, normalize):
    """Return one entropy in bits per device; normalised, in units of the logarithm of its positions."""
    entropies = skmob_uncorrelated_entropy(rows, normalize=bool(normalize), show_progress=False)
    return {
        "device_id": entropies["uid"].to_numpy(),
        "entropy_bits": entropies.iloc[:, -1].to_numpy(dtype="float64"),
    }


def cluster(rows, eps_m, min_samples):
    """Return the cluster of every row, in the order asked."""
    found = clustering.cluster(rows, cluster_radius_km=eps_m / 1000, min_samples=int(min_samples))
    found = found.sort_values("row")
    return {"device_id": found["uid"].to_numpy(), "cluster": found["cluster"].to_numpy(dtype="int64")}


MEASURES = {
    "stay_locations": stay_locations,
    "radius_of_gyration": radius_of_gyration,
    "uncorrelated_entropy": uncorrelated_entropy,
    "cluster": cluster,
}


def main(measure, params, asked, answered):
    """Answer one question."""
    columns = MEASURES[measure](read_trajectories(asked), **json.loads(params))
    pq.write_table(pa.table(columns), answered)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:
        sys.stderr.write("".join(traceback.format_tb(error.__traceback__)))
        sys.stderr.write(f"{type(error).__module__}.{type(error).__qualname__}\n")
        sys.exit(1)
