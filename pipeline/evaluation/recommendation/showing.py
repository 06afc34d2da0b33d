"""An evaluation of place recommendation for people: figures, no ids and no positions."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as Grid

from pipeline.evaluation.recommendation.comparing import Figure, Ordering
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.run import Evaluation, known_methods
from pipeline.evaluation.recommendation.scoring import Scores
from pipeline.evaluation.recommendation.splitting import ANY, EVERY_NEW, NEW
from pipeline.evaluation.showing import figure, share

TITLES = {
    NEW: "New place: first place of the hold-out that is new to the person",
    EVERY_NEW: "Every new place: all of them, the mean of each person's",
    ANY: "Any place: first place of the hold-out; visited ones are listed too",
}
NOTE = (
    "HR@{n_hits}: share of people whose place is among the first {n_hits}. MRR: mean of 1 / rank, and coverage: share "
    "of the catalogue in any list, over the first {n_listed}. Means over seeds; intervals ({confidence:.0%}): "
    "bootstrap over people, of differences over the same people, of coverage the range over seeds. None: people of "
    "whom a method had nothing to say, who were given the most popular places. An interval over people says nothing "
    "about another city or year."
)
PART_NAMES = {
    "warm": "warm", "cold": "cold people", "cold_place": "cold places", "new_kind": "new kind", "long_tail": "long tail"
}  # fmt: skip
PART_NOTE = (
    "The numbers are of people. Cold: without a check-in in training (people, or the place looked for). New kind: "
    "people who were never at a place of that top category. Long tail: places that are not among the most visited "
    "{popular_share:.0%}."
)
SHORT = {NEW: "", EVERY_NEW: " every", ANY: " any"}
METRICS = {"hr": "HR", "mrr": "MRR", "coverage": "cover"}


def show_recommendation(evaluation: Evaluation, params: RecommendParams) -> None:
    """Print an evaluation."""
    console = Console()
    console.print(*_counted(evaluation), sep="\n", highlight=False)
    for name, reason in evaluation.left_out.items():
        console.print(f"left out: {known_methods()[name]}: {reason}", highlight=False, markup=False)
    for target, results in evaluation.results.items():
        console.print(_results_grid(target, results, params))
    console.print(NOTE.format(**params.model_dump()), highlight=False)
    console.print(_parts_grid(evaluation.results[EVERY_NEW], params))
    console.print(PART_NOTE.format(**params.model_dump()), highlight=False)
    if evaluation.orderings:
        console.print(_orderings_grid(evaluation.orderings))
    console.print(_fits_grid(evaluation))


def _counted(evaluation: Evaluation) -> list[str]:
    """Return in words what became of the rows, and what was split."""
    of = evaluation.split
    unused = "; ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in evaluation.rows.items())
    types = ", ".join(f"{n:,}" for n in evaluation.node_types)
    signals = ", ".join(f"{n:,} {name.removeprefix('n_')}" for name, n in evaluation.signals.items())
    return [
        f"rows not used or repaired: {unused or 'none'}",
        f"training: {of['n_training']:,} check-ins of {of['n_people_training']:,} people"
        + (f"; signals of the models: {signals}" if signals else ""),
        f"catalogue: {of['n_places_catalogue']:,} places, {of['n_places_cold']:,} of them cold"
        + (f"; by node type, rarest first: {types}" if types else ""),
        f"hold-out: {of['n_held_out']:,} check-ins of {of['n_people_held_out']:,} people, "
        f"{of['n_held_out_outside_catalogue']:,} at places outside the catalogue",
        f"people with a new place: {of['n_people_new_target']:,} ({of['n_people_cold']:,} cold; "
        f"{of['n_new_targets']:,} places); with any place: {of['n_people_any_target']:,}",
    ]


def _grid(title: str, *names: str) -> Grid:
    """Return a table of figures that fits a terminal of 80 columns."""
    grid = Grid(box=box.SIMPLE_HEAD, padding=0, title=title, title_justify="left")
    for k, name in enumerate(names):
        grid.add_column(name, justify="left" if k == 0 else "right", no_wrap=True)
    return grid


def _results_grid(target: str, results: dict[str, Scores], params: RecommendParams) -> Grid:
    grid = _grid(
        TITLES[target], "method", f"HR@{params.n_hits}", "interval", "MRR", "interval", "cover", "seeds", "none"
    )
    for name, scores in results.items():
        grid.add_row(
            known_methods()[name], figure(scores.hr.value), _interval(scores.hr), figure(scores.mrr.value),
            _interval(scores.mrr), share(scores.coverage), str(scores.n_seeds), f"{scores.n_without_answer:,}",
        )  # fmt: skip
    return grid


def _parts_grid(results: dict[str, Scores], params: RecommendParams) -> Grid:
    first = next(iter(results.values()), None)
    shown = [name for name in PART_NAMES if first and first.parts[name].n_people]
    heads = [f"{PART_NAMES[name]} {first.parts[name].n_people:,}" for name in shown] if first else []
    grid = _grid(f"Every new place: HR@{params.n_hits} of kinds of people and places", "method", *heads)
    for name, scores in results.items():
        grid.add_row(known_methods()[name], *(figure(scores.parts[part].hr.value) for part in shown))
    return grid


def _orderings_grid(orderings: list[Ordering]) -> Grid:
    grid = _grid("Orderings: the first minus the second", "claim", "of", "by", "difference", "interval", "verdict")
    titles = known_methods()
    for one in orderings:
        of = METRICS[one.metric] + SHORT[one.target]
        claim = f"{titles[one.better]} > {titles[one.worse]}"
        row = (claim, of, one.claim, f"{one.difference.value:+.3f}", _interval(one.difference, "+"), one.verdict)
        grid.add_row(*row)
    return grid


def _fits_grid(evaluation: Evaluation) -> Grid:
    title = "Fitting (means over seeds). Of the graph network: links of an epoch, of all there were; epochs; steps"
    grid = _grid(title, "method", "chosen", "seconds", "graph s", "links", "of all", "epochs", "steps")
    for name, fit in evaluation.fits.items():
        counts = f"{fit.n_links:,.0f}", f"{fit.n_links_in_all:,.0f}", f"{fit.n_epochs:.1f}", f"{fit.n_steps:,.0f}"
        graph = (f"{fit.graph_seconds:.1f}", *counts) if fit.n_links else ["–"] * 5
        grid.add_row(
            known_methods()[name], "–" if fit.setting is None else str(fit.setting), f"{fit.seconds:.1f}", *graph
        )
    return grid


def _interval(of: Figure, sign: str = "") -> str:
    return f"{of.low:{sign}.3f}…{of.high:{sign}.3f}" if of.low == of.low else "–"
