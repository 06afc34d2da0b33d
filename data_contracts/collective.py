"""Collective measures: what all devices together do in places and between them. All are releases."""

from dataclasses import replace

import pyarrow as pa

from data_contracts import columns as c
from data_contracts.spec import Column, Release, Shard, Table

AREA = Column("area", pa.string(), "Leading digits of a tract's id, or an H3 cell; all: every area")
N_DEVICES = Column("n_devices", pa.int64(), "Devices behind the row", "devices", 0, round_to=c.STEP)
MAX_DISTANCE_M = 1_000_000.0
"""Highest mean distance of a flow that is exported (ours): beyond it few flows, and few people, are alike."""
N_TRIPS = Column("n_trips", pa.int64(), "Trips", "trips", 0, round_to=c.STEP)

OD_FLOWS = Table(
    name="od_flows",
    row="origin × destination × window × hour of the day with trips",
    columns=(
        replace(AREA, name="origin_area"),
        replace(AREA, name="destination_area"),
        c.WINDOW,
        c.WINDOW_STARTED,
        Column("day_hour", pa.string(), "Local hour of the arrival, 00 to 23; all: the whole day"),
        replace(N_TRIPS, description="Trips that arrive in the window", minimum=1),
        replace(N_DEVICES, description="Devices that made them; one may be in several rows", minimum=1),
        Column(
            "distance_mean_m",
            pa.float64(),
            "Mean great-circle distance of the trips",
            "m",
            0,
            top_code=MAX_DISTANCE_M,
            round_to=50.0,
        ),
    ),
    key=("origin_area", "destination_area", "window", "window_started", "day_hour"),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="Margins are rows: origin_area, destination_area or day_hour is all. n_trips of a margin is the sum over "
    "its cells, hidden ones included; n_devices is not a sum. A pair without a row had no trips or is hidden: too few "
    "devices, or it would tell of such a row beside a margin. Trips with an end outside all areas are not counted.",
)

PLACE_VISITS = Table(
    name="place_visits",
    row="area × window with visits",
    columns=(
        AREA,
        c.WINDOW,
        c.WINDOW_STARTED,
        replace(c.N_VISITS, description="Visits in the area that start in the window", round_to=c.STEP),
        replace(N_DEVICES, description="Devices that made them: visitors", minimum=1),
        Column("dwell_hours", pa.float64(), "Time they spent there", "h", 0, round_to=5.0),
        Column("visitor_entropy_bits", pa.float64(), "Entropy of the visits over visitors", "bit", 0, round_to=0.1),
        Column(
            "home_entropy_bits",
            pa.float64(),
            "Entropy of the visitors over their home areas, those of fewer than 10 as one; null where that has fewer",
            "bit",
            0,
            is_nullable=True,
            round_to=0.1,
        ),
        Column(
            "segregation",
            pa.float64(),
            "How unequally the time there is shared between groups of home areas: 0 equally, 1 all of one group; null "
            "where a group that is there, or all, have fewer than 10 visitors",
            "1",
            0,
            1,
            is_nullable=True,
            round_to=0.05,
        ),
    ),
    key=("area", "window", "window_started"),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="Row all of area is the margin: n_visits and dwell_hours are sums over areas, hidden ones included. An area "
    "without a row had no visits or is hidden. Visits outside all areas are not counted. Divide visitor_entropy_bits "
    "by log2(n_devices) for the normalised entropy.",
)

DISPLACEMENT = Table(
    name="displacement",
    row="lag",
    columns=(
        Column("lag_hours", pa.int64(), "Time between the two positions", "h", 1),
        replace(N_DEVICES, description="Devices with a pair of positions so far apart in time", minimum=1),
        Column("n_pairs", pa.int64(), "Pairs of positions", "pairs", 1, round_to=c.STEP),
        Column("mean_square_km2", pa.float64(), "Mean square displacement, each device weighing one", "km²", 0),
        Column("mean_square_low_km2", pa.float64(), "Lower end of its interval, devices drawn anew", "km²", 0),
        Column("mean_square_high_km2", pa.float64(), "Upper end of its interval", "km²", 0),
    ),
    key=("lag_hours",),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="Positions are those of visits: what lies between two is not known, and no position. Rows of different lags "
    "are of different devices, as not all are seen for long.",
)

