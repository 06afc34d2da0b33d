"""What the digests in footers stand for: one book a root, so that what changed can be named and not only that it did.

Footers stay small: they hold the digest of Params, of contracts, of code. The values behind each digest (names and
values of Params, a digest of every module's source, versions of libraries) are kept once in ``_origins.json``. It
is no part of any fingerprint: without it work is found current or not all the same, and told in fewer words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.engine.files import exists, read_replaceable, write_json
from pipeline.engine.store import Store

ORIGINS = "_origins.json"
Values = Mapping[str, Any]
"""Part of a fingerprint → the plain value whose digest it is."""


class Origins:
    """The book of a root: digest → value."""

    def __init__(self, store: Store) -> None:
        """Read the book; a root without one knows nothing."""
        self._path = store.root / ORIGINS
        self.known: dict[str, Any] = read_replaceable(self._path) if exists(self._path) else {}

    def value(self, digest: str | None) -> Any:
        """Return the value of a digest; None where this root never met it."""
        return self.known.get(digest) if digest else None

    def remember(self, parts: Mapping[str, str], values: Values) -> None:
        """Keep the values of some digests; only a run that holds the root may call it."""
        new = {parts[name]: value for name, value in values.items() if parts[name] not in self.known}
        if new:
            self.known.update(new)
            write_json(self._path, self.known)
