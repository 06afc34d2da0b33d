"""`sojourn evaluate personal-text`: personalised language, on dialogues of people with a persona."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.evaluate.app import evaluate_app
from pipeline.options import AsJson, print_json
from pipeline.study import StudyError

if TYPE_CHECKING:
    from rich.table import Table as Grid

    from pipeline.evaluation.personal_text import PersonalTextResult
    from pipeline.evaluation.personal_text_data import Encoder
    from pipeline.evaluation.personal_text_scores import Difference
    from pipeline.models.language.causal_lm import CausalLM
    from pipeline.models.language.declaration import ArmName

DEFAULT_ARMS = "none,static,lora,text,e2p,e2p_text,e2p_mean,e2p_shuffled"
NOTE = (
    "Perplexity of true answers: mean over people of the log-likelihood of their tokens. ppl {model}: compare arms, "
    "not papers. Arms that are trained take the same steps on the same texts. Intervals are of people, of one training "
    "each. ms: one prompt processed. ROUGE-L: written to true answers."
)
RANKS_NOTE = (
    "Persona found among {n}: by likelihood, the person's true answers with each candidate's persona told; by text, "
    "what the arm wrote to each candidate's persona. By chance 1 in {n}, mean rank {chance:g}."
)


@evaluate_app.command("personal-text")
def evaluate_personal_text(
    file: Annotated[Path, typer.Argument(help="Dialogues: Persona-Chat text or Synthetic-Persona-Chat CSV.")],
    train: Annotated[Path | None, typer.Option("--train", help="More dialogues to train on, of either layout.")] = None,
    arms: Annotated[str, typer.Option("--arms", help="Arms to compare, with commas.")] = DEFAULT_ARMS,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training on answers, of each arm.")] = 100,
    alignment_steps: Annotated[
        int, typer.Option(min=0, help="Steps before them, of each arm: what is said, by itself.")
    ] = 100,
    batch_size: Annotated[int, typer.Option(min=1, help="Answers of a step.")] = 16,
    prompt_tokens: Annotated[int, typer.Option(min=1, help="Tokens of what was said before that are read.")] = 32,
    answers_per_person: Annotated[int, typer.Option(min=1, help="Most answers scored of each person.")] = 6,
    task_from: Annotated[
        str, typer.Option(help="Train on answers of the file's own people, or of both files: file, both.")
    ] = "file",
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    model: Annotated[
        str, typer.Option(help="smollm2, or tiny: a random one, and letters for embeddings, to try the command.")
    ] = "smollm2",
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Folder for what is learnt and scored; the command goes on from it.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder for the language model's weights, read faster from there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare ways to personalise a frozen language model on people unseen in training.

    e2p puts one soft token, projected from the mean embedding of the persona's lines, before the prompt. It is held
    against nothing (none), others' embeddings (e2p_shuffled), one embedding for all (e2p_mean), a soft prompt (static),
    adapters (lora) and the persona as text (text, e2p_text). Whoever shares a persona line is one person, who is
    trained on or tested, never both.
    """
    from pipeline.evaluation import personal_text as evaluation
    from pipeline.evaluation.personal_text_data import PersonalTextParams
    from pipeline.evaluation.showing import plain
    from pipeline.models.language.declaration import PrefixParams

    wanted = _parse_arms(arms)
    if model not in ("smollm2", "tiny") or task_from not in ("file", "both"):
        raise StudyError("--model is smollm2 or tiny, --task-from is file or both")
    source: Literal["file", "both"] = "both" if task_from == "both" else "file"
    params = PersonalTextParams(
        seed=seed, steps=steps, alignment_steps=alignment_steps, answers_per_person=answers_per_person, task_from=source
    )
    prefix = PrefixParams(batch_size=batch_size, max_prompt_tokens=prompt_tokens)
    result = evaluation.evaluate_personal_text(
        file, train, wanted, params, prefix, lambda: _load(model, cache), keep, _code() if keep else "",
        on_progress=lambda name: typer.echo(f"arm {name}", err=True),
    )  # fmt: skip
    if as_json:
        print_json(plain(result._asdict()))
    else:
        _show(result)


