"""Random numbers that depend on (seed, stage, device, draw) only, so that buckets and workers change nothing.

There is no state: a number is a hash of its key, by the finaliser of splitmix64 (public-domain algorithm by
S. Vigna) applied once for each part of the key.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
WORD = 1 << 64


def keyed_bits(device_id: NDArray[np.int64], stage: str, seed: int, draw: NDArray[np.int64] | int = 0) -> NDArray:
    """Return 64 random bits for each key (seed, stage, device, draw): uint64, of the shape of the ids and draws.

    `device_id` and `draw` are broadcast against each other: ids of shape (n, 1) and draws of shape (k,) give
    k numbers to each of n devices. Equal keys give equal bits, whatever else is asked for at the same time.
    """
    name = int.from_bytes(hashlib.blake2b(stage.encode(), digest_size=8).digest(), "big")
    bits = mixed(np.full(1, seed % WORD, np.uint64) + GOLDEN)
    bits = mixed(bits ^ np.uint64(name))
    bits = mixed(bits ^ (np.asarray(device_id, np.int64).astype(np.uint64) + GOLDEN))
    return mixed(bits ^ (np.asarray(draw, np.int64).astype(np.uint64) * GOLDEN))


def keyed_uniform(
    device_id: NDArray[np.int64], stage: str, seed: int, draw: NDArray[np.int64] | int = 0
) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each key (seed, stage, device, draw); see `keyed_bits`."""
    return (keyed_bits(device_id, stage, seed, draw) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the splitmix64 finaliser of unsigned 64-bit numbers: a bijection whose output bits look independent."""
    with np.errstate(over="ignore"):
        bits = (bits ^ (bits >> np.uint64(30))) * MIX_1
        bits = (bits ^ (bits >> np.uint64(27))) * MIX_2
        return bits ^ (bits >> np.uint64(31))
