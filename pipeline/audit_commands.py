"""`sojourn audit`: what tables tell of single devices."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.options import AsJson, Root, print_json

if TYPE_CHECKING:
    from pipeline.audit import Audit

EXIT_TOO_SMALL = 3


class Place(StrEnum):
    """What a place is to who knows a few."""

    CELL = "cell"
    AREA = "area"


def audit_tables(
    targets: Annotated[list[str], typer.Argument(help="Tables of the root, Parquet files, or folders of them.")],
    root: Root = Path("tables"),
    place: Annotated[Place, typer.Option(help="Places are H3 cells, or the study's areas.")] = Place.CELL,
    resolution: Annotated[int, typer.Option(min=0, max=15, help="H3 resolution of cells.")] = 8,
    bin_h: Annotated[float, typer.Option("--hours", help="Hours of a time bin.")] = 1.0,
    max_points: Annotated[int, typer.Option("--points", min=1, max=20, help="Most points that somebody knows.")] = 5,
    is_exhaustive: Annotated[
        bool,
        typer.Option("--exhaustive", help="Try every choice of points: the worst case, for few devices."),
    ] = False,
    min_devices: Annotated[int, typer.Option(min=1, help="Devices a row must stand for, where no contract says.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Say whom tables identify: by a few places and times, by home and work, by rows of few devices.

    Exit code 3 where rows stand for fewer devices than they must.
    """
    from pipeline.audit import AuditParams, audit

    params = AuditParams(
        place=place.value,
        resolution=resolution,
        bin_h=bin_h,
        max_points=max_points,
        is_exhaustive=is_exhaustive,
        min_devices=min_devices,
    )
    found = [audit(target, root, params) for target in targets]
    if as_json:
        print_json({"params": params.model_dump(), "audits": [_values(one) for one in found]})
    else:
        for one in found:
            typer.echo("\n".join(_lines(one)))
    if any(one.is_too_small for one in found):
        raise typer.Exit(EXIT_TOO_SMALL)


def _values(found: Audit) -> dict[str, Any]:
    return {
        "what": found.what,
        "few_devices": found.few_devices and found.few_devices._asdict(),
        "home_work": found.home_work and found.home_work._asdict(),
        "uniqueness": [one._asdict() for one in found.uniqueness],
    }


def _lines(found: Audit) -> list[str]:
    lines = [found.what]
    if found.few_devices:
        few = found.few_devices
        lines.append(
            f"  {few.n_rows:,} rows, the smallest of {few.smallest} devices; "
            f"{few.n_rows_below:,} below the minimum of {few.min_devices}"
        )
    if found.home_work and found.home_work.share_alone is not None:
        pairs = found.home_work
        lines.append(
            f"  home and work areas: of {pairs.n_devices:,} devices {pairs.share_alone:.1%} are alone in their pair, "
            f"{pairs.share_in_few:.1%} among fewer than {pairs.min_devices}"
        )
    lines += [
        f"  {one.n_known} known points: {one.share:.1%} of {one.n_devices:,} devices are alone "
        f"({one.low:.1%} to {one.high:.1%})"
        for one in found.uniqueness
        if one.share is not None
    ]
    return lines
