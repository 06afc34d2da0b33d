"""Make and recognise the reference environment."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The pins have wheels for this version and for no later one (pandas 1.5, statsmodels 0.13).
PYTHON = (3, 11)
LOCATION_VARIABLE = "SOJOURN_REFERENCE"
DEFAULT_LOCATION = ".venv-reference"
MARKER = "sojourn-reference.sha256"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def location() -> Path:
    """Return where the environment is looked for: $SOJOURN_REFERENCE, else .venv-reference in this folder."""
    return Path(os.environ.get(LOCATION_VARIABLE) or Path.cwd() / DEFAULT_LOCATION)


def python_of(path: Path) -> Path:
    """Return the interpreter of the environment at `path`."""
    return path / "bin" / "python"


def is_installed(path: Path | None = None) -> bool:
    """Return whether `path` (default: `location()`) holds a finished environment with today's pins."""
    path = path or location()
    marker = path / MARKER
    return python_of(path).exists() and marker.exists() and marker.read_text().strip() == _pins_hash()


def install(path: Path | None = None) -> Path:
    """Make the environment at `path` (default: `location()`) unless it is there already; return its path.

    Packages come from the configured package index, at the pinned versions and no others. The marker
    that says "finished" holds the hash of the pins and is written last, so a broken-off install, or one
    with other pins, is made anew. A folder that is neither empty nor one of ours is left alone.

    Raises FileExistsError for such a folder, RuntimeError where Python 3.11 is missing or pip fails.
    """
    path = (path or location()).absolute()
    with _locked(path):
        if not is_installed(path):
            _refuse_foreign(path)
            (path / MARKER).unlink(missing_ok=True)
            _run(_interpreter(), "-I", "-m", "venv", "--clear", str(path))
            pip = (
                str(python_of(path)),
                "-I",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            )
            _run(*pip, "--no-deps", "--requirement", str(REQUIREMENTS))
            # pins are taken as they are (--no-deps): see them work together before saying "finished"
            _run(str(python_of(path)), "-I", "-W", "ignore", "-c", "import pyarrow.parquet, skmob")
            _mark(path)
    return path


def _pins_hash() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def _mark(path: Path) -> None:
    unfinished = path / (MARKER + ".part")
    unfinished.write_text(_pins_hash() + "\n")
    unfinished.replace(path / MARKER)


def _refuse_foreign(path: Path) -> None:
    """`venv --clear` empties the folder: only an environment or an empty folder may be emptied."""
    if path.exists() and any(path.iterdir()) and not (path / "pyvenv.cfg").exists():
        raise FileExistsError(f"{path} holds other files; choose an empty folder for the reference environment")


def _interpreter() -> str:
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    name = "python{}.{}".format(*PYTHON)
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"the reference environment needs {name}, which is not on the PATH")
    return found


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:6])} ... failed:\n{done.stderr.strip()}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time install at `path`; the lock falls away with the process that held it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
