"""`sojourn evaluate recommend` as a user meets it: planted communities, options, what is missing, no ids."""

import json
from functools import partial
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

N_GROUPS, N_PEOPLE, N_PLACES, N_DAYS = 4, 80, 48, 60
KINDS = ["Food > Cafe", "Food > Bar", "Shop > Books", "Art > Museum"]
TINY = [
    "models.hgnn.width=16", "models.hgnn.max_epochs=3", "models.towers.widths=[16, 8]", "models.towers.max_epochs=2",
    "n_resamples=200", "als_factors=[8]",
]  # fmt: skip
SIMPLE = ["popularity", "own_history", "text_knn", "nearby", "nearby_popular", "item_knn", "ials"]


@pytest.fixture
def sojourn(sojourn):
    return partial(sojourn, "evaluate", "recommend")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """People of four groups; each group has places of its own, which its people visit one after the other."""
    folder, random = tmp_path_factory.mktemp("checkins"), np.random.default_rng(5)
    start, rows = pd.Timestamp("2024-01-01"), []
    for person in range(N_PEOPLE):
        own = [place for place in range(N_PLACES) if place % N_GROUPS == person % N_GROUPS]
        days = np.sort(random.uniform(0, N_DAYS, len(own)))
        for place, day in zip(random.permutation(own).tolist(), days.tolist(), strict=True):
            rows.append((f"who-{person}", f"shop-{place}", start + pd.Timedelta(days=day)))
    rows.append(("who-0", "shop-0", start + pd.Timedelta(days=N_DAYS)))
    checkins = pd.DataFrame(rows, columns=["who", "where", "at"])
    checkins.to_csv(folder / "checkins.csv", index=False)
    checkins[checkins["at"] < "2024-02-15"].to_csv(folder / "early.csv.gz", index=False)
    checkins[checkins["at"] >= "2024-02-15"].to_parquet(folder / "late.parquet")
    at = random.uniform(0, 0.1, (N_PLACES, 2))
    places = {
        "place": [f"shop-{k}" for k in range(N_PLACES)],
        "category": [KINDS[k % len(KINDS)] for k in range(N_PLACES)],
        "lon": -74 + at[:, 0],
        "lat": 40.7 + at[:, 1],
    }
    pd.DataFrame(places).to_csv(folder / "places.csv", index=False)
    friends = [(f"who-{k}", f"who-{k + N_GROUPS}") for k in range(20)]
    pd.DataFrame(friends, columns=["person", "friend"]).to_csv(folder / "friends.csv", index=False)
    return folder


def options(files, *more, text="hashed"):
    sets = [part for value in TINY for part in ("--set", value)]
    columns = ("--columns", "person=who,place=where,time=at")
    return files / "checkins.csv", *columns, "--places", files / "places.csv", "--text-encoder", text, *sets, *more


def test_who_knows_of_communities_beats_popularity(sojourn, files):
    pytest.importorskip("implicit", reason="implicit is not installed")
    code, out, err = sojourn(*options(files, "--models", "simple", "--seeds", 2, "--json"))
    assert code == 0, err
    result = json.loads(out)
    new = result["results"]["new"]
    assert set(new) == set(SIMPLE) - {"own_history"} and set(result["results"]["any"]) == set(SIMPLE)
    assert new["item_knn"]["hr"]["low"] > new["popularity"]["hr"]["high"]
    assert new["ials"]["n_seeds"] == 2 and new["item_knn"]["n_seeds"] == 1
    assert result["split"]["n_held_out_outside_catalogue"] == 0 and not result["left_out"]
    assert result["params"]["holdout_days"] == 14 and result["models"]["hgnn"]["width"] == 16
    verdicts = {(o["better"], o["worse"], o["target"]): o["verdict"] for o in result["orderings"]}
    assert verdicts[("item_knn", "own_history", "any")] == "holds"  # nobody goes to a place twice
    warm, cold = (result["by_kind"][kind]["rare"]["item_knn"]["n_people"] for kind in ("warm", "cold"))
    assert 0 < warm + cold == result["results"]["rare"]["item_knn"]["n_people"]
    assert result["results"]["rare"]["item_knn"]["coverage"] <= 1
    assert not any(text in out + err for text in ("who-", "shop-", "-74."))


def test_figures_fit_a_terminal(sojourn, files):
    code, out, err = sojourn(*options(files, "--models", "popularity,nearby"), columns=80)
    assert code == 0, err
    assert max(map(len, out.splitlines())) <= 80
    assert "hold-out: " in out and "HR@10" in out and "nearby" in out
    assert "1/2: popularity" in err


