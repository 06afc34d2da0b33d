"""`sojourn train` and `sojourn models`: what learns, from what, and what it has learnt."""

from __future__ import annotations

from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.options import AsJson, Root, Sets, Wait, make_settings, parse_fields, print_json, read_study
from pipeline.params import list_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.engine.artifacts import Artifact
    from pipeline.models import Model

N_METRICS = 8
"""Metrics that are listed, without --json, of a trained model that sums up none itself: the first ones of its card."""


class Device(StrEnum):
    """Where a model is trained."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def train(
    model: Annotated[str, typer.Argument(help="Model to train (sojourn models lists them).")],
    study_file: Annotated[Path | None, typer.Option("--study", help="Study file (TOML) of the tables.")] = None,
    root: Root = Path("tables"),
    sets: Sets = None,
    params: Annotated[
        list[str] | None, typer.Option("--param", help="Set how it trains: --param max_epochs=10.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the training; default: the study's.")] = None,
    device: Annotated[Device, typer.Option(help="Where to train; auto takes CUDA where there is one.")] = Device.AUTO,
    truth: Annotated[Path | None, typer.Option(help="File of ground truth, for models that learn from one.")] = None,
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes between checkpoints; a killed training goes on from the last.")
    ] = 10.0,
    wait: Wait = 0.0,
    as_json: AsJson = False,
) -> None:
    """Train a model on the tables of a root and keep what it learnt there, under a version of its own.

    Its tables have to be up to date for the study, and the root is held meanwhile, as by a run. The last line printed
    is what to put into the study file, so that runs fill the model's tables. Several processes or GPUs train together
    under torchrun.
    """
    from pipeline.fitting import read_truth, train_model
    from pipeline.models import FitRun

    study = read_study(study_file, sets)
    settings = make_settings(root, wait=wait)
    with _progress() as on_progress:
        run = FitRun(
            study.seed if seed is None else seed,
            device.value,
            checkpoint_minutes=checkpoint_minutes,
            on_progress=on_progress,
        )
        trained = train_model(
            study, settings, model, parse_fields(params, "--param"), run, read_truth(model, truth, study)
        )
    if trained:
        _show_trained(root, trained, as_json)


def models(root: Root = Path("tables"), as_json: AsJson = False) -> None:
    """List the models that can be trained, and the cards of those trained on this root."""
    import pipeline.models.families  # noqa: F401  (fills the registry)
    from pipeline.engine.artifacts import read_cards
    from pipeline.models import MODELS
    from pipeline.models.protocol import SOJOURN_TORCH, missing_libraries

    cards = read_cards(root)
    if as_json:
        print_json({"models": [_describe(model) for model in MODELS.values()], "trained": cards})
        return
    console = Console()
    for model in MODELS.values():
        console.print(f"[bold]{model.name}[/bold]  {model.title}", highlight=False)
        described = _describe(model)
        for what in ("learns from", "fills", "source"):
            console.print(f"  {what}: {described[what]}", highlight=False, markup=False)
    if missing := missing_libraries():
        console.print(f"Not installed: {', '.join(missing)}. Training needs {SOJOURN_TORCH}.")
    console.print(f"\nTrained under {root}: {len(cards) or 'none'}", highlight=False)
    for card in cards:
        console.print("\n".join(card_lines(card)), highlight=False, markup=False)


def card_lines(card: dict[str, Any]) -> list[str]:
    """Return a trained model's card as lines of text."""
    from pipeline.engine.artifacts import HAS_WITHDRAWN, MODELS_FOLDER, flat_values

    study, rows = card["study"], ", ".join(f"{name} {n:,}" for name, n in card["rows"].items())
    lines = [
        f"{card['name']}  {card['title']}",
        f"  learnt from {study['name']}, {study['start']} to {study['end']}: {rows} rows",
        f"  seed {card['seed']}, {card['seconds']:.0f} s, torch {card['torch']}",
    ]
    if card.get(HAS_WITHDRAWN):
        lines.append(
            f"  from devices that were withdrawn since: train again, and remove {MODELS_FOLDER}/{card['name']}"
        )
    metrics = flat_values(card["metrics"])
    told = card.get("summary") or [f"{name}: {value}" for name, value in metrics[:N_METRICS]]
    n_more = 0 if "summary" in card else len(metrics) - N_METRICS
    return [*lines, *(f"  {line}" for line in told), *([f"  and {n_more} more (--json)"] if n_more > 0 else [])]


def _describe(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "title": model.title,
        "learns from": ", ".join(table.name for table in model.inputs) + (" and a --truth" if model.truth else ""),
        "fills": ", ".join(output.table.name for output in model.outputs),
        "source": model.source,
        "params": {
            name: {"default": str(default), "meaning": meaning}
            for name, (default, meaning) in list_fields(model.params).items()
        },
    }


def _show_trained(root: Path, trained: Artifact, as_json: bool) -> None:
    from pipeline.engine.artifacts import read_card

    card = read_card(root, trained.name)
    assert card is not None
    if as_json:
        print_json(card)
        return
    console = Console()
    console.print("\n".join(card_lines(card)), highlight=False, markup=False)
    console.print(f'\nFor the study file:  models = ["{trained.name}"]', highlight=False, markup=False)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what shows how far training is: a bar a phase on a terminal, nothing elsewhere."""
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, Any] = {}
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def on_progress(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=of)
            progress.update(tasks[what], completed=done, total=of)

        yield on_progress
