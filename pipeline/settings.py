"""`Settings`: where and how fast. They never change a number, so they enter no fingerprint."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

KEY_VARIABLE = "SOJOURN_KEY"
MIN_KEY_BYTES = 16
MAX_KEY_BYTES = 64
"""What keyed BLAKE2b takes."""


class KeyMissingError(RuntimeError):
    """No usable key for hashing device ids."""


class Settings(BaseModel):
    """Root folder, bucket count and cluster of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Annotated[Path, AfterValidator(Path.resolve)]
    """Folder of all tables of one study."""
    n_buckets: int = Field(default=8, ge=1, le=4096)
    """Files per date. More buckets need less memory per task and cost more files."""
    scheduler: str | None = None
    """Address of a Dask scheduler; None starts one in this process."""
    n_threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    memory_limit_bytes: int = Field(default_factory=lambda: int(psutil.virtual_memory().total * 0.7), ge=2**28)


def read_key() -> bytes:
    """Return the key for device ids from the environment; KeyMissingError says how to make one."""
    key = os.environ.get(KEY_VARIABLE, "").encode()
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        problem = "is not set" if not key else f"has {len(key)} bytes"
        raise KeyMissingError(
            f"{KEY_VARIABLE} {problem}. Device ids are hashed with this key, which is never stored: set it to "
            f"{MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes and keep it safe (for example: export "
            f'{KEY_VARIABLE}="$(openssl rand -hex 32)"). Another key gives other device ids.'
        )
    return key


@contextmanager
def throw_away_key() -> Iterator[None]:
    """Set a key where the environment has none, for results whose device ids nobody needs; then forget it."""
    if os.environ.get(KEY_VARIABLE):
        yield
        return
    os.environ[KEY_VARIABLE] = secrets.token_hex(32)
    try:
        yield
    finally:
        del os.environ[KEY_VARIABLE]
