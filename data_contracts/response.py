"""Tables of how people spend days, whom they meet, and how that answers to policies and risk."""

from dataclasses import replace

import pyarrow as pa

from data_contracts import columns as c
from data_contracts.spec import Column, Release, Shard, Table

DAY = replace(c.DATE, description="Local date")
PLACE_KIND = Column(
    "place_kind",
    pa.string(),
    "What the place is to the device: its home, its workplace, a place of interest, or none of these",
    values=("home", "work", "venue", "other"),
)
AXIS = Column("axis", pa.string(), "What the group is a group of; all: everybody")
GROUP = Column("group", pa.string(), "Devices whose home area is high in this group's share; all: everybody")
MEASURE = Column("measure", pa.string(), "What is measured, see region_day")
N_REGIONS = Column("n_regions", pa.int64(), "Regions behind the row", "regions", 1)
N_DEVICES = Column("n_devices", pa.int64(), "Devices behind the row", "devices", 0, round_to=c.STEP)
EFFECT_LOW = Column("log_effect_low", pa.float64(), "Lower end of the 95 % interval", "log", is_nullable=True)
EFFECT_HIGH = Column("log_effect_high", pa.float64(), "Upper end of the 95 % interval", "log", is_nullable=True)

MAX_DAYS_PER_DEVICE = 28
"""Most days of one device in a private count (ours): four weeks. The noise grows with it."""

DEVICE_DAYS = Table(
    name="device_days",
    row="device × local day with at least one ping",
    columns=(
        c.DEVICE_ID,
        DAY,
        Column("hours_observed", pa.int8(), "UTC clock hours of the day with a ping", "h", 1, 54, clip=(0.0, 24.0)),
        replace(c.N_VISITS, description="Visits that start on the day", minimum=0, clip=(0.0, 20.0)),
        replace(
            c.N_LOCATIONS,
            description="Distinct locations the device was at on the day",
            minimum=0,
            clip=(0.0, 20.0),
        ),
        replace(c.DWELL_S, description="Time spent at locations on the day", clip=(0.0, 86_400.0)),
        Column(
            "distance_m",
            pa.float64(),
            "Great-circle way from place to place: legs that end on the day",
            "m",
            0,
            clip=(0.0, 100_000.0),
        ),
        Column(
            "gyration_m",
            pa.float64(),
            "Radius of gyration of the day, each place weighing its time; null where none was spent",
            "m",
            0,
            is_nullable=True,
            clip=(0.0, 50_000.0),
        ),
    ),
    key=("device_id", "date"),
    shard=Shard.BUCKET,
    max_rows_per_device=MAX_DAYS_PER_DEVICE,
    notes="Time is that of the visits, cut at local midnight, so that a day spent at home without a new visit counts "
    "with a gyration of 0.",
)

VENUES = Table(
    name="venues",
    row="device × local day × kind of place that the device was at",
    columns=(
        c.DEVICE_ID,
        DAY,
        PLACE_KIND,
        replace(
            c.POI_CATEGORY, description="Category of the venue; empty where the place is no venue", is_nullable=False
        ),
        replace(c.N_VISITS, description="Visits that start on the day", minimum=0),
        replace(c.DWELL_S, description="Time spent there on the day"),
    ),
    key=("device_id", "date", "place_kind", "poi_category"),
    shard=Shard.BUCKET,
    notes="Home comes before work and work before venue, so that nobody's own workplace is a venue to them.",
)

CONTACTS = Table(
    name="contacts",
    row="device × local day × kind of place at which it met another device",
    columns=(
        c.DEVICE_ID,
        DAY,
        PLACE_KIND,
        Column(
            "n_people", pa.int64(), "People of other households met, once for each of the device's places", "persons", 0
        ),
        Column(
            "people_weighted",
            pa.float64(),
            "The same, each device standing for its share of the population; null where that is unknown",
            "persons",
            0,
            is_nullable=True,
        ),
        Column("n_repeated", pa.int64(), "Those of them met there in the days before, too", "persons", 0),
        Column("contact_s", pa.float64(), "Time spent with them, summed over people", "s", 0),
        Column("n_household", pa.int64(), "People of the same household met", "persons", 0),
        Column("household_s", pa.float64(), "Time spent with them, summed over people", "s", 0),
    ),
    key=("device_id", "date", "place_kind"),
    shard=Shard.BUCKET,
    notes="No table holds pairs. Somebody met at two places on one day counts at each. A person counts as observed "
    "only while the device reports: contacts with people without a device, or whose device was silent, are missing, "
    "so that fewer devices meet fewer (region_day corrects for it). In the first days nobody was met before.",
)

