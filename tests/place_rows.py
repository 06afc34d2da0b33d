"""Visits of devices that keep to their part of a small city, and how the place models learn from them quickly."""

import numpy as np
import pandas as pd

from pipeline.models.places.params import HgnnParams, PlaceTraining, TowerParams

PARAMS = PlaceTraining(
    text_encoder="hashed",
    text_width=16,
    n_places_per_type=4,
    n_persons_per_kept_link=2,
    hgnn=HgnnParams(width=16, max_epochs=3, batch_size=64, learning_rate=1e-2),
    towers=TowerParams(widths=(32, 16), code_width=4, max_epochs=8, batch_size=32, n_folds=5, learning_rate=3e-3),
)
N_DEVICES, N_PLACES, N_GROUPS = 60, 48, 4
CATEGORIES = ("Food > Bar", "Food > Cafe", "Food > Diner", "Arts > Museum")


def make_pois(n=N_PLACES):
    group = np.arange(n) % N_GROUPS
    return pd.DataFrame(
        {
            "poi_id": [f"p{i:03d}" for i in range(n)],
            "poi_category": [CATEGORIES[(i // N_GROUPS) % 4] for i in range(n)],
            "lon": -74.0 + 0.1 * group,
            "lat": np.full(n, 40.7),
            "usual_dwell_s": np.nan,
            "weight": np.nan,
        }
    )


def make_visits(seed=0, n_days=60):
    """Devices go to places of their own part of the city (every fourth place), a new one every few days."""
    chance = np.random.default_rng(seed)
    rows = []
    for device in range(N_DEVICES):
        own = np.arange(N_PLACES)[np.arange(N_PLACES) % N_GROUPS == device % N_GROUPS]
        for day in sorted(chance.choice(n_days, 14, replace=False)):
            dwell_s = float(chance.choice([300.0, 3_600.0], p=[0.2, 0.8]))
            rows.append(
                (
                    device * 7 + 3,
                    pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(days=day),
                    dwell_s,
                    chance.choice(own),
                )
            )
    frame = pd.DataFrame(rows, columns=["device_id", "started_at", "dwell_s", "place"])
    frame["started_at"] = frame["started_at"].astype("datetime64[us, UTC]")
    frame["poi_id"] = [f"p{place:03d}" for place in frame.pop("place")]
    return frame
