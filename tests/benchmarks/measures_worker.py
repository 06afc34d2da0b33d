"""Time scikit-mobility's measures: measures_worker.py ROWS.parquet MEASURE...; prints {measure: (seconds, rows)}.

Runs in the reference environment and imports nothing of Sojourn.
"""

import json
import sys
import time
import warnings

import pyarrow.parquet as pq
import skmob
from skmob.measures import collective, individual

SHORT_DEVICES, SHORT_ROWS = 50, 200


def short(rows):
    """Return the first rows of a few devices: what is quadratic, or worse, would never end on more."""
    few = rows[rows["uid"].isin(rows["uid"].unique()[:SHORT_DEVICES])]
    return few[few.groupby("uid").cumcount() < SHORT_ROWS]


def main(path, names):
    """Print the seconds of each measure."""
    warnings.simplefilter("ignore")
    rows, found = skmob.TrajDataFrame(pq.read_table(path).to_pandas()), {}
    for name in names:
        call = getattr(individual, name, None) or getattr(collective, name)
        taken = short(rows) if name == "real_entropy" else rows
        options = {} if name == "visits_per_location" else {"show_progress": False}
        began = time.perf_counter()
        call(taken, **options)
        found[name] = (time.perf_counter() - began, len(taken))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
