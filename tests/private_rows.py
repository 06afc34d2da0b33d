"""A root with a few visits, trips and areas, as the engine writes them: what private releases are made of."""

import numpy as np
import pandas as pd
import pyarrow as pa

from data_contracts import TABLES, TRACTS
from pipeline.engine.store import ALL, ShardKey, Store
from pipeline.params import NoParams
from pipeline.stages.trips import trips
from pipeline.study import Study
from tests.day_rows import make_day_visits

AREAS = [f"{k:011d}" for k in range(5)]
STUDY = Study.from_dict({"name": "private", "start": "2020-01-06", "end": "2020-01-08", "zone": "UTC", "sources": []})
"""Three days from the Monday of `day_rows`."""


def make_visits(rows):
    """VISITS from (device, number of the visit, area): an hour each, two hours apart."""
    visits = make_day_visits([(device, 120 * k, 60, area, None, 0) for device, k, area in rows])
    no_text, no_list = pd.Series([None] * len(rows), dtype="str"), [[]] * len(rows)
    visits = visits.assign(poi_id=no_text, candidate_poi_ids=no_list, candidate_probabilities=no_list, is_new=False)
    return visits.assign(n_stays=1, n_pings=1, dwell_s=3600.0, hour_of_week=np.int16(0))


def random_visits(n_devices, seed, n_rows=12):
    chance = np.random.default_rng(seed)
    return [(device, k, int(chance.integers(5))) for device in range(1, n_devices + 1) for k in range(n_rows)]


def write_root(root, rows, n_buckets=2):
    """Write `visits`, `trips` and `tracts` under `root`, the devices cut into buckets."""
    store = Store(root)
    visits = make_visits(rows)
    for name, frame in (("visits", visits), ("trips", trips(visits, NoParams()))):
        for bucket in range(n_buckets):
            mine = frame[frame["device_id"] % n_buckets == bucket]
            store.write(TABLES[name], ShardKey(bucket=bucket), to_arrow(mine), {})
    areas = pd.DataFrame({"tract_geoid": AREAS, "population": 1.0, "geometry": [b""] * len(AREAS)})
    store.write(TRACTS, ALL, to_arrow(areas), {})
    return root


def to_arrow(frame):
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
