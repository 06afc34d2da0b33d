"""`Params`: the science settings of a stage. They change the numbers, so they enter fingerprints."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Base of every stage's parameters: immutable, and refusing names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def check_study(self, study: Any) -> None:
        """Raise ValueError where these parameters cannot be meant for this study; called before anything runs."""

    def takes(self, table: str) -> bool:
        """Return whether a table that the stage declares to read is an input of it under these parameters."""
        return True


class NoParams(Params):
    """For a stage that has nothing to set."""


def digest(value: Any) -> str:
    """Return 32 hex digits that identify a JSON-like value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
