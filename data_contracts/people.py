"""Tables of people: where they live and work, whether they are at work, and what that says of a region."""

from dataclasses import replace

import pyarrow as pa

from data_contracts import columns as c
from data_contracts.spec import Column, Release, Shard, Table

WEEK = replace(c.WINDOW_STARTED, description="Monday of the week, local date")
HOME_TRACT = replace(
    c.TRACT_GEOID, name="home_tract_geoid", description="Area of the baseline home; null where there is none"
)
IS_AT_RISK = Column("is_at_risk", pa.bool_(), "Absent from the baseline workplace for long enough, no new one found")
IS_UNDECIDED = Column(
    "is_undecided",
    pa.bool_(),
    "Absent, not for long enough, and the record ends or falls silent before the device is back",
)
KNOWN_ON = Column(
    "known_on",
    pa.date32(),
    "Monday after the week with which the absence had lasted long enough and after the baseline's end; all else, such "
    "as places and workplaces, is known from the whole study; null unless at risk",
    "local date",
    is_nullable=True,
)
N_DEVICES = Column("n_devices", pa.int64(), "Devices behind the row", "devices", 0, round_to=c.STEP)

HOME_WORK = Table(
    name="home_work",
    row="device × span of days × role × place that has the role in that span",
    columns=(
        c.DEVICE_ID,
        Column(
            "span",
            pa.string(),
            "moving: judged from the days around it; baseline: from the study's declared baseline, once",
            values=("moving", "baseline"),
        ),
        replace(c.WINDOW_STARTED, description="First local date the row holds for"),
        Column("window_finished", pa.date32(), "Last local date the row holds for", "local date"),
        Column("role", pa.string(), "What the place is to the device", values=("home", "work")),
        Column("rank", pa.int16(), "1: the main place of the role in the span, 2: the next", minimum=1),
        c.LOCATION_ID,
        c.TRACT_GEOID,
        Column("n_days", pa.int64(), "Days with the device at the place in the hours of the role", "days", 0),
        Column("share", pa.float64(), "Share of the role's observed hours that were spent there", "1", 0, 1),
        Column(
            "confidence",
            pa.float64(),
            "How probable the role is by the logit; of HoWDe, the score it compares with its threshold",
            "1",
            0,
            1,
        ),
    ),
    key=("device_id", "span", "role", "window_started", "rank"),
    shard=Shard.BUCKET,
    notes="A device without rows of a role has no place found for it: that is not the same as having none. "
    "n_days and share are of the days a row was judged from; of HoWDe's spells, the best of their days. "
    "The baseline rows are one span for the whole study; absence from work is measured against them.",
)

PRESENCE = Table(
    name="presence",
    row="device with a baseline workplace × week of the study",
    columns=(
        c.DEVICE_ID,
        WEEK,
        HOME_TRACT,
        replace(c.LOCATION_ID, name="work_location_id", description="The baseline workplace"),
        replace(c.TRACT_GEOID, name="work_tract_geoid", description="Area of the baseline workplace"),
        Column("n_observed_days", pa.int64(), "Local days of the week that were observed enough", "days", 0, 7),
        Column("is_observed", pa.bool_(), "Enough days were observed to judge the week, and work is expected on them"),
        Column("n_work_visits", pa.int64(), "Visits to the baseline workplace that start in the week", "visits", 0),
        Column("work_dwell_s", pa.float64(), "Time spent there in the week", "s", 0, c.MAX_DWELL_S),
        Column("expected_visits", pa.float64(), "Visits expected on the observed days, by the baseline", "visits", 0),
        Column(
            "visit_ratio",
            pa.float64(),
            "Visits there on observed days, relative to those expected; null where not observed",
            "1",
            0,
            is_nullable=True,
        ),
        Column(
            "hours_ratio",
            pa.float64(),
            "Hours there on observed days, relative to those expected; null where not observed",
            "1",
            0,
            is_nullable=True,
        ),
        Column(
            "is_absent",
            pa.bool_(),
            "Observed, both ratios at or below their thresholds, no new work and no hours at work on other days",
        ),
        Column("has_new_work", pa.bool_(), "Another place is a workplace now, a new or a second one"),
        IS_AT_RISK,
        IS_UNDECIDED,
        Column(
            "absent_since_on",
            pa.date32(),
            "Monday of the first week of the present absence; null when not absent",
            "local date",
            is_nullable=True,
        ),
        KNOWN_ON,
    ),
    key=("device_id", "window_started"),
    shard=Shard.BUCKET,
    notes="Every week that holds a date of the study, also those of the baseline itself. An absence that lasts long "
    "enough puts the device at risk from its first week on: the table looks back, and so no date of the study could "
    "have had it.",
)