def _parse_arms(text: str) -> list[ArmName]:
    from typing import get_args

    from pipeline.models.language.declaration import ArmName

    known: tuple[ArmName, ...] = get_args(ArmName)
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise StudyError(f"--arms: there is no {', '.join(unknown) or 'arm named'}; there are {', '.join(known)}")
    return [name for wanted in names for name in known if name == wanted]


def _code() -> str:
    from pipeline.engine.lineage import code_digest

    return code_digest("pipeline.evaluation.personal_text")


def _load(model: str, cache: Path | None) -> tuple[CausalLM, Encoder]:
    from pipeline.models.packages import PackageMissingError
    from pipeline.models.protocol import SOJOURN_TORCH

    try:
        import pipeline.models.sentences as sentences
        from pipeline.models.hashed_text import hash_texts
        from pipeline.models.language.causal_lm import load_smollm2, tiny_lm
    except ModuleNotFoundError as error:
        raise StudyError(f"{error.name} is not installed: {SOJOURN_TORCH}") from None
    try:
        if model == "tiny":
            return tiny_lm(), hash_texts
        sentences.encode([""])
        return load_smollm2(cache), sentences.encode
    except (PackageMissingError, ModuleNotFoundError) as error:
        raise StudyError(str(error)) from None


def _show(result: PersonalTextResult) -> None:
    """Print the comparison."""
    from rich.console import Console

    console = Console()
    counts = result.counts
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in result.rejected.items())
    console.print(
        f"{counts['n_rows']:,} rows, {counts['n_answers']:,} answers"
        + (f" (not used: {reasons})" if reasons else "")
        + f"; {counts['n_people']:,} people: {counts['n_train_people']:,} trained on, {counts['n_test_people']:,} "
        f"tested on {counts['n_test']:,} answers. {result.model}",
        highlight=False,
    )
    chance = (result.n_candidates + 1) / 2
    console.print(_arms_grid(result), _written_grid(result), _differences_grid(result), sep="\n")
    console.print(
        NOTE.format(model="is of 4-bit weights" if "4 bits" in result.model else "is of a toy"), highlight=False
    )
    console.print(RANKS_NOTE.format(n=result.n_candidates, chance=chance), highlight=False)


def _grid(*names: str, title: str | None = None) -> Grid:
    from rich import box
    from rich.table import Table as Grid

    grid = Grid(box=box.SIMPLE_HEAD, padding=0, title=title, title_justify="left")
    for k, name in enumerate(names):
        grid.add_column(name, justify="left" if k == 0 else "right", no_wrap=True)
    return grid


def _arms_grid(result: PersonalTextResult) -> Grid:
    from pipeline.evaluation.showing import figure

    grid = _grid("arm", "perplexity", "trained", "tokens", "ms", "steps", "train s")
    for arm in result.arms:
        grid.add_row(
            arm.name, figure(arm.perplexity, 2), f"{arm.n_trainable:,}", f"+{arm.n_added_tokens:.0f}",
            f"{arm.latency_ms:,.0f}", f"{arm.n_steps:,}", f"{arm.train_s:,.0f}",
        )  # fmt: skip
    return grid


def _written_grid(result: PersonalTextResult) -> Grid:
    from pipeline.evaluation.showing import figure, share

    grid = _grid("arm", "distinct-1", "-2", "ROUGE-L", "likelihood", "rank", "by text", "rank")
    for arm in result.arms:
        grid.add_row(
            arm.name, figure(arm.distinct_1), figure(arm.distinct_2), figure(arm.rouge_l),
            share(arm.hit_rate_likelihood), figure(arm.mean_rank_likelihood, 1), share(arm.hit_rate_written),
            figure(arm.mean_rank_written, 1),
        )  # fmt: skip
    return grid


def _differences_grid(result: PersonalTextResult) -> Grid:
    grid = _grid(
        "nats per token",
        "difference",
        "95 % interval",
        "people",
        title="Below 0: the first is better; intervals over people, one training seed",
    )
    for name, difference in result.differences.items():
        grid.add_row(f"e2p − {name}", *_cells(difference))
    for angle, difference in result.drift.items():
        grid.add_row(f"e2p turned {angle}° − e2p", *_cells(difference))
    return grid


def _cells(difference: Difference) -> tuple[str, str, str]:
    from pipeline.evaluation.showing import figure

    interval = f"{figure(difference.low)} to {figure(difference.high)}"
    return figure(difference.mean), interval, f"{difference.n_people:,}"
