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


def list_fields(params: type[Params], values: Params | None = None) -> dict[str, tuple[Any, str]]:
    """Return name → (default, meaning) of all that can be set; of Params within Params the name is dotted.

    Defaults are those of the type, or the values of an instance.
    """
    found: dict[str, tuple[Any, str]] = {}
    for name, field in params.model_fields.items():
        value = getattr(values, name) if values else field.get_default(call_default_factory=True)
        if isinstance(value, Params):
            found |= {f"{name}.{inner}": told for inner, told in list_fields(type(value), value).items()}
        else:
            found[name] = (value, field.description or "")
    return found


class NoParams(Params):
    """For a stage that has nothing to set."""


def digest(value: Any) -> str:
    """Return 32 hex digits that identify a JSON-like value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