def test_a_second_file_holds_check_ins_out(sojourn, files):
    named = ("--columns", "person=who,place=where,time=at", "--valid", files / "late.parquet")
    code, out, err = sojourn(files / "early.csv.gz", *named, "--models", "simple,two_towers", "--seeds", 1, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert set(result["left_out"]) >= {"text_knn", "nearby", "nearby_popular", "two_towers"}
    assert "nothing is known of places in words" in result["left_out"]["text_knn"]
    assert 0.9 * N_PEOPLE < result["split"]["n_people_held_out"] <= N_PEOPLE


def test_without_torch_the_simple_rules_alone_are_run(sojourn, files, monkeypatch):
    monkeypatch.setattr("pipeline.evaluation.recommendation.run.missing_libraries", lambda: ["torch", "accelerate"])
    code, out, err = sojourn(*options(files, "--models", "popularity,two_towers"))
    assert code == 0, err
    assert "left out: 2T: needs torch, accelerate: pip install" in out and "popularity" in out


def test_models_and_ablations_are_run(sojourn, files):
    pytest.importorskip("torch", reason="torch is not installed")
    wanted = "popularity,hgnn,two_towers,two_tower_hgnn,unbalanced"
    more = ("--models", wanted, "--friends", files / "friends.csv", "--seeds", 2, "--json")
    code, out, err = sojourn(*options(files, *more))
    assert code == 0, err
    result = json.loads(out)
    assert set(result["results"]["new"]) == set(wanted.split(","))
    assert all(len(of["hr_by_seed"]) == 2 for name, of in result["results"]["new"].items() if name != "popularity")
    claims = ("two_tower_hgnn", "hgnn"), ("hgnn", "two_towers"), ("two_tower_hgnn", "unbalanced")
    by = ("paper", "rare"), ("ours", "every_rare"), ("ours", "new"), ("ours", "every_new")
    found = {(o["better"], o["worse"], o["claim"], o["target"], o["people"]) for o in result["orderings"]}
    assert found >= {(*claim, *of, "warm") for claim in claims for of in by}
    assert result["fits"]["two_tower_hgnn"]["graph_seconds"] > 0 == result["fits"]["two_towers"]["graph_seconds"]
    balanced, every = (result["fits"][name] for name in ("two_tower_hgnn", "unbalanced"))
    assert balanced["n_links"] < every["n_links"] == every["n_links_in_all"] == balanced["n_links_in_all"]
    assert balanced["n_steps"] >= balanced["n_epochs"] > 0
    assert result["node_types"] == [12, 36]  # of four kinds: a tie, settled by name
    assert not any(text in out + err for text in ("who-", "shop-", "-74."))


def test_models_that_could_learn_nothing_are_left_out(sojourn, tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    days = [
        (f"{who}", f"{where}", f"2024-01-{day:02}")
        for who, where, day in [(1, 1, 1), (2, 2, 2), (1, 2, 30), (2, 1, 30)]
    ]
    told = pd.DataFrame(days, columns=["person", "place", "time"]).assign(category="Food > Bar")
    told.to_csv(tmp_path / "few.csv", index=False)
    wanted = "popularity,two_towers,two_tower_hgnn,hgnn"
    code, out, err = sojourn(
        tmp_path / "few.csv", "--models", wanted, "--text-encoder", "hashed", "--seeds", 1, "--json"
    )
    assert code == 0, err
    result = json.loads(out)
    assert set(result["results"]["new"]) == {"popularity"} == set(result["fits"])
    assert set(result["left_out"].values()) == {"check-ins are too few for it to learn anything from"}


def test_friends_and_a_second_file_of_check_ins_held_out_are_refused(sojourn, files):
    named = ("--columns", "person=who,place=where,time=at", "--valid", files / "late.parquet")
    code, _, err = sojourn(files / "early.csv.gz", *named, "--friends", files / "friends.csv")
    assert code != 0
    assert "leave out one of the two" in " ".join(err.split())


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--models", "magic"), "--models magic: known are simple, models, ablations, all, popularity"),
        (("--valid", "x.csv", "--holdout-days", 3), "--valid holds check-ins out"),
        (("--set", "models.text_width.x=1"), "--set models.text_width.x: text_width is a value"),
        (("--set", "models.towers.widths=[]"), "towers.widths"),
        (("--set", "models.towers.widths=[8, 0]"), "towers.widths.1: Input should be greater than 0"),
        (("--set", "models.hgnn.only_type=9"), "there are 2 node types, from 0"),
        (("--set", "n_listed=5"), "hits among 10 are not to be found in lists of 5"),
        (("--friend-columns", "person=a"), "--friend-columns explains"),
        (("--text-encoder", "magic"), "--text-encoder magic: one of sentences, hashed, none"),
        (("--set", "n_hit=3"), "--set: n_hit"),
        (("--set", "models.hgnn.widht=3"), "--set: hgnn.widht"),
        (("--set", "n_hits"), "write field=value"),
        (("--columns", "person=nobody,place=where,time=at"), "no column nobody; it has who, where, at"),
        (("--holdout-days", 90), "--holdout-days sets its length"),
    ],
)
def test_wrong_options_are_told_in_a_line(sojourn, files, more, told):
    code, out, err = sojourn(*options(files, *more))
    assert code != 0 and not out
    assert told in " ".join(err.split()) and "Traceback" not in err


@pytest.mark.skipif(find_spec("implicit") is None, reason="implicit is not installed")
def test_real_check_ins(sojourn, shared_data):
    """The last tenth or so of everybody's check-ins in New York: own history wins where a repeat counts."""
    path = shared_data / "foursquare_nyc" / "test_NYC.csv.gz"
    names = "person=user_id,place=venue_id,time=utc_time,category=venue_category_name,lon=longitude,lat=latitude"
    more = ("--models", "popularity,own_history,item_knn", "--text-encoder", "none", "--json")
    code, out, err = sojourn(path, "--columns", names, *more)
    assert code == 0, err
    result = json.loads(out)
    assert result["split"]["n_record"] + result["split"]["n_held_out"] > 15_000
    new = result["results"]["new"]
    assert all(0 <= of["hr"]["value"] <= 0.5 for of in new.values())
    known = result["results"]["any"]
    assert known["own_history"]["hr"]["low"] > known["popularity"]["hr"]["high"]
