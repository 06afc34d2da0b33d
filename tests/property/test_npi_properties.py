"""What must hold of the study of policies whatever the panel."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.cluster_errors import cluster_errors
from pipeline.npi_drivers import NpiParams, drivers
from pipeline.npi_event_study import NpiEventParams, fit_events
from pipeline.panel_models import compare_models, fit_response
from pipeline.small_differences import without_small_differences
from tests.naive_npi import naive_event_effect, naive_fixed, naive_terms
from tests.npi_rows import make_changes, make_epidemic, make_policies, random_drivers
from tests.unit.test_npi_events import make_orders, make_weeks
from tests.unit.test_region_changes import make_sums

seeds = st.integers(0, 2**32)


@given(seeds, st.integers(2, 6), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_cluster_errors_equal_the_twin(seed, n_clusters, n_columns):
    chance = np.random.default_rng(seed)
    cluster = np.concatenate([np.arange(n_clusters), chance.integers(0, n_clusters, 20)])
    x, y = chance.normal(size=(cluster.size, n_columns)) + cluster[:, None], chance.normal(size=cluster.size)
    b, variance, freedom = naive_fixed(x, y, cluster, n_columns)
    found = cluster_errors(x, y - x @ b, cluster)
    assert found[0] == pytest.approx(variance) and found[1] == pytest.approx(freedom)
    assert (found[1] > 0).all() and (found[1] <= n_clusters + 1e-9).all()


@given(seeds, st.integers(5, 60), st.integers(0, 9), st.floats(1, 60))
@settings(max_examples=40, deadline=None)
def test_terms_equal_the_twin_and_look_at_nothing_later(seed, n_days, lag, half_life):
    chance = np.random.default_rng(seed)
    deaths = chance.poisson(0.5, n_days) * (np.arange(n_days) > n_days // 4)
    params = NpiParams(severity_lag_days=lag, half_life_days=half_life)
    policies = make_policies({"01": np.zeros(n_days)})
    days = policies["date"]

    def of(counts):
        last = days.iloc[-1].date()
        return drivers(policies, make_epidemic({"01": counts}), ["01"], days.iloc[0].date(), last, params)

    found, twin = of(deaths), naive_terms(deaths, 100_000, lag, half_life)
    for name in twin:
        assert found[name].to_numpy() == pytest.approx(twin[name].to_numpy()), name
    later = deaths.copy()
    later[n_days // 2 :] += 50
    assert of(later).iloc[: n_days // 2 + lag].equals(found.iloc[: n_days // 2 + lag])


@given(seeds, st.integers(3, 5), st.sampled_from(["region", "region_and_period"]))
@settings(max_examples=6, deadline=None)
def test_models_know_neither_order_of_rows_nor_names_nor_levels(seed, n_states, effects):
    chance = np.random.default_rng(seed)
    regions = [f"{s:02d}{c}" for s in range(n_states) for c in range(2)]
    found = random_drivers(chance, regions, 42)
    changes = make_changes(found, -found["stringency"] + chance.normal(0, 0.2, len(found)))
    params = NpiParams(measures=(), effects=effects, n_replicates=100)

    def both(changes, found):
        fits = compare_models(changes, found, params, 7)
        return fits, fit_response(changes, found, fits, params)

    fits, response = both(changes, found)
    shuffled = both(changes.sample(frac=1, random_state=seed % 2**32), found.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(shuffled[0], fits)
    pd.testing.assert_frame_equal(shuffled[1], response)
    # A level of each region is its effect's affair; the unit of a term is its coefficient's.
    raised = changes.assign(log_change=changes["log_change"] + changes["region_geoid"].str[-1].astype(int) * 0.3)
    params = params.model_copy(update={"model": "severity", "estimators": ("fixed",)})
    fits, response = both(changes, found)
    moved = both(raised, found.assign(stringency=found["stringency"] * 10))[1].set_index("term")
    same = response.set_index("term")
    for name in ("log_effect", "log_std_error", "log_effect_low", "log_effect_high"):
        assert moved.loc["stringency", name] * 10 == pytest.approx(same.loc["stringency", name], abs=1e-9)
        assert moved.loc["severity", name] == pytest.approx(same.loc["severity", name], abs=1e-9)


@given(seeds, st.integers(3, 7), st.integers(1, 2))
@settings(max_examples=30, deadline=None)
def test_events_equal_the_twin(seed, n_states, n_counties):
    chance = np.random.default_rng(seed)
    by_region = {f"{s:02d}{c}": chance.normal(0, 0.1, 9) for s in range(n_states) for c in range(n_counties)}
    for values in by_region.values():
        values[chance.random(9) < 0.1] = np.nan
    weeks = {f"{s:02d}": None if chance.random() < 0.4 else int(chance.integers(-1, 10)) for s in range(n_states)}
    params = NpiEventParams(measures=(), weeks_before=2, weeks_after=3)
    found = fit_events(make_weeks(by_region), make_orders(weeks), params).set_index("weeks_since")["log_effect"]
    twin = naive_event_effect(by_region, {region: weeks[region[:2]] for region in by_region}, range(-2, 4))
    assert found.reindex(range(-2, 4)).to_numpy() == pytest.approx(twin, nan_ok=True)


@given(seeds, st.integers(1, 4), st.floats(0.02, 0.98))
@settings(max_examples=100, deadline=None)
def test_no_published_differences_tell_of_few(seed, n_regions, share):
    """Of true sets of devices: everybody, groups inside, outside and across each other, everywhere and regions."""
    members = random_members(np.random.default_rng(seed), n_regions, share)
    rows = [
        (place, group, pd.Timestamp("2020-01-06"), "visits", len(devices), len(devices))
        for (place, group), devices in members.items()
    ]
    found = without_small_differences(make_sums(rows), 10)
    found = found[found["n_devices"] >= 10]
    published = {key: members[key] for key in zip(found["region_geoid"], found["group"], strict=True)}
    groups = sorted({group for _, group in members})
    for place in {place for place, _ in members}:
        of_place = {group: published[place, group] for group in groups if (place, group) in published}
        for whole, parts in itertools.product(of_place, parts_of(of_place)):
            if whole not in parts and (len(parts) < 3 or whole == "all"):
                assert not is_told(of_place[whole], [of_place[part] for part in parts]), (place, whole, parts)
    # What regions that are not shown have of each group, and of them each other group where it is shown.
    for group in groups:
        if ("all", group) not in published:
            continue
        shown = [place for place, g in published if g == group and place != "all"]
        rest = published["all", group] - set().union(*(published[place, group] for place in shown))
        assert not rest or len(rest) >= 10
        hidden = {place for place, g in members if g == group and place != "all"} - set(shown)
        for other in set(groups) - {group}:
            if all((place, other) in published for place in hidden):
                beside = set().union(*(published[place, other] for place in hidden))
                assert not is_told(beside, [rest]) and not is_told(rest, [beside]), (group, other)
            if ("all", other) in published:
                its = [devices for (place, g), devices in published.items() if g == other and place != "all"]
                its_rest = published["all", other] - set().union(*its)
                assert not is_told(its_rest, [rest]) and not is_told(rest, [its_rest]), (group, other)


def random_members(chance, n_regions, share):
    """Return the devices of each place and group; those of no region, None, are everywhere in no group."""
    members = {}
    for region in [*range(n_regions), None]:
        inside, also = chance.uniform(0.7, 1, 2)
        for device in range(chance.integers(1, 80)):
            kind = chance.random()
            is_in = {"all": True, "low": kind < share, "high": kind > share + 0.3 * chance.random()}
            is_in["poor"] = kind < share * inside
            is_in["old"] = is_in["low"] and chance.random() < also
            for group in is_in:
                for place in ("all",) if region is None else ("all", f"{region:02d}"):
                    if is_in[group] and (region is not None or group == "all"):
                        members.setdefault((place, group), set()).add((region, device))
    return members


def parts_of(groups):
    """Return one to three groups at once."""
    return [parts for k in (1, 2, 3) for parts in itertools.combinations(sorted(set(groups) - {"all"}), k)]


def is_told(whole, parts):
    """Return whether parts, which lie apart inside a whole, leave fewer than ten devices of it, but some."""
    union = set().union(*parts)
    are_apart = len(union) == sum(map(len, parts))
    return are_apart and union < whole and len(whole - union) < 10
