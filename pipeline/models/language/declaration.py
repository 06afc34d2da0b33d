"""What is set of personalised text, and the model that writes week summaries; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd
from pydantic import Field

from data_contracts import REGION_CHANGES, Table
from data_contracts.models_text import WEEK_SUMMARIES
from pipeline.models.protocol import FitRun, Output, Precision, State, Tables, register
from pipeline.params import Params

ArmName = Literal[
    "none", "text", "static", "lora", "e2p", "e2p_text", "e2p_mean", "e2p_shuffled", "e2p_trained_shuffled"
]


class PrefixParams(Params):
    """How an embedding is put before a frozen language model, and what it is compared with."""

    n_prefix_tokens: int = Field(default=1, ge=1)
    """Soft tokens that an embedding becomes: one (2505.17051 [READ]). They stand behind the model's start token and
    before the prompt (ours [INF]: what stands first draws attention whatever it is)."""
    dropout: float = Field(default=0.05, ge=0, lt=1)
    """Share of the projector's hidden values dropped in training (ours [INF])."""
    is_rescaled: bool = True
    """Soft tokens have the mean length of the model's token embeddings (ours [INF])."""
    lora_rank: int = Field(default=8, ge=1)
    """Rank of the matrices of the arm lora (ours)."""
    lora_alpha: int = Field(default=16, ge=1)
    """Factor of their product, by rank (ours)."""
    lora_layers: tuple[str, ...] = ("q_proj", "v_proj")
    """Layers that have them (ours: queries and values)."""
    max_prompt_tokens: int = Field(default=32, ge=1)
    """Tokens of a prompt without a description that are read, the last (ours: one or two utterances)."""
    max_text_tokens: int = Field(default=72, ge=1)
    """Tokens more of a prompt with the description as text (ours: five lines)."""
    max_answer_tokens: int = Field(default=28, ge=1)
    """Tokens of an answer that are learnt from and scored, the first (ours)."""
    batch_size: int = Field(default=16, ge=1)
    """Answers of a step (ours)."""


class WeekSummaryParams(PrefixParams):
    """How the writer of week summaries is trained."""

    language_model: Literal["smollm2", "tiny"] = "smollm2"
    """smollm2: SmolLM2-135M-Instruct; tiny: a random one that has learnt nothing, for tests."""
    steps: int = Field(default=600, ge=1)
    """Steps of training (ours)."""
    steps_per_epoch: int = Field(default=50, ge=1)
    """Steps between validations (ours)."""
    drawn_weeks: int = Field(default=4_000, ge=1)
    """Weeks drawn to train on: each has the measures of a week of the table, each change that of another week of it
    (ours: a table has too few weeks to learn the numbers from)."""
    held_out_share: float = Field(default=0.25, gt=0, lt=1)
    """Share of the regions, or of the weeks where there are fewer than two regions, whose weeks texts are tested on."""
    tested_weeks: int = Field(default=24, ge=1)
    """Most weeks that texts are tested on, by each arm (ours)."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Step size (ours)."""
    precision: Precision = "float32"
    """Mixed precision of training: float32, bfloat16, or float16 on CUDA. Texts are written in float32 always."""
    max_answer_tokens: int = Field(default=56, ge=1)
    """Tokens of a text that are learnt from and written at most (ours: four facts)."""
    max_text_tokens: int = Field(default=192, ge=1)
    """Tokens of facts and examples in the prompt of the arm that is told them (ours)."""


SUMMARIES = Output(WEEK_SUMMARIES, (REGION_CHANGES,), "pipeline.models.language")
"""The table that writers of week summaries fill."""


@register
class WeekSummaries:
    """Short factual descriptions of an area's week, written by a frozen language model that its numbers steer."""

    name = "week_summaries"
    title = "Describes each area's week in a sentence whose every number is checked against the table"
    source = (
        "Embedding-to-Prefix, arXiv 2505.17051 (one soft token before a frozen language model). Its projector's shape, "
        "the vector of an area's week, the sentences and their check are ours."
    )
    inputs: tuple[Table, ...] = (REGION_CHANGES,)
    outputs: tuple[Output, ...] = (SUMMARIES,)
    params: type[Params] = WeekSummaryParams
    truth: Table | None = None

    def fit(self, tables: Tables, params: WeekSummaryParams, run: FitRun, truth: pd.DataFrame | None = None) -> State:
        """Return the projector, with the share of held-out texts whose facts agree, by arm, as metrics."""
        from pipeline.models.language.week_summaries import fit

        return fit(tables.whole(REGION_CHANGES), params, run)

    def predict(
        self,
        output: Output,
        state: State,
        frames: Mapping[str, pd.DataFrame],
        params: Params,
        device: str = "auto",
    ) -> pd.DataFrame:
        """Return the rows of WEEK_SUMMARIES; where nothing is known of any week, none, and no model is loaded."""
        from pipeline.models.language.facts import weeks_of

        weeks = weeks_of(frames[REGION_CHANGES.name])
        if not weeks:
            return WEEK_SUMMARIES.schema.empty_table().to_pandas(date_as_object=False)
        from pipeline.models.language.week_summaries import summarise

        return summarise(state, weeks, device)
