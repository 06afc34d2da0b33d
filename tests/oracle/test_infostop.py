"""Places of a network of stays against Infostop 0.1.9, its Infomap 1.0.6, single linkage and the simulated truth.

Infostop is asked for places of stays already found (`SpatialInfomap`), in an environment of its own: see
`tests.benchmarks.infostop_environment`. It gives a link the larger count of its ends and knows no links to itself, so
answers differ in the odd stay at a border; its Infomap is given our networks, and the codelength is compared.
"""

import itertools
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from pipeline.kernels.clustering import cluster_places
from pipeline.kernels.map_equation import Network, codelength_bits, communities
from pipeline.kernels.place_network import network_places
from pipeline.simulation import CityParams, simulate_bucket
from tests.naive_network import naive_components, naive_network

pytestmark = pytest.mark.oracle
CITIES = [CityParams(n_devices=25, n_days=60, pings_per_day=2.0, faults=0.0, seed=seed) for seed in range(3)]
PYTHON = Path(os.environ.get("SOJOURN_INFOSTOP") or Path.cwd() / ".bench" / "infostop") / "bin" / "python"
METRES_PER_DEGREE = 6_371_000.0 * np.pi / 180
LINK_M = 60.0

ASK_INFOSTOP = """
import sys, numpy as np
from infostop.models import SpatialInfomap
asked = np.load(sys.argv[1])
users = np.split(np.column_stack([asked["lat"], asked["lon"]]), asked["start"][1:-1])
labels = [SpatialInfomap(r2=float(asked["link_m"])).fit_predict(user) for user in users]
np.savez(sys.argv[2], label=np.concatenate(labels))
"""
ASK_INFOMAP = """
import sys, numpy as np
from infomap import Infomap
links = np.load(sys.argv[1])["links"]
answers = []
for k in range(int(links[-1, 0]) + 1):
    network = Infomap("--two-level --silent --include-self-links --num-trials 5 --seed 7")
    for a, b, weight in links[links[:, 0] == k, 1:].tolist():
        network.addLink(int(a), int(b), weight)
    network.run()
    answers += [(k, node, module) for node, module in network.modules]
np.savez(sys.argv[2], module=np.array(answers))
"""


@pytest.fixture(scope="module")
def truth():
    """Stays of three cities, each device's in time order, with where each device's begin."""
    cities = [simulate_bucket(city, 0, 1).stays.to_pandas().assign(city=city.seed) for city in CITIES]
    stays = pd.concat(cities).sort_values(["city", "device_id", "started_at"], ignore_index=True)
    return stays, np.append(0, np.cumsum(stays.groupby(["city", "device_id"]).size()))


def _strewn(stays, spread_m):
    """The stays' positions with normal errors of this standard deviation along each axis."""
    east, north = np.random.default_rng(1).normal(0, spread_m, (2, len(stays))) / METRES_PER_DEGREE
    return (stays["lon"] + east / np.cos(np.radians(stays["lat"]))).to_numpy(), (stays["lat"] + north).to_numpy()


def _agreement(start, ours, theirs):
    """Adjusted Rand index, the mean over devices."""
    return np.mean([adjusted_rand_score(theirs[a:b], ours[a:b]) for a, b in itertools.pairwise(start)])


def _ask(script, folder, **asked):
    if not PYTHON.exists():
        pytest.skip("Infostop is not here: python -m tests.benchmarks.infostop_environment, or set SOJOURN_INFOSTOP")
    np.savez(folder / "asked.npz", **asked)
    command = [str(PYTHON), "-c", script, str(folder / "asked.npz"), str(folder / "answered.npz")]
    subprocess.run(command, check=True, capture_output=True)
    return np.load(folder / "answered.npz")


@pytest.mark.parametrize("spread_m", [15.0, 20.0, 30.0])
def test_nearer_to_the_truth_than_single_linkage(truth, spread_m):
    stays, start = truth
    lon, lat = _strewn(stays, spread_m)
    places = stays["place_id"].to_numpy()
    ours = _agreement(start, network_places(start, lon, lat), places)
    assert ours > 0.985
    for eps_m in (60.0, 100.0):
        assert ours > _agreement(start, cluster_places(start, lon, lat, eps_m, 1), places)


@pytest.mark.parametrize("spread_m", [15.0, 20.0])
def test_as_near_to_the_truth_as_infostop_and_near_to_infostop(truth, spread_m, tmp_path):
    stays, start = truth
    lon, lat = _strewn(stays, spread_m)
    theirs = _ask(ASK_INFOSTOP, tmp_path, lon=lon, lat=lat, start=start, link_m=LINK_M)["label"]
    ours = network_places(start, lon, lat, None, LINK_M, 0.01)
    assert _agreement(start, ours, theirs) > 0.997
    places = stays["place_id"].to_numpy()
    assert _agreement(start, ours, places) > _agreement(start, theirs, places) - 1e-3


def _networks(truth, n_devices=8):
    """Link weights of every connected network of more than two nodes, of some devices."""
    stays, start = truth
    lon, lat = _strewn(stays, 30.0)
    for a, b in itertools.pairwise(start[: n_devices + 1]):
        _, link = naive_network(lon[a:b].tolist(), lat[a:b].tolist(), [1.0] * int(b - a), 50.0, 10.0)
        for nodes in naive_components(link):
            if len(nodes) > 2:
                yield np.array(link)[np.ix_(nodes, nodes)]


def _as_network(link):
    off = link * (1 - np.eye(len(link)))
    start = np.append(0, np.cumsum((off > 0).sum(1)))
    a, to = map(np.ascontiguousarray, np.nonzero(off))
    return Network(start, to, off[a, to], link.sum(1), off.sum(1), link.sum())


def test_the_walk_is_told_as_shortly_as_by_infomap(truth, tmp_path):
    networks = list(_networks(truth))
    links = [(k, a, b, link[a, b]) for k, link in enumerate(networks) for a, b in np.argwhere(np.triu(link) > 0)]
    answers = _ask(ASK_INFOMAP, tmp_path, links=np.array(links))["module"]
    longer = []
    for k, link in enumerate(networks):
        network, theirs = _as_network(link), np.zeros(len(link), np.int64)
        _, node, module = answers[answers[:, 0] == k].T
        theirs[node] = module - 1
        longer.append(codelength_bits(network, communities(network)) - codelength_bits(network, theirs))
    assert len(longer) > 50
    assert np.mean(longer) < 1e-3
    assert np.mean(np.array(longer) > 1e-9) < 0.05
