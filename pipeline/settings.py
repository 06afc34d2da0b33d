"""`Settings`: where and how fast. They never change a number, so they enter no fingerprint."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from pipeline.paths import is_remote, settled

KEY_VARIABLE = "SOJOURN_KEY"
SCRATCH = "_scratch"
"""Folder below a root for what waits between steps, unless another disk is named."""
MAX_BUCKETS = 4096
"""Most buckets of a root (ours): their numbers have four digits, and with more, listing files is most of the work."""
MIN_KEY_BYTES = 16
MAX_KEY_BYTES = 64
"""What keyed BLAKE2b takes."""


class KeyMissingError(RuntimeError):
    """No usable key for hashing device ids."""


class Settings(BaseModel):
    """Root folder, bucket count and cluster of a run."""

    # The docstring of a field is its help on command lines and in the forms of deployments.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    root: Annotated[
        Path, PlainValidator(settled), PlainSerializer(str), WithJsonSchema({"type": "string", "format": "path"})
    ]
    """Folder of all tables of one study, or its URL at an object store."""
    n_buckets: int = Field(default=8, ge=1, le=MAX_BUCKETS)
    """Files per date. More buckets need less memory per task and cost more files."""
    wave_bytes: int = Field(default=2 * 2**30, ge=1)
    """Bytes of source files that are loaded at a time, about 100 million rows of Parquet. Their rows wait twice in
    scratch, at up to 80 bytes a row in all: 8 GB for 2 GiB of Parquet. Smaller waves need less of it and lose less
    when a run is killed; larger ones write fewer shards twice, those whose rows come in two waves."""
    scheduler: str | None = None
    """Address of a Dask scheduler (tcp:// or tls://); None starts one in this process."""
    n_workers: int = Field(default=0, ge=0, le=1024)
    """Worker processes started on this machine; 0 computes in threads of this process. Not for a `scheduler`.

    pandas holds the interpreter's lock, so threads of one process share little more than a core; processes take some
    seconds to start.
    """
    n_threads: int | None = Field(default=None, ge=1)
    """Threads of each worker started here; None: one in a worker process, all cores in this process."""
    memory_limit_bytes: int | None = Field(default=None, ge=2**28)
    """Memory of each worker started here, of which libraries take 0.5 GB; None: 70 % of the machine's, shared out. A
    worker process that needs more is ended and its shards are tried on another; threads of this process begin to keep
    results on the disk, and a run ends that waits a minute for memory."""
    scratch: Annotated[Path, AfterValidator(Path.resolve)] | None = None
    """Folder on a local disk for what workers started here cannot hold in memory; None: `_scratch` under the root, or
    `sojourn` in the folder for temporary files where the root is at an object store."""
    lock_wait_s: float = Field(default=0.0, ge=0)
    """Seconds to wait for a root that another run holds; 0 refuses at once."""

    @model_validator(mode="after")
    def _one_cluster(self) -> Self:
        if self.scheduler and self.n_workers:
            raise ValueError("scheduler and n_workers are two clusters: the workers of a scheduler are its own")
        return self

    @property
    def disk(self) -> Path:
        """Folder on a worker's own disk for rows that wait between steps: in the root where that is on a disk."""
        if self.scratch:
            return self.scratch
        return Path(tempfile.gettempdir()) / "sojourn" if is_remote(self.root) else self.root / SCRATCH


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
def lend_key(key: str) -> Iterator[None]:
    """Set a key where the environment has none; then take it back."""
    if os.environ.get(KEY_VARIABLE):
        yield
        return
    os.environ[KEY_VARIABLE] = key
    try:
        yield
    finally:
        del os.environ[KEY_VARIABLE]


def throw_away_key() -> AbstractContextManager[None]:
    """Lend a key that nobody knows, for results whose device ids nobody needs."""
    return lend_key(secrets.token_hex(32))
