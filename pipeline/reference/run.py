"""Ask the reference environment for a measure."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import pandas as pd

from pipeline.reference.environment import LOCATION_VARIABLE, is_installed, location, python_of

WORKER = Path(__file__).with_name("worker.py")
COLUMNS = ("device_id", "tracked_at", "lon", "lat")
# The measures the worker knows and the params each of them takes.
MEASURES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "stay_locations": frozenset({"roam_m", "dwell_s", "gap_s"}),
        "radius_of_gyration": frozenset(),
        "uncorrelated_entropy": frozenset({"normalize"}),
        "cluster": frozenset({"eps_m", "min_samples"}),
    }
)


class ReferenceAbsentError(RuntimeError):
    """The reference environment is not installed where it is looked for."""


class ReferenceFailedError(RuntimeError):
    """The reference environment could not compute a measure; carries what it wrote, never a row."""


def run_reference(measure: str, frame: pd.DataFrame, **params: float | None) -> pd.DataFrame:
    """Return what scikit-mobility 1.3.1 makes of the rows, with its units turned into ours.

    ``frame`` has ``device_id``, ``tracked_at`` (tz-aware UTC, any resolution; kept to the microsecond),
    ``lon`` and ``lat`` (degrees), in any order; it is not changed. A returned row is, by measure:

    * ``stay_locations(roam_m, dwell_s, gap_s)``: a stay, as device_id, started_at, finished_at, lon,
      lat. ``gap_s`` None is scikit-mobility's default, no gap rule.
    * ``radius_of_gyration()``: a device, as device_id, gyration_m, by device_id.
    * ``uncorrelated_entropy(normalize)``: a device, as device_id, entropy_bits, by device_id; each distinct
      position is a place. With ``normalize`` 1 it is over the logarithm of their number, and 0 for one.
    * ``cluster(eps_m, min_samples)``: a row of `frame`, in its order, as device_id, cluster (numbered by
      falling size). Its radian of eps is ``eps_m`` over 6,371,008.8 m. scikit-mobility fails where
      there is noise, and so does this.

    Raises ValueError on an unknown measure, wrong params or columns, ReferenceAbsentError where the
    environment is missing and ReferenceFailedError where scikit-mobility fails.
    """
    _check(measure, frame, params)
    environment = location()
    if not is_installed(environment):
        raise ReferenceAbsentError(
            f"no finished reference environment: call pipeline.reference.install() or set {LOCATION_VARIABLE}"
        )
    with TemporaryDirectory(prefix="sojourn-reference-") as folder:
        asked, answered = Path(folder) / "asked.parquet", Path(folder) / "answered.parquet"
        _write(frame, asked)
        _call(python_of(environment), measure, params, asked, answered)
        return _read(answered)


def _check(measure: str, frame: pd.DataFrame, params: Mapping[str, float | None]) -> None:
    if measure not in MEASURES:
        raise ValueError(f"unknown measure {measure!r}; known: {', '.join(MEASURES)}")
    if set(params) != MEASURES[measure]:
        raise ValueError(f"{measure} takes {sorted(MEASURES[measure])}, got {sorted(params)}")
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise ValueError(f"columns are missing: {missing}")
    if frame["tracked_at"].dt.tz is None:
        raise ValueError("tracked_at has no time zone")


def _write(frame: pd.DataFrame, path: Path) -> None:
    """Write the rows with times as whole microseconds: pandas 1 knows nanoseconds only."""
    plain = frame.loc[:, list(COLUMNS)].reset_index(drop=True)
    plain["tracked_at"] = plain["tracked_at"].dt.tz_convert("UTC").astype("datetime64[us, UTC]").astype("int64")
    plain.to_parquet(path, index=False)


def _call(python: Path, measure: str, params: Mapping[str, float | None], asked: Path, answered: Path) -> None:
    # -I: neither PYTHONPATH nor this package's folder may reach the other environment
    command = (python, "-I", "-W", "ignore", WORKER, measure, json.dumps(dict(params)), asked, answered)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReferenceFailedError(f"{measure} failed in the reference environment:\n{done.stderr.strip()}")


def _read(path: Path) -> pd.DataFrame:
    result = pd.read_parquet(path)
    for name in result.columns:
        if name.endswith("_at"):
            result[name] = result[name].astype("datetime64[us]").dt.tz_localize("UTC")
    return result
