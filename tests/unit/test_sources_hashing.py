"""Keyed hashes of device ids."""

import hashlib

import pyarrow as pa

from pipeline.sources.hashing import IdHasher, hash_id, key_check

KEY = b"0123456789abcdef"
OTHER = b"0123456789abcdeg"


def test_hash_is_keyed_blake2b_of_eight_bytes_little_endian_signed():
    digest = hashlib.blake2b(b"device", key=KEY, digest_size=8).digest()
    expected = sum(byte << (8 * k) for k, byte in enumerate(digest))
    expected -= 2**64 if expected >= 2**63 else 0
    assert hash_id(b"device", KEY) == expected


def test_published_test_vector_of_the_hash_function():
    # BLAKE2b-512 of "abc", RFC 7693 appendix A: the library's hash is the one the contract names.
    assert hashlib.blake2b(b"abc").hexdigest().startswith("ba80a53f981c4d0d6a2797b69f12f6e9")


def test_another_key_gives_other_hashes_and_another_check():
    assert hash_id(b"device", KEY) != hash_id(b"device", OTHER)
    assert key_check(KEY) == key_check(KEY) != key_check(OTHER)
    assert len(bytes.fromhex(key_check(KEY))) == 8


def test_a_column_hashes_as_its_ids_one_by_one_whatever_was_hashed_before(monkeypatch):
    monkeypatch.setattr("pipeline.sources.hashing.MAX_REMEMBERED", 3)
    hasher = IdHasher(KEY)
    for ids in (["a", "b", None, "a"], ["c", "d", "a"], ["b", "", "d"]):
        expected = [hash_id(i.encode(), KEY) if i else None for i in ids]
        assert hasher.hash_column(pa.array(ids)).to_pylist() == expected


def test_zero_is_an_id():
    assert IdHasher(KEY).hash_column(pa.array([0])).to_pylist() == [hash_id(b"0", KEY)]
