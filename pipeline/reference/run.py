"""Ask the reference environment: one question, or many in one call."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd

from pipeline.reference.environment import LOCATION_VARIABLE, is_installed, location, python_of
from pipeline.reference.questions import QUESTIONS, READS, Kind, Value, filled

WORKER = Path(__file__).with_name("worker")


class ReferenceAbsentError(RuntimeError):
    """The reference environment is not installed where it is looked for."""


class ReferenceFailedError(RuntimeError):
    """The reference environment could not compute a measure; carries what it wrote, never a row."""


class Ask(NamedTuple):
    """A question by name, with the parameters that differ from its defaults."""

    name: str
    params: Mapping[str, Value] = {}


def run_reference(measure: str, frame: pd.DataFrame, **params: Value) -> pd.DataFrame:
    """Return what scikit-mobility 1.3.1 makes of the rows of devices, with its units turned into ours.

    ``frame`` has ``device_id``, ``tracked_at`` (tz-aware UTC, any resolution; kept to the microsecond),
    ``lon`` and ``lat`` (degrees), in any order; it is not changed. Which measures there are, what they take
    and what a returned row is stands in `QUESTIONS`. Every distinct position, to the last digit, is a place.

    Raises ValueError on an unknown measure, wrong params or columns, ReferenceAbsentError where the
    environment is missing and ReferenceFailedError where scikit-mobility fails.
    """
    return ask_reference({measure: Ask(measure, params)}, rows=frame)[measure]


def ask_reference(asks: Mapping[str, Ask], **frames: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the answers to several questions about the same `frames`, under the labels given, from one process.

    `frames` are ``rows``, ``tiles`` and ``flows`` (`READS`), those that the questions read. Units, differences and
    errors as of `run_reference`; one failing question fails all. Frames are handed over in a temporary folder that
    only this user can read. Devices are numbers from 0 there, in the order of their ids; times and positions are as
    they are, and a process that is killed leaves them behind.
    """
    questions = [
        {"label": label, "name": ask.name, "params": filled(ask.name, ask.params)} for label, ask in asks.items()
    ]
    _check({read for ask in asks.values() for read in QUESTIONS[ask.name].reads}, frames)
    environment = location()
    if not is_installed(environment):
        raise ReferenceAbsentError(
            f"no finished reference environment: call pipeline.reference.install() or set {LOCATION_VARIABLE}"
        )
    numbered, devices = _numbered(frames)
    with TemporaryDirectory(prefix="sojourn-reference-") as name:
        folder = Path(name)
        for kind, frame in numbered.items():
            _write(frame, folder / f"{kind}.parquet")
        (folder / "questions.json").write_text(json.dumps(questions))
        _call(python_of(environment), folder)
        answers = {q["label"]: _read(folder / f"answer-{i}.parquet") for i, q in enumerate(questions)}
    return {label: _named(answer, asks[label].name, devices) for label, answer in answers.items()}


def _numbered(frames: Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], pd.Index]:
    """Return the frames with devices as numbers, and the id that stands behind each."""
    if "rows" not in frames:
        return dict(frames), pd.Index([])
    number, devices = pd.factorize(frames["rows"]["device_id"], sort=True)
    return {**frames, "rows": frames["rows"].assign(device_id=number)}, pd.Index(devices)


def _named(answer: pd.DataFrame, question: str, devices: pd.Index) -> pd.DataFrame:
    """Return an answer with the ids of its devices; people that a model makes have numbers of their own."""
    if "device_id" not in answer or QUESTIONS[question].kind is Kind.MODEL:
        return answer
    return answer.assign(device_id=devices.take(answer["device_id"].to_numpy()))


def _check(reads: set[str], frames: Mapping[str, pd.DataFrame]) -> None:
    if reads - set(frames):
        raise ValueError(f"the question reads {', '.join(sorted(reads))}; missing: {sorted(reads - set(frames))}")
    for name, frame in frames.items():
        missing = [column for column in READS[name] if column not in frame]
        if missing:
            raise ValueError(f"columns are missing: {missing}")
        if "tracked_at" in READS[name] and frame["tracked_at"].dt.tz is None:
            raise ValueError("tracked_at has no time zone")


def _write(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame with times as whole microseconds: pandas 1 knows nanoseconds only."""
    names = [*READS[path.stem], *(["outflow"] if path.stem == "tiles" and "outflow" in frame else [])]
    plain = frame.loc[:, names].reset_index(drop=True)
    for name in names:
        if name.endswith("_at"):
            plain[name] = plain[name].dt.tz_convert("UTC").astype("datetime64[us, UTC]").astype("int64")
        elif name.endswith("tile_id"):
            plain[name] = plain[name].astype(str)
    plain.to_parquet(path, index=False)


def _call(python: Path, folder: Path) -> None:
    # -I: neither PYTHONPATH nor this package's folder may reach the other environment
    command = [str(part) for part in (python, "-I", "-W", "ignore", WORKER, folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReferenceFailedError(f"it failed in the reference environment:\n{done.stderr.strip()}")


def _read(path: Path) -> pd.DataFrame:
    result = pd.read_parquet(path)
    for name in result.columns:
        if name.endswith("_at"):
            result[name] = result[name].astype("datetime64[us]").dt.tz_localize("UTC")
    return result
