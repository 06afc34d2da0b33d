"""The command group that every `sojourn evaluate …` joins."""

import typer

evaluate_app = typer.Typer(no_args_is_help=True, help="Compare what is found with ground truth of your own.")
