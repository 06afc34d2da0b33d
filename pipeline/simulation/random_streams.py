"""Random numbers that depend on (seed, owner, stream) only.

A stream is one unsigned 64-bit state, held in an array of length 1 so that kernels can advance it;
the generator is splitmix64 (public-domain algorithm by S. Vigna). A person owns several streams,
so a change in how, say, pings are drawn leaves homes and jobs as they were, and the number of
buckets or workers cannot matter.
"""

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel

State = NDArray[np.uint64]

# Streams. Numbers are part of the meaning of a seed: never renumber, only add.
HOMES, JOBS, WORKDAYS, OUTINGS, SAMPLING, FAULTS, PLACES, WORKPLACES, TOWNS, RESIDENTS, TRACTS, CLUSTERS = range(12)
TRAITS, CAREERS, SPELLS, OFFERS, PHONES, AFFLUENCE, DEMOGRAPHICS = range(12, 19)
HOUSEHOLDS, POLICIES, EPIDEMICS, KEPT_OUTINGS, KEPT_WORKDAYS = range(19, 24)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_U12 = np.uint64(12)
_U27 = np.uint64(27)
_U30 = np.uint64(30)
_U31 = np.uint64(31)
_TO_UNIT = 2.0**-52


@kernel
def mixed(z):
    """Return the splitmix64 finaliser of one unsigned 64-bit number."""
    z = (z ^ (z >> _U30)) * _MIX_1
    z = (z ^ (z >> _U27)) * _MIX_2
    return z ^ (z >> _U31)


@kernel
def next_bits(state):
    """Return 64 random bits and advance `state` (splitmix64)."""
    state[0] += _GOLDEN
    return mixed(state[0])


@kernel
def open_stream(state, seed, owner, stream):
    """Set `state` to the start of stream number `stream` of `owner` (a person, a place) under `seed`."""
    key = mixed(np.uint64(seed) + _GOLDEN)
    key = mixed(key ^ (np.uint64(owner) + _GOLDEN))
    state[0] = mixed(key ^ (np.uint64(stream) * _GOLDEN))


@kernel
def uniform(state):
    """Return a number strictly between 0 and 1, so that its logarithm is finite and u * n stays below n."""
    return (float(next_bits(state) >> _U12) + 0.5) * _TO_UNIT


@kernel
def exponential(state):
    """Return an exponential number of mean 1."""
    return -math.log(uniform(state))


@kernel
def normal_pair(state):
    """Return two independent standard normal numbers (Box and Muller)."""
    radius = math.sqrt(-2.0 * math.log(uniform(state)))
    angle = 2.0 * math.pi * uniform(state)
    return radius * math.cos(angle), radius * math.sin(angle)


@kernel
def lognormal(state, median, log_spread):
    """Return a lognormal number with this median and this standard deviation of its logarithm."""
    return median * math.exp(log_spread * normal_pair(state)[0])


@kernel
def pick(state, cumulative, first, last):
    """Return an index in [first, last) with the weights whose running sum is `cumulative`.

    ``cumulative[k]`` is the sum of all weights up to and including k, counted from index 0.
    """
    before = cumulative[first - 1] if first > 0 else 0.0
    target = before + uniform(state) * (cumulative[last - 1] - before)
    low, high = first, last - 1
    while low < high:
        middle = (low + high) // 2
        if cumulative[middle] < target:
            low = middle + 1
        else:
            high = middle
    return low
