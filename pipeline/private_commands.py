"""`sojourn private`: what may be spent on private releases, what was, and the releases themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.options import AsJson, Root, Sets, StudyFile, print_json, read_study
from pipeline.study import StudyError

if TYPE_CHECKING:
    from pipeline.private import Budget, PrivateRelease

private_app = typer.Typer(
    no_args_is_help=True, help="Differentially private counts and sums: noised by OpenDP, paid for from a budget."
)
WRITTEN = (".csv", ".parquet")
Epsilon = Annotated[float, typer.Option(help="Privacy loss: smaller is more private and noisier.")]
Delta = Annotated[float, typer.Option(help="Probability that the loss is larger. 0: every possible cell is released.")]


@private_app.command("budget")
def private_budget(
    epsilon: Annotated[float | None, typer.Option(help="Declare the budget: losses may add up to this, ever.")] = None,
    delta: Annotated[float, typer.Option(help="Declare the same of delta.")] = 0.0,
    root: Root = Path("tables"),
    as_json: AsJson = False,
) -> None:
    """Show what is spent and left; with --epsilon, declare the budget, which can be done once."""
    from pipeline.private import Ledger

    ledger = Ledger(root)
    budget = ledger.read() if epsilon is None else ledger.create(epsilon, delta)
    left = dict(zip(("epsilon", "delta"), budget.left(), strict=True))
    if as_json:
        print_json({"epsilon": budget.epsilon, "delta": budget.delta, "left": left, "spends": _spends(budget)})
        return
    for spend in budget.spends:
        typer.echo(f"{spend.spent_at}  epsilon {spend.epsilon:g}, delta {spend.delta:g}: {spend.what}")
    typer.echo(f"left: epsilon {left['epsilon']:g} of {budget.epsilon:g}, delta {left['delta']:g} of {budget.delta:g}")


def _spends(budget: Budget) -> list[dict[str, Any]]:
    return [spend._asdict() for spend in budget.spends]


@private_app.command("release")
def private_release(
    table: Annotated[str, typer.Argument(help="visits, trips or device_days.")],
    epsilon: Epsilon,
    study_file: StudyFile = None,
    by: Annotated[list[str] | None, typer.Option(help="Column to count by (repeatable): areas, dates, hours.")] = None,
    delta: Delta = 0.0,
    devices: Annotated[bool, typer.Option("--devices", help="Count devices, each once a cell, not rows.")] = False,
    total: Annotated[str | None, typer.Option("--sum", help="Sum this column in place of counting.")] = None,
    max_rows: Annotated[
        int | None,
        typer.Option(help="Most rows of a device; fewer: less noise, more left out. Default: the contract's."),
    ] = None,
    clip_high: Annotated[
        float | None, typer.Option(help="Highest value that is summed, if lower than the contract's: less noise.")
    ] = None,
    area_digits: Annotated[
        int | None, typer.Option(min=1, help="Areas are the first so many characters of their ids: larger, less noise.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Write the release to this file: .parquet or .csv.")] = Path("release.csv"),
    root: Root = Path("tables"),
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Count or sum rows of a table with noise, spend the loss from the budget, and write the release and its statement.

    Asked again of the same tables, the same release is written again and nothing is spent.
    """
    from pipeline.private import PrivateQuery, release

    if devices and total:
        raise StudyError("--devices counts and --sum sums: give one of them")
    if out.suffix not in WRITTEN:
        raise StudyError(f"--out: {out.name} does not end in {' or '.join(WRITTEN)}")
    counted = total or ("devices" if devices else "rows")
    query = PrivateQuery(table, tuple(by or ()), epsilon, delta, counted, max_rows, area_digits, clip_high)
    found = release(query, read_study(study_file, sets), root)
    write_release(found, out)
    if as_json:
        print_json(found.facts | {"n_rows": len(found.rows), "is_repeated": found.is_repeated, "out": str(out)})
    else:
        typer.echo(describe(found, out))


def write_release(found: PrivateRelease, out: Path) -> Path:
    """Write what may leave, as the name of the file says, and beside it the statement of how it came about."""
    from pipeline.engine.store import write_json

    if out.suffix == ".csv":
        found.rows.to_csv(out, index=False)
    else:
        found.rows.to_parquet(out, index=False)
    statement = out.with_suffix(".json")
    write_json(statement, found.facts)
    return statement


def describe(found: PrivateRelease, out: Path) -> str:
    """Return in words what was released and how far the noise reaches."""
    facts = found.facts
    paid = "released before, nothing spent" if found.is_repeated else "spent from the budget"
    threshold = "" if facts["threshold"] is None else f"; below {facts['threshold']:g} {facts['unit']} left out"
    return (
        f"{out}: {facts['asked']}; {len(found.rows):,} cells of {facts['n_cells_possible']:,}{threshold}\n"
        f"epsilon {facts['epsilon']:g}, delta {facts['delta']:g} ({paid}); 95 % of the noise is within "
        f"{facts['noise_within_95']:,.0f} {facts['unit']} of what is counted of the rows that take part"
    )
