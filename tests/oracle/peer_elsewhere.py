"""Rows of the table of measures and peers that other tests compare, or that cannot be compared."""

from tests.oracle.peer_cells import FASTMOB, SKMOB, TRACKINTEL, Elsewhere, Row

OTHER_RULE = "other definition: theirs is the most frequent position at night, ours a logit over windows or HoWDe"


def _elsewhere(measure: str, unit: str, where: str, **words: str) -> Row:
    names = {"skmob": SKMOB, "fastmob": FASTMOB, "trackintel": TRACKINTEL}
    return Row(measure, unit, where, None, {names[peer]: Elsewhere(text) for peer, text in words.items()})


ELSEWHERE: tuple[Row, ...] = (
    _elsewhere(
        "stay_locations",
        "stays",
        "stays",
        skmob='equal under `criterion = "anchor"` and its other params: `test_stays_skmob.py`',
        fastmob="as scikit-mobility: `test_stays_skmob.py`",
        trackintel="as fastmob but for stays of exactly the dwell and radius: `test_stay_accuracy.py`",
    ),
    _elsewhere(
        "cluster",
        "locations",
        "locations",
        skmob="equal but for the radius of the Earth: `test_clustering_peers.py`",
        fastmob="not compared (`fastmob.cluster`)",
        trackintel="equal once its axes are exchanged: `test_clustering_peers.py`",
    ),
    _elsewhere(
        "home_location", "", "home_work", skmob=OTHER_RULE, fastmob=OTHER_RULE, trackintel="other definition: OSNA"
    ),
    _elsewhere(
        "homes_per_location", "homes", "panel_weights counts homes by area", skmob=OTHER_RULE, fastmob=OTHER_RULE
    ),
    _elsewhere(
        "gravity and radiation",
        "",
        "gravity_fits",
        skmob="equal where as many leave an area as reach it (theirs has one relevance): `test_gravity_skmob.py`",
        fastmob="not compared (`fastmob.models`)",
    ),
    _elsewhere(
        "daily_motifs",
        "",
        "daily_motifs.motif",
        fastmob="of days from home to home ours are theirs with the home forgotten: `tests/property/test_motifs.py`",
    ),
    _elsewhere(
        "truncated power law",
        "",
        "epr_fits",
        fastmob="other definition: theirs has an offset and searches a grid, ours is a maximum likelihood of bins",
    ),
    _elsewhere(
        "work_location",
        "",
        "home_work, role work",
        fastmob="other definition: the most frequent position from 8 to 18 o'clock of Mondays to Fridays",
        trackintel="other definition: OSNA",
    ),
    _elsewhere(
        "tracking quality",
        "",
        "coverage counts clock hours with pings",
        trackintel="other definition: the share of the time that its rows cover",
    ),
    _elsewhere(
        "exploration_profiling",
        "",
        "exploration, epr_fits",
        fastmob="other definition: lengths of runs of new places and of returns, and clusters of people by them",
    ),
    _elsewhere(
        "privacy attacks",
        "1",
        "sojourn audit",
        skmob="location and unique location attack equal where each place is known once: `test_audit_skmob.py`; "
        "others not compared",
        fastmob="not compared (`fastmob.privacy`)",
    ),
)
