"""Peers that cannot share our environment, each in one of its own, made of pinned requirements."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LINE = "# ---"


@dataclass(frozen=True)
class PeerEnvironment:
    """Where a peer is looked for, and what its environment is made of."""

    title: str
    module: str
    """What must be importable there."""
    variable: str
    """Environment variable that names the folder; else it is .bench/<module> in the working folder."""
    requirements: Path
    """Pins. Those above the line "# ---" are what the others are built with, and come first."""

    def location(self) -> Path:
        """Return where the environment is looked for."""
        return Path(os.environ.get(self.variable) or Path.cwd() / ".bench" / self.module)

    def python(self) -> Path:
        """Return its interpreter."""
        return self.location() / "bin" / "python"

    def is_installed(self) -> bool:
        """Return whether the peer can be imported there."""
        command = [str(self.python()), "-c", f"import {self.module}"]
        return self.python().exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0

    def install(self) -> None:
        """Make the environment: first the tools its packages are built with, then the packages."""
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.location())], check=True)
        for part in self.requirements.read_text().split(LINE):
            names = [line for line in part.splitlines() if line and not line.startswith("#")]
            flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
            subprocess.run([str(self.python()), "-m", "pip", "install", *flags, *names], check=True)

    def main(self) -> None:
        """Make the environment unless it is there, and say where it is."""
        if self.is_installed():
            print(f"{self.title} is at {self.location()}")
        else:
            self.install()
            print(f"{self.title} is now at {self.location()}")