ROUTINES = Table(
    name="routines",
    row="device × window with at least one visit",
    columns=(
        c.DEVICE_ID,
        c.WINDOW,
        c.WINDOW_STARTED,
        c.N_VISITS,
        c.N_LOCATIONS,
        Column(
            "n_routines",
            pa.int64(),
            "Significant routines: sequences of places that recur beyond chance",
            "routines",
            0,
        ),
        Column("routine_share", pa.float64(), "Share of the visits that they cover", "1", 0, 1),
        Column(
            "routine_length",
            pa.float64(),
            "Mean number of visits in a significant routine; null where there is none",
            "visits",
            2,
            is_nullable=True,
        ),
    ),
    key=("device_id", "window", "window_started"),
    shard=Shard.BUCKET,
    notes="How well the order of places lets the next be foretold is in entropy.",
)

REGION_DAY = Table(
    name="region_day",
    row="region × group × local day × measure with at least one observed device",
    columns=(
        c.REGION_GEOID,
        AXIS,
        GROUP,
        DAY,
        Column(
            "measure",
            pa.string(),
            "visits, minutes, distance_m, gyration_m, contacts, routine_share and so on, followed by :kind of place "
            "and :category where it is of one",
        ),
        replace(N_DEVICES, description="Devices that count: observed enough on the day, the measure known", minimum=1),
        Column("total", pa.float64(), "Sum over them", "measure's unit"),
    ),
    key=("region_geoid", "axis", "group", "date", "measure"),
    shard=Shard.STUDY,
    notes="Additive: rows of regions that do not overlap, or of days, may be summed, n_devices and total alike. "
    "Groups of one axis may overlap or leave areas out. Contacts are told as if on each day as many devices had "
    "reported as on the study's median day.",
)

REGION_CHANGES = Table(
    name="region_changes",
    row="region × group × local day × measure",
    columns=(
        c.REGION_GEOID,
        AXIS,
        GROUP,
        DAY,
        MEASURE,
        N_DEVICES,
        Column("mean", pa.float64(), "Mean over devices", "measure's unit"),
        Column(
            "baseline",
            pa.float64(),
            "Median of the region's means on the same weekdays of the baseline; null where there are too few",
            "measure's unit",
            is_nullable=True,
        ),
        Column(
            "log_change",
            pa.float64(),
            "Natural logarithm of mean by baseline; null where either is unknown or 0, or often 0",
            "log",
            round_to=c.SHARE_STEP,
            is_nullable=True,
        ),
        Column(
            "log_change_others",
            pa.float64(),
            "The same of the region's devices that are not in the group; null of the group of all",
            "log",
            round_to=c.SHARE_STEP,
            is_nullable=True,
        ),
    ),
    key=("region_geoid", "axis", "group", "date", "measure"),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
)

