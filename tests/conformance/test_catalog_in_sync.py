"""The catalogue in the repository is the one the declarations give."""

from pathlib import Path

import data_contracts
from pipeline.catalog import render

CATALOG = Path(data_contracts.__file__).parent / "CATALOG.md"


def test_catalog_is_in_sync_with_the_declarations():
    assert CATALOG.read_text() == render(), (
        "data_contracts/CATALOG.md is stale; run: sojourn catalog --write data_contracts/CATALOG.md"
    )
