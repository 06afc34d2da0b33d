"""Infostop in an environment of its own: `python -m tests.benchmarks.infostop_environment` makes it.

It is looked for at $SOJOURN_INFOSTOP, else at .bench/infostop in this folder. Needs Python 3.11 and g++.
"""

import os
import subprocess
import sys
from pathlib import Path

LOCATION_VARIABLE = "SOJOURN_INFOSTOP"
DEFAULT_LOCATION = ".bench/infostop"
REQUIREMENTS = Path(__file__).with_name("infostop_requirements.txt")
LINE = "# ---"


def location() -> Path:
    """Return where the environment is looked for."""
    return Path(os.environ.get(LOCATION_VARIABLE) or Path.cwd() / DEFAULT_LOCATION)


def python() -> Path:
    """Return its interpreter."""
    return location() / "bin" / "python"


def is_installed() -> bool:
    """Return whether Infostop can be imported there."""
    command = [str(python()), "-c", "import infostop"]
    return python().exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0


def install() -> None:
    """Make the environment: first the tools its packages are built with, then the packages."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(location())], check=True)
    for part in REQUIREMENTS.read_text().split(LINE):
        names = [line for line in part.splitlines() if line and not line.startswith("#")]
        flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
        subprocess.run([str(python()), "-m", "pip", "install", *flags, *names], check=True)


if __name__ == "__main__":
    if is_installed():
        print(f"Infostop is at {location()}")
    else:
        install()
        print(f"Infostop is now at {location()}")
