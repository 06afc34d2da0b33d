"""`sojourn evaluate npi-truth`: coefficients found in an artificial city beside those its people have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.evaluate.app import evaluate_app, load_or_explain
from pipeline.options import AsJson, Root, print_json


@evaluate_app.command("npi-truth")
def evaluate_npi_truth(
    truth: Annotated[Path, typer.Option(help="truth/response.json of a simulated city.")],
    root: Root = Path("tables"),
    as_json: AsJson = False,
) -> None:
    """Compare npi_response with how people of a simulated city really answer, for visits to venues."""
    from rich.console import Console
    from rich.table import Table as Grid

    from pipeline.evaluation.npi_truth import compare_with_truth, read_truth

    found = compare_with_truth(load_or_explain("npi_response", root), read_truth(truth))
    known = found[found["truth"].notna()]
    n_inside = int(known["is_inside"].sum())
    if as_json:
        rows = found.astype(object).where(found.notna(), None).to_dict("records")
        print_json({"n_coefficients": len(known), "n_inside": n_inside, "rows": rows})
        return
    grid = Grid("measure", "estimator", "model", "term", "truth", "found", "95 % interval", "inside")
    for row in found.itertuples(index=False):
        interval = f"{row.log_effect_low:.3f} to {row.log_effect_high:.3f}"
        is_known = row.truth == row.truth
        verdict = ("yes" if row.is_inside else "no") if is_known else "another model"
        words = (row.measure, row.estimator, row.model, row.term, f"{row.truth:.3f}" if is_known else "")
        grid.add_row(*words, f"{row.log_effect:.3f}", interval, verdict)
    console = Console()
    console.print(grid)
    console.print(f"{n_inside} of {len(known)} coefficients have the truth in their 95 % interval", highlight=False)
