"""Dates of orders against an epidemic by region to the table `npi_orders`.

The file of US counties (compiled at Johns Hopkins) has a column a kind of order with Python's day numbers, NA where a
county never had it, and rows of states under ids that end in 000. A row of the whole country, id 0, is left out: its
counties have all of its orders themselves.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts import NPI_ORDERS
from pipeline.references import NpiOrders
from pipeline.sources.errors import SourceError
from pipeline.sources.geo_files import members_digest, text_ids
from pipeline.sources.pieces import expand
from pipeline.sources.region_files import (
    read_optional_dates,
    read_ordinals,
    read_region_file,
    read_regions,
    to_reference,
)

LOG = logging.getLogger(__name__)
STATE_DIGITS = 2


def read_npi_orders(orders: NpiOrders, folder: Path) -> pa.Table:
    """Return NPI_ORDERS in key order; the metadata counts rows of a whole country, which are left out.

    SourceError names the file and what is wrong: a column that is not there, an id or date that is none, a region and
    order that are there twice.
    """
    columns = list(orders.orders.values()) or [orders.order_column, orders.date_column]
    parts, n_country = [], 0
    for path, data in read_region_file(orders, columns, folder, "orders"):
        regions = read_regions(data, orders, path)
        is_country = _is_country(regions, orders)
        n_country += int(is_country.sum())
        regions = _with_states(regions[~is_country], orders)
        data = data.filter(pa.array(~is_country))
        for kind, days in _kinds(data, orders, path):
            parts.append(pd.DataFrame({"region_geoid": regions.to_numpy(), "order": kind, "ordered_on": days}))
    rows = pd.concat(parts, ignore_index=True)
    if rows.empty:
        raise SourceError(f"{orders.path}: no order of any region")
    LOG.info("%s: %d regions and orders, %d rows of a whole country", orders.path, len(rows), n_country)
    return to_reference(rows, NPI_ORDERS, orders.path, {"n_rows_of_a_country": n_country})


def npi_orders_digest(orders: NpiOrders, folder: Path) -> str:
    """Return a hash of the contents of the files of orders."""
    return members_digest(expand(orders.path, folder))


def _is_country(regions: "pd.Series[str]", orders: NpiOrders) -> NDArray[np.bool_]:
    """Return which ids are nothing but zeros, where ids are numbers of states and their parts."""
    if not orders.state_ending:
        return np.zeros(len(regions), np.bool_)
    return regions.str.fullmatch("0+").to_numpy(dtype=np.bool_)


def _with_states(regions: "pd.Series[str]", orders: NpiOrders) -> "pd.Series[str]":
    """Return ids, those of states cut to their two digits."""
    if not orders.state_ending:
        return regions
    is_state = regions.str.endswith(orders.state_ending)
    return regions.where(~is_state, regions.str[:STATE_DIGITS])


def _kinds(data: pa.Table, orders: NpiOrders, path: Path) -> Iterator[tuple[object, NDArray]]:
    """Yield (kind of order, one for all rows or one a row; its dates, NaT where it was never ordered)."""
    if not orders.orders:
        kinds = text_ids(data[orders.order_column].to_pandas(), path, "orders").str.strip().to_numpy()
        yield kinds, _dates(data, orders.date_column, orders, path)
    for kind, column in orders.orders.items():
        yield kind, _dates(data, column, orders, path)


def _dates(data: pa.Table, column: str, orders: NpiOrders, path: Path) -> NDArray:
    if orders.dates_are == "ordinal":
        days = read_ordinals(data, column, path)
    else:
        days = read_optional_dates(data, column, orders.date_format, path)
    return days.astype("datetime64[s]")
