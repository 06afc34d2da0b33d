"""`train`: train a model on the tables of a root and keep what it learnt there.

``python -m flows.train two_tower_hgnn --study study.toml --root tables``
"""

from pathlib import Path
from typing import Any

from prefect import State, flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed

from flows.command import make_parser, run_flow
from flows.inputs import read_study
from flows.tasks import REFUSED
from pipeline.engine.artifacts import flat_values, read_card
from pipeline.engine.lock import LockedError
from pipeline.engine.trouble import named
from pipeline.fitting import read_truth, train_model
from pipeline.models import FitRun
from pipeline.settings import Settings

METRICS_KEY = "sojourn-metrics"


@task(name="fit", cache_policy=NO_CACHE, persist_result=False)
def fit(
    settings: Settings, studied: Any, model: str, params: dict[str, Any], seed: int | None, truth: Path | None
) -> str:
    """Train the model and return the trained one's name@version."""
    with named(model):
        run = FitRun(studied.seed if seed is None else seed)
        trained = train_model(studied, settings, model, params, run, read_truth(model, truth, studied))
    assert trained is not None, "a flow is one process"
    return trained.name


@flow(name="train", persist_result=False)
def train(
    settings: Settings,
    model: str,
    study_file: Path | None = None,
    study: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    seed: int | None = None,
    truth: Path | None = None,
) -> str | State:
    """Return name@version of what a model learnt from the tables of a root: what the study file then names.

    A training that was killed goes on from its last checkpoint when it is run again. It holds the root like a run: a
    root that is taken ends it in state "Refused".

    Args:
        settings: Where the tables are. Training takes this machine, not the cluster.
        model: Name of the model.
        study_file: Path of the study (TOML), as the worker sees it.
        study: Fields of the study, which replace those of the file; without a file, the whole study.
        params: How the model trains, where not by its defaults.
        seed: Seed of the training; empty: the study's.
        truth: File of ground truth, for models that learn from one.
    """
    studied = read_study(study_file, study)
    try:
        name = fit(settings, studied, model, params or {}, seed, truth)
    except LockedError as error:
        return Failed(name=REFUSED, message=str(error), data=error)
    get_run_logger().info('trained; for the study file: models = ["%s"]', name)
    _show(settings, name)
    return name


def _show(settings: Settings, name: str) -> None:
    card = read_card(settings.root, name)
    assert card is not None, "it was just written"
    rows = [{"metric": metric, "value": value} for metric, value in flat_values(card["metrics"])]
    told = "\n".join([f"{name}: metrics on what it did not learn from", *card.get("summary", [])])
    create_table_artifact(rows, METRICS_KEY, told)


def main() -> None:
    """Run the flow from the command line."""
    parser = make_parser("Train a model on the tables of a root.", is_run=False)
    parser.add_argument("model", help="name of the model")
    parser.add_argument("--seed", type=int, help="seed of the training; default: the study's")
    parser.add_argument("--truth", type=Path, help="file of ground truth")
    options = parser.parse_args()
    run_flow(train, options, model=options.model, seed=options.seed, truth=options.truth)


if __name__ == "__main__":
    main()