SECTOR_ABSENCE = Table(
    name="sector_absence",
    row="week × wave of telework × industry with observed devices",
    columns=(
        WEEK,
        Column(
            "wave", pa.string(), "Absences that began as telework spread, by the first such Monday; none: all others"
        ),
        c.SECTOR,
        Column(
            "wave_started_on",
            pa.date32(),
            "First Monday on which an absence of the wave begins; null for none",
            "local date",
            is_nullable=True,
        ),
        Column("wave_finished_on", pa.date32(), "Last such Monday", "local date", is_nullable=True),
        Column(
            "assignment",
            pa.string(),
            "How devices were given industries: in shares of the jobs of the workplace's area, or one drawn from them",
            values=("fractional", "draw"),
        ),
        replace(N_DEVICES, description="Observed devices that may work in the sector"),
        Column("weight", pa.float64(), "Sum of their probabilities of working in it", "1", 0),
        Column(
            "at_risk_share",
            pa.float64(),
            "Share of that weight at risk with such an absence: r of the method",
            "1",
            0,
            1,
        ),
        Column("telework_share", pa.float64(), "Share expected to work away since then: R of the method", "1", 0, 1),
        Column("loss_probability", pa.float64(), "That a device at risk in the sector has lost its job", "1", 0, 1),
    ),
    key=("window_started", "wave", "sector"),
    shard=Shard.STUDY,
    notes="1 - min(R / r, 1), zero where r is zero (reading 1); reading 2 is a switch of the stage. Over waves, r and "
    "R add up to all absence and all telework expected, but in the lead weeks of a wave, whose R is that of its first "
    "week. Devices whose workplace lies in no area with jobs on file are "
    "of the sector unknown.",
)

EMPLOYMENT = Table(
    name="employment",
    row="device with a baseline workplace × week of the study",
    columns=(
        c.DEVICE_ID,
        WEEK,
        HOME_TRACT,
        replace(
            c.SECTOR,
            description="Most probable industry; null where the workplace's area has no jobs on file",
            is_nullable=True,
        ),
        Column("visit_ratio", pa.float64(), "As in presence", "1", 0, is_nullable=True),
        Column("hours_ratio", pa.float64(), "As in presence", "1", 0, is_nullable=True),
        IS_AT_RISK,
        IS_UNDECIDED,
        Column(
            "loss_probability",
            pa.float64(),
            "That the device's owner is without the job; null where unknown",
            "1",
            0,
            1,
            is_nullable=True,
        ),
        Column(
            "status",
            pa.string(),
            "What the probability and presence say",
            values=("employed", "remote", "not_employed", "unknown"),
        ),
        Column(
            "lost_on",
            pa.date32(),
            "Monday of the week in which the present loss began; null unless status is not_employed",
            "local date",
            is_nullable=True,
        ),
        replace(
            KNOWN_ON,
            description="As in presence: no date to know a loss on in real time; null unless status is not_employed",
        ),
    ),
    key=("device_id", "window_started"),
    shard=Shard.BUCKET,
    notes="Nobody without a detected workplace has a row: that is not unemployment. Sector and telework are those of "
    "the workplace's area, not of the person. Absences too young to judge are undecided, so among known statuses the "
    "last weeks of the record lack new losses but not people at work: a rate over all weeks is too low there. Leave "
    "out weeks in which somebody may still be undecided: the last `presence.persistence_weeks` - 1, or more where few "
    "visits are expected.",
)

PANEL_WEIGHTS = Table(
    name="panel_weights",
    row="home area",
    columns=(
        replace(HOME_TRACT, description="Area of the baseline home", is_nullable=False),
        replace(N_DEVICES, description="Devices of the panel whose baseline home is in the area", minimum=1),
        Column("population", pa.float64(), "Residents of the area; null where unknown", "persons", 0, is_nullable=True),
        Column(
            "pool_geoid",
            pa.string(),
            "Areas weighted together: the area's id, or the leading digits that areas of too few devices share and a * "
            "(*: all other such areas); null where population is unknown",
            is_nullable=True,
        ),
        Column(
            "area_weight",
            pa.float64(),
            "Weight of each such device by home area, mean 1 over devices; null where no population is known",
            "1",
            0,
            is_nullable=True,
        ),
        Column(
            "raked_weight",
            pa.float64(),
            "Weight that also meets the shares of the groups, mean 1; null where they are unknown or cannot be met",
            "1",
            0,
            is_nullable=True,
        ),
        Column(
            "raked_gap",
            pa.float64(),
            "Largest difference raking leaves between a group's share of the devices and of the population, the same "
            "in all rows; null where there are no groups to rake to",
            "1",
            0,
            1,
            is_nullable=True,
        ),
    ),
    key=("home_tract_geoid",),
    shard=Shard.STUDY,
    notes="Groups are those of areas, not of persons, so all devices of an area weigh the same. The population is that "
    "of all areas of tracts. Devices without a baseline home inside an area have no weight.",
)

