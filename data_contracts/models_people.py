"""Tables of models of people: whether somebody will see a new place, and whether they have lost the job."""

from dataclasses import replace

import pyarrow as pa

from data_contracts import columns as c
from data_contracts.people import WEEK
from data_contracts.spec import Column, Shard, Table

EXPLORATION_FORECASTS = Table(
    name="exploration_forecasts",
    row="device × week forecast: the one after the last whole week of its record, and earlier ones where asked for",
    columns=(
        c.DEVICE_ID,
        replace(WEEK, description="Monday of the week that is forecast, local date"),
        Column("n_weeks_before", pa.int64(), "Weeks from the first visit's to the one before", "weeks", 1),
        Column("is_back_forecast", pa.bool_(), "The week is over: forecast from what lies before it, for checking"),
        Column(
            "new_place_probability",
            pa.float64(),
            "That a place never visited before is visited in the week, if the device is seen in it",
            "1",
            0,
            1,
        ),
        Column(
            "baseline_probability",
            pa.float64(),
            "The same by the device's own share of such weeks so far, drawn to that of all devices of the training",
            "1",
            0,
            1,
        ),
        Column("kinds", pa.list_(pa.string()), "Kinds the first new place may be of, the most probable first"),
        Column(
            "kind_probabilities", pa.list_(pa.float64()), "Their probabilities if there is one, which sum to 1", "1"
        ),
    ),
    key=("device_id", "window_started"),
    shard=Shard.BUCKET,
    notes="New is what the record has not seen: it begins with the study, so early weeks are full of places that are "
    "not new to the person. A week without visits is not observed, and no week without a new place. The kind is the "
    "leading part of the category of the most probable place of interest; 'none known': no place of interest was near; "
    "'other': a kind too rare to be learnt. Back forecasts of people and weeks that the model learnt from flatter it.",
)

EMPLOYMENT_SCORES = Table(
    name="employment_scores",
    row="device with a baseline workplace × week of the study",
    columns=(
        c.DEVICE_ID,
        WEEK,
        Column("n_observed_weeks", pa.int64(), "Observed weeks among those the model looked at", "weeks", 0),
        Column("loss_score", pa.float64(), "Learned probability that the job of the baseline is lost", "1", 0, 1),
    ),
    key=("device_id", "window_started"),
    shard=Shard.BUCKET,
    notes="Learned from simulated people: how good it is for real ones is not known. It sees presence alone and so "
    "cannot tell a lost job from work at home; in a wave of telework it may be too high. Unobserved weeks have a "
    "score, from the weeks around them; `employment` uses none of them.",
)

EMPLOYMENT_TRUTH = Table(
    name="employment_truth",
    row="device × week of known truth, with a job that could be lost (in memory only)",
    columns=(
        c.DEVICE_ID,
        WEEK,
        Column("is_employed", pa.bool_(), "Had a job on most known days of the week, worked away or not"),
    ),
    key=("device_id", "window_started"),
    shard=Shard.FILE,
    notes="What `employment_scores` learns from; `sojourn train` reads it from a table of true spells, as `sojourn "
    "evaluate employment` does.",
)
