"""Weights that come in Python packages: found by path, so that nothing is downloaded and none of their code runs."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
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


@cache
def weights_digest(path: Path) -> str:
    """Return the hash of a file of weights: what is learnt in front of some is noise in front of others."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
