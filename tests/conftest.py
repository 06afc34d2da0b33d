"""Fixtures of several kinds of test: a key, the reference environment, real data when it is there, a simulated city."""

import os
from hashlib import blake2b
from pathlib import Path

import pytest

from data_contracts import TABLES, Shard
from pipeline.engine.run import open_run
from pipeline.engine.store import Store
from pipeline.reference import is_installed
from pipeline.settings import KEY_VARIABLE, Settings
from pipeline.simulation import CityParams, raw_dates, write_city, write_tracts
from pipeline.study import Study
from tests.shared import DATA

pytest_plugins = ["tests.s3_server"]

KEY = "a key for tests that is long enough"
REQUIRE_VARIABLE = "SOJOURN_REQUIRE_REFERENCE"
CITY = CityParams(n_devices=30, n_days=4, pings_per_day=250.0, faults=0.02)


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)


@pytest.fixture(scope="session")
def reference():
    """Skip the test where the reference environment is absent; fail it where CI demands one."""
    if is_installed():
        return
    message = "no reference environment: run pipeline.reference.install() or set SOJOURN_REFERENCE"
    if os.environ.get(REQUIRE_VARIABLE):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"real data is not here ({DATA}); set SOJOURN_SHARED to the folder that holds data/")
    return DATA


COLUMNS = {
    "device_id": "device_id",
    "tracked_at": "timestamp",
    "lon": "longitude",
    "lat": "latitude",
    "accuracy_m": "horizontal_accuracy",
    "utc_offset_s": "tz_offset_s",
}


class City:
    """A simulated city on disk: raw files, tracts, and how many rows of each kind."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.params = folder, CITY
        self.counts = write_city(CITY, folder, 0, 1)
        self.tracts = write_tracts(CITY, folder)
        self.days = raw_dates(CITY)
        self.files = sorted((folder / "raw").rglob("*.parquet"))

    def study(self, paths: list[Path] | None = None, **fields) -> Study:
        """The study over all raw files, or over some; `fields` replace those of the study."""
        source = {"format": "parquet", "time_unit": "s", "columns": COLUMNS}
        values = {
            "name": "city",
            "start": self.days[0],
            "end": self.days[-1],
            "zone": CITY.zone,
            "sources": [{"path": str(p), **source} for p in paths or [self.folder / "raw"]],
            "tracts": {
                "path": str(self.tracts),
                "id_column": "tract_geoid",
                "population_column": "population",
            },
            "params": {"pings": {"max_accuracy_m": 500.0}},
        }
        return Study.from_dict(values | fields)

    @staticmethod
    def columns_toml() -> str:
        """The column map as a TOML value."""
        return "{" + ", ".join(f'{name} = "{column}"' for name, column in COLUMNS.items()) + "}"

    def toml(self) -> str:
        """The same study as the text of a study file."""
        return f"""
name = "city"
start = {self.days[0]}
end = {self.days[-1]}
zone = "{CITY.zone}"
[[sources]]
path = "{self.folder / "raw"}"
format = "parquet"
time_unit = "s"
columns = {self.columns_toml()}
[tracts]
path = "{self.tracts}"
id_column = "tract_geoid"
population_column = "population"
[params.pings]
max_accuracy_m = 500.0
"""


@pytest.fixture(scope="session")
def city(tmp_path_factory) -> City:
    return City(tmp_path_factory.mktemp("city"))


def run_all(study: Study, root: Path, dates=None, n_buckets: int = 3, n_threads: int = 2, **fields) -> dict:
    """Run every stage; return the summaries by stage. `fields` are further settings."""
    settings = Settings(root=root, n_buckets=n_buckets, n_threads=n_threads, **fields)
    with open_run(study, settings, "test", dates) as run:
        return {name: run.execute(name) for name in run.stages}


def shard_bytes(root: Path, *tables: str) -> dict[str, str]:
    """Every shard of some tables (default all but what runs say of themselves) by path, as the hash of its bytes."""
    return {
        p.relative_to(root).as_posix(): blake2b(p.read_bytes(), digest_size=16).hexdigest()
        for table in tables or [t.name for t in TABLES.values() if t.shard is not Shard.RUN]
        for p in sorted((root / table).rglob("*.parquet"))
        if not p.name.startswith(".")
    }


def all_rows(root: Path, table: str):
    """All rows of a table in key order, whatever its shards."""
    import pyarrow as pa

    declared, store = TABLES[table], Store(root)
    parts = [store.read(declared, key) for key in store.keys(declared)]
    return pa.concat_tables(parts).sort_by([(name, "ascending") for name in declared.key])
