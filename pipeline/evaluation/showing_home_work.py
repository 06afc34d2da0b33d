"""Scores of homes and workplaces for people: figures, no ids and no positions."""

from rich import box
from rich.console import Console
from rich.table import Table as Grid

from pipeline.evaluation.home_work import ROLES, RoleScores
from pipeline.evaluation.home_work_run import HomeWorkEvaluation
from pipeline.evaluation.showing import figure, share

NOTE = (
    "P, R, F1 over time: hours truly in the role and in a place found in it on that day. Over places: ever truly, and "
    "ever found, in the role. None: people with a true place and none found. Right: true places of the others that "
    "were found (HoWDe's own rule; every_place shows that it cannot stand alone). False: people for whom one was found "
    "without a true one. Trivial rules: most_time: home is the place with most time, work the second; night_and_day: "
    "those with most time at night and in working hours. Baseline: scored within its dates."
)
NAMES = {
    "n_rows": "rows", "n_unusable": "unusable", "n_without_place": "at no place", "n_same_start": "begun with another",
    "n_stops": "stops", "n_people": "people", "n_true_devices_without_visits": "of them without a visit",
}  # fmt: skip


def show_home_work(evaluation: HomeWorkEvaluation) -> None:
    """Print an evaluation of homes and workplaces."""
    console = Console()
    console.print("; ".join(f"{n:,} {NAMES[name]}" for name, n in evaluation.rows.items() if n), highlight=False)
    for role in ROLES:
        console.print(_grid(evaluation, role))
    console.print(NOTE, highlight=False)


def _grid(evaluation: HomeWorkEvaluation, role: str) -> Grid:
    first: RoleScores = getattr(next(iter(evaluation.results.values())), role)
    seen = share(evaluation.seen_share[role])
    title = f"{role}: {first.n_people:,} people with a true one, {first.true_h:,.0f} h there, {seen} of it seen"
    grid = Grid(box=box.SIMPLE_HEAD, padding=0, title=title, title_justify="left")
    for k, name in enumerate(("found by", "time P", "R", "F1", "places P", "R", "F1", "none", "right", "false")):
        grid.add_column(name, justify="left" if k == 0 else "right", no_wrap=True)
    for name, scores in evaluation.results.items():
        of: RoleScores = getattr(scores, role)
        rates = (figure(value) for value in (*of.time, *of.places))
        grid.add_row(name, *rates, share(of.undetected_share), share(of.right_share), f"{of.n_false_people:,}")
    return grid
