"""Foursquare check-ins of New York as files that `sojourn evaluate recommend` reads, out of ../shared/data.

Run: python -m tests.benchmarks.foursquare_check_ins FOLDER
Then: sojourn evaluate recommend FOLDER/nyc.csv --places FOLDER/nyc_places.csv --set rare_share=0.09
      sojourn evaluate recommend FOLDER/lbsn.csv --places FOLDER/lbsn_places.csv --friends FOLDER/lbsn_friends.csv

nyc: all check-ins of TSMC2014, whose arrays tell minutes since a start that they do not tell. The start is found where
the check-ins that are published with their times fit, and how many fit is printed. Names and categories are those of
the published venues: both are in the order of venue ids, the published without a few. The rare type is Retail.
lbsn: validation and test of LBSN2Vec (the training file is not there), with friends.
"""

import sys
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pandas as pd

from tests.shared import DATA

NYC, LBSN = DATA / "foursquare_nyc", DATA / "foursquare_lbsn_nyc"
DEGREES = 3
"""Decimals of degrees by which venues are matched: some hundred metres; their order tells near ones apart."""


def nyc_places() -> pd.DataFrame:
    """Return the places of the arrays: place, lat, lon, name, category."""
    found = pd.DataFrame(np.load(NYC / "NYC_POI.npy"), columns=["place", "lat", "lon"])
    found["place"] = found["place"].astype(int)
    told = pd.read_csv(NYC / "poi_metadata_NYC.csv.gz")
    keys = [
        list(map(tuple, frame.to_numpy().round(DEGREES)))
        for frame in (found[["lat", "lon"]], told[["latitude", "longitude"]])
    ]
    found[["name", "category", "venue_id"]] = None
    for what, start, stop, told_start, told_stop in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if what in ("equal", "replace") and stop - start == told_stop - told_start:
            found.iloc[start:stop, 3:] = told[["name", "category", "venue_id"]].iloc[told_start:told_stop]
    return found


def nyc_check_ins(places: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Return person, place and time (UTC), and the share of published check-ins that are among them to the minute."""
    rows = pd.DataFrame(np.load(NYC / "NYC.npy"), columns=["person", "place", "minute"])
    told = pd.concat([pd.read_csv(NYC / f"{part}_NYC.csv.gz") for part in ("val", "test")])
    told["place"] = told["venue_id"].map(places.dropna(subset="venue_id").set_index("venue_id")["place"])
    told = told.dropna(subset="place").assign(
        place=lambda t: t["place"].astype(int),
        minute=lambda t: pd.to_datetime(t["utc_time"]).astype("datetime64[us, UTC]").astype("int64") // 60_000_000,
    )
    # Of two check-ins at a place the difference is the start where they are the same one: most agree on it.
    pairs = told.merge(rows, on="place")
    start = int((pairs["minute_x"] - pairs["minute_y"]).mode()[0])
    known = set(zip(rows["place"], rows["minute"] + start, strict=True))
    share = np.mean([pair in known for pair in zip(told["place"], told["minute"], strict=True)])
    time = pd.to_datetime((rows["minute"] + start) * 60, unit="s", utc=True)
    return rows.assign(time=time).drop(columns="minute"), float(share)


def lbsn() -> dict[str, pd.DataFrame]:
    """Return check-ins, places and friends, by the name of their file."""
    rows = pd.concat([pd.read_csv(LBSN / f"{part}_LBSN_NYC.csv.gz") for part in ("val", "test")])
    names = {"user_id": "person", "venue_id": "place", "utc_time": "time"}
    places = pd.read_csv(LBSN / "poi_metadata_LBSN_NYC.csv.gz").rename(
        columns={"venue_id": "place", "latitude": "lat", "longitude": "lon"}
    )
    return {
        "lbsn": rows.rename(columns=names)[[*names.values()]],
        "lbsn_places": places[["place", "category", "lat", "lon"]],
        "lbsn_friends": pd.read_csv(LBSN / "friendship_old_LBSN_NYC.csv.gz").set_axis(["person", "friend"], axis=1),
    }


def main(folder: Path) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    places = nyc_places()
    check_ins, share = nyc_check_ins(places)
    print(f"nyc: {len(check_ins):,} check-ins from {check_ins['time'].min()}; {share:.1%} of the published fit")
    told = ", ".join(f"{places[column].notna().mean():.1%} a {column}" for column in ("category", "name"))
    print(f"     of {len(places):,} places have {told}")
    for name, frame in {"nyc": check_ins, "nyc_places": places.drop(columns="venue_id"), **lbsn()}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
