"""Changes, policies, epidemics and orders made by hand or at random: material for the tests of models of policies."""

import numpy as np
import pandas as pd

MONDAY = pd.Timestamp("2020-01-06")


def dates(n_days, start=MONDAY):
    return pd.date_range(start, periods=n_days, freq="D").astype("datetime64[s]")


def make_policies(by_region, start=MONDAY):
    """Policies from {region: [stringency of each day]}."""
    rows = [
        pd.DataFrame({"region_geoid": region, "date": dates(len(values), start), "stringency": np.array(values, float)})
        for region, values in by_region.items()
    ]
    return pd.concat(rows, ignore_index=True).astype({"region_geoid": "str"})


def make_epidemic(by_region, population=100_000.0, start=MONDAY):
    """An epidemic from {region: [deaths of each day]}; ten cases for each death."""
    rows = []
    for region, deaths in by_region.items():
        deaths = np.array(deaths, float)
        columns = {"region_geoid": region, "date": dates(deaths.size, start), "new_cases": deaths * 10}
        rows.append(pd.DataFrame({**columns, "new_deaths": deaths, "population": population}))
    return pd.concat(rows, ignore_index=True).astype({"region_geoid": "str"})


def make_changes(drivers, log_change, measure="visits", axis="all", group="all", n_devices=100):
    """Changes of one measure and group on the rows of `drivers`."""
    names = {"axis": axis, "group": group, "measure": measure}
    rows = drivers[["region_geoid", "date"]].assign(**names, n_devices=n_devices, log_change=log_change)
    return rows.assign(log_change_others=np.nan).astype(dict.fromkeys(names, "str"))


def random_drivers(chance, regions, n_days, cluster_digits=2):
    """Drivers without an epidemic behind them: terms that wander, those of a cluster alike but for noise."""
    rows = []
    clusters = {region[:cluster_digits] for region in regions}
    common = {name: chance.normal(0, 0.1, (6, n_days)).cumsum(axis=1) for name in sorted(clusters)}
    for region in regions:
        values = common[region[:cluster_digits]] + chance.normal(0, 0.1, (6, n_days))
        rows.append(
            pd.DataFrame(
                values.T, columns=["stringency", "severity", "weeks", "log_weeks", "exposure", "forgetting"]
            ).assign(region_geoid=region, date=dates(n_days), cluster=region[:cluster_digits])
        )
    return pd.concat(rows, ignore_index=True).astype({"region_geoid": "str", "cluster": "str"})
