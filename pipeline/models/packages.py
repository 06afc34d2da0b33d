"""Weights that come in Python packages: found by path, so that nothing is downloaded and none of their code runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from pipeline.models.protocol import ModelError


class PackageMissingError(ModelError):
    """A package with the weights that a model needs is not installed. The message says which, and what installs it."""


def package_folder(package: str, install: str) -> Path:
    """Return the folder of an installed package without importing it; PackageMissingError where there is none.

    `install` is what the message tells people to do.
    """
    found = importlib.util.find_spec(package)
    folders = list(found.submodule_search_locations or ()) if found else []
    if not folders:
        raise PackageMissingError(f"the package {package}, which holds the weights, is not installed: {install}")
    return Path(folders[0])


def package_file(package: str, name: str, install: str) -> Path:
    """Return a file or folder of an installed package; PackageMissingError where either is missing."""
    path = package_folder(package, install) / name
    if not path.exists():
        raise PackageMissingError(f"the package {package} is installed but holds no {name}: {install}")
    return path