UNEMPLOYMENT = Table(
    name="unemployment",
    row="region × week or month × weighting",
    columns=(
        c.REGION_GEOID,
        replace(c.WINDOW, values=("week", "month")),
        c.WINDOW_STARTED,
        Column("weighting", pa.string(), "How devices count", values=("none", "area", "raked")),
        replace(N_DEVICES, description="Devices with a known status and a weight"),
        Column(
            "n_effective",
            pa.float64(),
            "As many equal devices would be as certain (Kish)",
            "devices",
            0,
            round_to=c.STEP,
        ),
        Column(
            "rate",
            pa.float64(),
            "Mean probability of job loss of those who had a workplace",
            "1",
            0,
            1,
            round_to=c.SHARE_STEP,
        ),
        Column(
            "rate_low",
            pa.float64(),
            "Lower end of the interval, bootstrap over devices",
            "1",
            0,
            1,
            round_to=c.SHARE_STEP,
        ),
        Column("rate_high", pa.float64(), "Upper end of the interval", "1", 0, 1, round_to=c.SHARE_STEP),
        Column(
            "is_provisional",
            pa.bool_(),
            "Too many absences are too young to judge, or the month is not wholly in the study",
        ),
    ),
    key=("region_geoid", "window", "window_started", "weighting"),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="A share of those with a baseline workplace: comparable over time with official rates, not equal to them. "
    "The interval covers the sample of devices, not errors of status, nor that weights are estimates. A weighting "
    "without known weights has no rows. A month is its devices' mean over the weeks that start in it. "
    "Absences too young to judge are unknown and not counted, so that the last weeks of a study come out too low: "
    "they, and the months with them, are provisional, for the whole study at once, and comparisons leave them out. "
    "Rows are left out too where a region less what is shown of it would tell of fewer than 10 devices.",
)

EMPLOYMENT_EFFECTS = Table(
    name="employment_effects",
    row="measure × group × months since job loss",
    columns=(
        Column("measure", pa.string(), "Column of the table of measures that is compared"),
        Column("axis", pa.string(), "What the group is a group of; all: everybody"),
        Column("group", pa.string(), "Devices whose home area is high in this group's share; all: everybody"),
        Column("months_since_loss", pa.int16(), "Spans of four weeks since the loss; negative before it", "28 days"),
        replace(N_DEVICES, description="Devices that lost the job and are seen then"),
        Column("n_controls", pa.int64(), "Matched devices that kept theirs", "devices", 0, round_to=c.STEP),
        Column(
            "estimate",
            pa.float64(),
            "Difference to the controls, less that in the month before the loss",
            "measure's unit",
        ),
        Column(
            "std_error",
            pa.float64(),
            "Its standard error, clustered by matched set and shared control",
            "measure's unit",
            0,
        ),
        Column("estimate_low", pa.float64(), "Lower end of the 95 % interval", "measure's unit"),
        Column("estimate_high", pa.float64(), "Upper end of the 95 % interval", "measure's unit"),
        Column("p_value", pa.float64(), "Two-sided, of no difference", "1", 0, 1),
        Column("p_adjusted", pa.float64(), "The same, corrected for all rows of the table (Holm)", "1", 0, 1),
        Column("control_mean", pa.float64(), "Mean of the controls then", "measure's unit"),
    ),
    key=("measure", "axis", "group", "months_since_loss"),
    shard=Shard.STUDY,
    release=Release.PUBLIC,
    min_devices=10,
    notes="Devices with a job loss beside matched ones without, over the same weeks; the months before -1 are those "
    "matched on. Month -1 is what differences are taken from: zero, with p-values of 1. Groups are of areas, not of "
    "persons. Rows with fewer than 10 controls are left out too, and those of groups that differ from everybody or "
    "from another group by fewer than 10 devices. n_familiar looks back over ten weeks: its months share weeks, those "
    "matched on with month -1 among them, and what a loss changes shows late.",
)
