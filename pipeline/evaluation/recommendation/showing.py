"""An evaluation of place recommendation for people: figures, no ids and no positions."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as Grid

from pipeline.evaluation.recommendation.comparing import Figure, Kind, Ordering
from pipeline.evaluation.recommendation.orderings import FULL
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.run import Evaluation, Fit, known_methods
from pipeline.evaluation.recommendation.scoring import KINDS, Scores
from pipeline.evaluation.recommendation.splitting import ANY, EVERY_NEW, EVERY_RARE, NEW, RARE
from pipeline.evaluation.showing import figure, share

TITLES = {
    RARE: "New place of the rare type: lists hold that type alone",
    EVERY_RARE: "Every new place of the rare type: lists hold that type alone",
    NEW: "New place: first place of the hold-out that is new to the person",
    EVERY_NEW: "Every new place: all of them, the mean of each person's",
    ANY: "Any place: first place of the hold-out; visited ones are listed too",
}
NOTE = (
    "HR@{n_hits}: share of people whose place is among the first {n_hits}. MRR: mean of 1 / rank, and coverage: share "
    "of the places that may be listed in any list, over the first {n_listed}. Means over seeds; intervals "
    "({confidence:.0%}): bootstrap over people and seeds, of differences over the same people, of coverage the range "
    "over seeds. None: people of whom a method had nothing to say, who were given the most popular places. Nothing is "
    "known of people but check-ins and friends: cold ones, without a check-in in training, all get one list from the "
    "towers, unless friends' places tell more. An interval says nothing about another city or year."
)
KIND_NAMES = {"warm": "warm people", "cold": "cold people"}
PART_NAMES = {"cold_place": "cold places", "new_kind": "new kind", "long_tail": "long tail"}
PART_NOTE = (
    "The numbers are of people. Cold places: without a check-in in training. New kind: warm people who were never at a "
    "place of that top category. Long tail: places that are not among the most visited {popular_share:.0%}."
)
SHORT = {RARE: " rare", EVERY_RARE: " every rare", NEW: " new", EVERY_NEW: " every new", ANY: " any"}
METRICS = {"hr": "HR", "mrr": "MRR", "coverage": "cover"}


def show_recommendation(evaluation: Evaluation, params: RecommendParams) -> None:
    """Print an evaluation."""
    console = Console()
    console.print(*_counted(evaluation), sep="\n", highlight=False)
    for name, reason in evaluation.left_out.items():
        console.print(f"left out: {known_methods()[name]}: {reason}", highlight=False, markup=False)
    for target in evaluation.results:
        for kind in reversed(KINDS):
            console.print(*_results_grids(target, kind, evaluation.by_kind[kind][target], params), sep="\n")
    console.print(NOTE.format(**params.model_dump()), highlight=False)
    console.print(_parts_grid(evaluation.results[EVERY_NEW], params))
    console.print(PART_NOTE.format(**params.model_dump()), highlight=False)
    if evaluation.orderings:
        console.print(_orderings_grid(evaluation.orderings))
    console.print(_fits_grid(evaluation.fits))
    console.print(*_graphs_grid(evaluation.fits), *_cost_of_balance(evaluation.fits), sep="\n", highlight=False)


def _counted(evaluation: Evaluation) -> list[str]:
    """Return in words what became of the rows, and what was split."""
    of = evaluation.split
    unused = "; ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in evaluation.rows.items())
    types = ", ".join(f"{n:,}" for n in evaluation.node_types)
    signals = ", ".join(f"{n:,} {name.removeprefix('n_')}" for name, n in evaluation.signals.items())
    return [
        f"rows not used or repaired: {unused or 'none'}",
        f"training: {of['n_training']:,} check-ins of {of['n_people_training']:,} people, of {of['n_record']:,} before "
        "the hold-out" + (f"; signals of the models: {signals}" if signals else ""),
        f"catalogue: {of['n_places_catalogue']:,} places, {of['n_places_cold']:,} of them cold"
        + (f"; by node type, rarest first: {types}" if types else ""),
        f"hold-out: {of['n_held_out']:,} check-ins of {of['n_people_held_out']:,} people, "
        f"{of['n_held_out_outside_catalogue']:,} at places outside the catalogue",
        f"people with a new place: {of['n_people_new_target']:,} ({of['n_people_cold']:,} cold; "
        f"{of['n_new_targets']:,} places), of the rare type: {of['n_people_rare_target']:,} ({of['n_rare_targets']:,} "
        f"places); with any place: {of['n_people_any_target']:,}",
    ]


def _grid(title: str, *names: str) -> Grid:
    """Return a table of figures that fits a terminal of 80 columns."""
    grid = Grid(box=box.SIMPLE_HEAD, padding=0, title=title, title_justify="left")
    for k, name in enumerate(names):
        grid.add_column(name, justify="left" if k == 0 else "right", no_wrap=True)
    return grid


def _results_grids(target: str, kind: Kind, results: dict[str, Scores], params: RecommendParams) -> list[Grid]:
    """Return the grid of warm or cold people, or none where there are no such people."""
    n_people = next((scores.n_people for scores in results.values()), 0)
    if not n_people:
        return []
    title = f"{TITLES[target]}: {n_people:,} {KIND_NAMES[kind]}"
    grid = _grid(title, "method", f"HR@{params.n_hits}", "interval", "MRR", "interval", "cover", "seeds", "none")
    for name, scores in results.items():
        grid.add_row(
            known_methods()[name], figure(scores.hr.value), _interval(scores.hr), figure(scores.mrr.value),
            _interval(scores.mrr), share(scores.coverage), str(scores.n_seeds), f"{scores.n_without_answer:,}",
        )  # fmt: skip
    return [grid]


def _parts_grid(results: dict[str, Scores], params: RecommendParams) -> Grid:
    first = next(iter(results.values()), None)
    shown = [name for name in PART_NAMES if first and first.parts[name].n_people]
    heads = [f"{PART_NAMES[name]} {first.parts[name].n_people:,}" for name in shown] if first else []
    grid = _grid(f"Every new place: HR@{params.n_hits} of kinds of people and places", "method", *heads)
    for name, scores in results.items():
        grid.add_row(known_methods()[name], *(figure(scores.parts[part].hr.value) for part in shown))
    return grid


def _orderings_grid(orderings: list[Ordering]) -> Grid:
    """Return the orderings; long claims go on in a second line, so that nothing is cut off at 80 columns."""
    title = "Orderings: the first minus the second, of warm people if not said otherwise; n: people"
    grid = _grid(title, "claim", "of", "by", "n", "difference", "verdict")
    grid.columns[0].no_wrap = grid.columns[1].no_wrap = False
    titles = known_methods()
    for one in orderings:
        of = METRICS[one.metric] + SHORT[one.target] + (" cold" if one.people == "cold" else "")
        claim = f"{titles[one.better]} > {titles[one.worse]}"
        difference = f"{one.difference.value:+.3f} {_interval(one.difference, '+')}"
        grid.add_row(claim, of, one.claim, f"{one.n_people:,}", difference, one.verdict)
    return grid


def _fits_grid(fits: dict[str, Fit]) -> Grid:
    grid = _grid("Fitting (means over seeds)", "method", "chosen", "seconds")
    for name, fit in fits.items():
        grid.add_row(known_methods()[name], "–" if fit.setting is None else str(fit.setting), f"{fit.seconds:.1f}")
    return grid


def _graphs_grid(fits: dict[str, Fit]) -> list[Grid]:
    """Return the grid of the graph networks, or none where there are none."""
    title = "Graph network: links of an epoch, of all there were; means over seeds"
    grid = _grid(title, "method", "links", "of all", "epochs", "steps", "seconds", "s/epoch")
    for name, fit in fits.items():
        if fit.n_links:
            grid.add_row(
                known_methods()[name], f"{fit.n_links:,.0f}", f"{fit.n_links_in_all:,.0f}", f"{fit.n_epochs:.1f}",
                f"{fit.n_steps:,.0f}", f"{fit.graph_seconds:.1f}", f"{fit.epoch_seconds:.2f}",
            )  # fmt: skip
    return [grid] if grid.row_count else []


def _cost_of_balance(fits: dict[str, Fit]) -> list[str]:
    """Return in words what the balanced sampler saves; nothing where one of the two was not run."""
    balanced, every = fits.get(FULL), fits.get("unbalanced")
    if not (balanced and every and balanced.n_epochs and every.n_epochs):
        return []
    whole = "" if every.n_links >= every.n_links_in_all else f" (of {every.n_links_in_all:,.0f}: there is a bound)"
    return [
        f"an epoch of the graph network: balanced {balanced.n_links:,.0f} links in {balanced.epoch_seconds:.2f} s, "
        f"without {every.n_links:,.0f} links{whole} in {every.epoch_seconds:.2f} s: "
        f"{balanced.epoch_seconds / every.epoch_seconds - 1:+.0%}; in all "
        f"{balanced.graph_seconds / every.graph_seconds - 1:+.0%}"
    ]


def _interval(of: Figure, sign: str = "") -> str:
    return f"{of.low:{sign}.3f}…{of.high:{sign}.3f}" if of.low == of.low else "–"
