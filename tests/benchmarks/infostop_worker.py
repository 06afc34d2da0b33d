"""Run Infostop for many settings: infostop_worker.py ASKED.npz ANSWERED.npz.

Runs in Infostop's own environment (see `infostop_environment`) and therefore imports nothing of Sojourn.
"""

import sys

import numpy as np
from infostop import Infostop

NOTHING_FOUND = "No stop events found"
# Metres within which stops are one place. It does not decide what is a stop, and Infomap takes minutes over a city.
R2_M = 1


def labels_of_user(track, radius_m, dwell_s, gap_s):
    """Return the label of each row (lat, lon, s) of one user: a place from 0 on, -1 on the move."""
    model = Infostop(r1=radius_m, r2=R2_M, min_staying_time=dwell_s, max_time_between=gap_s)
    try:
        return model.fit_predict(track)
    except Exception as error:
        if NOTHING_FOUND not in str(error):
            raise
        return np.full(len(track), -1)


def main(asked, answered):
    """Answer all settings (radius_m, dwell_s, gap_s): labels of shape (settings, rows)."""
    rows = np.load(asked)
    track = np.column_stack([rows["lat"], rows["lon"], rows["at_s"]])
    starts = np.flatnonzero(np.diff(rows["device_id"])) + 1
    found = []
    for setting in rows["settings"]:
        users = [labels_of_user(part, *setting) for part in np.split(track, starts)]
        found.append(np.concatenate(users).astype(np.int32))
    np.savez(answered, labels=np.array(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