GRAVITY_FITS = Table(
    name="gravity_fits",
    row="model of flows",
    columns=(
        Column(
            "model",
            pa.string(),
            "gravity, free or with the trips of each origin given, with a power or an exponential of distance; "
            "radiation; margins: the trips of origin and destination alone, without distance",
            values=("free_power", "free_exponential", "origin_power", "origin_exponential", "radiation", "margins"),
        ),
        replace(
            N_DEVICES, description="Devices whose most frequent flow is among those fitted: at least so many are behind"
        ),
        replace(N_TRIPS, description="Trips between different areas", minimum=1),
        Column("n_areas", pa.int64(), "Areas with trips out and in", "areas", 1, round_to=c.STEP),
        Column(
            "n_pairs", pa.int64(), "Ordered pairs of areas, those without trips included", "pairs", 1, round_to=c.STEP
        ),
        *(
            Column(f"{name}{what}", pa.float64(), f"{description}{of}", unit, is_nullable=True)
            for name, description, unit in (
                ("origin_exponent", "Exponent of the trips that leave the origin", "1"),
                ("destination_exponent", "Exponent of the trips that reach the destination", "1"),
                ("distance_decay", "Exponent of distance, or share lost by distance, both positive", "1 or 1/km"),
            )
            for what, of in (("", "; null: not fitted"), ("_std_error", ": its standard error, clustered by origin"))
        ),
        Column(
            "cpc",
            pa.float64(),
            "Common part of commuters: share of trips that the model places right",
            "1",
            0,
            1,
            round_to=c.SHARE_STEP,
        ),
        Column(
            "left_out_cpc",
            pa.float64(),
            "The same of origins left out of the fit in turn; of models without a fit it is cpc",
            "1",
            0,
            1,
            round_to=c.SHARE_STEP,
        ),
        Column("is_baseline", pa.bool_(), "Nothing is fitted but margins: what a fit must beat"),
        Column("is_best", pa.bool_(), "Largest left_out_cpc; of equals a baseline"),
    ),
    key=("model",),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="Where a baseline is best, distance explains nothing that margins do not, or not in this form. A model "
    "without a row has no coefficients that the flows tell. Flows are those of the panel, hidden ones of od_flows "
    "included.",
)

EPR_FITS = Table(
    name="epr_fits",
    row="parameter of the model of exploration and preferential return",
    columns=(
        Column(
            "parameter",
            pa.string(),
            "rho, gamma: a move leads to a new place with probability rho S^-gamma, S the places so far; exponent and "
            "cutoff of the densities x^-exponent exp(-x / cutoff) of jumps (km) and of dwell (h)",
            values=("rho", "gamma", "jump_exponent", "jump_cutoff", "dwell_exponent", "dwell_cutoff"),
        ),
        replace(N_DEVICES, description="Devices with such moves, jumps or dwell", minimum=1),
        Column("n_observations", pa.int64(), "Moves, jumps or dwell fitted to", "rows", 1, round_to=c.STEP),
        Column("estimate", pa.float64(), "Maximum of the likelihood", "measure's unit"),
        Column("estimate_low", pa.float64(), "Lower end of its interval, devices drawn anew", "measure's unit"),
        Column("estimate_high", pa.float64(), "Upper end of its interval", "measure's unit"),
    ),
    key=("parameter",),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="One law for all devices, which is assumed, not tested: an exponent is worth looking at beside a plot. A "
    "cutoff of ten times the longest value counted says that none was found.",
)
