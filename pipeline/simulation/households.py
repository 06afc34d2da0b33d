"""Who lives with whom: people of consecutive numbers share a home, which is that of the first of them."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation import random_streams as streams
from pipeline.simulation.city import draw_site
from pipeline.simulation.params import CityParams
from pipeline.simulation.random_streams import open_stream

Integers = NDArray[np.int64]


def home_of(params: CityParams, person: Integers) -> Integers:
    """Return the number of the home of each person: that of the first who lives there; their own without households.

    Sizes are drawn for the whole city, so bucketing changes nothing; the last home takes who is left.
    """
    if params.households is None:
        return person
    shares = np.array(params.households.sizes)
    generator = np.random.default_rng([params.seed, streams.HOUSEHOLDS])
    sizes = 1 + generator.choice(shares.size, params.n_devices, p=shares / shares.sum())
    first = np.cumsum(sizes) - sizes
    return first[np.searchsorted(first, person, side="right") - 1]


@kernel
def move_in(seed, city, home, home_x_m, home_y_m):
    """Fill the positions of homes by their number: the first who lives there has drawn them in the same way."""
    state = np.empty(1, np.uint64)
    for k in range(home.size):
        open_stream(state, seed, home[k], streams.HOMES)
        home_x_m[k], home_y_m[k] = draw_site(state, city)


def households_table(ids: list[str], home: Integers) -> pa.Table:
    """Return who lives where: device_id, household_id (the same for all who share a home)."""
    return pa.table({"device_id": pa.array(ids, pa.string()), "household_id": pa.array(home)})
