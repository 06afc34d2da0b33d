"""What a study of policies reads beside pings, and the truth about how people answer, as files of the city.

``policies.csv``, ``orders.csv``, ``epidemic.csv``, ``pois.csv``; ``truth/response.json`` with the coefficients and
``truth/response.csv`` with what people of each county answered to on each local date.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.simulation.areas import areas_of
from pipeline.simulation.city import CATEGORIES, build_city, degrees_of
from pipeline.simulation.epidemic import simulate_epidemic
from pipeline.simulation.ground import Ground
from pipeline.simulation.npi_params import Response
from pipeline.simulation.params import CityParams
from pipeline.simulation.policies import simulate_orders, simulate_policies
from pipeline.simulation.responses import simulate_response

PRIVATE = "friend"
"""Category of errand places that are no places of interest: other people's homes."""
MINUTE_S = 60.0
DRIVER_PARAMS = (
    "stringency_lag_days",
    "severity_lag_days",
    "severity",
    "severity_scale",
    "smoothing_days",
    "half_life_days",
)
"""Parameters that say what the drivers are, of those of ``NpiParams``."""


def simulate_pois(params: CityParams, ground: Ground | None = None) -> pd.DataFrame:
    """Return the errand places that are venues: poi_id, category, lon, lat, usual_dwell_min, weight (popularity)."""
    city = build_city(params, ground)
    lon, lat = degrees_of(params, city.place_x_m, city.place_y_m)
    names = np.array([category.name for category in CATEGORIES], object)
    places = pd.DataFrame(
        {
            "poi_id": [f"place-{number}" for number in range(lon.size)],
            "category": names[city.place_category],
            "lon": lon,
            "lat": lat,
            "usual_dwell_min": city.place_median_s / MINUTE_S,
            "weight": np.diff(city.place_pull, prepend=0.0),
        }
    )
    return places[places["category"] != PRIVATE].reset_index(drop=True)


def write_pois(params: CityParams, folder: Path, ground: Ground | None = None) -> Path:
    """Return the path of ``pois.csv``, the venues of the city, in `folder`."""
    return _write_text(folder / "pois.csv", _as_text(simulate_pois(params, ground)))


def true_coefficients(response: Response) -> dict[str, Any]:
    """Return what people answer with: log effects on visits to venues by term, in the units of ``npi_response``.

    Of all venues and of each category alike. Days at work answer with `work` times that; visits to work do so only
    roughly, since who comes back from lunch visits work again. With them the parameters of what people answer to.
    """
    return {
        "adaptation_term": response.term,
        "stringency_lag_days": response.stringency_lag_days,
        "severity_lag_days": response.severity_lag_days,
        "tilt": response.tilt,
        "work": response.work,
        "driver_params": response.driver_params.model_dump(include=set(DRIVER_PARAMS)),
        "log_effects": {
            "stringency": response.stringency,
            "severity": response.severity,
            "adaptation": response.adaptation,
        },
    }


def write_npi(params: CityParams, folder: Path, ground: Ground | None = None) -> list[Path]:
    """Return the paths of what was written in `folder`; equal params (and ground) give equal bytes.

    Needs policies, an outbreak and a response: ValueError without.
    """
    if params.response is None:
        raise ValueError("nobody in this city answers to anything")
    if ground is not None:
        params = params.model_copy(update={"centre_lon": ground.centre_lon, "centre_lat": ground.centre_lat})
    areas = areas_of(params, ground)
    answers = simulate_response(params, areas, ground)
    tables = {
        "policies": simulate_policies(params, areas),
        "orders": simulate_orders(params, areas).drop(columns="stringency"),
        "epidemic": simulate_epidemic(params, areas, ground),
        "truth/response": answers,
    }
    truth = true_coefficients(params.response) | {"share_clipped": float((answers["eta"] > 0).mean())}
    paths = [_write_text(folder / f"{name}.csv", _as_text(table)) for name, table in tables.items()]
    truth_path = _write_text(folder / "truth" / "response.json", json.dumps(truth, indent=2) + "\n")
    return [*paths, write_pois(params, folder, ground), truth_path]


def _as_text(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")


def _write_text(path: Path, text: str) -> Path:
    """Write one file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)
    return path
