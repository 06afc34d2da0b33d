"""Files of every kind that are empty, cut short or of another kind: one line that names the file, and no contents."""

import bz2
import gzip
import io
import tarfile

import geopandas as gpd
import openpyxl
import pandas as pd
import pytest
import shapely

from pipeline.references import (
    Areas,
    Demographics,
    Epidemic,
    Jobs,
    NpiOrders,
    NpiPolicies,
    OfficialRates,
    Pois,
    Telework,
)
from pipeline.sources import (
    SourceError,
    read_areas,
    read_blocks,
    read_demographics,
    read_epidemic,
    read_jobs,
    read_npi_orders,
    read_npi_policies,
    read_official_rates,
    read_pois,
    read_telework,
    split_file,
)
from pipeline.study import Source

KEY = b"a key for tests that is long enough"
SECRET = "4815162342"
N = 400
PINGS = pd.DataFrame({"id": [SECRET] * N, "t": range(1_577_880_000, 1_577_880_000 + N), "lon": 10.5, "lat": 50.25})
COLUMNS = {"device_id": "id", "tracked_at": "t", "lon": "lon", "lat": "lat"}
PLT = "Geolife trajectory\n" + "x\n" * 5 + f"39.9,116.3,0,492,39744.1,2008-10-23,{SECRET}\n" * N


def csv(frame):
    return frame.to_csv(index=False).encode()


def parquet(frame):
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


def excel(frame):
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in [list(frame.columns), *frame.values.tolist()]:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


def tar(text):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("000/Trajectory/x.plt")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return file.getvalue()


def geo(kind):
    """Some areas as a file of a kind."""
    shapes = [shapely.box(k / 10, 0, k / 10 + 0.1, 1).segmentize(0.01) for k in range(20)]
    frame = gpd.GeoDataFrame({"id": [f"{k:011d}" for k in range(20)], "n": 5.0}, geometry=shapes, crs="EPSG:4326")

    def made(folder):
        path = folder / f"made.{kind}"
        frame.to_parquet(path) if kind == "parquet" else frame.to_file(path)
        return path.read_bytes()

    return made


def read_source(name, folder, **fields):
    source = Source(path=name, time_unit="s", **fields)
    for piece in split_file(folder / name, source):
        for _ in read_blocks(piece, KEY):
            pass


AREA_COLUMNS = {"id_column": "id", "population_column": "n"}
PLACES = pd.DataFrame({"id": [f"p{k}" for k in range(N)], "kind": "shop", "lon": 10.5, "lat": 50.25})
POI_COLUMNS = {"id_column": "id", "category_column": "kind", "lon_column": "lon", "lat_column": "lat"}
PEOPLE = pd.DataFrame({"id": [f"{k:011d}" for k in range(N)], "men": 1.0, "women": 2.0})
GROUPS = {"id_column": "id", "groups": {"sex": {"male": "men", "female": "women"}}}
JOBS = pd.DataFrame({"w_geocode": [f"{k:015d}" for k in range(N)], "CNS01": 1.0})
SHARES = pd.DataFrame({"NAICS": ["92", "11"] + [str(k) for k in range(100, 100 + N)], "teleworkable_emp": 0.5})
DAYS = pd.DataFrame({"region_geoid": [f"{k:05d}" for k in range(N)], "date": "2020-03-01"})
CLAIMS = pd.DataFrame({"statefips": [1], "year": 2020, "month": 4, "day_endofweek": 18})
for column in ("initclaims_rate_regular", "contclaims_rate_regular"):
    CLAIMS[column] = 1.0


def always(data):
    return lambda folder: data


