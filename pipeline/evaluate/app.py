"""The command group that every `sojourn evaluate …` joins, and what its commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pipeline.study import StudyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

evaluate_app = typer.Typer(no_args_is_help=True, help="Compare what is found with ground truth of your own.")


def load_or_explain(table: str, root: Path | None, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return columns of a table under `root`; StudyError, as of any wrong option, says why it cannot be read."""
    from pipeline.catalog import CatalogError, load

    try:
        return load(table, root=root, columns=columns)
    except CatalogError as error:
        raise StudyError(f"--root: {error}") from None
