"""`sojourn evaluate npi-truth`: coefficients found in an artificial city beside those its people have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.evaluate.app import evaluate_app, load_or_explain
from pipeline.options import AsJson, Root, print_json

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as Grid


@evaluate_app.command("npi-truth")
def evaluate_npi_truth(
    truth: Annotated[Path, typer.Option(help="truth/response.json of a simulated city.")],
    root: Root = Path("tables"),
    as_json: AsJson = False,
) -> None:
    """Compare npi_response with how people of a simulated city really answer, for visits to venues."""
    from rich.console import Console

    from pipeline.evaluation.npi_truth import compare_with_truth, read_truth

    found = compare_with_truth(load_or_explain("npi_response", root), read_truth(truth))
    known = found[found["truth"].notna()]
    n_inside = int(known["is_inside"].sum())
    if as_json:
        rows = found.astype(object).where(found.notna(), None).to_dict("records")
        print_json({"n_coefficients": len(known), "n_inside": n_inside, "rows": rows})
        return
    console = Console()
    for (measure, model), rows in found.groupby(["measure", "model"], sort=False):
        is_known = rows["truth"].notna().all()
        console.print(_grid(f"{measure}, {model}{'' if is_known else ': not the true model'}", rows))
    console.print(f"{n_inside} of {len(known)} coefficients have the truth in their 95 % interval", highlight=False)


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