KINDS = {
    "a.csv": (always(csv(PINGS)), lambda f, n: read_source(n, f, columns=COLUMNS)),
    "a.csv.gz": (always(gzip.compress(csv(PINGS))), lambda f, n: read_source(n, f, columns=COLUMNS)),
    "a.csv.bz2": (always(bz2.compress(csv(PINGS))), lambda f, n: read_source(n, f, columns=COLUMNS)),
    "a.parquet": (always(parquet(PINGS)), lambda f, n: read_source(n, f, format="parquet", columns=COLUMNS)),
    "a.plt": (always(PLT.encode()), lambda f, n: read_source(n, f, preset="geolife")),
    "a.tar.gz": (always(tar(PLT.encode())), lambda f, n: read_source(n, f, preset="geolife")),
    "tracts.geojson": (geo("geojson"), lambda f, n: read_areas(Areas(path=n, **AREA_COLUMNS), f)),
    "tracts.gpkg": (geo("gpkg"), lambda f, n: read_areas(Areas(path=n, **AREA_COLUMNS), f)),
    "tracts.parquet": (geo("parquet"), lambda f, n: read_areas(Areas(path=n, **AREA_COLUMNS), f)),
    "tracts.geojson.gz": (
        lambda folder: gzip.compress(geo("geojson")(folder)),
        lambda f, n: read_areas(Areas(path=n, **AREA_COLUMNS), f),
    ),
    "pois.parquet": (always(parquet(PLACES)), lambda f, n: read_pois(Pois(path=n, **POI_COLUMNS), f)),
    "pois.csv.gz": (always(gzip.compress(csv(PLACES))), lambda f, n: read_pois(Pois(path=n, **POI_COLUMNS), f)),
    "people.csv": (always(csv(PEOPLE)), lambda f, n: read_demographics(Demographics(path=n, **GROUPS), f)),
    "people.csv.gz": (
        always(gzip.compress(csv(PEOPLE))),
        lambda f, n: read_demographics(Demographics(path=n, **GROUPS), f),
    ),
    "jobs.csv.gz": (
        always(gzip.compress(csv(JOBS))),
        lambda f, n: read_jobs(Jobs(path=n, sectors={"11": "CNS01"}), f),
    ),
    "telework.csv": (always(csv(SHARES)), lambda f, n: read_telework(Telework(path=n), f)),
    "laus.xlsx": (always(excel(PLACES)), lambda f, n: read_official_rates(OfficialRates(laus_path=n), f)),
    "claims.csv": (always(csv(CLAIMS)), lambda f, n: read_official_rates(OfficialRates(claims_path=n), f)),
    "policies.csv": (
        always(csv(DAYS.assign(stringency=50.0))),
        lambda f, n: read_npi_policies(NpiPolicies(path=n), f),
    ),
    "oxcgrt.xlsx": (
        always(excel(PLACES)),
        lambda f, n: read_npi_policies(NpiPolicies(path=n, preset="oxcgrt_index"), f),
    ),
    "orders.csv": (
        always(csv(DAYS.rename(columns={"date": "ordered_on"}).assign(order="stay_home"))),
        lambda f, n: read_npi_orders(NpiOrders(path=n), f),
    ),
    "epidemic.csv": (
        always(csv(DAYS.assign(new_cases=1.0, new_deaths=0.0, population=1000.0))),
        lambda f, n: read_epidemic(Epidemic(path=n, population_column="population"), f),
    ),
}
PLAIN = (".csv", ".plt")
"""Formats of which a part is a whole file, but for its last row."""


FOREIGN = b"%PDF-1.7 " + bytes(range(256)) * 40


def cut_short(data):
    return data[: len(data) * 2 // 3]


def refuses(name, tmp_path, data):
    """Assert that a file with these bytes is refused in one line that names it, and return the line."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError) as caught:
        KINDS[name][1](tmp_path, name)
    text = str(caught.value)
    assert name in text and "\n" not in text
    assert SECRET not in text and "50.25" not in text
    return text.replace(str(tmp_path), "")


@pytest.mark.parametrize("name", KINDS)
def test_an_empty_file_is_named_as_empty(tmp_path, name):
    assert "empty" in refuses(name, tmp_path, b"")


@pytest.mark.parametrize("name", [name for name in KINDS if not name.endswith(PLAIN)])
def test_a_file_that_is_cut_short_is_named(tmp_path, name):
    text = refuses(name, tmp_path, cut_short(KINDS[name][0](tmp_path)))
    assert not name.endswith(("gz", "bz2")) or "truncated or damaged" in text


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_another_kind_is_named(tmp_path, name):
    refuses(name, tmp_path, FOREIGN)


WITH_COLUMNS = ("people.csv", "people.csv.gz", "jobs.csv.gz", "pois.csv.gz", "pois.parquet", "tracts.geojson")


@pytest.mark.parametrize("name", WITH_COLUMNS)
def test_a_file_with_other_columns_is_named_with_those_it_has(tmp_path, name):
    other = PEOPLE.rename(columns=lambda column: f"other_{column}")
    data = parquet(other) if name.endswith("parquet") else csv(other)
    if name.startswith("tracts"):
        data = b'{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"other_id": 1}, '
        data += b'"geometry": {"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]]}}]}'
    text = refuses(name, tmp_path, gzip.compress(data) if name.endswith(".gz") else data)
    assert "no column" in text and "other_id" in text


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("laus.xlsx", "oxcgrt.xlsx")])
def test_the_same_file_in_whole_is_read(tmp_path, name):
    """So that what is refused above is refused for its damage."""
    data = KINDS[name][0](tmp_path)
    (tmp_path / name).write_bytes(data)
    KINDS[name][1](tmp_path, name)
