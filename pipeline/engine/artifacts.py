"""Trained models below a root: ``_models/NAME@VERSION/`` with what was learnt and a card that says from what.

The version is a hash of what was learnt, so a name stands for the same numbers everywhere and for ever; what does not
match its version is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from pipeline.engine.files import atomic_file, exists, names_below, read_replaceable, write_json
from pipeline.engine.trouble import RunError
from pipeline.paths import as_path, is_remote
from pipeline.settings import Settings

MODELS_FOLDER = "_models"
STATE_FILE, CARD_FILE = "state.safetensors", "card.json"
CHECKPOINTS, LOGS = "_checkpoints", "_logs"
"""Folders below that of models: where an interrupted training goes on, and what TensorBoard shows."""
HAS_WITHDRAWN = "has_withdrawn"
"""Field of a card: whether what it learnt from held devices that were withdrawn since. A new training leaves it out."""
VERSION_DIGITS = 12
FACTS = "facts"
"""Key of the file's metadata under which facts are kept."""
N_KEPT = 2
"""Trained models that a process keeps in memory: those of one run are of few kinds, and a language model is large."""


class Artifact(NamedTuple):
    """A trained model."""

    model: str
    version: str
    tensors: dict[str, NDArray[Any]]
    facts: dict[str, Any]
    """Plain values that belong to what was learnt."""

    @property
    def name(self) -> str:
        """How a study names it."""
        return f"{self.model}@{self.version}"


def write_artifact(
    root: Path, model: str, tensors: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], card: Mapping[str, Any]
) -> Artifact:
    """Write what a model has learnt and its card below a root; return it with the version that follows from it."""
    from safetensors.numpy import save

    text = json.dumps(facts, sort_keys=True)
    state = save(dict(tensors), metadata={FACTS: text})
    version = _version(model, state)
    folder = as_path(root) / MODELS_FOLDER / f"{model}@{version}"
    with atomic_file(folder / STATE_FILE) as file:
        file.write(state)
    # The card comes last: a model without one is not there yet.
    write_json(folder / CARD_FILE, {**card, "model": model, "version": version, "name": f"{model}@{version}"})
    return Artifact(model, version, dict(tensors), json.loads(text))


@lru_cache(maxsize=N_KEPT)
def read_artifact(root: str, name: str) -> Artifact:
    """Return a trained model by name@version; RunError where it is not there or is not what its version says."""
    from safetensors.numpy import load

    folder = as_path(root) / MODELS_FOLDER / name
    if not exists(folder / CARD_FILE):
        known = ", ".join(card["name"] for card in read_cards(as_path(root))) or "none"
        raise RunError(f"{root}: no trained model {name}; there are {known}: train it, or copy its folder there")
    state = (folder / STATE_FILE).read_bytes()
    model, _, version = name.partition("@")
    if _version(model, state) != version:
        raise RunError(f"{folder / STATE_FILE} is not what {name} was: restore it, or train again")
    return Artifact(model, version, load(state), json.loads(_metadata(state)[FACTS]))


def read_card(root: Path, name: str) -> dict[str, Any] | None:
    """Return the card of a trained model by name@version; None where it is not there."""
    path = as_path(root) / MODELS_FOLDER / name / CARD_FILE
    card: dict[str, Any] | None = read_replaceable(path, "is made again") if exists(path) else None
    return card


def read_cards(root: Path) -> list[dict[str, Any]]:
    """Return the cards of all trained models below a root, by name."""
    folder = as_path(root) / MODELS_FOLDER
    names = {name.split("/")[0] for name in names_below(folder, CARD_FILE)}
    return [card for name in sorted(names) if (card := read_card(root, name))]


def mark_withdrawn(root: Path, card: Mapping[str, Any]) -> None:
    """Note in a model's card that it learnt from devices that are withdrawn."""
    write_json(as_path(root) / MODELS_FOLDER / card["name"] / CARD_FILE, {**card, HAS_WITHDRAWN: True})


def check_models(root: Path, names: Iterable[str]) -> None:
    """RunError where one of some trained models learnt from devices that were withdrawn since."""
    cards = (read_card(root, name) for name in sorted(set(names)))
    if found := [card["name"] for card in cards if card and card.get(HAS_WITHDRAWN)]:
        raise RunError(
            f"{', '.join(found)} learnt from devices that were withdrawn since: train again and name the new version "
            "in `models`, or take it out there"
        )


def training_folder(settings: Settings) -> Path:
    """Return the folder of checkpoints and logs of trainings: on a disk, wherever the root is."""
    return settings.disk if is_remote(settings.root) else settings.root / MODELS_FOLDER


def flat_values(values: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Return name and text of every value, those inside others by a dotted name."""
    found = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += flat_values(value, f"{before}{name}.")
        else:
            found.append((f"{before}{name}", f"{value:.4g}" if isinstance(value, float) else str(value)))
    return found


def _version(model: str, state: bytes) -> str:
    return hashlib.blake2b(model.encode() + b"\0" + state).hexdigest()[:VERSION_DIGITS]


def _metadata(state: bytes) -> dict[str, str]:
    """Return the metadata in a safetensors header: its length in 8 bytes, then JSON."""
    size = int.from_bytes(state[:8], "little")
    found: dict[str, str] = json.loads(state[8 : 8 + size])["__metadata__"]
    return found
