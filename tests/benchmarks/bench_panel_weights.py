"""Do weights mend a biased panel of phones? On Washington's real tracts, with residents and groups of the ACS.

    python -m tests.benchmarks.bench_panel_weights --seeds 40 --devices 2000

People are simulated on the 206 tracts: each is of a race group with the tract's shares, and loses the job with a chance
that depends on the group. Phones are in the panel more often in some tracts than in others (by a factor drawn for each
tract and by the tract's share of the group), and, in the last scenario, more often among some persons than among
others of the same tract. Printed: the mean error of the rate in percentage points, its root mean square, how often the
95 % interval holds the truth, and how many equal devices the panel is worth; then the table of groups of one panel.

Weights are made of areas. What differs between persons of one area they cannot see, and the last scenario says so.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.evaluation.representativeness import compare_groups, panel_size
from pipeline.references import Areas, Demographics
from pipeline.sources import read_areas, read_demographics
from pipeline.stages.panel_weights import PanelWeightParams, panel_weights
from pipeline.stages.panel_weights import _finish as finish_weights
from pipeline.stages.unemployment import WEIGHTINGS, UnemploymentParams, unemployment
from pipeline.stages.unemployment import _finish as finish_rates
from pipeline.study import Study
from tests.shared import DATA
from tests.stay_rows import empty

FILE = "dc_tracts_acs/ACS_5-Year_Demographic_Characteristics_of_DC_Census_Tracts.geojson.gz"
MONDAY = np.datetime64("2020-04-06", "s")
SCENARIOS = {
    "no bias": (0.0, 0.0, 0.0),
    "tracts differ by chance": (0.8, 0.0, 0.0),
    "tracts differ with their groups": (0.4, 2.0, 0.0),
    "persons of one tract differ too": (0.4, 2.0, 1.0),
}
"""Spread of the log rate between tracts; effect of the tract's share of the group; of being of the group oneself."""
LOSS = (0.05, 0.25)
"""Chance of job loss of the others and of the group."""
GROUP = "black"
STUDY = Study(name="weights", start="2020-04-01", end="2020-04-30", zone="UTC", sources=())


def read_washington(data: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (tracts, demographics) of Washington."""
    areas = Areas(path=FILE, id_column="GEOID", population_column="DP05_0001E")
    tracts = read_areas(areas, data).to_pandas(date_as_object=False)
    demographics = read_demographics(Demographics(path=FILE, preset="acs_dp05"), data)
    return tracts.assign(population=tracts["population"].astype(float)), demographics.to_pandas()


def shares_of_group(tracts: pd.DataFrame, demographics: pd.DataFrame) -> np.ndarray:
    race = demographics[demographics["axis"] == "race"].pivot(index="tract_geoid", columns="group", values="n_persons")
    share = race[GROUP] / race.sum(axis=1)
    return share.reindex(tracts["tract_geoid"]).fillna(0.0).to_numpy()


def make_panel(chance, tracts, share, bias, n_devices):
    """Return (home tract of each device, whether its owner lost the job)."""
    spread, by_tract, by_person = bias
    people = tracts["population"].to_numpy()
    rate = np.exp(chance.normal(0, spread, people.size) - by_tract * share) * people
    of_group = rate * share * np.exp(-by_person)
    expected = np.stack([rate * (1 - share), of_group])
    n = chance.poisson(n_devices * expected / expected.sum())
    home = np.concatenate([np.repeat(np.arange(people.size), n[k]) for k in (0, 1)])
    lost = np.concatenate([chance.random(n[k].sum()) < LOSS[k] for k in (0, 1)])
    return home, lost


def tables(chance, tracts, demographics, home, lost):
    """Return (panel weights, unemployment) of a panel."""
    device_id = chance.integers(-(2**62), 2**62, home.size)
    ids = tracts["tract_geoid"].to_numpy()[home]
    rows = {"device_id": device_id, "span": "baseline", "role": "home", "rank": 1, "tract_geoid": ids}
    params = PanelWeightParams()
    parts = panel_weights(pd.DataFrame(rows), tracts, demographics, params)
    weights = finish_weights(parts, tracts, demographics, params)
    week = {"device_id": device_id, "window_started": MONDAY, "home_tract_geoid": ids, "loss_probability": lost * 1.0}
    work = empty("employment").reindex(range(home.size)).assign(**week, status="employed", is_undecided=False)
    chosen = UnemploymentParams(region_digits=())
    rates = finish_rates(unemployment(work, weights, STUDY, 0, chosen), weights, STUDY, 0, chosen)
    return weights, rates[rates["window"] == "week"].set_index("weighting")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--devices", type=int, default=2000)
    parser.add_argument("--data", type=Path, default=DATA)
    asked = parser.parse_args()
    tracts, demographics = read_washington(asked.data)
    share = shares_of_group(tracts, demographics)
    people = tracts["population"].to_numpy()
    truth = (people * ((1 - share) * LOSS[0] + share * LOSS[1])).sum() / people.sum()
    print(f"{len(tracts)} tracts, true rate {truth:.4f}, {asked.devices} devices, {asked.seeds} panels")
    print(f"{'panel':34s}{'weights':10s}{'bias pp':>9s}{'RMSE pp':>9s}{'holds':>7s}{'n_eff':>7s}{'raked':>7s}")
    for name, bias in SCENARIOS.items():
        found = []
        for seed in range(asked.seeds):
            chance = np.random.default_rng(seed)
            weights, rates = tables(
                chance, tracts, demographics, *make_panel(chance, tracts, share, bias, asked.devices)
            )
            found.append(rates.reindex(WEIGHTINGS))
        for weighting in WEIGHTINGS:
            rows = pd.DataFrame([rates.loc[weighting] for rates in found]).dropna(subset="rate")
            off = 100 * (rows["rate"] - truth)
            holds = ((rows["rate_low"] <= truth) & (truth <= rows["rate_high"])).mean()
            print(
                f"{name if weighting == 'none' else '':34s}{weighting:10s}{off.mean():9.2f}"
                f"{np.sqrt((off**2).mean()):9.2f}{holds:7.2f}{rows['n_effective'].mean():7.0f}{len(rows):7d}"
            )
    print("\nThe last panel of the last scenario:", panel_size(weights, tracts))
    print(compare_groups(weights, tracts, demographics).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
