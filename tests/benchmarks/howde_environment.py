"""HoWDe 2.0.0 on Spark in an environment of its own: `python -m tests.benchmarks.howde_environment` makes it.

It is looked for at $SOJOURN_HOWDE, else at .bench/howde in this folder. Needs Python 3.11, Java 17 or newer (`java` on
the path) and 600 MB.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tests.benchmarks.peer_environment import PeerEnvironment

HOWDE = PeerEnvironment("HoWDe", "howde", "SOJOURN_HOWDE", Path(__file__).with_name("howde_requirements.txt"))
WORKER = Path(__file__).with_name("howde_worker.py")


class Answer(NamedTuple):
    """What HoWDe found and how long it took."""

    days: pd.DataFrame
    """device_id, day (since 1970), home, work: one row for each device and day with a stop; -1 for none."""
    seconds: NDArray[np.float64]
    """By the clock, of each round."""
    cpu_seconds: NDArray[np.float64]
    """Of all processors, of each round."""


def why_not() -> str | None:
    """Return what is missing, None where HoWDe can be run."""
    if not HOWDE.is_installed():
        return "no environment of HoWDe: `python -m tests.benchmarks.howde_environment` makes it"
    return None if shutil.which("java") else "HoWDe needs Java 17 or newer on the path"


def run_howde(
    stops: pd.DataFrame, folder: Path, n_rounds: int = 1, n_cores: int | None = None, **settings: float
) -> Answer:
    """Return the answer of HoWDe on stops (device_id, location_id, started_s, finished_s) with its own settings."""
    asked = stops[["device_id", "location_id", "started_s", "finished_s"]]
    asked = asked.set_axis(["useruuid", "loc", "start", "end"], axis=1).astype({"loc": str})
    asked.to_parquet(folder / "stops.parquet", index=False)
    files = [str(folder / name) for name in ("stops.parquet", "answer.npz")]
    how_much = [str(n_rounds), str(n_cores or os.cpu_count())]
    command = [str(HOWDE.python()), str(WORKER), *files, *how_much, json.dumps(settings)]
    subprocess.run(command, check=True, capture_output=True)
    answer = np.load(files[1])
    days = pd.DataFrame({"device_id": answer["person"], "day": answer["day"]})
    for role in ("home", "work"):
        days[role] = np.where(answer[role] == "", "-1", answer[role]).astype(np.int64)
    return Answer(days, answer["seconds"], answer["cpu_seconds"])


if __name__ == "__main__":
    HOWDE.main()
