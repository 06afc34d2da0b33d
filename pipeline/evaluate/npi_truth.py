"""`sojourn evaluate npi-truth`: coefficients found in an artificial city beside those its people have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.evaluate.app import evaluate_app, load_or_explain
from pipeline.options import AsJson, Root, Sets, StudyFile, print_json, read_study
from pipeline.study import StudyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from rich.table import Table as Grid

    from pipeline.npi_drivers import NpiParams


@evaluate_app.command("npi-truth")
def evaluate_npi_truth(
    truth: Annotated[Path, typer.Option(help="truth/response.json of a simulated city.")],
    study_file: StudyFile = None,
    root: Root = Path("tables"),
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Compare npi_response with how people of a simulated city really answer, for visits to venues.

    The study is needed where it sets params.npi_response: coefficients of other drivers than the people's have no
    truth.
    """
    from rich.console import Console

    from pipeline.evaluation.npi_truth import compare_with_truth, find_differences, read_truth

    rows, answer = load_or_explain("npi_response", root), read_truth(truth)
    params = _params(study_file, sets, root)
    found, differences = compare_with_truth(rows, answer, params), find_differences(params, answer)
    known = found[found["truth"].notna()]
    n_inside = int(known["is_inside"].sum())
    if as_json:
        rows = found.astype(object).where(found.notna(), None).to_dict("records")
        counts = {"n_coefficients": len(known), "n_inside": n_inside, "share_clipped": answer.get("share_clipped")}
        print_json(counts | {"differences": differences, "rows": rows})
        return
    console = Console()
    for (measure, model), rows in found.groupby(["measure", "model"], sort=False):
        is_known = rows["truth"].notna().all()
        console.print(_grid(f"{measure}, {model}{'' if is_known else ': not the true model'}", rows))
    console.print(f"{n_inside} of {len(known)} coefficients have the truth in their 95 % interval", highlight=False)
    for line in [_clipped(answer), *(f"no truth to compare with: {words}" for words in differences)]:
        console.print(line, highlight=False)


def _params(study_file: Path | None, sets: list[str] | None, root: Path) -> NpiParams:
    """Return the parameters of npi_response in a study, or the defaults; StudyError where the table has others."""
    from data_contracts import NPI_RESPONSE
    from pipeline.engine.files import StoreError
    from pipeline.engine.store import Store
    from pipeline.npi_drivers import NpiParams
    from pipeline.params import digest

    study = read_study(study_file, sets) if study_file or sets else None
    try:
        params = NpiParams(**(study.params.get("npi_response", {}) if study else {}))
        footers = [Store(root).footer(NPI_RESPONSE, key) for key in Store(root).keys(NPI_RESPONSE)]
    except (ValueError, StoreError) as error:
        raise StudyError(str(error)) from None
    if any(footer and footer.made_from.get("params") != digest(params.model_dump()) for footer in footers):
        whose = "those of the study" if study else "the defaults: name its study file"
        raise StudyError(f"npi_response under {root} was made with other parameters than {whose}")
    return params


def _clipped(answer: Mapping[str, Any]) -> str:
    """Return in words how often the people could not answer as their coefficients say."""
    share = answer.get("share_clipped")
    if share is None:
        return "it is not known on how many county-days people would go out more often than before all this"
    return f"on {share:.1%} of county-days people would go out more often than before all this, and cannot"


def _grid(title: str, rows: pd.DataFrame) -> Grid:
    """Return the coefficients of one measure as a table that fits a narrow terminal; of another model none is true."""
    from rich.table import Table

    grid = Table("estimator", "term", "truth", "found", "95 % interval", "inside", title=title, title_justify="left")
    for row in rows.itertuples(index=False):
        is_known = row.truth == row.truth
        truth, verdict = (f"{row.truth:.3f}", "yes" if row.is_inside else "no") if is_known else ("", "")
        interval = f"{row.log_effect_low:.3f} to {row.log_effect_high:.3f}"
        grid.add_row(row.estimator, row.term, truth, f"{row.log_effect:.3f}", interval, verdict)
    return grid
