"""What may be spent on private releases and what was (`sojourn budget`), and `sojourn export --epsilon`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from pipeline.options import AsJson, Root, print_json
from pipeline.study import StudyError

if TYPE_CHECKING:
    from pipeline.private import Budget, PrivateRelease
    from pipeline.study import Study

PANEL = "With noise, paid for from a budget"
Epsilon = Annotated[
    float | None,
    typer.Option(help="Privacy loss; smaller is more private and noisier.", rich_help_panel=PANEL, show_default=False),
]
Delta = Annotated[
    float | None,
    typer.Option(
        help="Probability that the loss is larger; only cells above a threshold are released. "
        "Default: 0, every possible cell is.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
By = Annotated[
    list[str] | None,
    typer.Option(help="Column to count by (repeatable): areas, dates, hours.", rich_help_panel=PANEL),
]
Devices = Annotated[
    bool, typer.Option("--devices", help="Count devices, each once a cell, not rows.", rich_help_panel=PANEL)
]
Total = Annotated[
    str | None, typer.Option("--sum", help="Sum this column in place of counting.", rich_help_panel=PANEL)
]
MaxRows = Annotated[
    int | None,
    typer.Option(
        help="Most rows of a device; fewer: less noise, more left out. Default: the contract's.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
ClipHigh = Annotated[
    float | None,
    typer.Option(help="Highest value that is summed, if lower than the contract's: less noise.", rich_help_panel=PANEL),
]
AreaDigits = Annotated[
    int | None,
    typer.Option(
        min=1, help="Areas are the first so many characters of their ids: larger, less noise.", rich_help_panel=PANEL
    ),
]


class Asked(NamedTuple):
    """What `sojourn export` was asked about noise."""

    epsilon: float | None
    delta: float | None
    by: list[str] | None
    devices: bool
    total: str | None
    max_rows: int | None
    clip_high: float | None
    area_digits: int | None

    @property
    def is_private(self) -> bool:
        """Whether a private release is asked for; StudyError where its options stand without --epsilon."""
        if self.epsilon is None and any(self):
            raise StudyError("--by, --delta, --devices, --sum and bounds go with --epsilon: give it too")
        return self.epsilon is not None


def export_privately(table: str, asked: Asked, study: Study, root: Path, folder: Path, is_csv: bool) -> dict[str, Any]:
    """Write a private release and a statement for each of its files to `folder`; return the statement.

    The statement names besides what all releases of these tables have cost by then. Asked again of the same
    tables, the same release is written again and nothing is spent.
    """
    from pipeline.engine.files import write_json
    from pipeline.private import Ledger, PrivateQuery, release

    if asked.devices and asked.total:
        raise StudyError("--devices counts and --sum sums: give one of them")
    counted = asked.total or ("devices" if asked.devices else "rows")
    bounds = (asked.max_rows, asked.area_digits, asked.clip_high)
    query = PrivateQuery(table, tuple(asked.by or ()), asked.epsilon or 0.0, asked.delta or 0.0, counted, *bounds)
    found = release(query, study, root)
    name = f"{table}.{counted}_by_{'_'.join(query.by)}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.parquet", *([folder / f"{name}.csv"] if is_csv else [])]
    found.rows.to_parquet(paths[0], index=False)
    if is_csv:
        found.rows.to_csv(paths[1], index=False)
    statement = found.facts | _spent(Ledger(root).read())
    statements = [path.with_name(f"{path.name}.protection.json") for path in paths]
    for path in statements:
        write_json(path, statement)
    written = [str(path) for path in (*paths, *statements)]
    told = {"n_rows": len(found.rows), "is_repeated": found.is_repeated, "paths": written}
    return statement | told | {"words": describe(found, paths[0])}


def budget(
    epsilon: Annotated[float | None, typer.Option(help="Declare the budget: losses may add up to this, ever.")] = None,
    delta: Annotated[float, typer.Option(help="Declare the same of delta.")] = 0.0,
    root: Root = Path("tables"),
    as_json: AsJson = False,
) -> None:
    """Show what is spent and left; with --epsilon, declare the budget, which can be done once."""
    from pipeline.private import Ledger

    ledger = Ledger(root)
    found = ledger.read() if epsilon is None else ledger.create(epsilon, delta)
    left = dict(zip(("epsilon", "delta"), map(float, found.left()), strict=True))
    if as_json:
        print_json({"epsilon": found.epsilon, "delta": found.delta, "left": left, "spends": _spends(found)})
        return
    for spend in found.spends:
        typer.echo(f"{spend.spent_at}  epsilon {spend.epsilon:g}, delta {spend.delta:g}: {spend.what}")
    typer.echo(f"left: epsilon {left['epsilon']:g} of {found.epsilon:g}, delta {left['delta']:g} of {found.delta:g}")


def _spends(budget: Budget) -> list[dict[str, Any]]:
    """Return what was spent on what, without the ids of releases: these are made from the data."""
    return [{k: v for k, v in spend._asdict().items() if k != "release_id"} for spend in budget.spends]


def _spent(budget: Budget) -> dict[str, float]:
    epsilon, delta = budget.spent()
    return {
        "epsilon_spent_in_all": float(epsilon),
        "delta_spent_in_all": float(delta),
        "epsilon_budget": budget.epsilon,
        "delta_budget": budget.delta,
    }


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