NPI_FITS = Table(
    name="npi_fits",
    row="measure × group × candidate model",
    columns=(
        MEASURE,
        AXIS,
        GROUP,
        Column(
            "model",
            pa.string(),
            "nothing: no change from baseline, or, where effects of periods are taken out, these alone: what the other "
            "regions did; stringency alone; stringency and severity; the same with an adaptation term",
            values=("nothing", "stringency", "severity", "weeks", "log_weeks", "exposure", "forgetting"),
        ),
        N_REGIONS,
        N_DEVICES,
        Column("n_observations", pa.int64(), "Region × period rows fitted to", "rows", 1, round_to=c.STEP),
        Column(
            "n_left_out",
            pa.int64(),
            "Parts left out in turn and foretold: regions in which policies differ; of too few of these, the regions; "
            "0: none",
            "parts",
            0,
        ),
        Column("r2", pa.float64(), "Share of variance explained, region effects included", "1", is_nullable=True),
        Column("within_r2", pa.float64(), "The same of variance within regions", "1", is_nullable=True),
        Column(
            "left_out_error",
            pa.float64(),
            "Root mean square error in parts left out of the fit; null of too few parts",
            "log",
            0,
            is_nullable=True,
        ),
        Column(
            "gain",
            pa.float64(),
            "Error of stringency alone less this error; null where unknown",
            "log",
            is_nullable=True,
        ),
        Column(
            "gain_low", pa.float64(), "Lower end of its 95 % interval; null of too few parts", "log", is_nullable=True
        ),
        Column("gain_high", pa.float64(), "Upper end of its 95 % interval", "log", is_nullable=True),
        Column("is_chosen", pa.bool_(), "Whether npi_response is of this model"),
    ),
    key=("measure", "axis", "group", "model"),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="The interval of the gain is a bootstrap over the parts left out. Intervals of models with more terms than "
    "stringency hold at once, so that the best of them may be picked by the error and judged by its interval.",
)

NPI_RESPONSE = Table(
    name="npi_response",
    row="measure × group × estimator × term of the chosen model",
    columns=(
        MEASURE,
        AXIS,
        GROUP,
        Column(
            "estimator",
            pa.string(),
            "fixed: an effect for each region; mixed: effects of regions drawn from a normal; difference: fixed, the "
            "group's term less that of everybody else",
            values=("fixed", "mixed", "difference"),
        ),
        Column("model", pa.string(), "The chosen model, see npi_fits"),
        Column("term", pa.string(), "stringency, severity, adaptation"),
        N_REGIONS,
        N_DEVICES,
        Column("n_observations", pa.int64(), "Region × period rows fitted to", "rows", 1, round_to=c.STEP),
        Column("lag_days", pa.int16(), "Days between the driver and the answer", "days", 0),
        Column("log_effect", pa.float64(), "Log change from baseline for one unit of the term", "log"),
        Column(
            "log_std_error",
            pa.float64(),
            "Its standard error, clustered by the regions in which policies differ; null of fewer than two, and where "
            "two tell nothing of it",
            "log",
            0,
            is_nullable=True,
        ),
        EFFECT_LOW,
        EFFECT_HIGH,
        Column("p_value", pa.float64(), "Two-sided, of no effect", "1", 0, 1, is_nullable=True),
        Column("p_adjusted", pa.float64(), "The same, corrected for all rows (Holm)", "1", 0, 1, is_nullable=True),
        Column("n_clusters", pa.int64(), "Clusters behind the standard error", "clusters", 1),
    ),
    key=("measure", "axis", "group", "estimator", "term"),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="Associations, unless orders were given at random: what else changed with a policy is in its term. Intervals "
    "and p-values do not know that the model was chosen among several by its error.",
)

NPI_EVENTS = Table(
    name="npi_events",
    row="measure × kind of order × weeks since the order",
    columns=(
        MEASURE,
        Column("order", pa.string(), "Kind of order, see npi_orders"),
        Column("weeks_since", pa.int16(), "Weeks since the order; negative before it", "weeks"),
        replace(N_REGIONS, description="Regions with the order that are seen then"),
        Column("n_control_regions", pa.int64(), "Regions without the order (yet), seen then", "regions", 0),
        N_DEVICES,
        Column("log_effect", pa.float64(), "Difference to regions without it, less that in the week before", "log"),
        Column("log_std_error", pa.float64(), "Its standard error, clustered by region", "log", 0, is_nullable=True),
        EFFECT_LOW,
        EFFECT_HIGH,
        Column(
            "pretrend_p_value",
            pa.float64(),
            "That the weeks before the order differ by chance alone, the same in all rows of a measure and order",
            "1",
            0,
            1,
            is_nullable=True,
        ),
    ),
    key=("measure", "order", "weeks_since"),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="Week -1 is what differences are taken from. A small pretrend_p_value says that regions differed before.",
)
