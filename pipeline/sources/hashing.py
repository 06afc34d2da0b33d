"""Device ids become keyed hashes here, and nowhere else.

The hash is BLAKE2b (RFC 7693) with the study's key and a digest of 8 bytes, read as a signed
little-endian integer. Two of n devices share a hash with probability n²/2⁶⁵: 3e-6 for ten million.
"""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.sources.numbers import MISSING_TEXTS, is_text

HASH_BYTES = 8
MAX_REMEMBERED = 1_000_000
"""Ids kept per file with their hashes: about 150 MB at most."""

NO_ID = frozenset(
    [
        *(text.encode() for text in MISSING_TEXTS),
        # What phones send when their owner limits tracking: one id for thousands of people.
        b"00000000-0000-0000-0000-000000000000",
        b"0" * 32,
    ]
)
"""Texts that stand for no id. "0" is an id: small studies number their devices from it."""


def hash_id(text: bytes, key: bytes) -> int:
    """Return the signed 64-bit keyed hash of one id."""
    digest = hashlib.blake2b(text, key=key, digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest, "little", signed=True)


def key_check(key: bytes) -> str:
    """Return 16 hex digits (8 bytes) that tell one key from another and do not give it away.

    Made in a domain of its own (`person`), so it is the hash of no device id.
    """
    return hashlib.blake2b(digest_size=HASH_BYTES, key=key, person=b"sojourn-key").hexdigest()


class IdHasher:
    """Hashes columns of ids under one key, each distinct id once."""

    def __init__(self, key: bytes) -> None:
        """Take the key; nothing of it can be read back from a result."""
        self._key = key
        self._hashes: dict[bytes, int | None] = {}

    def hash_column(self, ids: pa.Array) -> pa.Array:
        """Return the int64 hashes of `ids`, null where there is no id.

        Ids count as text: the integer 7, the float 7.0 and the text "7" hash alike. Blanks around
        an id are dropped. Time is that of the distinct ids; the rest is a lookup.
        """
        encoded = _as_dictionary(ids)
        if len(self._hashes) + len(encoded.dictionary) > MAX_REMEMBERED:
            self._hashes.clear()
        known, find = self._hashes, self.hash_text
        texts = encoded.dictionary.to_pylist()
        hashes = pa.array([known[text] if text in known else find(text) for text in texts], pa.int64())
        return hashes.take(encoded.indices)

    def hash_text(self, text: bytes | None) -> int | None:
        """Return the hash of one id, None where the text stands for no id."""
        if text is None:
            return None
        if text not in self._hashes:
            trimmed = text.strip()
            self._hashes[text] = None if trimmed in NO_ID else hash_id(trimmed, self._key)
        return self._hashes[text]


def _as_dictionary(ids: pa.Array) -> pa.DictionaryArray:
    """Return `ids` as a dictionary of their bytes as text."""
    if pa.types.is_dictionary(ids.type):
        return pa.DictionaryArray.from_arrays(ids.indices, _as_bytes(ids.dictionary))
    return _as_bytes(ids).dictionary_encode()


def _as_bytes(ids: pa.Array) -> pa.Array:
    if pa.types.is_floating(ids.type):
        # A numeric id column with gaps comes out of data frames as floats.
        is_whole = pc.and_kleene(pc.is_finite(ids), pc.equal(pc.floor(ids), ids))
        whole = pc.if_else(is_whole, ids, None).cast(pa.int64(), safe=False).cast(pa.string())
        ids = pc.coalesce(whole, ids.cast(pa.string()))
    elif pa.types.is_fixed_size_binary(ids.type):
        ids = pa.array([None if value is None else value.hex() for value in ids.to_pylist()], pa.string())
    elif not (is_text(ids.type) or pa.types.is_binary(ids.type) or pa.types.is_large_binary(ids.type)):
        ids = ids.cast(pa.string())
    return ids.cast(pa.binary()) if ids.type != pa.binary() else ids


def constant_ids(value: int | None, n_rows: int) -> pa.Array:
    """Return `n_rows` times one hash."""
    if value is None:
        return pa.nulls(n_rows, pa.int64())
    return pa.array(np.full(n_rows, value, np.int64))
